"""Swagger 1.2, as kube-apiserver served it until 1.13: a list of the API's roots and a declaration of each.

Both are made of the document of OpenAPI v2, which says the same in newer words. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
REFERENCE = "#/definitions/"
# what a property keeps as it is; 1.2 has no more
KEPT = ("description", "type", "format", "uniqueItems", "enum")


def root_of(path: str) -> str:
    """The API that a path belongs to: /api/v1, /apis/GROUP/VERSION, or the path's own beginning."""
    parts = path.strip("/").split("/")
    length = {"api": 2, "apis": 3}.get(parts[0], 1)
    return "/" + "/".join(parts[:length])


def listing(document: Object) -> Object:
    """What /swaggerapi shows of an OpenAPI v2 document."""
    roots = dict.fromkeys(map(root_of, document["paths"]))
    return {
        "swaggerVersion": "1.2",
        "apis": [{"path": root, "description": _about(root)} for root in sorted(roots)],
        "apiVersion": "",
        "info": {"title": "", "description": ""},
    }


def declaration(document: Object, root: str, base: str) -> Object | None:
    """The operations and models of one root, which is reached at the URL `base`; None if there is no such root."""
    paths = {path: item for path, item in document["paths"].items() if root_of(path) == root}
    if not paths:
        return None
    models = Models(document["definitions"])
    shared = document.get("parameters") or {}
    apis = [
        {
            "path": path.rstrip("/") or "/",
            "description": _about(root),
            "operations": [_operation(method, item, shared, models) for method in METHODS if method in item],
        }
        for path, item in paths.items()
    ]
    return {
        "swaggerVersion": "1.2",
        "apiVersion": root.strip("/").split("/", 1)[1] if root.startswith("/api") and root.count("/") > 1 else "",
        "basePath": base,
        "resourcePath": root,
        "info": {"title": "", "description": ""},
        "apis": apis,
        "models": models.used(),
    }


class Models:
    """The definitions that a declaration refers to, by their short names such as v1.Pod."""

    def __init__(self, definitions: Object) -> None:
        self._definitions = definitions
        self._names: dict[str, str] = {}  # short name -> definition

    def name(self, reference: str) -> str:
        """The short name for a reference of v2; two definitions never share one."""
        full = reference.removeprefix(REFERENCE)
        short = ".".join(full.split(".")[-2:])
        while self._names.setdefault(short, full) != full:
            short = full if short != full else short + "_"
        return short

    def type(self, schema: Object) -> Object:
        """A schema's type in 1.2's words."""
        if "$ref" in schema:
            return {"type": self.name(schema["$ref"])}
        if schema.get("type") == "array":
            items = self.type(schema.get("items") or {})
            return {"type": "array", "items": {"$ref": items["type"]} if "." in items["type"] else items}
        found = {"type": schema.get("type", "any")}
        return found | {"format": schema["format"]} if "format" in schema else found

    def used(self) -> Object:
        """All models that were named, and those that they name."""
        made: Object = {}
        while waiting := [short for short in self._names if short not in made]:
            for short in waiting:
                made[short] = self._model(short, self._definitions.get(self._names[short]) or {})
        return dict(sorted(made.items()))

    def _model(self, short: str, definition: Object) -> Object:
        properties = {name: self._property(schema) for name, schema in (definition.get("properties") or {}).items()}
        model: Object = {"id": short}
        for key in ("description", "required"):
            if key in definition:
                model[key] = definition[key]
        return model | {"properties": properties}

    def _property(self, schema: Object) -> Object:
        kept = {key: schema[key] for key in KEPT if key in schema}
        if "$ref" in schema:
            return kept | {"$ref": self.name(schema["$ref"])}
        return kept | self.type(schema)


def _about(root: str) -> str:
    return f"API at {root}" if root.startswith("/api") else f"get {root.strip('/')}"


def _operation(method: str, item: Object, shared: Object, models: Models) -> Object:
    operation = item[method]
    answers = [_message(int(code), answer, models) for code, answer in operation["responses"].items() if code.isdigit()]
    result: Object = next((answer for answer in answers if answer["code"] == 200), {})
    return {
        "type": result.get("responseModel", "void"),
        "method": method.upper(),
        "summary": operation.get("description", ""),
        "nickname": operation.get("operationId", ""),
        "parameters": [
            _parameter(parameter, models)
            for parameter in _resolved([*(item.get("parameters") or ()), *(operation.get("parameters") or ())], shared)
        ],
        "responseMessages": answers,
        "produces": operation.get("produces") or [],
        "consumes": operation.get("consumes") or [],
    }


def _resolved(parameters: list[Object], shared: Object) -> Iterator[Object]:
    for parameter in parameters:
        reference = parameter.get("$ref")
        yield shared[reference.rpartition("/")[2]] if reference else parameter


def _parameter(parameter: Object, models: Models) -> Object:
    kind = models.type(parameter.get("schema") or parameter)
    return kind | {
        "paramType": "form" if parameter["in"] == "formData" else parameter["in"],
        "name": parameter["name"],
        "description": parameter.get("description", ""),
        "required": bool(parameter.get("required", False)),
        "allowMultiple": False,
    }


def _message(code: int, answer: Object, models: Models) -> Object:
    message: Object = {"code": code, "message": answer.get("description", "")}
    schema = answer.get("schema")
    if schema:
        message["responseModel"] = models.type(schema)["type"]
    return message
