"""JSON documents in protobuf by a table: for every member of an object, which field it becomes.

What JSON leaves implicit (oneofs, maps as lists of names and values, extensions as YAML) is in the table too, as the
chain of field numbers to the value. gnostic's messages, which these are, say no more than strings, flags and messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from apiserver_workers.apimachinery.protobuf.wire import BYTES, DOUBLE, VARINT, tagged

Object = dict[str, Any]


class To(NamedTuple):
    """Where a member goes: the field numbers that lead to the value, and what the value is.

    `type` is "string", "bool", "yaml" (an Any), "scalar" (a DefaultType) or a message of the table. For a
    map `entry` is the number of the repeated field that holds its entries, and `value` the path to the value in one.
    """

    path: tuple[int, ...]
    type: str
    entry: int = 0
    value: tuple[int, ...] = (2,)


STRING, BOOL, YAML, SCALAR = "string", "bool", "yaml", "scalar"


class Layout:
    """The messages of one format: `messages` by name, the fields for x- members, and messages that depend on the value.

    A function of `choices` takes the layout and the value and returns the encoded message.
    """

    def __init__(
        self,
        messages: Mapping[str, Mapping[str, To]],
        extensions: Mapping[str, int],
        choices: Mapping[str, Callable[[Layout, Any], bytes]],
    ) -> None:
        self._messages = messages
        self._extensions = extensions
        self._choices = choices

    def message(self, value: Any, name: str) -> bytes:
        """The value as the message of that name."""
        choose = self._choices.get(name)
        if choose is not None:
            return choose(self, value)
        table = self._messages[name]
        parts = []
        for key, item in value.items():
            to = table.get(key)
            if to is not None:
                parts.append(self._member(to, item))
            elif key.startswith("x-"):
                parts.append(field(self._extensions[name], field(1, key.encode()) + field(2, _yaml(item))))
        return b"".join(parts)

    def entries(self, value: Object, to: To) -> bytes:
        """A map as a list of names and values."""
        listed = (field(1, key.encode()) + wrapped(to.value, self._value(to.type, item)) for key, item in value.items())
        return b"".join(field(to.entry, entry) for entry in listed)

    def _member(self, to: To, value: Any) -> bytes:
        if to.entry:
            return wrapped(to.path, self.entries(value, to))
        if to.type == BOOL:
            return flag(to.path[0], bool(value))
        items = value if isinstance(value, list) else [value]
        return b"".join(wrapped(to.path, self._value(to.type, item)) for item in items)

    def _value(self, type: str, value: Any) -> bytes:
        if type == STRING:
            return str(value).encode()
        if type == SCALAR:
            return _scalar(value)
        return _yaml(value) if type == YAML else self.message(value, type)


def _yaml(value: Any) -> bytes:
    """An Any that holds the value as YAML; JSON is YAML."""
    return field(2, orjson.dumps(value) + b"\n")


def _scalar(value: Any) -> bytes:
    """A DefaultType, which has no form for lists and objects."""
    if isinstance(value, bool):
        return flag(2, value)
    if isinstance(value, str):
        return field(3, value.encode())
    return tagged(1, DOUBLE, struct.pack("<d", value)) if isinstance(value, int | float) else b""


def flag(number: int, value: bool) -> bytes:
    return tagged(number, VARINT, b"\1" if value else b"\0")


def wrapped(path: tuple[int, ...], payload: bytes) -> bytes:
    """The payload within the chain of messages that the field numbers lead through."""
    for number in reversed(path):
        payload = field(number, payload)
    return payload


def field(number: int, payload: bytes) -> bytes:
    return tagged(number, BYTES, payload)
