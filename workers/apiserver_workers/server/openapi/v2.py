"""OpenAPI v2 (Swagger): one document for the whole API."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.server.openapi.definitions import Definitions
from apiserver_workers.server.openapi.operations import (
    CODES,
    FIXED,
    Operation,
    discovery_operations,
    operations_of,
    parameters_of,
)
from apiserver_workers.server.openapi.v3 import SECURITY_SCHEMES, document_names

DEFINITIONS = "#/definitions/"

# Old versions of kubectl look for these two in the operation itself.
UNSHARED = frozenset(("name", "dryRun", "fieldValidation"))

Shared = dict[str, tuple[str, dict[str, Any]]]


def build_v2(
    kinds: Sequence[ServedKind], definitions: Definitions, *, version: str, names: Iterable[str] = FIXED
) -> dict[str, Any]:
    """The document as an object: JSON as it is, and what `protobuf.encode` takes.

    `names` are the documents of v3 that this server has besides those of the kinds. Who has those of the whole server
    describes every kind of the model, whether it is served or not.
    """
    operations = [one for name in sorted({*document_names(kinds), *names}) for one in discovery_operations(name)]
    for kind in kinds:
        operations += operations_of(kind)
    unserved = definitions.model.kinds().values() if names else ()
    roots = {operation.result for operation in operations} | {operation.body for operation in operations}
    shared: Shared = {}
    paths = _paths(operations, shared)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "definitions": definitions.v2([*roots, *unserved]),
        "parameters": dict(sorted(shared.values(), key=lambda pair: pair[0])),
        "securityDefinitions": SECURITY_SCHEMES,
        "security": [{"BearerToken": []}],
    }


def _paths(operations: list[Operation], shared: Shared) -> dict[str, Any]:
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    paths = {}
    for path, of_path in sorted(by_path.items()):
        parameters = [parameters_of(operation) for operation in of_path]
        common = [parameter for parameter in parameters[0] if all(parameter in others for others in parameters)]
        item: dict[str, Any] = {}
        for operation, own in zip(of_path, parameters, strict=True):
            rest = [parameter for parameter in own if parameter not in common]
            item[operation.method] = _operation(operation, rest, shared)
        if common:
            item["parameters"] = [_shared(parameter, shared) for parameter in common]
        paths[path] = item
    return paths


def _operation(operation: Operation, parameters: list[dict[str, Any]], shared: Shared) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "description": operation.description,
        "consumes": list(operation.consumes),
        "produces": list(operation.produces),
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.id,
    }
    listed = [_shared(parameter, shared) for parameter in parameters]
    if operation.body:
        body: dict[str, Any] = {"name": "body", "in": "body"}
        if operation.body_required:
            body["required"] = True
        body["schema"] = {"$ref": DEFINITIONS + operation.body}
        generic = operation.body.startswith("io.k8s.apimachinery")
        listed.insert(0, _shared(body, shared) if generic else body)
    if listed:
        rendered["parameters"] = listed
    schema = {"$ref": DEFINITIONS + operation.result} if operation.result else {"type": "string"}
    rendered["responses"] = {
        **{str(code): {"description": CODES[code], "schema": schema} for code in operation.codes},
        "401": {"description": CODES[401]},
    }
    if operation.action:
        rendered["x-kubernetes-action"] = operation.action
        rendered["x-kubernetes-group-version-kind"] = operation.kind
    return rendered


def _shared(parameter: dict[str, Any], shared: Shared) -> dict[str, Any]:
    """A reference to the parameter, which is listed once for all operations under a name with its hash."""
    if parameter["name"] in UNSHARED:
        return parameter
    text = orjson.dumps(parameter).decode()
    if text not in shared:
        digest = base64.urlsafe_b64encode(fnv1_64(_html_escaped(text).encode())[:6]).decode()
        shared[text] = f"{parameter['name']}-{digest}", parameter
    return {"$ref": "#/parameters/" + shared[text][0]}


def _html_escaped(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def fnv1_64(data: bytes) -> bytes:
    """The FNV-1 hash of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF ^ byte
    return value.to_bytes(8, "big")
