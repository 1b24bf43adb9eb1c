"""What a flag is: one entry of data. Its type parses and prints values the way upstream's flag library does."""

from __future__ import annotations

import ipaddress
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


@dataclass(frozen=True, slots=True)
class Flag:
    """One command-line flag. `validate` yields a message for each fault of the completed value."""

    name: str
    type: FlagType
    default: Any
    help: str
    validate: Callable[[str, Any], Iterable[str]] | None = None
    deprecated: str = ""

    @property
    def field(self) -> str:
        """The name of the option in Python."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class FlagGroup:
    """A named flag set: one section of --help."""

    name: str
    flags: tuple[Flag, ...]


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
        return int(text, 0) if text.strip() == text and "_" not in text else int("")
    except ValueError:
        raise FlagError("must be a whole number") from None


def parse_float(text: str, _: Any = None) -> float:
    try:
        return float(text)
    except ValueError:
        raise FlagError("must be a number") from None


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
        return ",".join(str(ipaddress.ip_network(cidr.strip(), strict=False)) for cidr in text.split(","))
    except ValueError:
        raise FlagError("must be one CIDR, or two separated by a comma") from None


def parse_port_range(text: str, _: Any = None) -> str:
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
    import csv

    items = next(csv.reader([text])) if text else []
    return (before or ()) + tuple(items)


def parse_map(text: str, before: dict[str, str] | None = None) -> dict[str, str]:
    """`k=v,k2=v2`; a bare key has an empty value; later ones win."""
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return (before or {}) | {key.strip(): value.strip() for key, _, value in pairs}


def _joined(items: Iterable[str]) -> str:
    return "[" + ",".join(items) + "]"


def _parse_text(text: str, _: Any) -> str:
    return text


STRING = FlagType("string", _parse_text)
BOOL = FlagType("bool", parse_bool, lambda value: str(value).lower(), bare="true")
INT = FlagType("int", parse_int)
FLOAT = FlagType("float", parse_float, "{:g}".format)
DURATION = FlagType("duration", parse_duration, format_duration)
IP = FlagType("ip", parse_ip)
CIDRS = FlagType("CIDR", parse_cidrs)
PORT = FlagType("port", parse_port)
PORT_RANGE = FlagType("portRange", parse_port_range)
STRINGS = FlagType("strings", parse_strings, _joined)
STRING_ARRAY = FlagType("stringArray", lambda text, before: (*(before or ()), text), _joined)
NAMED_CERT_KEY = FlagType("namedCertKey", lambda text, before: (*(before or ()), text), _joined)
STRING_MAP = FlagType("mapStringString", parse_map, lambda value: _joined(f"{k}={v}" for k, v in value.items()))
