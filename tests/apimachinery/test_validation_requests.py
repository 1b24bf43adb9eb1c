"""Updates of certificate signing requests: who may decide, who may sign, and what stays."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.validation.objects import validate_update

INFO = resource("certificates.k8s.io", "v1", "certificatesigningrequests")
APPROVED, DENIED, FAILED = ({"type": kind, "status": "True"} for kind in ("Approved", "Denied", "Failed"))
NOT_PEM = base64.b64encode(b"x").decode()


def request(*conditions: Any, certificate: str = "", **metadata: Any) -> dict[str, Any]:
    status = {"conditions": list(conditions)} | ({"certificate": certificate} if certificate else {})
    return {"metadata": {"name": "r", "resourceVersion": "1", **metadata}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("subresource", "old", "new", "faults"),
    [
        ("approval", request(), request(APPROVED), []),
        ("status", request(), request(FAILED), []),
        (
            "status",
            request(),
            request(APPROVED),
            ['status.conditions: Forbidden: updates may not add a condition of type "Approved"'],
        ),
        (
            "approval",
            request(APPROVED),
            request(),
            ['status.conditions: Forbidden: updates may not remove a condition of type "Approved"'],
        ),
        (
            "approval",
            request(APPROVED),
            request(APPROVED, DENIED),
            ['status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'],
        ),
        ("approval", request(APPROVED, DENIED), request(APPROVED, DENIED), []),
        (
            "approval",
            request(),
            request({"type": "", "status": ""}, {"type": "Approved", "status": "False"}),
            [
                "status.conditions[0].type: Required value",
                "status.conditions[0].status: Required value",
                'status.conditions[1].status: Unsupported value: "False": supported values: "True"',
            ],
        ),
        ("status", request({"type": "", "status": "True"}), request({"type": "", "status": "True"}), []),
        ("status", request(FAILED), request(FAILED, FAILED), ['status.conditions[1].type: Duplicate value: "Failed"']),
        (
            "status",
            request(),
            request(certificate=NOT_PEM),
            [
                'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM'
                " block"
            ],
        ),
        (
            "approval",
            request(certificate=NOT_PEM),
            request(),
            ["status.certificate: Forbidden: updates may not set certificate content"],
        ),
        (
            "status",
            request(certificate=NOT_PEM),
            request(),
            ["status.certificate: Forbidden: updates may not modify existing certificate content"],
        ),
    ],
)
def test_an_update_of_a_signing_request(subresource: str, old: Any, new: Any, faults: list[str]) -> None:
    assert [str(error) for error in validate_update(INFO, new, old, subresource)] == faults


@pytest.mark.parametrize("subresource", ["", "approval", "status"])
def test_metadata_is_looked_at_before_and_after(subresource: str) -> None:
    conditions = [{"type": "T", "status": "x"}]
    found = validate_update(INFO, request(*conditions, labels={"a": "-"}), request(*conditions), subresource)
    labels = "metadata.labels"
    assert [error.field for error in found] == [labels, labels, labels, "status.conditions[0].status", labels]
