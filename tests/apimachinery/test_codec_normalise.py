"""What Go keeps and what it forgets of an object."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.types import model

from tests.kinds import kinds


def normalised(kind: tuple[str, str, str], obj: dict[str, Any]) -> dict[str, Any]:
    return codec.normalise(model().kind(*kind), obj)


def test_nulls_and_empty_values_vanish() -> None:
    obj = {
        "metadata": {"name": "x", "namespace": "", "labels": {}, "annotations": None},
        "data": {},
        "binaryData": None,
    }
    assert normalised(("", "v1", "ConfigMap"), obj) == {"metadata": {"name": "x"}}


def test_an_explicit_zero_of_a_pointer_stays() -> None:
    spec = {"replicas": 0, "paused": False, "minReadySeconds": 0, "revisionHistoryLimit": 0}
    out = normalised(("apps", "v1", "Deployment"), {"spec": spec})["spec"]
    assert (out["replicas"], out["revisionHistoryLimit"]) == (0, 0)
    assert "paused" not in out and "minReadySeconds" not in out


def test_structs_and_fields_without_omitempty_are_always_written() -> None:
    assert normalised(("apps", "v1", "Deployment"), {}) == {
        "metadata": {},
        "spec": {
            "selector": None,
            "template": {"metadata": {}, "spec": {"containers": None}},
            "strategy": {},
        },
        "status": {},
    }
    assert normalised(("", "v1", "Service"), {"spec": {"ports": [{"port": 80}]}}) == {
        "metadata": {},
        "spec": {"ports": [{"port": 80, "targetPort": 0}]},
        "status": {"loadBalancer": {}},
    }


def test_a_kinds_own_list_without_omitempty_is_null_unless_it_was_given_empty() -> None:
    role = ("rbac.authorization.k8s.io", "v1", "Role")
    assert normalised(role, {})["rules"] is None
    assert normalised(role, {"rules": []})["rules"] == []  # somebody set it; storage makes it null


def test_a_pointer_without_omitempty_is_null() -> None:
    backend = {"resource": {"kind": "Bucket", "name": "b"}}
    out = normalised(("networking.k8s.io", "v1", "Ingress"), {"spec": {"defaultBackend": backend}})
    assert out["spec"]["defaultBackend"]["resource"] == {"apiGroup": None, "kind": "Bucket", "name": "b"}


def test_times_of_structs_are_null_and_creation_is_absent() -> None:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T01:00:00+01:00"}
    pod = normalised(
        ("", "v1", "Pod"), {"metadata": {"creationTimestamp": None}, "status": {"conditions": [condition]}}
    )
    assert pod["metadata"] == {}
    assert pod["status"]["conditions"] == [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "lastProbeTime": None}
    ]


def test_values_become_canonical() -> None:
    container = {
        "name": "c",
        "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
        "ports": [{"containerPort": 1}],
    }
    pod = normalised(("", "v1", "Pod"), {"spec": {"containers": [container]}})
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m", "memory": "1Gi"}}
    secret = normalised(("", "v1", "Secret"), {"data": {"a": "YWJj\nZA==", "b": "YWI=", "c": ""}})
    assert secret["data"] == {"a": "YWJjZA==", "b": "YWI=", "c": ""}


def test_null_elements_become_zero_values() -> None:
    assert normalised(("", "v1", "ConfigMap"), {"data": {"a": None}})["data"] == {"a": ""}
    pod = normalised(("", "v1", "Pod"), {"metadata": {"finalizers": [None]}, "spec": {"containers": [None]}})
    assert pod["metadata"]["finalizers"] == [""]
    assert pod["spec"]["containers"] == [{"name": "", "resources": {}}]


def test_raw_values_stay_as_they_are() -> None:
    data = {"a": None, "b": [], "c": {"d": 0}}
    assert normalised(("apps", "v1", "ControllerRevision"), {"data": data, "revision": 1})["data"] == data
    assert normalised(("apps", "v1", "ControllerRevision"), {"revision": 1})["data"] is None


def test_schemas_keep_their_alternatives() -> None:
    schema = {
        "type": "object",
        "nullable": False,
        "additionalProperties": False,
        "default": {"a": None},
        "minLength": 0,
        "properties": {"a": {"items": {"type": "string", "title": ""}, "additionalProperties": {"type": "string"}}},
    }
    crd = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}}
    out = normalised(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), crd)
    assert out["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "additionalProperties": False,
        "default": {"a": None},
        "minLength": 0,
        "properties": {"a": {"items": {"type": "string"}, "additionalProperties": {"type": "string"}}},
    }


def test_normalising_does_not_change_its_input() -> None:
    obj = {"spec": {"containers": [{"name": "c", "tty": False, "resources": {"limits": {"cpu": "1.5"}}}]}}
    before = json.dumps(obj)
    normalised(("", "v1", "Pod"), obj)
    assert json.dumps(obj) == before


def test_normalising_twice_changes_nothing() -> None:
    for name, filled in kinds().items():
        assert normalised(filled.gvk, filled.object) == filled.object, name


@pytest.mark.skipif("APISERVER_GOLDEN" not in os.environ, reason="no folder of recorded answers given")
def test_recorded_objects_are_already_normal() -> None:
    """Whole objects that a real server wrote: kind, apiVersion and metadata with a uid, as answers of a create."""
    wrong = []
    for path in Path(os.environ["APISERVER_GOLDEN"]).glob("*.json"):
        for name, step in json.loads(path.read_text())["steps"].items():
            text = json.dumps(step.get("body")).replace("<time>", "2020-01-01T00:00:00Z")
            body = json.loads(text.replace("<microtime>", "2020-01-01T00:00:00.000000Z"))
            if step.get("status") != 201 or not isinstance(body, dict) or "uid" not in body.get("metadata", {}):
                continue
            group, _, version = body["apiVersion"].rpartition("/")
            type = model().find(group, version, body["kind"]) if body["kind"] != "TokenRequest" else None
            if type is None or "<port" in text or ("spec" in type.fields and "spec" not in body):
                continue
            if codec.normalise(type, body) != body:
                wrong.append((path.name, name))
    assert wrong == []
