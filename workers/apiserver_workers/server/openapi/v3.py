"""OpenAPI v3: one document a group and version, and one for each path of discovery."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.types import TypeModel
from apiserver_workers.server.openapi.definitions import Definitions
from apiserver_workers.server.openapi.operations import (
    CODES,
    FIXED,
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


def document_names(resources: Iterable[ResourceInfo]) -> list[str]:
    """The names of all documents, as the index lists them: `api/v1`, `apis/apps`, `apis/apps/v1`, `version`."""
    names = set(FIXED)
    for info in resources:
        if info.group:
            names |= {f"apis/{info.group}", f"apis/{info.group}/{info.version}"}
        else:
            names.add(f"api/{info.version}")
    return sorted(names)


def document_hash(name: str, resources: Iterable[ResourceInfo], *, version: str) -> str:
    """What stands for the document's content in the index; it changes with what the document is made from."""
    made_from = [f"{info.group}/{info.version}/{info.resource}" for info in resources]
    return hashlib.sha512(f"{version} {name} {made_from}".encode()).hexdigest().upper()


def build_index(resources: Iterable[ResourceInfo], *, version: str) -> bytes:
    """The body of /openapi/v3: where each document is, with its hash so that it can be cached for good."""
    resources = list(resources)
    paths = {
        name: {
            "serverRelativeURL": f"/openapi/v3/{name}?hash={document_hash(name, resources_of(name, resources), version=version)}"
        }
        for name in document_names(resources)
    }
    return orjson.dumps({"paths": paths})


def build_document(
    name: str, resources: Iterable[ResourceInfo], model: TypeModel, definitions: Definitions, *, version: str
) -> bytes:
    """The document of that name as JSON."""
    operations = list(discovery_operations(name))
    group = api_version = ""
    for info in resources_of(name, resources):
        operations += operations_of(info, model)
        group, api_version = info.group, info.version
    roots = {operation.result for operation in operations} | {operation.body for operation in operations}
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": _paths(operations),
        "components": {"schemas": definitions.v3(roots, group, api_version), "securitySchemes": SECURITY_SCHEMES},
    }
    return orjson.dumps(document)


def build_v3(resources: Iterable[ResourceInfo], model: TypeModel, *, version: str) -> dict[str, bytes]:
    """All documents by their path below /openapi/v3/, and the index under ""."""
    resources = list(resources)
    definitions = Definitions(model)
    documents = {
        name: build_document(name, resources, model, definitions, version=version) for name in document_names(resources)
    }
    return {"": build_index(resources, version=version), **documents}


def resources_of(name: str, resources: Iterable[ResourceInfo]) -> list[ResourceInfo]:
    """The resources that a document describes."""
    prefix, _, rest = name.partition("/")
    if prefix not in ("api", "apis"):
        return []
    return [info for info in resources if (f"{info.group}/{info.version}" if info.group else info.version) == rest]


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
