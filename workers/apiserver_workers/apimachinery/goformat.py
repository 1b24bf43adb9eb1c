"""Values as Go's fmt prints them: some upstream messages show a piece of the request that way."""

from __future__ import annotations

from typing import Any

TYPE_NAMES = {
    dict: "map[string]interface {}",
    list: "[]interface {}",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    type(None): "<nil>",
}
JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def type_name(value: Any) -> str:
    """The Go type that encoding/json decodes `value` into when it is given an interface{} (fmt's %T)."""
    return TYPE_NAMES[value.__class__]


def plain(value: Any) -> str:
    """`value` as fmt's %v prints it: map[a:1 b:[x y]]."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{plain(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(plain, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)


def go_syntax(value: Any) -> str:
    """`value` as fmt's %#v prints it: map[string]interface {}{"a":1}."""
    if isinstance(value, dict):
        return (
            TYPE_NAMES[dict] + "{" + ", ".join(f"{quoted(key)}:{go_syntax(value[key])}" for key in sorted(value)) + "}"
        )
    if isinstance(value, list):
        return TYPE_NAMES[list] + "{" + ", ".join(map(go_syntax, value)) + "}"
    return quoted(value) if isinstance(value, str) else "interface {}(nil)" if value is None else plain(value)


def cannot_unmarshal(value: Any, into: str) -> str:
    """encoding/json's message for a JSON value that does not fit the Go type `into`."""
    return f"json: cannot unmarshal {JSON_NAMES[value.__class__]} into Go {into}"


def quoted(text: str) -> str:
    """A string as %q prints it: what cannot be printed is escaped, and nothing else but the quotes and the backslash."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
