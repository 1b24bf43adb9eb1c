"""What a flag is: one entry of data. Its type parses and prints values the way upstream's flag library does."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

AUTO = "auto"


class FlagError(ValueError):
    """A value that its flag's type cannot take; the message says why."""


@dataclass(frozen=True, slots=True)
class FlagType:
    """`parse` takes the text and the value so far (None at the flag's first use) and returns the new value."""

    name: str
    parse: Callable[[str, Any], Any]
    format: Callable[[Any], str] = str
    bare: str | None = None  # what `--name` without a value means
    collection: type[tuple] | type[dict] | None = None  # a config file may give such a value as a list or mapping


@dataclass(frozen=True, slots=True)
class Flag:
    """One command-line flag. `validate` yields a message for each fault of the completed value.

    `legacy` is the release in which kube-apiserver dropped the flag, `missing` the system without which it has no effect
    here yet, `sets` another flag whose value this one gives.
    """

    name: str
    type: FlagType
    default: Any
    help: str
    validate: Callable[[str, Any], Iterable[str]] | None = None
    deprecated: str = ""
    legacy: str = ""
    missing: str = ""
    sets: str = ""
    hidden: bool = False

    @property
    def field(self) -> str:
        """The name of the option in Python."""
        return (self.sets or self.name).replace("-", "_")

    @property
    def warning(self) -> str:
        """What is printed once when the flag is given; nothing for most flags."""
        lacking = (
            f"has no effect{'' if self.legacy else ' yet'}: this server has no {self.missing}" if self.missing else ""
        )
        if self.deprecated or self.legacy:
            why = self.deprecated or f"kube-apiserver {self.legacy} dropped it"
            return f"Flag --{self.name} has been deprecated, {why}" + (f"; it {lacking}" if lacking else "")
        return f"Flag --{self.name} {lacking}" if lacking else ""


@dataclass(frozen=True, slots=True)
class FlagGroup:
    """A named flag set: one section of --help. `rules` yield faults of options that belong together."""

    name: str
    flags: tuple[Flag, ...]
    rules: tuple[Callable[[Any], Iterable[str]], ...] = ()


_BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_bool(text: str, _: Any = None) -> bool:
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise FlagError("must be true or false") from None


def parse_int(text: str, _: Any = None) -> int:
    try:
        number = int(text, 0) if text.strip() == text and "_" not in text else int("")
    except ValueError:
        raise FlagError("must be a whole number") from None
    if not -(2**63) <= number < 2**63:
        raise FlagError("value out of range")
    return number


def parse_uint(text: str, _: Any = None) -> int:
    number = parse_int(text)
    if number < 0:
        raise FlagError("must not be negative")
    return number


def parse_float(text: str, _: Any = None) -> float:
    try:
        number = float(text) if "_" not in text else float("nan")
    except ValueError:
        raise FlagError("must be a number") from None
    if not math.isfinite(number):
        raise FlagError("must be a number")
    return number


def parse_duration(text: str, _: Any = None) -> float:
    """Go's durations (1h30m, 250ms, 0) in seconds."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    parts = _DURATION_PART.findall(rest)
    if rest == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise FlagError("must be a duration such as 30s, 5m or 1h30m")
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Seconds as Go prints a duration: 5m0s."""
    if 0 < abs(seconds) < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:g}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def parse_ip(text: str, _: Any = None) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise FlagError("must be an IP address") from None


def parse_cidrs(text: str, _: Any = None) -> str:
    try:
        return ",".join(str(ipaddress.ip_network(cidr.strip(), strict=False)) for cidr in text.split(",") if text)
    except ValueError:
        raise FlagError("must be one CIDR, or two separated by a comma") from None


def parse_port_range(text: str, _: Any = None) -> str:
    """`A-B`, `A+N` or `A`; empty is unset."""
    if not text.strip():
        return ""
    match = re.fullmatch(r"(\d+)(?:([-+])(\d+))?", text)
    if not match:
        raise FlagError("must be a port range such as 30000-32767")
    first, last = int(match[1]), int(match[3] or match[1])
    if match[2] == "+":
        last += first
    if not first <= last <= 65535:
        raise FlagError("must be a range of ports up to 65535, the lower one first")
    return f"{first}-{last}"


