"""What Go's converter from unstructured content says of documents that are no objects."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.types import model
from apiserver_workers.apimachinery.unstructured import restore_fault

POD = model().kind("", "v1", "Pod")
SECRET = model().kind("", "v1", "Secret")


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"metadata": {"labels": "invalid"}}, "cannot restore map from string"),
        ({"metadata": {"labels": ["x"]}}, "cannot restore map from slice"),
        ({"metadata": {"labels": {"a": 1}}}, "cannot convert int64 to string"),
        ({"metadata": {"labels": {"a": True}}}, "unrecognized type: string"),
        ({"metadata": "x"}, "cannot restore struct from: string"),
        ({"spec": {"containers": "x"}}, "cannot restore slice from string"),
        ({"spec": {"containers": {"name": "x"}}}, "cannot restore slice from map"),
        ({"spec": {"containers": ["x"]}}, "cannot restore struct from: string"),
        ({"spec": {"containers": [{"args": [1.5]}]}}, "unrecognized type: string"),
        ({"spec": {"activeDeadlineSeconds": "5"}}, "unrecognized type: int64"),
        ({"spec": {"activeDeadlineSeconds": 1.5}}, "cannot convert float64 to int64"),
        ({"spec": {"activeDeadlineSeconds": 5.0}}, ""),
        ({"spec": {"priority": True}}, "unrecognized type: int32"),
        ({"spec": {"hostNetwork": "true"}}, "unrecognized type: bool"),
        ({"spec": {"hostNetwork": 1}}, "unrecognized type: bool"),
        ({"metadata": {"creationTimestamp": 5}}, "json: cannot unmarshal number into Go value of type string"),
        ({"metadata": {"creationTimestamp": None}}, ""),
        (
            {"spec": {"containers": [{"ports": [], "livenessProbe": {"httpGet": {"port": {}}}}]}},
            "json: cannot unmarshal object into Go value of type int32",
        ),
        ({"metadata": {"labels": {"a": "b"}}, "unknown": 1}, ""),
        ({"spec": {"containers": [None, {"name": "c"}]}}, ""),
        # the first in the order of the type
        ({"spec": {"containers": 1, "volumes": 1}, "metadata": {"labels": 1}}, "cannot restore map from int64"),
    ],
)
def test_the_first_fault_in_the_order_of_the_type(document: Any, fault: str) -> None:
    assert restore_fault(POD, document) == fault


def test_quantities_and_bytes_are_parsed() -> None:
    requests = {"spec": {"containers": [{"resources": {"requests": {"cpu": "x"}}}]}}
    assert restore_fault(POD, requests).startswith("quantities must match the regular expression")
    assert (
        restore_fault(SECRET, {"data": {"a": "!"}}) == "error decoding from json: illegal base64 data at input byte 0"
    )
    assert restore_fault(SECRET, {"data": {"a": {}}}) == "cannot restore slice from map"
    assert restore_fault(SECRET, {"data": {"a": "YQ=="}}) == ""
