"""The v2 document in protobuf, as gnostic's OpenAPIv2.proto lays it out."""

from __future__ import annotations

from typing import Any

from apiserver_workers.server.openapi.messages import BOOL, STRING, YAML, Layout, To, field, wrapped

Object = dict[str, Any]

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
        "enum": To((20,), YAML),
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


def _security(layout: Layout, obj: Object) -> bytes:
    return b"".join(field(1, key.encode()) + field(2, b"") for key in obj)


def _parameter(layout: Layout, obj: Object) -> bytes:
    path, name = PARAMETERS[obj["in"]]
    return wrapped(path, layout.message(obj, name))


def _parameters_item(layout: Layout, obj: Object) -> bytes:
    return field(2, layout.message(obj, "Reference")) if "$ref" in obj else field(1, _parameter(layout, obj))


LAYOUT = Layout(
    MESSAGES,
    EXTENSIONS,
    {"SecurityRequirement": _security, "Parameter": _parameter, "ParametersItem": _parameters_item},
)


def encode(document: Object) -> bytes:
    """The v2 document (as `build_v2` makes it) in protobuf."""
    return LAYOUT.message(document, "Document")
