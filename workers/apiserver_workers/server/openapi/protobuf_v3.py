"""A v3 document in protobuf, as gnostic's OpenAPIv3.proto lays it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.server.openapi.messages import BOOL, SCALAR, STRING, YAML, Layout, To, field

Object = dict[str, Any]

VERBS = {"get": 4, "put": 5, "post": 6, "delete": 7, "options": 8, "head": 9, "patch": 10, "trace": 11}

MESSAGES: dict[str, dict[str, To]] = {
    "Document": {
        "openapi": To((1,), STRING),
        "info": To((2,), "Info"),
        "paths": To((4,), "PathItem", entry=1),
        "components": To((5,), "Components"),
        "security": To((6,), "SecurityRequirement"),
    },
    "Info": {"title": To((1,), STRING), "version": To((6,), STRING)},
    "PathItem": {
        "description": To((3,), STRING),
        "parameters": To((13,), "ParameterOrReference"),
        **{verb: To((number,), "Operation") for verb, number in VERBS.items()},
    },
    "Operation": {
        "tags": To((1,), STRING),
        "summary": To((2,), STRING),
        "description": To((3,), STRING),
        "operationId": To((5,), STRING),
        "parameters": To((6,), "ParameterOrReference"),
        "requestBody": To((7, 1), "RequestBody"),
        "responses": To((8,), "Responses"),
        "deprecated": To((10,), BOOL),
    },
    "Parameter": {
        "name": To((1,), STRING),
        "in": To((2,), STRING),
        "description": To((3,), STRING),
        "required": To((4,), BOOL),
        "schema": To((10,), "SchemaOrReference"),
    },
    "RequestBody": {
        "description": To((1,), STRING),
        "content": To((2,), "MediaType", entry=1),
        "required": To((3,), BOOL),
    },
    "MediaType": {"schema": To((1,), "SchemaOrReference")},
    "Response": {"description": To((1,), STRING), "content": To((3,), "MediaType", entry=1)},
    "Components": {
        "schemas": To((1,), "SchemaOrReference", entry=1),
        "securitySchemes": To((7,), "SecurityScheme", entry=1, value=(2, 1)),
    },
    "SecurityScheme": {
        "type": To((1,), STRING),
        "description": To((2,), STRING),
        "name": To((3,), STRING),
        "in": To((4,), STRING),
    },
    "Reference": {"$ref": To((1,), STRING), "description": To((3,), STRING)},
    "Schema": {
        "nullable": To((1,), BOOL),
        "title": To((9,), STRING),
        "pattern": To((17,), STRING),
        "uniqueItems": To((20,), BOOL),
        "required": To((23,), STRING),
        "enum": To((24,), YAML),
        "type": To((25,), STRING),
        "allOf": To((26,), "SchemaOrReference"),
        "oneOf": To((27,), "SchemaOrReference"),
        "anyOf": To((28,), "SchemaOrReference"),
        "not": To((29,), "Schema"),
        "items": To((30, 1), "SchemaOrReference"),
        "properties": To((31,), "SchemaOrReference", entry=1),
        "additionalProperties": To((32,), "AdditionalProperties"),
        "default": To((33,), SCALAR),
        "description": To((34,), STRING),
        "format": To((35,), STRING),
    },
}

# The field of a message that holds its x- members.
EXTENSIONS = {"PathItem": 14, "Operation": 13, "Parameter": 14, "Schema": 36, "Document": 9}


def _or_reference(name: str) -> Callable[[Layout, Object], bytes]:
    """A oneof of a message and a reference to one."""

    def choose(layout: Layout, value: Object) -> bytes:
        if "$ref" in value:
            return field(2, layout.message(value, "Reference"))
        return field(1, layout.message(value, name))

    return choose


def _responses(layout: Layout, value: Object) -> bytes:
    numbered = {code: response for code, response in value.items() if code != "default"}
    body = layout.entries(numbered, To((), "ResponseOrReference", entry=2))
    return body + (field(1, layout.message(value["default"], "ResponseOrReference")) if "default" in value else b"")


def _additional(layout: Layout, value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x10" + (b"\1" if value else b"\0")
    return field(1, layout.message(value, "SchemaOrReference"))


def _security(layout: Layout, value: Object) -> bytes:
    return b"".join(field(1, field(1, name.encode()) + field(2, b"")) for name in value)


LAYOUT = Layout(
    MESSAGES,
    EXTENSIONS,
    {
        "SchemaOrReference": _or_reference("Schema"),
        "ParameterOrReference": _or_reference("Parameter"),
        "ResponseOrReference": _or_reference("Response"),
        "Responses": _responses,
        "AdditionalProperties": _additional,
        "SecurityRequirement": _security,
    },
)


def encode(document: Object) -> bytes:
    """A v3 document in protobuf."""
    return LAYOUT.message(document, "Document")
