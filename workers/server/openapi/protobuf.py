"""The v2 document in protobuf, as gnostic's OpenAPIv2.proto lays it out.

A table says for every member of a JSON object which field it becomes; what JSON leaves implicit (oneofs, maps as lists of
names and values, extensions as YAML) is in the table too, as the chain of field numbers to the value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

Object = dict[str, Any]


class To(NamedTuple):
    """Where a member goes: the field numbers that lead to the value, and what the value is.

    `type` is "string", "bool", "yaml" or a message of the table. For a map `entry` is the number of the repeated field
    that holds its entries, and `value` the path to the value in one.
    """

    path: tuple[int, ...]
    type: str
    entry: int = 0
    value: tuple[int, ...] = (2,)


STRING, BOOL, YAML = "string", "bool", "yaml"

MESSAGES: dict[str, dict[str, To]] = {
    "Document": {
        "swagger": To((1,), STRING),
        "info": To((2,), "Info"),
        "paths": To((8,), "PathItem", entry=2),
        "definitions": To((9,), "Schema", entry=1),
        "parameters": To((10,), "Parameter", entry=1),
        "security": To((12, 1), "SecurityRequirement"),
        "securityDefinitions": To((13,), "ApiKeySecurity", entry=1, value=(2, 2)),
    },
    "Info": {"title": To((1,), STRING), "version": To((2,), STRING)},
    "PathItem": {
        "get": To((2,), "Operation"),
        "put": To((3,), "Operation"),
        "post": To((4,), "Operation"),
        "delete": To((5,), "Operation"),
        "options": To((6,), "Operation"),
        "head": To((7,), "Operation"),
        "patch": To((8,), "Operation"),
        "parameters": To((9,), "ParametersItem"),
    },
    "Operation": {
        "tags": To((1,), STRING),
        "description": To((3,), STRING),
        "operationId": To((5,), STRING),
        "produces": To((6,), STRING),
        "consumes": To((7,), STRING),
        "parameters": To((8,), "ParametersItem"),
        "responses": To((9,), "Response", entry=1, value=(2, 1)),
        "schemes": To((10,), STRING),
    },
    "Response": {"description": To((1,), STRING), "schema": To((2, 1), "Schema")},
    "Schema": {
        "$ref": To((1,), STRING),
        "format": To((2,), STRING),
        "description": To((4,), STRING),
        "default": To((5,), YAML),
        "required": To((19,), STRING),
        "additionalProperties": To((21, 1), "Schema"),
        "type": To((22, 1), STRING),
        "items": To((23, 1), "Schema"),
        "allOf": To((24,), "Schema"),
        "properties": To((25,), "Schema", entry=1),
    },
    "BodyParameter": {
        "description": To((1,), STRING),
        "name": To((2,), STRING),
        "in": To((3,), STRING),
        "required": To((4,), BOOL),
        "schema": To((5,), "Schema"),
    },
    "QueryParameter": {
        "required": To((1,), BOOL),
        "in": To((2,), STRING),
        "description": To((3,), STRING),
        "name": To((4,), STRING),
        "type": To((6,), STRING),
        "uniqueItems": To((20,), BOOL),
    },
    "PathParameter": {
        "required": To((1,), BOOL),
        "in": To((2,), STRING),
        "description": To((3,), STRING),
        "name": To((4,), STRING),
        "type": To((5,), STRING),
        "uniqueItems": To((19,), BOOL),
    },
    "Reference": {"$ref": To((1,), STRING)},
    "ApiKeySecurity": {
        "type": To((1,), STRING),
        "name": To((2,), STRING),
        "in": To((3,), STRING),
        "description": To((4,), STRING),
    },
}

# The field of a message that holds its x- members.
EXTENSIONS = {"Operation": 13, "Schema": 31, "PathItem": 10}

# A parameter's place -> the path to it in a Parameter, and its message.
PARAMETERS = {"body": ((1,), "BodyParameter"), "query": ((2, 3), "QueryParameter"), "path": ((2, 4), "PathParameter")}


def encode(document: Object) -> bytes:
    """The v2 document (as `build_v2` makes it) in protobuf."""
    return _message(document, "Document")


def _message(obj: Object, name: str) -> bytes:
    if name == "SecurityRequirement":
        return b"".join(_field(1, key.encode()) + _field(2, b"") for key in obj)
    if name == "ParametersItem":
        return _field(2, _message(obj, "Reference")) if "$ref" in obj else _field(1, _message(obj, "Parameter"))
    if name == "Parameter":
        path, name = PARAMETERS[obj["in"]]
        return _wrapped(path, _message(obj, name))
    table = MESSAGES[name]
    parts = []
    for key, value in obj.items():
        to = table.get(key)
        if to is not None:
            parts.append(_member(to, value))
        elif key.startswith("x-"):
            parts.append(_field(EXTENSIONS[name], _field(1, key.encode()) + _field(2, _yaml(value))))
    return b"".join(parts)


def _member(to: To, value: Any) -> bytes:
    if to.entry:
        entries = [_field(1, key.encode()) + _wrapped(to.value, _value(to.type, item)) for key, item in value.items()]
        return _wrapped(to.path, b"".join(_field(to.entry, entry) for entry in entries))
    if to.type == BOOL:
        return _varint(to.path[0] << 3) + (b"\1" if value else b"\0")
    items = value if isinstance(value, list) else [value]
    return b"".join(_wrapped(to.path, _value(to.type, item)) for item in items)


def _value(type: str, value: Any) -> bytes:
    if type == STRING:
        return value.encode()
    return _yaml(value) if type == YAML else _message(value, type)


def _yaml(value: Any) -> bytes:
    """An Any that holds the value as YAML; JSON is YAML."""
    return _field(2, orjson.dumps(value) + b"\n")


def _wrapped(path: tuple[int, ...], payload: bytes) -> bytes:
    for number in reversed(path):
        payload = _field(number, payload)
    return payload


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
