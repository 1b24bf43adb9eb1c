"""The types of the built-in kinds: which fields an object has, and how Go reads and writes each of them.

Two sources meet here. `data/wire.json` holds facts of the Go types, one line a message, in a small notation:

    "PodTemplate": "metadata 1 ObjectMeta ?;template 2 PodTemplateSpec ?"

that is: JSON name, protobuf number (0: not on the wire), type (`[]` a list, `{}` a map by string) and flags: `?`
omitempty, `*` a pointer in Go (an explicit zero value is kept), `0` omitzero, `<` inlined. The schema package adds what
Go has in comments: list types and keys, patch strategies, required fields; and it says which fields and kinds exist in
another minor version. A type is compiled when it is first asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson

from apiserver_workers.apimachinery.schemas import Schemas, closure, definitions, load_schemas

T = TypeVar("T")

WIRE = Path(__file__).parent / "data" / "wire.json"

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"

# Kinds that every group version has.
META_KINDS = {
    name: _META + name
    for name in (
        "CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "Status", "UpdateOptions",
        "WatchEvent",
    )
}  # fmt: skip

# Go's scalars: name in the notation -> form.
SCALARS = {
    "string": "string",
    "int32": "integer",
    "int64": "integer",
    "uint32": "integer",
    "double": "number",
    "bool": "boolean",
    "bytes": "bytes",
    "raw": "raw",
}

# Messages that JSON shows as one value.
MESSAGE_FORMS = {
    _META + "Time": "time",
    _META + "MicroTime": "microtime",
    _META + "Duration": "duration",
    _META + "FieldsV1": "raw",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "intstr",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "raw",
    **{
        f"{_CRD}{beta}.{name}": "raw"
        for beta in ("", "beta1")
        for name in ("JSON", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrStringArray")
    },
}

# Messages that JSON shows as a list of strings.
LIST_MESSAGES = frozenset({"ExtraValue", "Verbs"})

# Directories of Go packages whose API group has another name; the schema package tells the rest.
_GROUPS = {
    "core": "",
    "admission": "admission.k8s.io",
    "apidiscovery": "apidiscovery.k8s.io",
    "imagepolicy": "imagepolicy.k8s.io",
    "meta": "meta.k8s.io",
}


# Structs that Go's types hold by value wherever they have them.
VALUES = frozenset(("metadata", "spec", "status", "template"))


@dataclass(slots=True, eq=False)
class Field:
    """One field of a type, or the values of a list or a map (whose `name` is empty).

    `wire` is the Go scalar or the full name of the message, `form` what JSON shows, `type` the Type of an object,
    `element` the values of a list or map, `number` its protobuf number (0: JSON only).
    """

    name: str
    form: str
    wire: str = ""
    type: Type | None = None
    element: Field | None = None
    omitempty: bool = False
    pointer: bool = False
    omitzero: bool = False
    required: bool = False
    number: int = 0
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategies: tuple[str, ...] = ()
    patch_key: str = ""


@dataclass(slots=True, eq=False)
class Type:
    """A message of the API. `name` is the full name of its definition, `io.k8s.api.core.v1.Pod`.

    `go_name` is how Go's errors name it (`v1.Pod`), `is_object` says whether it carries kind and apiVersion itself.
    `compiled` is what other modules have made of the type (`once_per_type`): it lives as long as the type does.
    """

    name: str
    model: TypeModel = field(repr=False)
    _members: tuple[tuple[Field, bool], ...] | None = field(default=None, repr=False)
    _fields: dict[str, Field] | None = field(default=None, repr=False)
    compiled: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def go_name(self) -> str:
        return ".".join(self.name.rsplit(".", 2)[1:])

    @property
    def map_type(self) -> str:
        """`atomic` when the whole object is one value to server-side apply, else ``."""
        return self.model.schemas.map_type(self.name)

    @property
    def members(self) -> tuple[tuple[Field, bool], ...]:
        """The message as protobuf sees it: (field, whether JSON shows its fields as this type's own)."""
        if self._members is None:
            self._members = tuple(self.model.compile(self.name))
        return self._members

    @property
    def fields(self) -> dict[str, Field]:
        """The fields by JSON name, in Go's order, those of inlined messages among them."""
        if self._fields is None:
            self._fields = {member.name: member for member in self._flatten()}
        return self._fields

    @property
    def has_numbers(self) -> bool:
        """Whether protobuf knows the message: its fields have numbers."""
        return any(member.number for member, _ in self.members)

    @property
    def is_object(self) -> bool:
        return "kind" in self.fields and "apiVersion" in self.fields and not self.fields["kind"].number

    def _flatten(self) -> Iterator[Field]:
        for member, inline in self.members:
            if inline and member.type is not None:
                yield from member.type.fields.values()
            else:
                yield member


def once_per_type(make: Callable[[Type], T]) -> Callable[[Type], T]:
    """A function of a type that is computed once for each; the result is forgotten with the type."""

    @functools.wraps(make)
    def made(type: Type) -> T:
        found: T
        try:
            found = type.compiled[make]
        except KeyError:
            found = type.compiled[make] = make(type)
        return found

    return made


class TypeModel:
    """All types of one minor version. `kind()` finds a kind's type, `type()` any type by its definition's name."""

    def __init__(self, minor: str) -> None:
        self.minor = minor
        self.schemas: Schemas = load_schemas(minor)
        self.adopted: dict[str, Any] = {}  # definitions of a newer version's kinds
        self._wire: dict[str, dict[str, str]] = orjson.loads(WIRE.read_bytes())
        self._types: dict[str, Type] = {}
        self._kinds = dict(self.schemas.kinds)
        for name, kind in self._wire_kinds():
            self._kinds.setdefault(kind, name)

    def kind(self, group: str, version: str, kind: str) -> Type:
        """The type of that kind. Raises KeyError when there is none."""
        found = self.find(group, version, kind)
        if found is None:
            raise KeyError((group, version, kind))
        return found

    def find(self, group: str, version: str, kind: str) -> Type | None:
        """The type of that kind, or None."""
        name = self._kinds.get((group, version, kind)) or META_KINDS.get(kind)
        return self.type(name) if name else None

    def kinds(self) -> dict[tuple[str, str, str], str]:
        """The definition's name by (group, version, kind)."""
        return self._kinds

    def definition_name(self, group: str, version: str, kind: str) -> str:
        """The definition's name of a kind, "" if there is none."""
        return self._kinds.get((group, version, kind), "")

    def type(self, name: str) -> Type:
        """The type of that definition's name, such as `io.k8s.api.core.v1.PodSpec`."""
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = Type(name, self)
        return found

    def adopt(self, minor: str, kinds: Iterable[tuple[str, str, str]]) -> None:
        """Take kinds, their lists and what they consist of over from a newer version; what is there stays as it is."""
        newer = definitions(minor)
        names = Schemas(newer).kinds
        wanted = {(group, version, kind + tail) for group, version, kind in kinds for tail in ("", "List")}
        for name in closure([names[kind] for kind in sorted(wanted & names.keys())], newer):
            if self.schemas.properties(name) is None:
                self.adopted[name] = newer[name]
                self.schemas.add(name, newer[name])
        self._kinds.update({kind: names[kind] for kind in wanted & names.keys()})

    def compile(self, name: str) -> Iterator[tuple[Field, bool]]:
        """The members of a message: facts of the Go type first, then what only this version's schema has."""
        package, _, short = name.rpartition(".")
        notation = self._wire.get(package, {}).get(short, "")
        properties = self.schemas.properties(name)
        seen: set[str] = set()
        for line in filter(None, notation.split(";")):
            json_name, number, token, *flags = line.split(" ")
            inline = json_name == "."
            member = self._field("" if inline else json_name, token, package)
            member.number = int(number)
            _set_flags(member, flags[0] if flags else "")
            if inline and member.type is not None:
                seen.update(member.type.fields)
            elif properties is not None:
                seen.add(json_name)
                if json_name not in properties and member.number:
                    continue
                self._annotate(member, name, json_name)
            yield member, inline
        for json_name, token in (properties or {}).items():
            if json_name not in seen:
                member = self._field(json_name, token, package)
                member.omitempty = True
                member.pointer = member.form != "object" or json_name not in VALUES
                self._annotate(member, name, json_name)
                yield member, False

    def _field(self, json_name: str, token: str, package: str) -> Field:
        """A field from the notation of its type."""
        if token[:2] in ("[]", "{}"):
            form = "list" if token[0] == "[" else "map"
            return Field(json_name, form, element=self._field("", token[2:], package))
        if token in SCALARS:
            return Field(json_name, SCALARS[token], wire=token)
        name = token if "." in token else f"{package}.{token}"
        short = name.rpartition(".")[2]
        if name in MESSAGE_FORMS:
            schema = self.type(f"{package}.JSONSchemaProps") if short.startswith("JSONSchemaPropsOr") else None
            return Field(json_name, MESSAGE_FORMS[name], wire=name, type=schema)
        if short in LIST_MESSAGES:
            return Field(json_name, "list", wire=name, element=Field("", "string", wire="string"))
        return Field(json_name, "object", wire=name, type=self.type(name))

    def _annotate(self, member: Field, name: str, json_name: str) -> None:
        """Adds the schema's extensions of a field."""
        extensions: dict[str, Any] = self.schemas.extensions(name, json_name)
        member.required = self.schemas.is_required(name, json_name)
        member.list_type = extensions.get("x-kubernetes-list-type", "")
        member.list_keys = tuple(extensions.get("x-kubernetes-list-map-keys", ()))
        member.map_type = extensions.get("x-kubernetes-map-type", "")
        member.patch_strategies = tuple(filter(None, extensions.get("x-kubernetes-patch-strategy", "").split(",")))
        member.patch_key = extensions.get("x-kubernetes-patch-merge-key", "")
        if member.type is not None and not member.map_type:
            member.map_type = member.type.map_type

    def _wire_kinds(self) -> Iterator[tuple[str, tuple[str, str, str]]]:
        """The kinds among the facts, in the groups that their packages stand for."""
        groups = {**self.schemas.groups, **_GROUPS}
        for package, messages in self._wire.items():
            *_, directory, version = package.split(".")
            group = groups.get(directory, directory)
            for short, notation in messages.items():
                if notation.startswith("kind 0 "):
                    yield f"{package}.{short}", (group, version, short)


class ExtendedModel(TypeModel):
    """A model with more kinds, those of `definitions`, on top of another one, which it does not change.

    What is served for a while only has a model of its own, so that its types are gone when nobody serves it any more.
    """

    def __init__(self, base: TypeModel, definitions: Mapping[str, Any]) -> None:
        self.minor = base.minor
        self.base = base
        self.schemas = Schemas(dict(definitions))
        self.adopted = dict(definitions)
        self._wire = {}
        self._types = {}
        self._kinds = dict(self.schemas.kinds)

    def find(self, group: str, version: str, kind: str) -> Type | None:
        """The type of that kind, of this model or of the one below, or None."""
        name = self._kinds.get((group, version, kind))
        return self.type(name) if name else self.base.find(group, version, kind)

    def kinds(self) -> dict[tuple[str, str, str], str]:
        """The definition's name by (group, version, kind), of both models."""
        return {**self.base.kinds(), **self._kinds}

    def definition_name(self, group: str, version: str, kind: str) -> str:
        """The definition's name of a kind of either model, "" if there is none."""
        return self._kinds.get((group, version, kind)) or self.base.definition_name(group, version, kind)

    def type(self, name: str) -> Type:
        """The type of that definition's name."""
        return super().type(name) if name in self.adopted else self.base.type(name)


def _set_flags(member: Field, flags: str) -> None:
    member.omitempty = "?" in flags
    member.pointer = "*" in flags
    member.omitzero = "0" in flags


def model(minor: str = "") -> TypeModel:
    """The types of a minor version, by default the one that this process serves.

    Raises LookupError when the schema package has no such version.
    """
    return _model(minor or _served)


def serve(minor: str) -> TypeModel:
    """This process serves that minor version from now on. Call it before anything asks for a type."""
    global _served
    found = _model(minor)
    _served = minor
    return found


def meta_model() -> TypeModel:
    """A model of the kinds that belong to no resource and are the same in every version: Status, DeleteOptions, Table."""
    return model()


DEFAULT_MINOR = "1.36"
_served = DEFAULT_MINOR


@functools.cache
def _model(minor: str) -> TypeModel:
    return TypeModel(minor)
