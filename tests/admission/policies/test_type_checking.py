"""Warnings in the status of validating policies: expressions that do not fit the kinds that the rules name."""

from __future__ import annotations

import time

import pytest
from apiserver_workers.admission.policies.type_checking import (
    checked_kinds,
    expression_warnings,
    needs_check,
    schema_of_type,
    status_of,
)
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.resources import builtin_resources

DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]}


def kinds_of(group, version, resource):
    info = builtin_resources().get((group, version, resource))
    return [] if info is None else [(info.group, info.version, info.kind)]


def schema_of(gvk):
    found = types.model().find(*gvk)
    return None if found is None else schema_of_type(found)


def policy(*validations, rules=(DEPLOYMENTS,), **spec):
    made = [{"expression": one} if isinstance(one, str) else one for one in validations]
    return {
        "metadata": {"name": "p", "generation": 2},
        "spec": {"matchConstraints": {"resourceRules": list(rules)}, "validations": made, **spec},
    }


def warnings(*validations, **spec):
    return expression_warnings(policy(*validations, **spec), kinds_of, schema_of)


@pytest.mark.parametrize(
    "source",
    [
        "object.spec.replicas > 1",
        "object.metadata.labels['a'] == 'b' && oldObject.spec.replicas == 1",
        "object.spec.template.spec.containers.all(c, c.image.startsWith('a'))",
        "object.spec.strategy.rollingUpdate.maxSurge == '10%' || object.spec.strategy.rollingUpdate.maxSurge == 1",
        "object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')",
        "request.userInfo.username == 'a' && namespaceObject.metadata.name == 'b'",
        "authorizer.group('').resource('pods').check('get').allowed()",
    ],
)
def test_what_fits_is_not_warned_of(source):
    assert warnings(source) == []


def test_a_field_that_is_not_there_is_shown_where_it_is_asked_for():
    assert warnings("object.spec.replicas > 0", "object.spec.none") == [
        {
            "fieldRef": "spec.validations[1].expression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'none'\n"
            " | object.spec.none\n"
            " | ...........^\n",
        }
    ]


def test_wrong_types_and_messages():
    (first, second) = warnings(
        {"expression": "object.spec.replicas > '1'", "messageExpression": "object.spec.none"},
    )
    assert first["fieldRef"] == "spec.validations[0].expression"
    assert "found no matching overload for '_>_' applied to '(int, string)'" in first["warning"]
    assert second["fieldRef"] == "spec.validations[0].messageExpression"


def test_every_kind_of_the_rules_is_checked():
    rules = [{**DEPLOYMENTS, "resources": ["statefulsets", "deployments", "deployments/scale", "none"]}]
    (one,) = warnings("object.spec.serviceName == ''", rules=rules)
    assert one["warning"].startswith("apps/v1, Kind=Deployment: ERROR")
    assert "StatefulSet" not in one["warning"]


def test_variables_and_parameters_have_types():
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    variables = [{"name": "n", "expression": "object.spec.replicas"}]
    assert warnings("variables.n <= int(params.data['max'])", paramKind=kind, variables=variables) == []
    (one,) = warnings("variables.n <= params.none", paramKind=kind, variables=variables)
    assert "undefined field 'none'" in one["warning"]
    unknown = {"apiVersion": "x.io/v1", "kind": "None"}
    assert warnings("variables.n <= params.none", paramKind=unknown, variables=variables) == []


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        (DEPLOYMENTS, [("apps", "v1", "Deployment")]),
        ({**DEPLOYMENTS, "apiGroups": ["apps", "*"]}, []),
        ({**DEPLOYMENTS, "apiVersions": ["*"]}, []),
        ({**DEPLOYMENTS, "resources": ["*", "replicasets", "deployments/*"]}, [("apps", "v1", "ReplicaSet")]),
        ({**DEPLOYMENTS, "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]},
         [("", "v1", "Pod"), ("apps", "v1", "Deployment")]),
    ],
)  # fmt: skip
def test_the_kinds_that_are_checked(rule, kinds):
    assert checked_kinds({"matchConstraints": {"resourceRules": [rule]}}, kinds_of) == kinds


def test_at_most_ten_kinds_are_checked():
    rule = {"apiGroups": ["a"], "apiVersions": ["v1"], "resources": [f"r{number}" for number in range(20)]}
    spec = {"matchConstraints": {"resourceRules": [rule]}}
    assert len(checked_kinds(spec, lambda group, version, resource: [(group, version, resource)])) == 10


def test_the_status_tells_of_a_generation():
    made = policy("true")
    assert needs_check(made)
    assert status_of(made, []) == {"observedGeneration": 2, "typeChecking": {}}
    warning = {"fieldRef": "f", "warning": "w"}
    assert status_of(made, [warning])["typeChecking"] == {"expressionWarnings": [warning]}
    assert not needs_check({**made, "status": {"observedGeneration": 2}})


def test_a_type_that_contains_itself_has_an_end():
    began = time.process_time()
    schema = schema_of_type(types.model().kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"))
    assert schema["properties"]["spec"]["properties"]["group"] == {"type": "string"}
    assert time.process_time() - began < 2
