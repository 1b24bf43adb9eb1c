"""Messages of decoding name Go's types: named strings and lists, embedded structs, bytes as lists of numbers."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.apply.plan import plan
from apiserver_workers.apimachinery.apply.typed import TypedError, check
from apiserver_workers.apimachinery.codec.explain import explain
from apiserver_workers.apimachinery.defaults.images import pull_policy
from apiserver_workers.apimachinery.types import Type, model
from apiserver_workers.apimachinery.unstructured import wrapped

MISMATCH = "json: cannot unmarshal {} into Go struct field {} of type {}"


def type_of(kind: str, group: str = "") -> Type:
    return model().kind(group, "v1", kind)


@pytest.mark.parametrize(
    ("kind", "value", "what"),
    [
        ("Secret", {"type": []}, ("array", "Secret.type", "v1.SecretType")),
        ("Secret", {"data": {"a": ["b"]}}, ("string", "Secret.data", "uint8")),
        ("Secret", {"data": {"a": [256]}}, ("number 256", "Secret.data", "uint8")),
        ("Namespace", {"spec": {"finalizers": 1}}, ("number", "NamespaceSpec.spec.finalizers", "[]v1.FinalizerName")),
        ("Namespace", {"spec": {"finalizers": [1]}}, ("number", "NamespaceSpec.spec.finalizers", "v1.FinalizerName")),
        ("Namespace", {"metadata": {"uid": 1}}, ("number", "ObjectMeta.metadata.uid", "types.UID")),
        (
            "PersistentVolume",
            {"spec": {"hostPath": 1}},
            ("number", "PersistentVolumeSpec.spec.PersistentVolumeSource.hostPath", "v1.HostPathVolumeSource"),
        ),
        (
            "PersistentVolume",
            {"spec": {"iscsi": {"lun": -(2**31) - 1}}},
            (
                "number -2147483649",
                "ISCSIPersistentVolumeSource.spec.PersistentVolumeSource.iscsi.lun",
                "int32",
            ),
        ),
    ],
)
def test_a_mismatch(kind: str, value: Any, what: tuple[str, str, str]) -> None:
    assert explain(type_of(kind), value).error == MISMATCH.format(*what)


def test_bytes_may_be_a_list_of_numbers() -> None:
    obj, strict = codec.from_json(type_of("Secret"), {"data": {"a": [1, 1, None]}})
    assert (obj["data"], strict) == ({"a": "AQEA"}, [])


def test_faults_of_patched_values_are_found_in_the_order_of_their_keys() -> None:
    deployment = {"spec": {"replicas": 2**40, "minReadySeconds": -(2**40)}, "zzz": 1, "aaa": 1}
    with pytest.raises(codec.DecodeError, match="minReadySeconds"):
        codec.from_json(type_of("Deployment", "apps"), deployment)
    unknown = {"spec": {"x": 1}, "a": 1}
    assert codec.from_json(type_of("Deployment", "apps"), unknown)[1] == [
        'unknown field "a"',
        'unknown field "spec.x"',
    ]


def test_integers_are_cut_to_the_size_of_their_fields() -> None:
    job = {"spec": {"parallelism": 10**12, "activeDeadlineSeconds": 10**12, "template": {"spec": {"priority": 2**31}}}}
    assert wrapped(type_of("Job", "batch"), job)["spec"] == {
        "parallelism": -727379968,
        "activeDeadlineSeconds": 10**12,
        "template": {"spec": {"priority": -(2**31)}},
    }


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ([{"type": "Pod", "default": [1]}], ".spec.limits[0].default: expected map, got &{[1]}"),
        ([{"type": "Pod", "max": {"cpu": "1"}}], ""),
        (["a"], ".spec.limits[0]: expected map, got &{a}"),
    ],
)
def test_what_is_owned_as_a_whole_is_checked_inside(limits: Any, message: str) -> None:
    node = plan(type_of("LimitRange"))
    if message:
        with pytest.raises(TypedError) as caught:
            check(node, {"spec": {"limits": limits}})
        assert str(caught.value) == message
    else:
        check(node, {"spec": {"limits": limits}})


def test_keys_that_may_be_left_out_have_no_default() -> None:
    fields = plan(type_of("ServiceAccount")).fields
    assert fields["secrets"][1].keys == (("name", None),)
    pod = plan(type_of("Pod")).fields["spec"][1].fields
    assert pod["imagePullSecrets"][1].keys == (("name", ""),)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("i", "Always"),
        ("x" * 247, "Always"),
        ("x" * 248, "IfNotPresent"),
        ("example.com/" + "x" * 255, "Always"),
        ("example.com/" + "x" * 256, "IfNotPresent"),
    ],
)
def test_an_image_whose_path_is_too_long_is_no_reference(image: str, policy: str) -> None:
    assert pull_policy(image) == policy
