"""CEL expressions of admission policies, webhooks and device selectors: what is refused when they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.types import ANY, BOOL, INT, STRING, Type, list_of, map_of, opaque, struct
from apiserver_workers.apimachinery.cel.variables import variable
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.validation.device_expressions import validate_device_expression
from apiserver_workers.apimachinery.validation.expressions import (
    ANNOTATION,
    APPLY_CONFIGURATION,
    CONDITION,
    JSON_PATCH,
    MESSAGE,
    Expressions,
    Use,
)
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

Object = dict[str, Any]
RULE = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["CREATE"]}
MATCH = {"matchPolicy": "Exact", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [RULE]}
POLICY = {"failurePolicy": "Fail", "matchConstraints": MATCH, "validations": [{"expression": "true"}]}
MUTATING = {"failurePolicy": "Fail", "matchConstraints": MATCH, "reinvocationPolicy": "Never"}
APPLY = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}
PARAMS = {"apiVersion": "v1", "kind": "ConfigMap"}
# A function that is newer than the oldest version that must understand new expressions, in the tests that say so.
NEWER = "semver('1.2.3').major() == 1"


@pytest.fixture
def old_servers() -> Iterator[None]:
    """Other servers of the cluster may be of 1.30."""
    env.use_compatibility("1.30")
    yield
    env.use_compatibility("1.35")


def refused(expression: str, column: int, message: str) -> str:
    where = f"ERROR: <input>:1:{column + 1}: {message}\n | {expression}\n | {'.' * column}^"
    return f"Invalid value: {json.dumps(expression)}: compilation failed: {where}"


def undeclared(expression: str, name: str, column: int = 0) -> str:
    return refused(expression, column, f"undeclared reference to '{name}' (in container '')")


def policy_faults(name: str = "validatingadmissionpolicies", **spec: Any) -> list[str]:
    whole = (POLICY if name.startswith("validating") else MUTATING | {"mutations": [APPLY]}) | spec
    obj = {"metadata": {"name": "p"}, "spec": whole}
    return [str(fault) for fault in validate_create(resource("admissionregistration.k8s.io", "v1", name), obj)]


@pytest.mark.parametrize(
    ("use", "source", "fault"),
    [
        (CONDITION, "object.a == oldObject.a", ""),
        (CONDITION, "request.operation == 'CREATE' && request.userInfo.groups.exists(g, g == 'x')", ""),
        (CONDITION, "namespaceObject.metadata.name == ''", ""),
        (CONDITION, "authorizer.group('').resource('pods').check('get').allowed()", ""),
        (CONDITION, "authorizer.requestResource.check('get').allowed()", ""),
        (CONDITION, "1", 'Invalid value: "1": must evaluate to bool but got int'),
        (CONDITION, "object.a", 'Invalid value: "object.a": must evaluate to bool but got dyn'),
        (CONDITION, "null", 'Invalid value: "null": must evaluate to bool but got null_type'),
        (CONDITION, "params.a", undeclared("params.a", "params")),
        (CONDITION, "x", undeclared("x", "x")),
        (CONDITION, "request.x == 1", refused("request.x == 1", 7, "undefined field 'x'")),
        (CONDITION, "cel.bind(a, true, a)", undeclared("cel.bind(a, true, a)", "cel")),
        (MESSAGE, "'a' + object.name", ""),
        (MESSAGE, "1", 'Invalid value: "1": must evaluate to string but got int'),
        (MESSAGE, "authorizer.x", undeclared("authorizer.x", "authorizer")),
        (ANNOTATION, "'a'", ""),
        (ANNOTATION, "null", ""),
        (ANNOTATION, "1", 'Invalid value: "1": must evaluate to one of [string null_type] but got int'),
        (APPLY_CONFIGURATION, "Object{spec: Object.spec{a: 1}}", ""),
        (APPLY_CONFIGURATION, "{}", 'Invalid value: "{}": must evaluate to Object but got map(dyn, dyn)'),
        (JSON_PATCH, "[JSONPatch{op: 'add', path: '/' + jsonpatch.escapeKey('a/b'), value: 1}]", ""),
        (JSON_PATCH, "[]", 'Invalid value: "[]": must evaluate to list(JSONPatch) but got list(dyn)'),
    ],
)
def test_what_a_use_allows(use: Use, source: str, fault: str) -> None:
    found = Expressions(params=False, composed=False).validate(use, source, "x", stored=False)
    errors = [str(error) for error in found]
    if fault and "Invalid" in fault and "compilation" in fault:
        assert errors[0].startswith(f"x: {fault}")
    else:
        assert errors == ([f"x: {fault}"] if fault else [])


def test_there_are_parameters_only_with_a_kind() -> None:
    condition = {"validations": [{"expression": "params.a == 1", "messageExpression": "params.b"}]}
    faults = policy_faults(**condition)
    assert [fault.partition(": ")[0] for fault in faults] == [
        "spec.validations[0].expression",
        "spec.validations[0].messageExpression",
    ]
    typed = {"validations": [{"expression": "params.a == 1", "messageExpression": "string(params.b)"}]}
    assert (
        policy_faults(**typed, paramKind=PARAMS, matchConditions=[{"name": "a", "expression": "params.x == 1"}]) == []
    )


def test_later_expressions_know_the_types_of_variables() -> None:
    variables = [
        {"name": "n", "expression": "size(object.items)"},
        {"name": "names", "expression": "['a', 'b']"},
        {"name": "twice", "expression": "variables.n * 2"},
        {"name": "any", "expression": "object.x"},
    ]
    uses = "variables.twice < 4 && variables.names.all(x, x.startsWith('a')) && variables.any == 1"
    assert policy_faults(variables=variables, validations=[{"expression": uses}]) == []
    wrong = "variables.n == 'a'"
    faults = policy_faults(variables=variables, validations=[{"expression": wrong}])
    text = "found no matching overload for '_==_' applied to '(int, string)'"
    assert faults == [f"spec.validations[0].expression: {refused(wrong, 12, text)}"]


def test_a_variable_is_not_known_before_it_is_written_nor_to_match_conditions() -> None:
    variables = [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]
    assert policy_faults(variables=variables) == [
        f"spec.variables[0].expression: {refused('variables.b', 9, 'undefined field ' + repr('b'))}"
    ]
    condition = [{"name": "c", "expression": "variables.b == 1"}]
    assert policy_faults(variables=variables[1:], matchConditions=condition) == [
        f"spec.matchConditions[0].expression: {undeclared('variables.b == 1', 'variables')}"
    ]
    assert policy_faults(validations=[{"expression": "variables.b == 1"}]) == [
        f"spec.validations[0].expression: {undeclared('variables.b == 1', 'variables')}"
    ]


def test_a_variable_that_does_not_compile_is_of_any_type() -> None:
    variables = [{"name": "a", "expression": "nothing"}]
    validations = [{"expression": "variables.a == 1 && variables.a == 'x'"}]
    assert policy_faults(variables=variables, validations=validations) == [
        f"spec.variables[0].expression: {undeclared('nothing', 'nothing')}"
    ]


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        (INT, "int"),
        (ANY, "any"),
        (list_of(STRING), "list(string)"),
        (map_of(STRING, list_of(BOOL)), "map(string, list(bool))"),
        (struct("Object"), "dyn"),
        (list_of(opaque("net.IP")), "list(dyn)"),
        (None, "dyn"),
    ],
)
def test_what_is_kept_of_a_variables_type(result: Type | None, kept: str) -> None:
    assert str(variable("a", result).declared.type) == kept


def test_errors_of_conditions_patches_and_annotations_show_them_without_the_space_around() -> None:
    assert policy_faults(matchConditions=[{"name": "a", "expression": "  x "}]) == [
        f"spec.matchConditions[0].expression: {undeclared('x', 'x')}"
    ]
    assert policy_faults(validations=[{"expression": " x"}]) == [
        f"spec.validations[0].expression: {undeclared(' x', 'x', 1)}"
    ]
    (fault,) = policy_faults(auditAnnotations=[{"key": "k", "valueExpression": " x "}])
    assert fault.startswith('spec.auditAnnotations[0].valueExpression: Invalid value: " x ": compilation failed:')
    assert fault.endswith("\n | x\n | ^")
    patch = [{"patchType": "JSONPatch", "jsonPatch": {"expression": " 1 "}}]
    assert policy_faults("mutatingadmissionpolicies", mutations=patch) == [
        'spec.mutations[0].jsonPatch.expression: Invalid value: "1": must evaluate to list(JSONPatch) but got int'
    ]


def test_a_program_that_cannot_be_made_is_an_internal_error() -> None:
    (fault,) = policy_faults(validations=[{"expression": "timestamp('x') == timestamp('y') || 'a'.matches('(')"}])
    assert fault.startswith("spec.validations[0].expression: Invalid value: ")


def written(spec: Object) -> Object:
    return {"metadata": {"name": "p", "resourceVersion": "1"}, "spec": spec}


@pytest.mark.parametrize(
    ("name", "old", "new", "path"),
    [
        ("validating", {"validations": [{"expression": NEWER}]}, {"failurePolicy": "Ignore"}, ""),
        (
            "validating",
            {"validations": [{"expression": NEWER}]},
            {"validations": [{"expression": f"{NEWER} "}]},
            "spec.validations[0].expression",
        ),
        # a variable is stored if a validation has the same expression
        (
            "validating",
            {"validations": [{"expression": NEWER}]},
            {"variables": [{"name": "a", "expression": NEWER}]},
            "",
        ),
        (
            "validating",
            {"variables": [{"name": "a", "expression": NEWER}]},
            {"failurePolicy": "Ignore"},
            "spec.variables[0].expression",
        ),
        (
            "validating",
            {"validations": [{"expression": "true", "messageExpression": f"string({NEWER})"}]},
            {"failurePolicy": "Ignore"},
            "",
        ),
        (
            "validating",
            {"auditAnnotations": [{"key": "k", "valueExpression": f"string({NEWER})"}]},
            {"failurePolicy": "Ignore"},
            "",
        ),
        (
            "validating",
            {"matchConditions": [{"name": "a", "expression": NEWER}]},
            {"matchConditions": [{"name": "b", "expression": NEWER}]},
            "",
        ),
        (
            "mutating",
            {"mutations": [APPLY | {"applyConfiguration": {"expression": f"Object{{a: {NEWER}}}"}}]},
            {"failurePolicy": "Ignore"},
            "",
        ),
        (
            "mutating",
            {
                "mutations": [
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[JSONPatch{{op: 'add', value: {NEWER}}}]"}}
                ]
            },
            {"failurePolicy": "Ignore"},
            "spec.mutations[0].jsonPatch.expression",
        ),
    ],
)
@pytest.mark.usefixtures("old_servers")
def test_what_an_update_does_not_change_may_stay(name: str, old: Object, new: Object, path: str) -> None:
    info = resource("admissionregistration.k8s.io", "v1", f"{name}admissionpolicies")
    before = (POLICY if name == "validating" else MUTATING | {"mutations": [APPLY]}) | old
    assert validate_create(info, written(before)), "a new object may not have it"
    faults = validate_update(info, written(before | new), written(before))
    assert [str(fault).partition(": ")[0] for fault in faults] == ([path] if path else [])


@pytest.mark.usefixtures("old_servers")
def test_the_conditions_of_a_webhook_may_stay_and_move() -> None:
    info = resource("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
    hook = {
        "name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://h"},
    }  # fmt: skip
    conditions = [{"name": "a", "expression": NEWER}]
    old = {"metadata": {"name": "p", "resourceVersion": "1"}, "webhooks": [hook | {"matchConditions": conditions}]}
    moved = old | {"webhooks": [hook, hook | {"name": "d.e.f", "matchConditions": conditions}]}
    (fault,) = validate_create(info, moved)
    assert str(fault).startswith("webhooks[1].matchConditions[0].expression: Invalid value:")
    assert validate_update(info, moved, old) == []


# devices


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("device.driver == 'd'", ""),
        ("device.attributes['d'].a", ""),
        ("device.allowMultipleAllocations", ""),
        ("cel.bind(d, device.attributes['d'], d.a == 1 && d.b == 'x')", ""),
        ("device.capacity['d'].memory.compareTo(quantity('1Gi')) >= 0", ""),
        ("device.driver", 'Invalid value: "device.driver": must evaluate to bool or the unknown type, not string'),
        ("", refused("", 0, "mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false'")[:60]),
        ("device.x", refused("device.x", 6, "undefined field 'x'")),
        ("object.x", undeclared("object.x", "object")),
        (
            "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d,"
            " a == b && c == d))))",
            "Forbidden: too complex, exceeds cost limit",
        ),
    ],
)
def test_a_device_selector(source: str, fault: str) -> None:
    errors = [str(error) for error in validate_device_expression(source, "x", stored=False)]
    if fault.startswith("Invalid") and not source:
        assert errors[0].startswith(f"x: {fault[:40]}")
    else:
        assert errors == ([f"x: {fault}"] if fault else [])


def test_a_device_that_several_share_is_known_with_the_gate_alone() -> None:
    feature_gates.use({"DRAConsumableCapacity": False})
    try:
        (fault,) = validate_device_expression("device.allowMultipleAllocations", "x", stored=False)
        assert "undefined field 'allowMultipleAllocations'" in str(fault)
    finally:
        feature_gates.use({})


@pytest.mark.usefixtures("old_servers")
def test_selectors_of_a_class_that_stay_are_stored_ones() -> None:
    info = resource("resource.k8s.io", "v1", "deviceclasses")
    selectors = [{"cel": {"expression": NEWER}}, {"cel": {"expression": "true"}}]
    old = {"metadata": {"name": "c", "resourceVersion": "1"}, "spec": {"selectors": selectors}}
    assert validate_update(info, old, old) == []
    reordered = old | {"spec": {"selectors": selectors[::-1]}}
    (fault,) = validate_update(info, reordered, old)
    assert str(fault).startswith("spec.selectors[1].cel.expression: Invalid value:")