def parse_port(text: str, _: Any = None) -> int | str:
    return AUTO if text == AUTO else parse_int(text)


def parse_strings(text: str, before: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """A comma list with CSV quoting; repeated flags append."""
    if '"' not in text:
        return (before or ()) + (tuple(text.split(",")) if text else ())
    import csv

    try:
        return (before or ()) + tuple(next(csv.reader([text], strict=True)))
    except csv.Error as error:
        raise FlagError(f"must be a comma-separated list: {error}") from None


def parse_ints(text: str, before: tuple[int, ...] | None = None) -> tuple[int, ...]:
    return (before or ()) + tuple(parse_int(item.strip()) for item in text.split(",") if text)


def parse_pair(text: str, before: dict[str, str] | None = None) -> dict[str, str]:
    """One `key=value` a use, commas and all."""
    key, equals, value = text.partition("=")
    if not equals:
        raise FlagError("must be key=value")
    return (before or {}) | {key.strip(): value.strip()}


def parse_string_to_string(text: str, before: dict[str, str] | None = None) -> dict[str, str]:
    """`key=value`, or several with commas between where those that hold commas are quoted."""
    if text.count("=") <= 1:
        return parse_pair(text.strip('"'), before)
    for pair in parse_strings(text):
        before = parse_pair(pair, before)
    return before or {}


def parse_cert_key(text: str, before: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """`cert,key` or `cert,key:pattern,pattern`; repeated flags append."""
    files = text.partition(":")[0].split(",")
    if len(files) != 2 or not all(files):
        raise FlagError("must be two files, cert,key, or cert,key:pattern,pattern")
    return (*(before or ()), text)


def parse_version(text: str, _: Any = None) -> str:
    """What --version takes: true, false, raw, or a version to report."""
    if text in _BOOLEANS:
        return "true" if _BOOLEANS[text] else ""
    if text != "raw" and not re.fullmatch(r"v\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", text):
        raise FlagError("must be true, false, raw or a version such as v1.36.2")
    return text


def parse_map(text: str, before: dict[str, str] | None = None) -> dict[str, str]:
    """`k=v,k2=v2`; a bare key has an empty value; later ones win."""
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return (before or {}) | {key.strip(): value.strip() for key, _, value in pairs}


def _listed(items: Iterable[Any]) -> str:
    return "[" + ",".join(map(str, items)) + "]"


def _mapped(pairs: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items()))


def _parse_text(text: str, _: Any) -> str:
    return text


def _append(text: str, before: tuple[str, ...] | None) -> tuple[str, ...]:
    return (*(before or ()), text)


STRING = FlagType("string", _parse_text)
BOOL = FlagType("bool", parse_bool, lambda value: str(value).lower(), bare="true")
INT = FlagType("int", parse_int)
UINT = FlagType("uint", parse_uint)
INTS = FlagType("int32s", parse_ints, _listed, collection=tuple)
FLOAT = FlagType("float", parse_float, "{:g}".format)
DURATION = FlagType("duration", parse_duration, format_duration)
IP = FlagType("ip", parse_ip)
CIDRS = FlagType("string", parse_cidrs)
PORT = FlagType("int", parse_port)
PORT_RANGE = FlagType("portRange", parse_port_range)
STRINGS = FlagType("strings", parse_strings, _listed, collection=tuple)
STRING_ARRAY = FlagType("stringArray", _append, _listed, collection=tuple)
NAMED_CERT_KEY = FlagType("namedCertKey", parse_cert_key, _listed, collection=tuple)
STRING_MAP = FlagType("mapStringString", parse_map, _mapped, collection=dict)
PAIRS = FlagType("mapStringString", parse_pair, _mapped, collection=dict)
STRING_TO_STRING = FlagType("stringToString", parse_string_to_string, _mapped, collection=dict)
VERSION = FlagType("version[=true]", parse_version, lambda value: value or "false", bare="true")
