"""Validation of CustomResourceDefinitions (apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go)."""

from __future__ import annotations

from apiserver_workers.apimachinery.structural.formats import supported
from apiserver_workers.apimachinery.validation.definitions.approval import approval_faults
from apiserver_workers.apimachinery.validation.definitions.internal import Object, internal_spec, nodes, schemas
from apiserver_workers.apimachinery.validation.definitions.options import Strictness, strictness_of_update
from apiserver_workers.apimachinery.validation.definitions.spec import format_warnings, name_faults, spec_faults
from apiserver_workers.apimachinery.validation.field import Errors, invalid, unchanged
from apiserver_workers.apimachinery.validation.rules import KindValidation

MINOR = 36


def definition_faults(definition: Object) -> Errors:
    """The faults of a new definition, but for those of its metadata."""
    faults = _name_faults(definition)
    faults += spec_faults(internal_spec(definition["spec"]), Strictness(minor=MINOR))
    return faults + _common_faults(definition, None)


def definition_update_faults(new: Object, old: Object) -> Errors:
    """The faults of a changed definition."""
    strictness = strictness_of_update(new, old, MINOR)
    spec, before = new["spec"], old["spec"]
    faults = spec_faults(internal_spec(spec), strictness)
    own, other = spec.get("names") or {}, before.get("names") or {}
    if strictness.immutable_names:
        faults += unchanged(spec.get("scope", ""), before.get("scope", ""), "spec.scope")
        faults += unchanged(own.get("kind", ""), other.get("kind", ""), "spec.names.kind")
    faults += unchanged(spec.get("group", ""), before.get("group", ""), "spec.group")
    faults += unchanged(own.get("plural", ""), other.get("plural", ""), "spec.names.plural")
    return faults + _common_faults(new, old)


def definition_status_faults(new: Object, old: Object) -> Errors:
    """The faults of a changed status."""
    return _status_faults(new)


def definition_warnings(new: Object, old: Object | None = None) -> list[str]:
    """Formats that are new and say nothing."""
    known = () if old is None else _unknown_formats(old)
    return format_warnings([name for name in _unknown_formats(new) if name not in known])


def _unknown_formats(definition: Object) -> list[str]:
    return [
        node["format"]
        for schema in schemas(internal_spec(definition["spec"]))
        for node in nodes(schema)
        if node.get("format") and not supported(node.get("type") or "", node["format"], MINOR)
    ]


def _name_faults(definition: Object) -> Errors:
    spec, name = definition["spec"], definition["metadata"].get("name", "")
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    return [] if name == wanted else [invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')]


def _common_faults(new: Object, old: Object | None) -> Errors:
    stored = (new.get("status") or {}).get("storedVersions")
    faults = _status_faults(new) + _stored_faults(stored, new["spec"].get("versions") or [])
    faults += approval_faults(new, old)
    if new["spec"].get("preserveUnknownFields") and not (old or {"spec": {}})["spec"].get("preserveUnknownFields"):
        what = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        faults.append(invalid("spec.preserveUnknownFields", True, f"cannot set to true, {what}"))
    return faults


def _status_faults(definition: Object) -> Errors:
    return name_faults((definition.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")


def _stored_faults(stored: list[str] | None, versions: list[Object]) -> Errors:
    """ValidateCustomResourceDefinitionStoredVersions."""
    path = "status.storedVersions"
    if not stored:
        return [invalid(path, stored, "must have at least one stored version")]
    faults: Errors = []
    left = {name: index for index, name in enumerate(stored)}
    for version in versions:
        name = version.get("name", "")
        if version.get("storage") and name not in left:
            faults.append(invalid(path, stored, f"must have the storage version {name}"))
        left.pop(name, None)
    for name, index in left.items():
        why = (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
            f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
            "status.storedVersions"
        )
        faults.append(invalid(f"{path}[{index}]", name, why))
    return faults


KINDS = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): KindValidation(
        create=definition_faults,
        updates={"": definition_update_faults, "status": definition_status_faults},
    ),
}
