"""Plans: the types as server-side apply sees them.

To apply, a value is one of a few kinds: a leaf (scalars, atomic objects and lists, raw data), a struct, a map, a list
of objects told apart by keys, a set of scalars. A plan is a tree (with cycles where types have them) of nodes that
know their children and how a child is written in FieldsV1.
"""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.apimachinery.types import Field, Type, once_per_type

LEAF, STRUCT, MAP, KEYED, SET, DEDUCED = range(6)

# Keys of lists that have a default although they may be left out of the object.
KEY_DEFAULTS = {"protocol": "TCP"}
# Keys that may be left out by omitempty and have their zero value as default in the schema nevertheless.
DEFAULTED_KEYS = {"LocalObjectReference": ("name",)}

# Fields of the root object that nobody owns (stripmeta.go); managedFields would describe itself.
UNOWNED = ("apiVersion", "kind")
UNOWNED_METADATA = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)

ZEROS = {"string": "", "integer": 0, "number": 0, "boolean": False}

# Forms that are structs in Go, whose zero value omitempty does not leave out.
STRUCT_ZEROS = {"time": None, "microtime": None, "duration": "0s", "quantity": "0", "intstr": 0}


class KeyMissing(ValueError):
    """An item of a list has no value for a key that tells items apart."""


class Node:
    """How apply treats one place of a type.

    `kind` is one of the constants above, `form` the scalar's form (for messages about wrong types). A struct has
    `fields`: JSON name -> (name in FieldsV1, node); a map, a list and a set have `element`; a keyed list has `keys`
    with their defaults (None: no default). `inner` is the node of a list's items, or of an object itself, that is owned
    as a whole: for checks alone.
    """

    __slots__ = ("element", "fields", "form", "inner", "keys", "kind")

    def __init__(self, kind: int, form: str = "") -> None:
        self.kind = kind
        self.form = form
        self.fields: dict[str, tuple[str, Node]] = {}
        self.element: Node = self
        self.keys: tuple[tuple[str, Any], ...] = ()
        self.inner: Node | None = None

    def child(self, name: str) -> tuple[str, Node] | None:
        """Name in FieldsV1 and node of a member of an object, or None when the type does not declare it."""
        if self.kind == STRUCT:
            return self.fields.get(name)
        return "f:" + name, self.element

    def item_name(self, item: Any) -> str:
        """The name of a list's item in FieldsV1: `k:{"name":"c"}` or `v:"x"`. Raises KeyMissing."""
        if self.kind == SET:
            return "v:" + orjson.dumps(item).decode()
        if not isinstance(item, dict):
            what = "a null element" if item is None else "non-map elements"
            raise KeyMissing(f"associative list with keys may not have {what}")
        values = {}
        for name, default in self.keys:
            value = item.get(name)
            if value is None:
                value = default
            if value is not None or name in item:
                values[name] = value
        if not values:
            names = " ".join(f'"{name}"' for name, _ in self.keys)
            raise KeyMissing(
                f"associative list with keys has an element that omits all key fields [{names}]"
                " (and doesn't have default values for any key fields)"
            )
        return "k:" + orjson.dumps(values).decode()


@once_per_type
def plan(type: Type) -> Node:
    """The plan of an object of that type."""
    return _struct(type)


@once_per_type
def owned_plan(type: Type) -> Node:
    """The plan of a root object of that type without the fields that nobody owns."""
    node = _without(plan(type), UNOWNED)
    if "metadata" in node.fields:
        name, metadata = node.fields["metadata"]
        node.fields["metadata"] = name, _without(metadata, UNOWNED_METADATA)
    return node


def _without(node: Node, names: tuple[str, ...]) -> Node:
    copy = Node(node.kind, node.form)
    copy.fields = {name: child for name, child in node.fields.items() if name not in names}
    return copy


@once_per_type
def _struct(type: Type) -> Node:
    return _Struct(type)


class _Struct(Node):
    """A struct whose fields are looked up when they are first needed, because types contain themselves."""

    __slots__ = ("_fields", "type")

    def __init__(self, type: Type) -> None:
        self.kind = STRUCT
        self.form = "object"
        self.element = self
        self.keys = ()
        self.inner = None
        self.type = type
        self._fields: dict[str, tuple[str, Node]] | None = None

    @property
    def fields(self) -> dict[str, tuple[str, Node]]:  # type: ignore[override]
        if self._fields is None:
            self._fields = {name: ("f:" + name, node_of(field)) for name, field in self.type.fields.items()}
        return self._fields


def node_of(field: Field) -> Node:
    """The node of a field's value."""
    if field.form == "object" and field.type is not None:
        # what the field says of itself wins over what its type says
        atomic = (field.map_type or field.type.map_type) == "atomic"
        return _atomic("object", _struct(field.type)) if atomic else _struct(field.type)
    if field.form == "map" and field.element is not None:
        node = Node(MAP, "object")
        node.element = node_of(field.element)
        return _atomic("object", node) if field.map_type == "atomic" else node
    if field.form == "list" and field.element is not None:
        return _list(field, field.element)
    if field.form == "raw" and field.map_type == "granular":
        return Node(DEDUCED)
    return Node(LEAF, field.form)


def _list(field: Field, element: Field) -> Node:
    keys = field.list_keys
    list_type = field.list_type
    if not list_type and "merge" in field.patch_strategies:
        list_type = "map" if field.patch_key else "set"
        keys = (field.patch_key,)
    if list_type == "map" and element.type is not None:
        node = Node(KEYED, "list")
        node.keys = tuple(_key(element.type, name) for name in sorted(keys))
    elif list_type == "set":
        node = Node(SET, "list")
    else:
        return _atomic("list", node_of(element))
    node.element = node_of(element)
    return node


def _atomic(form: str, inner: Node) -> Node:
    """A list or object that is owned as a whole."""
    node = Node(LEAF, form)
    node.inner = inner
    return node


def _key(type: Type, name: str) -> tuple[str, Any]:
    """A key with its default, which is None if items may lack the key."""
    field = type.fields.get(name)
    if name in KEY_DEFAULTS:
        return name, KEY_DEFAULTS[name]
    if field is None or field.pointer:
        return name, None
    if field.omitempty and name not in DEFAULTED_KEYS.get(type.name.rpartition(".")[2], ()):
        return name, None
    return name, ZEROS.get(field.form)


@once_per_type
def zero(type: Type) -> dict[str, Any]:
    """The JSON of Go's zero value of the type: what a created object is compared with. Shared: do not change it."""
    value: dict[str, Any] = {}
    for name, field in type.fields.items():
        if field.pointer or field.omitzero:
            if field.pointer and not field.omitempty:
                value[name] = None
            continue
        if field.form == "object" and field.type is not None:
            value[name] = zero(field.type)
        elif field.form in STRUCT_ZEROS:
            value[name] = STRUCT_ZEROS[field.form]
        elif not field.omitempty:
            value[name] = ZEROS.get(field.form)
    return value
