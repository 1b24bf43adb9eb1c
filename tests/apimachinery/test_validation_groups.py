"""Validation of the smaller groups: faults come all at once, in order, with their paths."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.validation.admission_policies import validate_validating_policy
from apiserver_workers.apimachinery.validation.autoscaling import validate_autoscaler
from apiserver_workers.apimachinery.validation.certificates import validate_signer_name, validate_signing_request
from apiserver_workers.apimachinery.validation.flow_control import validate_flow_schema, validate_priority_level
from apiserver_workers.apimachinery.validation.webhooks import (
    validate_webhook_service,
    validate_webhook_url,
    validate_webhooks,
)


def faults(errors: list[Any]) -> list[str]:
    return [str(error) for error in errors]


def autoscaler(**spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    return {"metadata": {"name": "a"}, "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2, **spec}}


def test_an_autoscaler_that_is_fine_has_no_faults() -> None:
    target = {"type": "Utilization", "averageUtilization": 50}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    assert validate_autoscaler(autoscaler(metrics=[metric])) == []


def test_an_autoscaler_without_room_is_told_twice() -> None:
    assert faults(validate_autoscaler(autoscaler(maxReplicas=0))) == [
        "spec.maxReplicas: Required value: must be set and greater than 0",
        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
    ]


def test_a_metric_has_the_source_of_its_type_and_no_other() -> None:
    target = {"type": "Value", "value": "1"}
    metric = {"type": "Pods", "external": {"metric": {"name": "m"}, "target": target}, "resource": {}}
    assert faults(validate_autoscaler(autoscaler(metrics=[metric]))) == [
        "spec.metrics[0].pods: Required value: must populate information for the given metric source",
        "spec.metrics[0].external: Forbidden: must populate the given metric source only",
        "spec.metrics[0].resource: Forbidden: must populate the given metric source only",
    ]


@pytest.mark.parametrize(
    ("signer", "fault"),
    [
        ("example.com/signer", ""),
        ("plain", "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        ("local/signer", "should be a domain with at least two segments separated by dots"),
    ],
)
def test_a_signer_is_a_domain_and_a_path(signer: str, fault: str) -> None:
    found = faults(validate_signer_name(signer, "spec.signerName"))
    assert [text.rsplit(": ", 1)[1] for text in found] == ([fault] if fault else [])


def test_a_signing_request_is_pem() -> None:
    spec = {"request": "eA==", "signerName": "example.com/s", "usages": ["any", "any"], "expirationSeconds": 10}
    assert faults(validate_signing_request({"metadata": {}, "spec": spec})) == [
        'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST',
        'spec.usages[1]: Duplicate value: "any"',
        "spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 600 seconds (10 minutes)",
    ]


def test_a_flow_schema_names_its_level_and_its_subjects() -> None:
    rule = {
        "subjects": [{"kind": "User", "group": {"name": "g"}}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["a"]}],
    }
    schema = {"metadata": {"name": "s"}, "spec": {"matchingPrecedence": 1, "rules": [rule]}}
    assert faults(validate_flow_schema(schema)) == [
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
        "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
        "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
        "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "a": must start with slash',
    ]


def test_a_hand_is_no_larger_than_the_hash_can_deal() -> None:
    queuing = {"queueLengthLimit": 50, "queues": 1024, "handSize": 8}
    limited = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Queue", "queuing": queuing}}
    level = {"metadata": {"name": "l"}, "spec": {"type": "Limited", "limited": limited}}
    assert [error.field for error in validate_priority_level(level)] == ["spec.limited.limitResponse.queuing.handSize"]
    queuing["handSize"] = 5
    assert validate_priority_level(level) == []


def test_a_webhook_is_reached_over_https() -> None:
    assert validate_webhook_url("https://example.com/x", "url") == []
    assert len(validate_webhook_url("http://a:b@/x?q=1#f", "url")) == 5
    service = {"name": "s", "namespace": "n", "port": 443, "path": "/a//B"}
    assert [error.field for error in validate_webhook_service(service, "service")] == ["service.path"] * 2


def test_a_webhook_without_anything() -> None:
    found = validate_webhooks({"metadata": {}, "webhooks": [{}]})
    fields = ["name", "sideEffects", "clientConfig", "admissionReviewVersions"]
    assert [(error.field, error.reason) for error in found] == [
        (f"webhooks[0].{field}", "FieldValueRequired") for field in fields
    ]


def test_a_policy_has_something_to_do() -> None:
    policy = {"metadata": {"name": "p"}, "spec": {"failurePolicy": "Fail", "paramKind": {"apiVersion": "v1"}}}
    assert [error.field for error in validate_validating_policy(policy)] == [
        "spec.paramKind.kind",
        "spec.matchConstraints",
        "spec.validations",
        "spec.auditAnnotations",
    ]
