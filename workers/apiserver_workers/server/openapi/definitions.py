"""The schema package's definitions, turned back into Kubernetes' OpenAPI schemas.

The package says in JSON schema what the API server says in OpenAPI: a value that may be left out is of type [x, null]
there, and kind and apiVersion are enumerations. Default values it lacks; they follow from the Go types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.apimachinery.schemas import closure, definitions
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.types import Field, TypeModel
from apiserver_workers.server.openapi.custom import LIST_META, OBJECT_META, custom_schemas

Schema = dict[str, Any]

DESCRIPTIONS: dict[str, Any] = orjson.loads((Path(__file__).parent / "data" / "descriptions.json").read_bytes())

# (type, field) -> its values, each with what Go's comment says of it; the package has no enumerations.
ENUMS: dict[tuple[str, str], dict[str, str]] = {
    (place.partition(".")[0], place.partition(".")[2]): enum["values"]
    for enum in orjson.loads((Path(__file__).parent / "data" / "enums.json").read_bytes()).values()
    for place in enum["fields"]
}
ENUM_PACKAGE = "io.k8s.api."

PACKAGE_REF = "#/$defs/"
GVK = "x-kubernetes-group-version-kind"
DROPPED = frozenset(("$ref", "enum", "type", "items", "additionalProperties"))

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

# Scalars that Go always writes: their zero value is the default.
ZEROS = {"string": "", "integer": 0, "number": 0, "boolean": False}

# Defaults that Go's comments declare: (type, field) -> value.
DECLARED_DEFAULTS = {
    **{
        (name, "name"): ""
        for name in (
            "LocalObjectReference",
            "ConfigMapKeySelector",
            "SecretKeySelector",
            "ConfigMapEnvSource",
            "SecretEnvSource",
            "ConfigMapProjection",
            "SecretProjection",
            "ConfigMapVolumeSource",
        )
    },
    ("ContainerPort", "protocol"): "TCP",
    ("ServicePort", "protocol"): "TCP",
    ("AzureDiskVolumeSource", "cachingMode"): "ReadWrite",
    ("AzureDiskVolumeSource", "fsType"): "ext4",
    ("AzureDiskVolumeSource", "kind"): "Shared",
    ("AzureDiskVolumeSource", "readOnly"): False,
    ("ISCSIVolumeSource", "iscsiInterface"): "default",
    ("ISCSIPersistentVolumeSource", "iscsiInterface"): "default",
    **{
        (name, field): value
        for name in ("RBDVolumeSource", "RBDPersistentVolumeSource")
        for field, value in (("keyring", "/etc/ceph/keyring"), ("pool", "rbd"), ("user", "admin"))
    },
    **{
        (name, field): value
        for name in ("ScaleIOVolumeSource", "ScaleIOPersistentVolumeSource")
        for field, value in (("fsType", "xfs"), ("storageMode", "ThinProvisioned"))
    },
}


class Definitions:
    """All definitions of a minor version, and those that kinds bring. Large: make one, build documents, let go of it."""

    def __init__(self, model: TypeModel, kinds: Sequence[ServedKind] = ()) -> None:
        self.model = model
        self.package: dict[str, Schema] = {**definitions(model.minor), **model.adopted}
        self._custom = [kind for kind in kinds if kind.info.custom]
        self._models: dict[str, TypeModel] = {}  # of what kinds bring, by the definition's name
        for own in {kind.model for kind in kinds} - {model}:
            self.package.update(own.adopted)
            self._models.update(dict.fromkeys(own.adopted, own))

    def v3(self, roots: Iterable[str], group: str, version: str) -> dict[str, Schema]:
        """The schemas named, and all that they refer to, for the document of one group and version."""
        custom = self._own(v2=False)
        schemas = {name: self._schema_v3(name) for name in closure(_others(roots, custom), self.package)}
        for schema in schemas.values():
            kinds = schema.get(GVK, ())
            if len(kinds) > 1:
                schema[GVK] = [kind for kind in kinds if (kind["group"], kind["version"]) == (group, version)]
        return schemas | custom

    def v2(self, roots: Iterable[str]) -> dict[str, Schema]:
        """The schemas named, and all that they refer to."""
        custom = self._own(v2=True)
        return {name: self._schema_v2(name) for name in closure(_others(roots, custom), self.package)} | custom

    def _own(self, *, v2: bool) -> dict[str, Schema]:
        """The schemas of custom resources, which no package has."""
        found: dict[str, Schema] = {}
        for kind in self._custom:
            found |= custom_schemas(kind, v2=v2)
        return found

    def _schema_v3(self, name: str) -> Schema:
        if name == QUANTITY:
            return {"description": DESCRIPTIONS["schemas"][name], "oneOf": [{"type": "string"}, {"type": "number"}]}
        if name == INT_OR_STRING:
            return {
                "description": DESCRIPTIONS["schemas"][name],
                "format": "int-or-string",
                "oneOf": [{"type": "integer"}, {"type": "string"}],
            }
        schema = _with_enums(name, _converted(self.package[name], "#/components/schemas/"))
        if "properties" in schema:
            fields = self._models.get(name, self.model).type(name).fields
            short = name.rpartition(".")[2]
            required = schema.get("required", ())
            for key, value in schema["properties"].items():
                field = fields[key]
                # types without a protobuf message are known from the package alone
                written = key in required if not field.number and field.pointer else not field.omitempty
                schema["properties"][key] = _property_v3(value, field, (short, key), written=written)
        return schema

    def _schema_v2(self, name: str) -> Schema:
        if name in (QUANTITY, INT_OR_STRING):
            schema = {"description": DESCRIPTIONS["schemas"][name], "type": "string"}
            return {**schema, "format": "int-or-string"} if name == INT_OR_STRING else schema
        return _with_enums(name, _converted(self.package[name], "#/definitions/"))


def _others(roots: Iterable[str], custom: dict[str, Schema]) -> set[str]:
    """The roots that the package has, and what custom resources refer to."""
    referred = {OBJECT_META, LIST_META} if custom else set()
    return (set(roots) - custom.keys()) | referred


def _with_enums(name: str, schema: Schema) -> Schema:
    """The schema of a type, in place, with the values that its fields may have."""
    short = name.rpartition(".")[2]
    for key, value in schema.get("properties", {}).items() if name.startswith(ENUM_PACKAGE) else ():
        values = ENUMS.get((short, key))
        if values is not None and value.get("type") == "string":
            listed = "".join(f'\n - `"{choice}"` {text}'.rstrip() for choice, text in values.items())
            value["description"] = f"{value.get('description', '')}\n\nPossible enum values:{listed}"
            value["enum"] = list(values)
    return schema


def _converted(schema: Schema, prefix: str) -> Schema:
    """A schema of the package as OpenAPI says it, with references under that prefix."""
    converted = {key: value for key, value in schema.items() if key not in DROPPED and key != "properties"}
    if "$ref" in schema:
        converted["$ref"] = prefix + schema["$ref"].removeprefix(PACKAGE_REF)
    types = schema.get("type")
    if types is not None:
        converted["type"] = types if isinstance(types, str) else types[0]
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            converted[inner] = _converted(schema[inner], prefix)
    if "properties" in schema:
        converted["properties"] = {key: _converted(value, prefix) for key, value in schema["properties"].items()}
    return converted


def _property_v3(schema: Schema, field: Field, place: tuple[str, str], *, written: bool) -> Schema:
    """A property with its default, if Go always writes it; a reference must be wrapped to have siblings."""
    if "$ref" in schema:
        schema = {**{key: value for key, value in schema.items() if key != "$ref"}, "allOf": [{"$ref": schema["$ref"]}]}
        if field.form == "object" and not field.pointer:
            schema["default"] = {}
    elif place in DECLARED_DEFAULTS:
        schema["default"] = DECLARED_DEFAULTS[place]
    elif written and field.form in ZEROS and not (field.pointer and field.number):
        schema["default"] = ZEROS[field.form]
    return schema
