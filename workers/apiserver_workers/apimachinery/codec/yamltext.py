"""YAML text to JSON values, by the rules of sigs.k8s.io/yaml (YAML 1.1 as Go's yaml.v2 reads it).

Built from libyaml's events, so that nesting cannot exhaust the stack, aliases are counted before they are followed,
and repeated keys are known by line. Objects come out with sorted keys: upstream decodes the JSON that it made of them.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from apiserver_workers.apimachinery.codec.jsontext import TOO_DEEP, DecodeError

_MAX_DEPTH = 1_000
_ALIAS_BUDGET = 100_000
_MOST_DIGITS = 300

_BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGERS = (
    (re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), 10),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOATS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAG = "tag:yaml.org,2002:"


class _Frame:
    """A collection under construction."""

    def __init__(self, kind: str, anchor: str | None, line: int) -> None:
        self.kind = kind
        self.anchor = anchor
        self.line = line
        self.keys: dict[Any, Any] = {}
        self.items: list[Any] = []
        self.key: Any = None
        self.has_key = False
        self.size = 1


def load_yaml(body: bytes) -> tuple[Any, list[str]]:
    """The value of the first document, and a line of complaint for each repeated key.

    Raises DecodeError with the message of Go's yaml package.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(body, Loader=yaml.CBaseLoader):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.add(event)
    except yaml.MarkedYAMLError as error:
        raise DecodeError(f"yaml: {_where(error)}{error.problem}") from None
    except yaml.YAMLError as error:
        raise DecodeError(f"yaml: {error}") from None
    except UnicodeDecodeError:
        raise DecodeError("yaml: invalid leading UTF-8 octet") from None
    return builder.result, builder.repeated


def _line(event: yaml.Event) -> int:
    return event.start_mark.line if event.start_mark else 0


def _where(error: yaml.MarkedYAMLError) -> str:
    for mark in (error.problem_mark, error.context_mark):
        if mark is not None and mark.line:
            line = mark.line + isinstance(error, yaml.scanner.ScannerError)
            return f"line {line}: "
    return ""


class _Builder:
    def __init__(self) -> None:
        self.result: Any = None
        self.repeated: list[str] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._expanded = 0

    def add(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = (value, 1)
            self._put(value, 1, _line(event), plain=event.implicit[0])
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            self._stack.append(_Frame(kind, event.anchor, _line(event)))
            if len(self._stack) > _MAX_DEPTH:
                raise DecodeError(TOO_DEEP)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            frame = self._stack.pop()
            value = dict(sorted(frame.keys.items())) if frame.kind == "map" else frame.items
            if frame.anchor:
                self._anchors[frame.anchor] = (value, frame.size)
            self._put(value, frame.size, frame.line)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise DecodeError(f"yaml: unknown anchor '{event.anchor}' referenced")
        value, size = self._anchors[event.anchor]
        self._expanded += size
        if self._expanded > _ALIAS_BUDGET:
            raise DecodeError("yaml: document contains excessive aliasing")
        self._put(value, size, _line(event))

    def _put(self, value: Any, size: int, line: int, *, plain: bool = False) -> None:
        """Gives a finished value to the collection around it."""
        if not self._stack:
            self.result = value
            return
        frame = self._stack[-1]
        frame.size += size
        if frame.kind == "list":
            frame.items.append(value)
        elif not frame.has_key:
            frame.key, frame.has_key = ("<<" if plain and value == "<<" else _key(value)), True
        else:
            frame.has_key = False
            if frame.key == "<<":
                self._merge(frame, value)
                return
            if frame.key in frame.keys:
                self.repeated.append(f'line {line + 1}: key "{frame.key}" already set in map')
            frame.keys[frame.key] = value

    def _merge(self, frame: _Frame, value: Any) -> None:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise DecodeError("yaml: map merge requires map or sequence of maps as the value")
        for source in sources:
            frame.keys.update({key: item for key, item in source.items() if key not in frame.keys})


def _key(value: Any) -> str:
    """A key of a JSON object, from whatever YAML has there."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    kind = {type(None): "nil", dict: "map", list: "slice"}.get(type(value), "value")
    raise DecodeError(f"error converting YAML to JSON: unsupported map key of type: {kind}")


def _scalar(event: yaml.ScalarEvent) -> Any:
    """The value of a scalar: resolved when it is plain, else by its tag."""
    text = event.value
    if event.tag and event.tag != "!":
        return _tagged(event.tag, text)
    if not event.implicit[0] or event.tag == "!":
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _tagged(tag: str, text: str) -> Any:
    if tag == _TAG + "null":
        return None
    if tag == _TAG + "bool":
        return _BOOLEANS.get(text, text)
    return _number(text) if tag in (_TAG + "int", _TAG + "float") else text


def _number(text: str) -> Any:
    plain = text.replace("_", "")
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(plain):
            digits = plain.lower().replace("0o", "0", 1) if base == 8 else plain
            if len(digits) > _MOST_DIGITS:
                return text  # no number that a double can be: a string
            whole = int(digits, base)
            return whole if -(2**63) <= whole < 2**64 else float(whole)
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        if math.isinf(number):
            return text
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    if _SPECIAL_FLOATS.fullmatch(plain):
        raise DecodeError("error converting YAML to JSON: json: unsupported value: " + plain.strip("."))
    return text
