"""Definitions of custom resources: fault by fault, in upstream's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from apiserver_workers.apimachinery.validation.definitions import (
    definition_faults,
    definition_update_faults,
    definition_warnings,
)
from apiserver_workers.apimachinery.validation.definitions.approval import ANNOTATION, approval
from apiserver_workers.apimachinery.validation.definitions.internal import internal_spec
from apiserver_workers.extensions.controllers.conformance import conformance_status
from apiserver_workers.registry.strategies.definitions import is_large

Object = dict[str, Any]

ROOT = "spec.validation.openAPIV3Schema"


def definition(schema: Object | None = None, **spec: Any) -> Object:
    """A valid definition with one version; `spec` replaces fields."""
    return {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [version("v1", schema, storage=True)],
            "conversion": {"strategy": "None"},
            **spec,
        },
        "status": {"storedVersions": ["v1"]},
    }


def version(name: str, schema: Object | None = None, **more: Any) -> Object:
    return {
        "name": name,
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": schema or {"type": "object"}},
        **more,
    }


def of_field(schema: Object) -> Object:
    return {"type": "object", "properties": {"x": schema}}


def said(obj: Object) -> list[str]:
    return list(map(str, definition_faults(obj)))


X = f"{ROOT}.properties[x]"
STRING = {"type": "string"}

SCHEMAS = [
    (of_field(STRING), []),
    ({"type": "string"}, [f'{ROOT}.type: Invalid value: "string": must be object at the root']),
    (of_field({}), [f"{X}.type: Required value: must not be empty for specified object fields"]),
    (of_field({"type": "array"}), [f"{X}.items: Required value: must be specified"]),
    (of_field({"type": "array", "items": {}}), [f"{X}.items.type: Required value: must not be empty for specified array items"]),
    (of_field({"type": "odd"}), [
        f'{X}.type: Unsupported value: "odd": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ]),
    ({"type": "object", "additionalProperties": STRING}, [f"{ROOT}.additionalProperties: Forbidden: must not be used at the root"]),
    (of_field({**STRING, "anyOf": [{"type": "string"}]}), [f"{X}.anyOf[0].type: Forbidden: must be empty to be structural"]),
    (of_field({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, STRING]}), []),
    ({"type": "object", "anyOf": [{"properties": {"y": {"pattern": "a"}}}]}, [
        f"{ROOT}.properties[y]: Required value: because it is defined in {ROOT}.anyOf[0].properties[y]",
    ]),
    (of_field({**STRING, "pattern": "("}), [
        f'{X}.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`',
    ]),
    (of_field({**STRING, "default": 5}), [
        f'{X}.default: Invalid value: "integer":  in body must be of type string: "integer"',
    ]),
    (of_field({"type": "object", "default": {"a": 1}}), [f'{X}.default: Invalid value: {{"a":1}}: must not have unknown fields']),
    (of_field({"type": "array", "uniqueItems": True, "items": STRING}), [
        f"{X}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    ]),
    (of_field({"type": "array", "items": STRING, "x-kubernetes-list-type": "map"}), [
        f"{X}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        f"{X}.items.type: Invalid value: \"string\": must be object if parent array's x-kubernetes-list-type is map",
    ]),
    (of_field({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}), [
        f"{X}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
    ]),
    (of_field({**STRING, "x-kubernetes-map-type": "odd"}), [
        f'{X}.type: Invalid value: "string": must be object if x-kubernetes-map-type is specified',
        f'{X}.x-kubernetes-map-type: Unsupported value: "odd": supported values: "atomic", "granular"',
    ]),
    ({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}, [
        f"{ROOT}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, "
        "but metadata is implicitly specified",
    ]),
    (of_field({"type": "object", "x-kubernetes-embedded-resource": True}), [
        f"{X}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without "
        "x-kubernetes-preserve-unknown-fields",
    ]),
    ({"type": "object", "nullable": True}, [f"{ROOT}.nullable: Forbidden: nullable cannot be true at the root"]),
    ({"type": "object", "definitions": {"a": {}}}, [f"{ROOT}.definitions: Forbidden: definitions is not supported"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_a_schema_has_these_faults(schema, expected):
    assert said(definition(schema)) == expected


R = f"{X}.x-kubernetes-validations[0]"

RULES = [
    ({"rule": "self == 'a'"}, []),
    ({"rule": " "}, [f"{R}.rule: Required value: rule is not specified"]),
    ({"rule": "true", "message": " "}, [f'{R}.message: Invalid value: " ": must be non-empty if specified']),
    ({"rule": "true", "message": "a\nb"}, [f'{R}.message: Invalid value: "a\\nb": must not contain line breaks']),
    ({"rule": "true\n"}, []),
    ({"rule": "true ||\nfalse"}, [f"{R}.message: Required value: message must be specified if rule contains line breaks"]),
    ({"rule": "true", "reason": "Odd"}, [
        f'{R}.reason: Unsupported value: "Odd": supported values: "FieldValueDuplicate", "FieldValueForbidden", '
        '"FieldValueInvalid", "FieldValueRequired"',
    ]),
    ({"rule": "true", "fieldPath": ".y"}, [f'{R}.fieldPath: Invalid value: ".y": must be a valid path']),
    ({"rule": "true", "optionalOldSelf": True}, [
        f"{R}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "expected"), RULES)
def test_a_rule_has_these_faults(rule, expected):
    assert said(definition(of_field({**STRING, "x-kubernetes-validations": [rule]}))) == expected


def test_a_rule_that_does_not_compile_is_shown_whole():
    (fault,) = said(definition(of_field({**STRING, "x-kubernetes-validations": [{"rule": "self."}]})))
    assert fault.startswith(f'{R}.rule: Invalid value: {{"Rule":"self.","Message":""')
    assert "compilation failed: ERROR: <input>:1:6: Syntax error" in fault


def test_rules_may_not_cost_too_much():
    inner = {
        "type": "array",
        "items": STRING,
        "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a == b))"}],
    }
    faults = said(definition(of_field(inner)))
    assert faults[0].startswith(f"{R}.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x")
    assert f"{ROOT}: Forbidden: x-kubernetes-validations estimated rule cost total" in faults[-1]
    assert said(definition(of_field({**inner, "maxItems": 3, "items": {**STRING, "maxLength": 3}}))) == []


def test_old_values_of_plain_lists_cannot_be_asked_for():
    item = {**STRING, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    (fault,) = said(definition(of_field({"type": "array", "items": item, "maxItems": 5})))
    assert fault.endswith(f"oldSelf cannot be used on the uncorrelatable portion of the schema within {X}")


SPECS = [
    ({"group": ""}, "spec.group: Required value"),
    ({"group": "nodots"}, 'spec.group: Invalid value: "nodots": should be a domain with at least one dot'),
    ({"scope": ""}, "spec.scope: Required value"),
    ({"scope": "Odd"}, 'spec.scope: Unsupported value: "Odd": supported values: "Cluster", "Namespaced"'),
    ({"names": {"plural": "things", "singular": "thing", "kind": "Thing"}}, "spec.names.listKind: Required value"),
    ({"versions": []}, "spec.versions: Invalid value: []: must have exactly one version marked as storage version"),
    ({"versions": [version("V1", storage=True)]}, 'spec.versions[0].name: Invalid value: "V1": '),
    ({"preserveUnknownFields": True}, "spec.preserveUnknownFields: Invalid value: true: cannot set to true"),
    ({"conversion": {"strategy": "Webhook"}}, "spec.conversion.webhookClientConfig: Required value"),
    ({"conversion": {"strategy": "Odd"}}, 'spec.conversion.strategy: Unsupported value: "Odd"'),
    (
        {"conversion": {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}},
        "spec.conversion.conversionReviewVersions: Forbidden: should not be set",
    ),
]


@pytest.mark.parametrize(("spec", "expected"), SPECS)
def test_a_spec_has_this_fault(spec, expected):
    assert any(fault.startswith(expected) for fault in said(definition(**spec))), said(definition(**spec))


VERSIONS = [
    ({"deprecationWarning": "old"}, "spec.versions[0].deprecationWarning", "can only be set for deprecated versions"),
    ({"deprecated": True, "deprecationWarning": ""}, "spec.versions[0].deprecationWarning", "must not be an empty string"),
    ({"additionalPrinterColumns": [{"name": "a", "type": "odd", "jsonPath": ".a"}]}, "spec.additionalPrinterColumns[0].type", "must be one of"),
    ({"additionalPrinterColumns": [{"name": "a", "type": "string", "jsonPath": "a"}]}, "spec.additionalPrinterColumns[0].JSONPath", "starting with ."),
    ({"subresources": {"scale": {"specReplicasPath": ".status.a"}}}, "spec.subresources.scale.specReplicasPath", "under .spec"),
    ({"selectableFields": [{"jsonPath": ".nowhere"}]}, "spec.selectableFields[0].jsonPath", "is an invalid path"),
    ({"selectableFields": [{"jsonPath": ".metadata.name"}]}, "spec.selectableFields[0].jsonPath", "is an invalid path"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "path", "text"), VERSIONS)
def test_a_version_has_this_fault(more, path, text):
    faults = said(definition(versions=[version("v1", of_field(STRING), storage=True, **more)]))
    assert any(fault.startswith(f"{path}: ") and text in fault for fault in faults), faults


def test_what_versions_have_alike_stands_at_the_top():
    one = version("v1", of_field({}), storage=True)
    assert said(definition(versions=[one, version("v2", of_field({}))]))[0].startswith("spec.validation.")
    assert said(definition(versions=[one, version("v2")]))[0].startswith("spec.versions[0].schema.")
    spec = internal_spec({"versions": [one, version("v2", of_field({}))]})
    assert spec["version"] == "v1" and "schema" not in spec["versions"][0] and one["schema"]


def test_what_was_wrong_may_stay_wrong():
    old = definition(of_field({}))
    new = copy.deepcopy(old)
    new["spec"]["preserveUnknownFields"] = old["spec"]["preserveUnknownFields"] = True
    assert definition_update_faults(new, old) == []
    fine = definition(of_field(STRING))
    assert [fault.field for fault in definition_update_faults(definition(of_field({})), fine)] == [f"{X}.type"]


def test_names_and_scope_stay_once_they_are_established():
    old = definition()
    new = definition(scope="Cluster")
    assert definition_update_faults(new, old) == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert list(map(str, definition_update_faults(new, old))) == [
        'spec.scope: Invalid value: "Cluster": field is immutable'
    ]


def test_a_stored_version_stays_until_nothing_is_stored_in_it():
    old = definition()
    new = definition(versions=[version("v2", storage=True)])
    new["status"] = {"storedVersions": ["v1", "v2"]}
    assert [fault.field for fault in definition_update_faults(new, old)] == ["status.storedVersions[0]"]


@pytest.mark.parametrize(
    ("annotation", "state"),
    [
        ("", "Missing"),
        ("odd", "Invalid"),
        ("unapproved, a test", "Bypassed"),
        ("https://github.com/x/pull/1", "Approved"),
    ],
)
def test_groups_of_the_community_need_an_approval(annotation, state):
    obj = definition(group="example.k8s.io")
    obj["metadata"] = {"name": "things.example.k8s.io", "annotations": {ANNOTATION: annotation} if annotation else {}}
    assert approval(obj)[0] == state
    assert bool(said(obj)) is (state in ("Missing", "Invalid"))
    status = conformance_status(obj)
    assert status is not None
    assert status["conditions"][0]["status"] == ("True" if state == "Approved" else "False")


def test_the_conditions_say_what_is_not_structural_and_go_when_it_is():
    obj = definition(of_field({}))
    status = conformance_status(obj)
    assert status is not None and status["conditions"][0]["reason"] == "Violations"
    assert "spec.versions[0].schema.openAPIV3Schema.properties[x].type" in status["conditions"][0]["message"]
    assert conformance_status({**obj, "status": status}) is None
    mended = conformance_status({**definition(), "status": status})
    assert mended is not None and mended["conditions"] == []


def test_formats_that_say_nothing_are_warned_of_once():
    odd = definition(of_field({**STRING, "format": "odd"}))
    assert definition_warnings(odd) == ['unrecognized format "odd"']
    assert definition_warnings(odd, odd) == []
    assert definition_warnings(definition(of_field({**STRING, "format": "date-time"}))) == []


def test_large_definitions_are_known():
    assert not is_large(definition())
    assert is_large(definition({"type": "object", "properties": {f"p{number}": STRING for number in range(300)}}))
    assert is_large(
        definition(of_field({**STRING, "x-kubernetes-validations": [{"rule": "true || " * 2000 + "true"}]}))
    )


def test_a_schema_of_any_depth_is_refused_and_nothing_breaks():
    schema: Object = STRING
    for _ in range(400):
        schema = {"type": "object", "properties": {"x": schema}}
    assert any("must not be nested deeper than" in fault for fault in said(definition(schema)))
