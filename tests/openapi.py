"""The OpenAPI documents of built-in resources, as the handlers make them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.types import TypeModel
from apiserver_workers.server.openapi.definitions import Definitions
from apiserver_workers.server.openapi.operations import FIXED
from apiserver_workers.server.openapi.v2 import build_v2
from apiserver_workers.server.openapi.v3 import build_document, document_names

Object = dict[str, Any]


def v3_documents(infos: Iterable[ResourceInfo], model: TypeModel, version: str) -> dict[str, Object]:
    """All documents of v3 by name."""
    definitions = Definitions(model)
    described = dict.fromkeys(FIXED, ()) | document_names(map(BuiltinKinds(model).of, infos))
    return {
        name: orjson.loads(build_document(name, kinds, definitions, version=version))
        for name, kinds in described.items()
    }


def v2_document(infos: Iterable[ResourceInfo], model: TypeModel, version: str) -> Object:
    """The document of v2."""
    return build_v2([*map(BuiltinKinds(model).of, infos)], Definitions(model), version=version)
