"""The builder of custom kinds: the ServedKinds of a CustomResourceDefinition (crdHandler.getOrCreateServingInfoFor).

All versions that are served or stored are made together: they share the conversion. Each has a store of its own, because
upstream validates, admits and answers in the version of the request; only what lies in etcd is of the stored version.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery.apply.fields import difference, field_set
from apiserver_workers.apimachinery.apply.reset import Reset
from apiserver_workers.apimachinery.builtin_kind import builtin
from apiserver_workers.apimachinery.custom import definition as definitions
from apiserver_workers.apimachinery.custom.apply_plan import custom_plan
from apiserver_workers.apimachinery.custom.conversion import (
    Ask,
    NoConversion,
    ReviewFailed,
    Versions,
    WebhookConversion,
)
from apiserver_workers.apimachinery.custom.decoding import Coercer, Decoding
from apiserver_workers.apimachinery.custom.printing import AGE, Printer
from apiserver_workers.apimachinery.custom.reading import Reading
from apiserver_workers.apimachinery.custom.scaling import CustomScale, custom_scale
from apiserver_workers.apimachinery.custom.selecting import custom_selectable
from apiserver_workers.apimachinery.custom.type import CustomType
from apiserver_workers.apimachinery.custom.validation import Validation
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    Conversion,
    ServedKind,
)
from apiserver_workers.apimachinery.structural.compiled import CompiledSchema, compiled_schema
from apiserver_workers.apimachinery.structural.defaulting import default
from apiserver_workers.apimachinery.types import Type, TypeModel, model

Object = dict[str, Any]

PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
STATUS, METADATA_AND_SPEC = field_set(("status",)), field_set(("metadata",), ("spec",))
SCALE_GVK = ("autoscaling", "v1", "Scale")


async def no_webhook(review: bytes) -> bytes:
    """Of a server that asks no webhooks."""
    raise ReviewFailed("no webhook can be asked here")


@dataclass(frozen=True, slots=True)
class CustomKinds:
    """The kinds of a definition by version: those that are served, and the one that is stored."""

    served: Mapping[str, ServedKind]
    stored: ServedKind


def custom_kinds(definition: Object, *, ask: Ask = no_webhook, prepare: bool = False) -> CustomKinds:
    """The kinds of a definition whose names are accepted. `ask` sends a ConversionReview to the definition's webhook.

    Compiling a long schema takes a while: call it in a thread then, and `prepare` what is else made when it is needed. Raises ValueError for a definition that makes no
    kinds, which validation does not let through.
    """
    builder = _Builder(definition, ask)
    if prepare:
        builder.prepare()
    return builder.build()


def custom(definition: Object, version: str, *, ask: Ask = no_webhook) -> ServedKind:
    """The kind of one version. Raises KeyError for a version that is neither served nor stored."""
    kinds = custom_kinds(definition, ask=ask)
    return kinds.stored if kinds.stored.info.version == version else kinds.served[version]


class _Builder:
    def __init__(self, definition: Object, ask: Ask) -> None:
        self.definition = definition
        self.ask = ask
        self.group = definition["spec"]["group"]
        self.storage_version = definitions.storage_version(definition)
        self.preserve = definitions.preserves_unknown_fields(definition)
        self.model = model()
        self.versions = {version["name"]: version for version in definitions.versions(definition)}
        self.compiled: dict[str, CompiledSchema | None] = {}
        minor = int(self.model.minor.partition(".")[2])
        for name, version in self.versions.items():
            schema = definitions.schema_of(version)
            self.compiled[f"{self.group}/{name}"] = None if schema is None else compiled_schema(schema, minor)
        kind = definitions.accepted_names(definition)["kind"]
        schemas = {name: None if one is None else one.structural for name, one in self.compiled.items()}
        self.coercer = Coercer(self.group, kind, schemas, preserve=self.preserve)

    def prepare(self) -> None:
        """Compile what the first request would wait for."""
        for compiled in self.compiled.values():
            if compiled is not None:
                compiled.prepare()

    def build(self) -> CustomKinds:
        types = {f"{self.group}/{name}": self._type(version) for name, version in self.versions.items()}
        conversion = self._conversion(types)
        stored = self._kind(self.versions[self.storage_version], types, conversion, None)
        served = {}
        for name, version in self.versions.items():
            if version.get("served"):
                served[name] = (
                    stored if name == self.storage_version else self._kind(version, types, conversion, stored)
                )
        return CustomKinds(served, stored)

    def _type(self, version: Object) -> Type:
        name = _model_name(self.group, version["name"], definitions.accepted_names(self.definition)["kind"])
        return CustomType(name, self.model, custom_plan(definitions.schema_of(version), preserve=self.preserve))

    def _conversion(self, types: Mapping[str, Type]) -> Conversion:
        versions = Versions(types, self.coercer)
        if not definitions.converts_by_webhook(self.definition):
            return NoConversion(versions)
        webhook = self.definition["spec"]["conversion"]["webhook"]
        kind = definitions.accepted_names(self.definition)["kind"]
        return WebhookConversion(versions, kind, webhook.get("conversionReviewVersions") or (), self.ask)

    def _kind(
        self, version: Object, types: Mapping[str, Type], conversion: Conversion, stored: ServedKind | None
    ) -> ServedKind:
        info = definitions.resource_info(self.definition, version)
        api_version = info.group_version
        compiled = self.compiled[api_version]
        decoding = Decoding(self.coercer, (info.group, info.version, info.kind))
        printer = Printer(version.get("additionalPrinterColumns") or ())
        scale = custom_scale(self.definition, version)
        validation = Validation(info, compiled, scale)
        structural = None if compiled is None else compiled.structural
        return ServedKind(
            info=info,
            model=self.model,
            type=types[api_version],
            go_kind="unstructured.Unstructured",
            decode=decoding.decode,
            from_document=decoding.from_document,
            default=lambda obj: None if structural is None else default(obj, structural),
            validate_create=validation.create,
            validate_update=validation.update,
            warn_on_create=validation.warn_on_create,
            warn_on_update=validation.warn_on_update,
            columns=printer.columns,
            rows=printer.rows,
            labels=custom_selectable(version, namespaced=info.namespaced),
            resets=_resets(info),
            scale=scale,
            patch_types=PATCH_TYPES,
            conversion=conversion,
            bodies=_bodies(self.model, info, scale),
            storage=stored,
            as_stored=stored is None and self._all_in_stored_version(conversion),
            own_store=True,
            read_stored=Reading(self.coercer, f"{self.group}/{self.storage_version}", conversion).shape,
            full_items=True,
            deprecation=definitions.deprecation_warning(self.definition, version),
            routed=False,
            as_sent=True,
            schema=definitions.schema_of(version),
            keeps_unknown=self.preserve,
            from_applied=decoding.from_applied,
        )

    def _all_in_stored_version(self, conversion: Conversion) -> bool:
        """Whether nothing that lies in etcd has to be converted by a webhook before it can be shown in that version."""
        return conversion.now is not None or definitions.stored_versions(self.definition) == [self.storage_version]


def _model_name(group: str, version: str, kind: str) -> str:
    return ".".join([*reversed(group.split(".")), version, kind])


def _resets(info: ResourceInfo) -> dict[str, Reset]:
    if "status" not in info.subresources:
        return {}
    return {
        "": lambda fields: difference(fields, STATUS, recursive=True),
        "status": lambda fields: difference(fields, METADATA_AND_SPEC, recursive=True),
    }


def _bodies(types: TypeModel, info: ResourceInfo, scale: CustomScale | None) -> dict[str, ServedKind]:
    """The kind of the scale subresource's bodies: its patches are strategic too."""
    if scale is None:
        return {}
    group, version, kind = SCALE_GVK
    seen = dataclasses.replace(
        info, group=group, version=version, kind=kind, stored_as=(group, version), subresources={}, listed_as=""
    )
    columns = [
        {
            "name": "Desired",
            "type": "integer",
            "description": "Number of desired replicas",
            "jsonPath": ".spec.replicas",
        }
    ]
    columns.append(
        {
            "name": "Available",
            "type": "integer",
            "description": "Number of actual replicas",
            "jsonPath": ".status.replicas",
        }
    )
    printer = Printer([*columns, AGE])
    return {
        "scale": dataclasses.replace(
            builtin(types, seen), columns=printer.columns, rows=printer.rows, patch_types=PATCH_TYPES, routed=False
        )
    }
