"""OpenAPI v3: one document a group and version, and one for each path of discovery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.server.openapi.definitions import Definitions
from apiserver_workers.server.openapi.operations import (
    CODES,
    Operation,
    discovery_operations,
    operations_of,
    parameters_of,
)

SECURITY_SCHEMES = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}
SCHEMAS = "#/components/schemas/"


def document_names(kinds: Iterable[ServedKind]) -> dict[str, tuple[ServedKind, ...]]:
    """The documents, each with the kinds that it describes: `api/v1`, `apis/apps`, `apis/apps/v1`, `version`."""
    found: dict[str, tuple[ServedKind, ...]] = {}
    for kind in kinds:
        info = kind.info
        name = f"apis/{info.group}/{info.version}" if info.group else f"api/{info.version}"
        if info.group:
            found.setdefault(f"apis/{info.group}", ())
        found[name] = (*found.get(name, ()), kind)
    return found


def build_index(urls: Mapping[str, str]) -> bytes:
    """The body of /openapi/v3: where each document is. Its URL has its hash, so that it can be cached for good."""
    paths = {name: {"serverRelativeURL": url} for name, url in sorted(urls.items())}
    return orjson.dumps({"paths": paths})


def build_document(name: str, kinds: Sequence[ServedKind], definitions: Definitions, *, version: str) -> bytes:
    """The document of that name, which describes these kinds, as JSON."""
    operations = list(discovery_operations(name))
    group = api_version = ""
    for kind in kinds:
        operations += operations_of(kind)
        group, api_version = kind.info.group, kind.info.version
    roots = {operation.result for operation in operations} | {operation.body for operation in operations}
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": _paths(operations),
        "components": {"schemas": definitions.v3(roots, group, api_version), "securitySchemes": SECURITY_SCHEMES},
    }
    return orjson.dumps(document)


def _paths(operations: list[Operation]) -> dict[str, Any]:
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    paths = {}
    for path, of_path in sorted(by_path.items()):
        parameters = [parameters_of(operation) for operation in of_path]
        shared = [parameter for parameter in parameters[0] if all(parameter in others for others in parameters)]
        item: dict[str, Any] = {}
        for operation, own in zip(of_path, parameters, strict=True):
            rest = [_parameter(parameter) for parameter in own if parameter not in shared]
            item[operation.method] = _operation(operation, rest)
        if shared:
            item["parameters"] = [_parameter(parameter) for parameter in shared]
        paths[path] = item
    return paths


def _operation(operation: Operation, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
    }
    if parameters:
        rendered["parameters"] = parameters
    if operation.body:
        content = {media_type: {"schema": {"$ref": SCHEMAS + operation.body}} for media_type in operation.consumes}
        rendered["requestBody"] = {"content": content}
        if operation.body_required:
            rendered["requestBody"]["required"] = True
    schema = {"$ref": SCHEMAS + operation.result} if operation.result else {"type": "string"}
    content = {media_type: {"schema": schema} for media_type in operation.produces}
    rendered["responses"] = {
        **{str(code): {"description": CODES[code], "content": content} for code in operation.codes},
        "401": {"description": CODES[401]},
    }
    if operation.action:
        rendered["x-kubernetes-action"] = operation.action
        rendered["x-kubernetes-group-version-kind"] = operation.kind
    return rendered


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    rendered = {"name": parameter["name"], "in": parameter["in"], "description": parameter["description"]}
    if "required" in parameter:
        rendered["required"] = True
    return {**rendered, "schema": {"type": parameter["type"], "uniqueItems": True}}
