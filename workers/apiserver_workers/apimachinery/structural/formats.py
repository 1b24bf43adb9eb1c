"""The formats of strings that schemas can name (kube-openapi/pkg/validation/strfmt, apiextensions validation/formats.go)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import re2

from apiserver_workers.apimachinery import times
from apiserver_workers.apimachinery.addresses import parse_cidr, parse_ip
from apiserver_workers.apimachinery.cel.library import formats as named
from apiserver_workers.apimachinery.cel.library import go_url

Check = Callable[[str], bool]

_HOSTNAME = re2.compile(
    r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)"
    r"|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$"
)
_CARD = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})",
    re.ASCII,
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x{80}-\x{10ffff}-]+"
_DOTTED = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = r'"(?:[^"\\\r\n]|\\.)*"'
_ADDRESS = rf"(?:{_DOTTED}|{_QUOTED})@(?:{_DOTTED}|\[[^\[\]\\]*\])"
_EMAIL = re2.compile(rf"\s*(?:{_ADDRESS}|(?:(?:{_ATOM}|{_QUOTED}|\.)\s*)*<\s*{_ADDRESS}\s*>)\s*")
_COLOR_PART = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_DURATION = re.compile(r"(\d+)\s*([A-Za-zµ]+)")
_UNITS = (
    *(("ns", "nano"), ("us", "µs", "micro"), ("ms", "milli"), ("s", "sec")),
    *(("m", "min"), ("h", "hr", "hour"), ("d", "day"), ("w", "wk", "week")),
)
_MAC = re.compile(
    r"(?:[0-9a-fA-F]{2}([:-]))(?:[0-9a-fA-F]{2}\1){4,18}[0-9a-fA-F]{2}|(?:[0-9a-fA-F]{4}\.){2,9}[0-9a-fA-F]{4}"
)
_MAC_BYTES = (6, 8, 20)
_LONGEST_NAME, _LONGEST_LABEL, _LONGEST_LONG_NAME = 255, 63, 253


def _pattern(text: str, *flags: re.RegexFlag) -> Check:
    compiled = re.compile(text, re.ASCII | (flags[0] if flags else 0))
    return lambda value: compiled.fullmatch(value) is not None


def _is_hostname(text: str) -> bool:
    if len(text.encode()) > _LONGEST_NAME or _HOSTNAME.search(text) is None:
        return False
    return all(len(part.encode()) <= _LONGEST_LABEL for part in text.split("."))


def _is_email(text: str) -> bool:
    """net/mail.ParseAddress: an address, alone or in angle brackets behind a name."""
    return _EMAIL.fullmatch(text) is not None


def _is_ipv4(text: str) -> bool:
    return "." in text and parse_ip(text) is not None


def _is_ipv6(text: str) -> bool:
    if ":" not in text or "%" in text:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    return parse_cidr(text) is not None


def _is_mac(text: str) -> bool:
    return _MAC.fullmatch(text) is not None and sum(char not in ":-." for char in text) // 2 in _MAC_BYTES


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if re.fullmatch(r"[0-9]{9}X|[0-9]{10}", digits) is None:
        return False
    values = [10 if digit == "X" else int(digit) for digit in digits]
    return sum((index + 1) * value for index, value in enumerate(values)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if re.fullmatch(r"[0-9]{13}", digits) is None:
        return False
    total = sum((1, 3)[index % 2] * int(digit) for index, digit in enumerate(digits[:12]))
    return int(digits[12]) == (10 - total % 10) % 10


def _is_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if _CARD.fullmatch(digits) is None:
        return False
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + index % 2)
        total += doubled % 10 + 1 if doubled >= 10 else doubled
    return total % 10 == 0


def _is_duration(text: str) -> bool:
    try:
        times.parse_duration(text)
    except ValueError:
        return any(_is_unit(unit.strip().lower()) for _, unit in _DURATION.findall(text))
    return True


def _is_unit(unit: str) -> bool:
    return any(unit in variants or unit.startswith(variants[-1]) for variants in _UNITS)


def _is_long_name(text: str) -> bool:
    return len(text) <= _LONGEST_LONG_NAME and _LONG_NAME(text)


def _is_short_name(text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and _SHORT_NAME(text)


def _is_uri(text: str) -> bool:
    try:
        go_url.parse_request_uri(text)
    except go_url.URLError:
        return False
    return True


def _named(name: str) -> Check:
    check = named.FORMATS[name].check
    return lambda text: not check(text)


_UUID = "[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{}[0-9a-f]{{3}}-?{}[0-9a-f]{{3}}-?[0-9a-f]{{12}}"
_HEX, _VARIANT = "[0-9a-f]", "[89ab]"
_SHORT_NAME = _pattern("[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONG_NAME = _pattern(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

# By their names without dashes, with the minor version that brought them.
SINCE = {"k8sshortname": 34, "k8slongname": 34}
FORMATS: dict[str, Check] = {
    "bsonobjectid": _pattern("[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "cidr": _is_cidr,
    "mac": _is_mac,
    "uuid": _pattern(_UUID.format(_HEX, _HEX), re.IGNORECASE),
    "uuid3": _pattern(_UUID.format("3", _HEX), re.IGNORECASE),
    "uuid4": _pattern(_UUID.format("4", _VARIANT), re.IGNORECASE),
    "uuid5": _pattern(_UUID.format("5", _VARIANT), re.IGNORECASE),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_card,
    "ssn": _pattern(r"(?=.{11}$)\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _pattern("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(rf"rgb\({_COLOR_PART},{_COLOR_PART},{_COLOR_PART}\)"),
    "byte": _pattern(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda text: True,
    "date": _named("date"),
    "duration": _is_duration,
    "datetime": _named("datetime"),
    "k8sshortname": _is_short_name,
    "k8slongname": _is_long_name,
}
NUMERIC = {"integer": ("int32", "int64"), "number": ("float", "double")}


def supported(type: str, format: str, minor: int) -> bool:
    """Whether values of a type are checked against a format, as of a minor version; else the format says nothing."""
    if type in NUMERIC:
        return format in NUMERIC[type]
    if type not in ("", "string"):
        return False
    name = format.replace("-", "")
    return name in FORMATS and SINCE.get(name, 0) <= minor


def check_of(format: str) -> Check | None:
    """The check of a format of strings."""
    return FORMATS.get(format.replace("-", ""))
