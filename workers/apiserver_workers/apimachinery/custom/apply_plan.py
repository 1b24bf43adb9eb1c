"""Plans of custom resources: their schemas as server-side apply sees them.

Upstream makes an OpenAPI model of a definition, with the metadata of built-in kinds, and that into a schema of
structured-merge-diff (buildOpenAPIModelsForApply; kube-openapi/pkg/schemaconv/openapi.go). Here the nodes are made of the
definition's schema itself, each when it is first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver_workers.apimachinery.apply.plan import DEDUCED, KEYED, LEAF, OPEN, SET, STRUCT, Node, atomic, struct_node
from apiserver_workers.apimachinery.types import meta_model

Schema = Mapping[str, Any]

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
LIST_TYPE, LIST_KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
ATOMIC = "atomic"

# Strings of a format are told from others by nobody: any scalar fits.
PLAIN_FORMATS = ("", "byte")


def custom_plan(schema: Schema | None, *, preserve: bool) -> Node:
    """The plan of an object with that schema; None is no schema. `preserve`: unknown fields are kept everywhere."""
    if schema is None:
        return _anything("object")
    return _Object(schema, preserve=preserve, root=True)


class _Object(Node):
    """An object of a schema."""

    __slots__ = ("_fields", "_preserve", "_root", "_schema")

    def __init__(self, schema: Schema, *, preserve: bool, root: bool = False, form: str = "object") -> None:
        self.form = form
        self.keys = ()
        self.inner = None
        self._schema = schema
        self._preserve = preserve or schema.get(PRESERVE) is True
        self._root = root
        self._fields: dict[str, tuple[str, Node]] | None = None
        element = self._element()
        self.kind = DEDUCED if not form else OPEN if element is not None else STRUCT
        self.element = self if element is None else element

    @property
    def fields(self) -> dict[str, tuple[str, Node]]:  # type: ignore[override]
        if self._fields is None:
            properties = self._schema.get("properties") or {}
            self._fields = {name: ("f:" + name, _node(of, preserve=self._preserve)) for name, of in properties.items()}
            if self._root or self._schema.get(EMBEDDED) is True:
                self._fields.update(_head())
        return self._fields

    def _element(self) -> Node | None:
        """The node of fields that are not declared; None where there may be none."""
        additional = self._schema.get("additionalProperties")
        if isinstance(additional, Mapping):
            return _node(additional, preserve=self._preserve)
        if additional is not None:
            return _anything() if additional else None
        declares = bool(self._schema.get("properties")) or self._root or self._schema.get(EMBEDDED) is True
        return None if declares and not self._preserve else _anything()


def _head() -> dict[str, tuple[str, Node]]:
    """What every object has."""
    metadata = struct_node(meta_model().type(OBJECT_META))
    text = Node(LEAF, "string")
    return {"apiVersion": ("f:apiVersion", text), "kind": ("f:kind", text), "metadata": ("f:metadata", metadata)}


def _anything(form: str = "") -> Node:
    """What may be of any kind, or an object of whatever fields."""
    node = Node(OPEN if form else DEDUCED, form)
    if form:
        node.element = Node(DEDUCED)
    return node


def _node(schema: Schema, *, preserve: bool) -> Node:
    """The node of a value with that schema."""
    kind = schema.get("type") or ""
    if kind == "array":
        return _list(schema, preserve=preserve or schema.get(PRESERVE) is True)
    if kind == "object":
        node = _Object(schema, preserve=preserve)
        return atomic("object", node) if schema.get(MAP_TYPE) == ATOMIC else node
    if kind in ("integer", "number", "boolean"):
        return Node(LEAF, kind)
    if kind == "string":
        return Node(LEAF, "string" if schema.get("format", "") in PLAIN_FORMATS else "intstr")
    if schema.get(MAP_TYPE) == ATOMIC:
        return Node(LEAF)
    return _Object(schema, preserve=preserve, form="")


def _list(schema: Schema, *, preserve: bool) -> Node:
    items = schema.get("items") or {}
    element = _node(items, preserve=preserve)
    list_type = schema.get(LIST_TYPE)
    if list_type == "set":
        node = Node(SET, "list")
    elif list_type == "map":
        node = Node(KEYED, "list")
        properties = items.get("properties") or {}
        names = sorted(schema.get(LIST_KEYS) or ())
        node.keys = tuple((name, (properties.get(name) or {}).get("default")) for name in names)
    else:
        return atomic("list", element)
    node.element = element
    return node
