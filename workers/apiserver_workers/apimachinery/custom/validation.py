"""Validation of custom resources (apiextensions-apiserver/pkg/registry/customresource/{validator,strategy}.go)."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver_workers.apimachinery.cel.failures import TooLong
from apiserver_workers.apimachinery.custom.scaling import AccessorError, CustomScale, Path, nested
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import Faults, FaultsToCome
from apiserver_workers.apimachinery.structural.compiled import CompiledSchema
from apiserver_workers.apimachinery.structural.ratcheting import Correlated
from apiserver_workers.apimachinery.structural.rules import Findings
from apiserver_workers.apimachinery.validation import meta, names
from apiserver_workers.apimachinery.validation.field import invalid

Object = dict[str, Any]

MAX_INT32 = (1 << 31) - 1
SOFT_LIMIT = 20_000  # units of CEL that may be spent where others wait: about 5 ms
PREFER_PATH = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"
PREFER_DOMAIN = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"


class Told(list[FieldError]):
    """Faults, with `warnings` of what rules find wrong and was so before."""

    def __init__(self, faults: Faults, warnings: list[str]) -> None:
        super().__init__(faults)
        self.warnings = warnings


class Validation:
    """Of one version's objects."""

    def __init__(self, info: ResourceInfo, schema: CompiledSchema | None, scale: CustomScale | None) -> None:
        self._info = info
        self._schema = schema
        self._scale = scale

    def create(self, obj: Object) -> FaultsToCome:
        """served_kind.ServedKind.validate_create."""
        if faults := self._type_faults(obj):
            return self._rest(faults, obj, None)
        namespaced = self._info.namespaced
        faults = meta.validate_object_meta(
            obj["metadata"], namespaced=namespaced, check_name=names.is_dns1123_subdomain
        )
        if self._schema is not None:
            faults += self._schema.value_faults(obj)
        return self._rest(faults + self._scale_faults(obj), obj, None)

    def update(self, new: Object, old: Object, subresource: str) -> FaultsToCome:
        """served_kind.ServedKind.validate_update."""
        if faults := self._type_faults(new):
            return self._rest(faults, new, old)
        metadata = new["metadata"]
        faults = meta.validate_object_meta_update(metadata, old["metadata"]) + meta.validate_contents(metadata)
        status = subresource == "status"
        schema, correlated = self._schema, None
        if schema is not None:
            correlated = schema.correlate(new, old)
            if not status:
                faults += schema.value_faults(new, correlated)
            elif "status" in new:
                faults += schema.status_faults(new["status"], schema.correlate_status(new["status"], old.get("status")))
        return self._rest(faults + self._scale_faults(new, status=status), new, old, correlated, status=status)

    def _rest(
        self,
        faults: Faults,
        new: Object,
        old: Object | None,
        correlated: Correlated | None = None,
        *,
        status: bool = False,
    ) -> FaultsToCome:
        """All faults: those of embedded objects, of lists and of rules besides."""
        schema = self._schema
        if schema is None:
            return faults
        faults = faults + schema.shape_faults(new, old, embedded=not status)
        if not schema.has_rules:
            return faults
        try:
            return _told(faults, schema.rule_findings(faults, new, old, correlated=correlated, soft=SOFT_LIMIT))
        except TooLong:
            return _later(schema, faults, new, old, correlated)

    def _type_faults(self, obj: Object) -> Faults:
        info, faults = self._info, []
        if obj.get("kind", "") != info.kind:
            faults.append(invalid("kind", obj.get("kind", ""), f"must be {info.kind}"))
        if obj.get("apiVersion", "") != info.group_version:
            faults.append(invalid("apiVersion", obj.get("apiVersion", ""), f"must be {info.group_version}"))
        return faults

    def _scale_faults(self, obj: Object, *, status: bool = False) -> Faults:
        """What is wrong with the fields that the scale subresource shows; with those of the status alone."""
        scale = self._scale
        if scale is None:
            return []
        faults: Faults = [] if status else _replicas_faults(obj, scale.replicas)
        faults += _replicas_faults(obj, scale.status_replicas)
        if scale.selector:
            try:
                nested(obj, scale.selector, str, "string")
            except AccessorError as error:
                faults.append(invalid("." + ".".join(scale.selector), "", str(error)))
        return faults

    def warn_on_create(self, obj: Object) -> list[str]:
        """served_kind.ServedKind.warn_on_create."""
        return _finalizer_warnings(set(obj["metadata"].get("finalizers") or ()))

    def warn_on_update(self, new: Object, old: Object, subresource: str) -> list[str]:
        """served_kind.ServedKind.warn_on_update."""
        if subresource == "status":
            return []
        before = old["metadata"].get("finalizers") or ()
        return _finalizer_warnings(set(new["metadata"].get("finalizers") or ()) - set(before))


async def _later(
    schema: CompiledSchema, faults: Faults, new: Object, old: Object | None, correlated: Correlated | None
) -> Faults:
    """All faults, with those of rules that take long."""
    findings = await asyncio.to_thread(schema.rule_findings, faults, new, old, correlated=correlated)
    return _told(faults, findings)


def _told(faults: Faults, findings: Findings) -> Faults:
    faults = faults + findings.faults
    return Told(faults, findings.warnings) if findings.warnings else faults


def _replicas_faults(obj: Object, path: Path) -> Faults:
    shown = "." + ".".join(path)
    try:
        replicas = nested(obj, path, int, "int64") or 0
    except AccessorError as error:
        return [invalid(shown, 0, str(error))]
    if replicas < 0:
        return [invalid(shown, replicas, "should be a non-negative integer")]
    if replicas > MAX_INT32:
        return [invalid(shown, replicas, f"should be less than or equal to {MAX_INT32}")]
    return []


def _finalizer_warnings(finalizers: set[str]) -> list[str]:
    warnings = []
    for name in sorted(finalizers):
        head = f"metadata.finalizers: {quoted(name)}: "
        warnings += [head + fault for fault in names.is_qualified_name(name)]
        if "/" not in name and name not in meta.STANDARD_FINALIZERS:
            warnings.append(head + (PREFER_PATH if "." in name else PREFER_DOMAIN))
    return warnings
