"""Webhooks, admission policies and their bindings: what goes in, and which faults come out."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
FORM = "; desired format: https://host[/path]"
HOOKS = "validatingwebhookconfigurations"
KEY = (
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g."
    " 'example.com/MyName')"
)


def faults_of(name: str, **fields: Any) -> list[str]:
    obj = {"metadata": {"name": "p"} | fields.pop("metadata", {}), **fields}
    return [str(error) for error in validate_create(resource(GROUP, "v1", name), obj)]


def faults_of_update(name: str, old: Object, new: Object, subresource: str = "") -> list[str]:
    metadata = {"metadata": {"name": "p", "resourceVersion": "1"}}
    info = resource(GROUP, "v1", name)
    return [str(error) for error in validate_update(info, metadata | new, metadata | old, subresource)]


def hook(**fields: Any) -> Object:
    return {
        "name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://h"},
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("client", "faults"),
    [
        ({"url": "https://h/p"}, []),
        (
            {"url": ""},
            [
                f"url: Invalid value: \"\": 'https' is the only allowed URL scheme{FORM}",
                f'url: Invalid value: "": host must be specified{FORM}',
            ],
        ),
        ({"url": "::1"}, [f'url: Required value: url must be a valid URL: parse "::1": missing protocol scheme{FORM}']),
        (
            {"url": "https://u@h?q#f"},
            [
                'url: Invalid value: "u": user information is not permitted in the URL',
                'url: Invalid value: "f": fragments are not permitted in the URL',
                'url: Invalid value: "q": query parameters are not permitted in the URL',
            ],
        ),
        # the name is blamed on the namespace, and the other way round
        ({"service": {"name": "s"}}, ["service.name: Required value"]),
        ({"service": {"namespace": "n"}}, ["service.namespace: Required value"]),
        ({"service": {}}, ["service.name: Required value", "service.namespace: Required value"]),
        (
            {"service": {"name": "s", "namespace": "n", "port": 0, "path": "x/"}},
            [
                "service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
                "service.path: Invalid value: \"x/\": must start with a '/'",
                'service.path: Invalid value: "x/": segment[0] may not be empty',
            ],
        ),
    ],
)
def test_where_a_webhook_is(client: Object, faults: list[str]) -> None:
    found = faults_of(HOOKS, webhooks=[hook(clientConfig=client)])
    assert found == [f"webhooks[0].clientConfig.{fault}" for fault in faults]


def test_match_conditions_that_stay_are_not_looked_at() -> None:
    old = {"webhooks": [hook(matchConditions=[{"name": "a/b/c", "expression": "true"}])]}
    assert faults_of(HOOKS, **old) == [f'webhooks[0].matchConditions[0].name: Invalid value: "a/b/c": {KEY}']
    assert faults_of_update(HOOKS, old, old) == []
    more = {"webhooks": [hook(matchConditions=[*old["webhooks"][0]["matchConditions"], {"name": "x"}])]}
    assert len(faults_of_update(HOOKS, old, more)) == 2


RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*"}
MATCH = {"matchPolicy": "Exact", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [RULE]}
VALIDATING = {
    "failurePolicy": "Fail", "matchConstraints": MATCH, "validations": [{"expression": "true"}],
}  # fmt: skip
MUTATING = {
    "failurePolicy": "Fail", "matchConstraints": MATCH, "reinvocationPolicy": "Never",
    "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test', path: '/a'}]"}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, []),
        (
            {"variables": [{"name": "a-b", "expression": "1"}, {"name": "in", "expression": ""}, {"name": " "}]},
            [
                'spec.variables[0].name: Invalid value: "a-b": must be a valid CEL identifier',
                'spec.variables[1].name: Invalid value: "in": must be a valid CEL identifier',
                "spec.variables[1].expression: Required value: expression is not specified",
                "spec.variables[2].name: Required value: name is not specified",
                "spec.variables[2].expression: Required value: expression is not specified",
            ],
        ),
        (
            {"validations": [{"expression": "true", "message": " ", "messageExpression": " ", "reason": "x"}]},
            [
                'spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified',
                'spec.validations[0].message: Invalid value: " ": must be non-empty if specified',
                'spec.validations[0].reason: Unsupported value: "x": supported values: "Forbidden", "Invalid",'
                ' "RequestEntityTooLarge"',
            ],
        ),
        (
            {"auditAnnotations": [{"key": "k", "valueExpression": "x" * 5121}, {"key": "k", "valueExpression": "'y'"}]},
            [
                "spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length",
                'spec.auditAnnotations[1].key: Duplicate value: "k"',
            ],
        ),
        (
            {"matchConstraints": MATCH | {"resourceRules": []}},
            ["spec.matchConstraints.resourceRules: Required value"],
        ),
    ],
)
def test_a_validating_policy(spec: Object, faults: list[str]) -> None:
    assert faults_of("validatingadmissionpolicies", spec=VALIDATING | spec) == faults


def test_a_policys_conditions_that_stay_are_not_looked_at_unless_its_parameters_change() -> None:
    old = {"spec": VALIDATING | {"matchConditions": [{"name": "a/b/c", "expression": "true"}]}}
    assert faults_of_update("validatingadmissionpolicies", old, old) == []
    new = {"spec": old["spec"] | {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}
    assert len(faults_of_update("validatingadmissionpolicies", old, new)) == 1
    old, new = ({"spec": one["spec"] | MUTATING} for one in (old, new))
    assert faults_of_update("mutatingadmissionpolicies", old, old) == []
    assert len(faults_of_update("mutatingadmissionpolicies", old, new)) == 1


@pytest.mark.parametrize(
    ("warning", "faults"),
    [
        ({"fieldRef": "spec.validations[0].expression", "warning": "w"}, []),
        ({"fieldRef": " "}, ["warning: Required value", "fieldRef: Required value"]),
        (
            {"fieldRef": "::1", "warning": "w"},
            ["fieldRef: Invalid value: \"::1\": invalid JSONPath: unrecognized character in action: U+003A ':'"],
        ),
    ],
)
def test_a_validating_policys_status(warning: Object, faults: list[str]) -> None:
    new = {"status": {"typeChecking": {"expressionWarnings": [warning]}}}
    found = faults_of_update("validatingadmissionpolicies", {}, new, "status")
    assert found == [f"status.typeChecking.expressionWarnings[0].{fault}" for fault in faults]


OPERATIONS = 'supported values: "*", "CONNECT", "CREATE", "UPDATE"'


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, []),
        (
            {"matchConstraints": MATCH | {"resourceRules": [RULE | {"operations": ["DELETE"]}]}},
            [f'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": {OPERATIONS}'],
        ),
        (
            {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": " "}, "applyConfiguration": {}}]},
            [
                "spec.mutations[0].jsonPatch.expression: Required value",
                'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified'
                " when patchType is JSONPatch",
            ],
        ),
        (
            {"mutations": [{"patchType": "ApplyConfiguration", "jsonPatch": {}}]},
            [
                "spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is"
                " ApplyConfiguration",
                'spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is'
                " ApplyConfiguration",
            ],
        ),
        ({"mutations": [{}]}, ["spec.mutations[0].patchType: Required value"]),
        (
            {"mutations": [{"patchType": "x"}]},
            [
                'spec.mutations[0].patchType: Unsupported value: "x": supported values: "ApplyConfiguration",'
                ' "JSONPatch"'
            ],
        ),
    ],
)
def test_a_mutating_policy(spec: Object, faults: list[str]) -> None:
    assert faults_of("mutatingadmissionpolicies", spec=MUTATING | spec) == faults


BINDING = {"policyName": "p", "validationActions": ["Deny"]}


@pytest.mark.parametrize("name", ["mutatingadmissionpolicybindings", "validatingadmissionpolicybindings"])
def test_a_bindings_parameters_may_be_missing_or_not(name: str) -> None:
    found = faults_of(name, spec=BINDING | {"paramRef": {"name": "n", "parameterNotFoundAction": "x"}})
    assert found == ['spec.paramRef.parameterNotFoundAction: Unsupported value: "x": supported values: "Deny", "Allow"']


def test_a_mutating_binding_selects_nothing_that_is_deleted() -> None:
    match = MATCH | {"resourceRules": [RULE | {"operations": ["DELETE"]}]}
    found = faults_of("mutatingadmissionpolicybindings", spec=BINDING | {"matchResources": match})
    assert found == [f'spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": {OPERATIONS}']
    assert faults_of("validatingadmissionpolicybindings", spec=BINDING | {"matchResources": match}) == []


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (HOOKS, {"webhooks": [hook()]}),
        ("mutatingwebhookconfigurations", {"webhooks": [hook()]}),
        ("validatingadmissionpolicies", {"spec": VALIDATING}),
        ("mutatingadmissionpolicies", {"spec": MUTATING}),
        ("validatingadmissionpolicybindings", {"spec": BINDING}),
        ("mutatingadmissionpolicybindings", {"spec": BINDING}),
    ],
)
def test_they_take_any_finalizer_and_look_at_labels_three_times(name: str, fields: Object) -> None:
    assert faults_of(name, **fields, metadata={"finalizers": ["x"]}) == []
    metadata = {"metadata": {"name": "p", "resourceVersion": "1", "finalizers": ["x"], "labels": {"a": "-"}}}
    found = faults_of_update(name, fields, fields | metadata)
    assert [fault.partition(":")[0] for fault in found] == ["metadata.labels"] * 3
