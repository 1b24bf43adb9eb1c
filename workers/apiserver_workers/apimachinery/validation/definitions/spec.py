"""The spec of a CustomResourceDefinition, in its internal form (validation.go: validateCustomResourceDefinitionSpec)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.name_rules import is_dns1035_label, is_dns1123_subdomain
from apiserver_workers.apimachinery.structural.field_paths import FieldPathError, field_path
from apiserver_workers.apimachinery.structural.model import (
    EMBEDDED,
    INT_OR_STRING,
    LIST_KEYS,
    LIST_TYPE,
    PRESERVE,
    RULES,
    Structural,
    StructuralError,
    structural_of,
)
from apiserver_workers.apimachinery.validation.definitions.conversion import conversion_faults
from apiserver_workers.apimachinery.validation.definitions.default_values import default_faults
from apiserver_workers.apimachinery.validation.definitions.internal import Object, Schema, any_node
from apiserver_workers.apimachinery.validation.definitions.openapi import OpenAPIValidation
from apiserver_workers.apimachinery.validation.definitions.options import MAX_SELECTABLE, Strictness
from apiserver_workers.apimachinery.validation.definitions.rule_costs import RuleScope, root_scope
from apiserver_workers.apimachinery.validation.definitions.shown import SCHEMA_FIELDS, shown_schema, shown_versions
from apiserver_workers.apimachinery.validation.definitions.structure import structure_faults
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)

SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SELECTABLE = ("string", "boolean", "integer")
LONGEST_WARNING = 256
NEEDED_NAMES = ("plural", "singular", "kind", "listKind")

_AT_ROOT = (
    *("Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum"),
    *("MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items"),
    *("Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"),
)


def spec_faults(spec: Object, strictness: Strictness) -> Errors:
    """All faults of an internal spec."""
    return _Spec(spec, strictness).faults()


class _Spec:
    def __init__(self, spec: Object, strictness: Strictness) -> None:
        self._spec = spec
        self._strictness = strictness
        self._preserves = bool(spec.get("preserveUnknownFields"))
        self._structural = (
            strictness.structural
            or not self._preserves
            or any_node(spec, lambda node: node.get("default") is not None)
            or any_node(spec, _has_extensions)
        )

    def faults(self) -> Errors:
        spec = self._spec
        faults = self._group_faults() + _choice_faults("spec.scope", spec.get("scope") or "", SCOPES)
        faults += self._schema_presence_faults()
        if self._preserves and any_node(spec, lambda node: node.get("default") is not None):
            why = "must be false in order to use defaults in the schema"
            faults.append(invalid("spec.preserveUnknownFields", True, why))
        for at, version in each("spec.versions", spec["versions"]):
            if wrong := is_dns1035_label(version.get("name", "")):
                faults.append(invalid(f"{at}.name", version.get("name", ""), ",".join(wrong)))
            faults += self._version_faults(version, at)
        faults += self._versions_faults()
        names = spec.get("names") or {}
        faults += [required(f"spec.names.{name}") for name in NEEDED_NAMES if not names.get(name)]
        faults += name_faults(names, "spec.names")
        faults += self._holder_faults(
            spec.get("validation"), self._any_status(), spec.get("version", ""), "spec.validation"
        )
        faults += subresource_faults(spec.get("subresources"), "spec.subresources")
        for at, column in each("spec.additionalPrinterColumns", spec.get("additionalPrinterColumns")):
            faults += column_faults(column, at)
        faults += self._shared_fields_faults()
        conversion = spec.get("conversion")
        if conversion is not None and conversion["strategy"] != "None" and self._preserves:
            why = "must be None if spec.preserveUnknownFields is true"
            faults.append(invalid("spec.conversion.strategy", conversion["strategy"], why))
        return faults + conversion_faults(
            conversion,
            "spec.conversion",
            review_version=self._strictness.review_version,
            any_bundle=self._strictness.any_bundle,
        )

    def _group_faults(self) -> Errors:
        group = self._spec.get("group") or ""
        if not group:
            return [required("spec.group")]
        if wrong := is_dns1123_subdomain(group):
            return [invalid("spec.group", group, ",".join(wrong))]
        return [] if "." in group else [invalid("spec.group", group, "should be a domain with at least one dot")]

    def _schema_presence_faults(self) -> Errors:
        if (self._spec.get("validation") or {}).get("openAPIV3Schema") is not None:
            return []
        missing = [
            (f"{at}.schema.openAPIV3Schema", version.get("served"))
            for at, version in each("spec.versions", self._spec["versions"])
            if (version.get("schema") or {}).get("openAPIV3Schema") is None
        ]
        if self._strictness.schema:
            return [required(at) for at, _ in missing]
        if self._preserves:
            return []
        return [required(at, "because otherwise all fields are pruned") for at, served in missing if served]

    def _versions_faults(self) -> Errors:
        versions = self._spec["versions"]
        shown = shown_versions(versions) if self._spec["versionsGiven"] else None
        faults: Errors = []
        if len({version.get("name", "") for version in versions}) != len(versions):
            faults.append(invalid("spec.versions", shown, "must contain unique version names"))
        if sum(bool(version.get("storage")) for version in versions) != 1:
            faults.append(invalid("spec.versions", shown, "must have exactly one version marked as storage version"))
        first = self._spec.get("version", "")
        if first and (wrong := is_dns1035_label(first)):
            faults.append(invalid("spec.version", first, ",".join(wrong)))
        return faults

    def _version_faults(self, version: Object, path: str) -> Errors:
        warning = version.get("deprecationWarning")
        at = f"{path}.deprecationWarning"
        faults = [invalid(at, warning, why) for why in warning_faults(bool(version.get("deprecated")), warning)]
        own = version.get("subresources")
        subresources = (
            own if any(one.get("subresources") for one in self._spec["versions"]) else self._spec.get("subresources")
        )
        status = (subresources or {}).get("status") is not None
        faults += self._holder_faults(version.get("schema"), status, version.get("name", ""), f"{path}.schema")
        faults += subresource_faults(own, f"{path}.subresources")
        for at, column in each(f"{path}.additionalPrinterColumns", version.get("additionalPrinterColumns")):
            faults += column_faults(column, at)
        if fields := version.get("selectableFields"):
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            at = f"{path}.selectableFields"
            if schema is None:
                why = "may only be set when `version.schema.openAPIV3Schema` is not included"
                return [*faults, invalid(at, "", why)]
            faults += self._fields_faults(fields, schema, at, version.get("name", ""), f"{path}.schema.openAPIV3Schema")
        return faults

    def _shared_fields_faults(self) -> Errors:
        fields, holder = self._spec.get("selectableFields"), self._spec.get("validation")
        if not fields:
            return []
        if holder is None:
            return [invalid("spec.selectableFields", "", "may only be set when validations.schema is included")]
        schema = holder.get("openAPIV3Schema") or {}
        return self._fields_faults(fields, schema, "spec.selectableFields", "", "spec.schema.openAPIV3Schema")

    def _fields_faults(
        self, fields: Sequence[Object], schema: Schema, path: str, version: str, schema_path: str
    ) -> Errors:
        try:
            structural = structural_of(schema)
        except StructuralError as error:
            return [invalid(schema_path, "", str(error))]
        return selectable_faults(fields, structural, path, any_number=version in self._strictness.many_fields)

    def _any_status(self) -> bool:
        holders = (self._spec.get("subresources"), *(version.get("subresources") for version in self._spec["versions"]))
        return any((holder or {}).get("status") is not None for holder in holders)

    def _holder_faults(self, holder: Object | None, status: bool, version: str, path: str) -> Errors:
        """validateCustomResourceDefinitionValidation: a schema, with what holds it."""
        schema = (holder or {}).get("openAPIV3Schema")
        if schema is None:
            return []
        path = f"{path}.openAPIV3Schema"
        faults = _root_faults(schema, path) if status else []
        if schema.get("nullable"):
            faults.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
        scope, found, unreadable = self._structural_faults(schema, path)
        faults += found
        any_cost = version in self._strictness.unchanged
        faults += OpenAPIValidation(self._strictness, any_cost=any_cost).faults(schema, path, scope)
        if not faults:
            faults += unreadable
        return faults + ([] if scope is None else scope.total.faults(path))

    def _structural_faults(self, schema: Schema, path: str) -> tuple[RuleScope | None, Errors, Errors]:
        """The scope of its rules, if all is well; faults; and a fault that is told only if there is no other."""
        if not self._structural:
            return None, [], []
        try:
            structural = structural_of(schema)
        except StructuralError as error:
            return None, [], [invalid(path, "", str(error))]
        faults = structure_faults(schema, path)
        if not faults:
            faults = default_faults(
                structural, path, minor=self._strictness.minor, pruned=self._strictness.pruned_defaults
            )
        return (None, faults, []) if faults else (root_scope(structural), [], [])


def _has_extensions(node: Schema) -> bool:
    if node.get(PRESERVE) is not None or node.get(LIST_TYPE) is not None:
        return True
    return any(node.get(name) for name in (EMBEDDED, INT_OR_STRING, LIST_KEYS, RULES))


def _choice_faults(path: str, value: str, choices: Sequence[str]) -> Errors:
    if not value:
        return [required(path)]
    return [] if value in choices else [not_supported(path, value, choices)]


def _root_faults(schema: Schema, path: str) -> Errors:
    """With a status subresource the root may say little, because the status is validated without it."""
    for name, go_name in SCHEMA_FIELDS:
        value = schema.get(name)
        if value is None or value in ("", False, 0) or value == [] or value == {}:
            continue
        if go_name == "Type":
            if value != "object":
                why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
                return [invalid(f"{path}.type", value, why)]
        elif go_name not in _AT_ROOT:
            listed = " ".join(_AT_ROOT)
            why = f"only [{listed}] fields are allowed at the root of the schema if the status subresource is enabled"
            return [invalid(path, shown_schema(schema), why)]
    return []


def name_faults(names: Object, path: str) -> Errors:
    """ValidateCustomResourceDefinitionNames: what is given must be labels."""
    faults: Errors = []
    for name in ("plural", "singular"):
        if names.get(name) and (wrong := is_dns1035_label(names[name])):
            faults.append(invalid(f"{path}.{name}", names[name], ",".join(wrong)))
    for name in ("kind", "listKind"):
        if names.get(name) and (wrong := is_dns1035_label(names[name].lower())):
            why = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
            faults.append(invalid(f"{path}.{name}", names[name], why))
    for at, name in each(f"{path}.shortNames", names.get("shortNames")):
        if wrong := is_dns1035_label(name):
            faults.append(invalid(at, name, ",".join(wrong)))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        faults.append(invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same"))
    for at, name in each(f"{path}.categories", names.get("categories")):
        if wrong := is_dns1035_label(name):
            faults.append(invalid(at, name, ",".join(wrong)))
    return faults


def warning_faults(deprecated: bool, warning: Any) -> list[str]:
    """validateDeprecationWarning."""
    if warning is None:
        return []
    if not deprecated:
        return ["can only be set for deprecated versions"]
    faults = []
    if len(warning.encode()) > LONGEST_WARNING:
        faults.append("must be <= 256 characters long")
    if not warning:
        faults.append("must not be an empty string")
    offset = 0
    for character in warning:
        if not character.isprintable():
            what = "must only contain printable UTF-8 characters; non-printable character found at index"
            faults.append(f"{what} {offset}")
            break
        offset += len(character.encode())
    return faults


def column_faults(column: Object, path: str) -> Errors:
    """ValidateCustomResourceColumnDefinition."""
    faults: Errors = [] if column.get("name") else [required(f"{path}.name")]
    type_, format_, json_path = column.get("type"), column.get("format"), column.get("jsonPath")
    types = f"must be one of {','.join(COLUMN_TYPES)}"
    if not type_:
        faults.append(required(f"{path}.type", types))
    elif type_ not in COLUMN_TYPES:
        faults.append(invalid(f"{path}.type", type_, types))
    if format_ and format_ not in COLUMN_FORMATS:
        faults.append(invalid(f"{path}.format", format_, f"must be one of {','.join(COLUMN_FORMATS)}"))
    if not json_path:
        return [*faults, required(f"{path}.JSONPath")]
    return faults + _json_path_faults(json_path, f"{path}.JSONPath")


def _json_path_faults(text: str, path: str) -> Errors:
    return [] if text.startswith(".") else [invalid(path, text, "must be a simple json path starting with .")]


def subresource_faults(subresources: Object | None, path: str) -> Errors:
    """ValidateCustomResourceDefinitionSubresources."""
    scale = (subresources or {}).get("scale")
    if scale is None:
        return []
    faults: Errors = []
    for name, part in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        at, text = f"{path}.scale.{name}", scale.get(name) or ""
        if not text:
            faults.append(required(at))
        elif wrong := _json_path_faults(text, at):
            faults += wrong
        elif not text.startswith(f".{part}."):
            faults.append(invalid(at, text, f"should be a json path under .{part}"))
    if text := scale.get("labelSelectorPath"):
        at = f"{path}.scale.labelSelectorPath"
        if wrong := _json_path_faults(text, at):
            faults += wrong
        elif not text.startswith((".spec.", ".status.")):
            faults.append(invalid(at, text, "should be a json path under either .spec or .status"))
    return faults


def selectable_faults(fields: Sequence[Object], schema: Structural, path: str, *, any_number: bool) -> Errors:
    """ValidateCustomResourceSelectableFields."""
    faults: Errors = []
    seen: set[str] = set()
    for at, one in each(path, fields):
        at, text = f"{at}.jsonPath", one.get("jsonPath") or ""
        if not text:
            faults.append(required(at))
            continue
        try:
            shown, found = field_path(text, schema, arrays=False)
        except FieldPathError as error:
            faults.append(invalid(at, text, f"is an invalid path: {error}"))
            continue
        if shown.partition(".")[0] == "metadata":
            faults.append(invalid(at, text, "must not point to fields in metadata"))
        if found.type not in SELECTABLE:
            what = "Enum string fields and strings with formats are allowed."
            faults.append(invalid(at, text, f"must point to a field of type string, boolean or integer. {what}"))
        if shown in seen:
            faults.append(duplicate(at, text))
        seen.add(shown)
    if len(seen) > MAX_SELECTABLE and not any_number:
        faults.append(too_many(path, len(seen), MAX_SELECTABLE))
    return faults


def format_warnings(formats: Sequence[str]) -> list[str]:
    """What a client is warned of whose schemas name formats that say nothing."""
    return [f"unrecognized format {quoted(name)}" for name in formats]
