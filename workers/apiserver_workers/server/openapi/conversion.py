"""A document of OpenAPI v2 as one of v3, for servers that only have the former (kube-openapi/pkg/openapiconv)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Part = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
PLACES = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
COPIED = ("description", "tags", "summary", "deprecated", "operationId", "externalDocs")
PARAMETER = ("name", "description", "in", "required", "allowEmptyValue")
SIMPLE = ("type", "format", "uniqueItems")


def to_v3(document: Part) -> Part:
    """The document in v3; parts may be shared. Raises ValueError for what has not the shape of v2."""
    try:
        return _converted(document)
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"not an OpenAPI document: {error}") from None


def _converted(document: Part) -> Part:
    produces = document.get("produces") or []
    components: Part = {
        "schemas": {name: _schema(one) for name, one in (document.get("definitions") or {}).items()},
    }
    if schemes := document.get("securityDefinitions"):
        components["securitySchemes"] = {name: _security(one) for name, one in schemes.items()}
    if responses := document.get("responses"):
        components["responses"] = {name: _response(one, produces) for name, one in responses.items()}
    paths = {path: _path(item) for path, item in (document.get("paths") or {}).items()}
    return {"openapi": "3.0.0", "info": document.get("info") or {}, "paths": paths, "components": components}


def _path(item: Part) -> Part:
    found: Part = {method: _operation(item[method]) for method in METHODS if item.get(method)}
    if parameters := item.get("parameters"):
        found["parameters"] = [_parameter(one) for one in parameters]
    return {**found, **dict(_extensions(item)), **_reference(item)}


def _operation(operation: Part) -> Part:
    found: Part = {name: operation[name] for name in COPIED if name in operation}
    for one in operation.get("parameters") or ():
        if one.get("name") == "body" and one.get("schema") is not None:
            content = {media_type: {"schema": _schema(one["schema"])} for media_type in operation.get("consumes") or ()}
            found["requestBody"] = {"content": content} if content else {}
        else:
            found.setdefault("parameters", []).append(_parameter(one))
    produces = operation.get("produces") or []
    responses = (operation.get("responses") or {}).items()
    found["responses"] = {code: _response(one, produces) for code, one in responses}
    return {**found, **dict(_extensions(operation))}


def _response(response: Part, produces: Sequence[str]) -> Part:
    found: Part = {"description": response.get("description", "")}
    if response.get("schema") is not None:
        found["content"] = {media_type: {"schema": _schema(response["schema"])} for media_type in produces}
    return {**found, **dict(_extensions(response)), **_reference(response)}


def _parameter(parameter: Part) -> Part:
    if "$ref" in parameter:
        return _reference(parameter)
    found = {name: parameter[name] for name in PARAMETER if name in parameter}
    schema = parameter.get("schema")
    simple = {name: parameter[name] for name in SIMPLE if name in parameter}
    return {**found, **dict(_extensions(parameter)), "schema": simple if schema is None else _schema(schema)}


def _security(scheme: Part) -> Part:
    found: Part = {name: scheme[name] for name in ("description", "type", "name", "in") if name in scheme}
    if flow := scheme.get("flow"):
        urls = {"authorizationUrl": scheme.get("authorizationUrl"), "tokenUrl": scheme.get("tokenUrl")}
        known = {name: url for name, url in urls.items() if url}
        found["flows"] = {flow: {**known, "scopes": scheme.get("scopes") or {}}}
    return found


def _schema(schema: Any) -> Any:
    """A schema with its references moved; one that has more than a reference refers from within an allOf."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        moved = _reference(schema)
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return {**rest, "allOf": [moved]} if rest else moved
    found = dict(schema)
    if properties := schema.get("properties"):
        found["properties"] = {name: _schema(one) for name, one in properties.items()}
    items = schema.get("items")
    if items is not None:
        found["items"] = [_schema(one) for one in items] if isinstance(items, list) else _schema(items)
    for name in ("additionalProperties", "additionalItems"):
        if name in schema:
            found[name] = _schema(schema[name])
    return found


def _reference(part: Part) -> Part:
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return {}
    for old, new in PLACES.items():
        if reference.startswith(old):
            return {"$ref": new + reference.removeprefix(old)}
    return {"$ref": reference}


def _extensions(part: Part) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in part.items() if name.startswith("x-"))
