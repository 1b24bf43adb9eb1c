"""Named formats: format.dns1123Label().validate(x) … Upstream: K/cel/library/format.go."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any

from apiserver_workers.apimachinery import name_rules

from ..conversions import parse_timestamp
from ..estimates import PATTERN, TRAVERSAL, CallEstimate, Operand, times_factor
from ..values import NONE, Opaque, Optional, size_for_cost
from . import costs, go_url
from .row import Row

_FORMAT = "kubernetes.NamedFormat"
_LONGEST_PATTERN = 128
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))", re.ASCII)
_UUID_PATTERN = 70
_TIME_PATTERN = 71


class NamedFormat(Opaque):
    """kubernetes.NamedFormat. `pattern` is the length of the longest pattern that it may need, for the cost."""

    __slots__ = ("check", "name", "pattern")
    type_name = _FORMAT

    def __init__(self, name: str, check: Callable[[str], list[str]], pattern: int) -> None:
        self.name = name
        self.check = check
        self.pattern = pattern

    def __eq__(self, other: object) -> bool:
        return type(other) is NamedFormat and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def _prefix_of(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """A prefix may end in a dash, because more will follow."""

    def prefixed(text: str) -> list[str]:
        if len(text) > 1 and text.endswith("-"):
            text = text[:-2] + "a"
        return check(text)

    return prefixed


def _uri(text: str) -> list[str]:
    try:
        go_url.parse_request_uri(text)
    except go_url.URLError as error:
        return [str(error)]
    return []


def _either(holds: Callable[[str], bool], fault: str) -> Callable[[str], list[str]]:
    return lambda text: [] if holds(text) else [fault]


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _is_date(text: str) -> bool:
    return parse_timestamp(text + "T00:00:00Z") is not None


def _is_date_time(text: str) -> bool:
    date, _, time = text.lower().partition("t")
    match = _TIME.fullmatch(time.partition("t")[0])
    if match is None or not _is_date(date):
        return False
    return match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


_label, _subdomain, _label_1035 = (
    name_rules.is_dns1123_label,
    name_rules.is_dns1123_subdomain,
    name_rules.is_dns1035_label,
)

FORMATS: dict[str, NamedFormat] = {
    "dns1123Label": NamedFormat("DNS1123Label", _label, 30),
    "dns1123Subdomain": NamedFormat("DNS1123Subdomain", _subdomain, 60),
    "dns1035Label": NamedFormat("DNS1035Label", _label_1035, 30),
    "qualifiedName": NamedFormat("QualifiedName", name_rules.is_qualified_name, 60),
    "dns1123LabelPrefix": NamedFormat("DNS1123LabelPrefix", _prefix_of(_label), 30),
    "dns1123SubdomainPrefix": NamedFormat("DNS1123SubdomainPrefix", _prefix_of(_subdomain), 60),
    "dns1035LabelPrefix": NamedFormat("DNS1035LabelPrefix", _prefix_of(_label_1035), 30),
    "labelValue": NamedFormat("LabelValue", name_rules.is_label_value, 40),
    "uri": NamedFormat("URI", _uri, 1103),
    "uuid": NamedFormat(
        "uuid",
        _either(lambda text: _UUID.fullmatch(text) is not None, "does not match the UUID format"),
        _UUID_PATTERN,
    ),
    "byte": NamedFormat("byte", _either(_is_base64, "invalid base64"), 84),
    "date": NamedFormat("date", _either(_is_date, "invalid date"), _TIME_PATTERN),
    "datetime": NamedFormat("datetime", _either(_is_date_time, "invalid datetime"), _TIME_PATTERN),
}


def named(name: str) -> Optional:
    """The format of that name, if there is one."""
    found = FORMATS.get(name)
    return NONE if found is None else Optional(found)


def validate(form: NamedFormat, text: str) -> Optional:
    """What is wrong with a text, nothing if it is right."""
    faults = form.check(text)
    return Optional(faults) if faults else NONE


def _validate_cost(args: Sequence[Any], _result: Any) -> int:
    if type(args[0]) is not NamedFormat:
        return 1
    return costs.traversal(1 + size_for_cost(args[1])) * times_factor(args[0].pattern, PATTERN)


def _static_validate(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    return CallEstimate(args[0].size.factor(TRAVERSAL).factor(_LONGEST_PATTERN * PATTERN))


def _constant(form: NamedFormat) -> Callable[[], NamedFormat]:
    return lambda: form


ROWS: tuple[Row, ...] = (
    *(
        Row(f"format.{name}", f"format.{name}", (), _FORMAT, _constant(form), since=31, library="format")
        for name, form in FORMATS.items()
    ),
    Row(
        "format-named",
        "format.named",
        ("string",),
        f"optional_type({_FORMAT})",
        named,
        by_name=True,
        since=31,
        library="format",
    ),
    Row(
        "format-validate",
        "validate",
        (_FORMAT, "string"),
        "optional_type(list(string))",
        validate,
        member=True,
        static=_static_validate,
        runtime=_validate_cost,
        by_name=True,
        since=31,
        library="format",
    ),
)
