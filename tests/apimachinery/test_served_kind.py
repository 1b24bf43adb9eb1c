"""Built-in kinds as handlers see them, and types that come and go."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from apiserver_workers.apimachinery import codec, protobuf
from apiserver_workers.apimachinery.apply.plan import owned_plan, plan, zero
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.resources import resource, stored_prefixes
from apiserver_workers.apimachinery.scale_paths import ScalePaths, selector_text
from apiserver_workers.apimachinery.served_kind import APPLY_PATCH, STRATEGIC_PATCH, ServedKind
from apiserver_workers.apimachinery.types import model

from tests.made_up import INT, TEXT, made_up

Object = dict[str, Any]
KINDS = BuiltinKinds(model())


def kind(group: str, version: str, name: str) -> ServedKind:
    info = resource(group, version, name)
    assert info is not None
    return KINDS.of(info)


PODS = ("", "v1", "pods")
EVENTS = ("events.k8s.io", "v1", "events")
SCALER = ("autoscaling", "v1", "horizontalpodautoscalers")
DEPLOYMENTS = ("apps", "v1", "deployments")


@pytest.mark.parametrize(
    ("names", "go_kind"),
    [
        (PODS, "core.Pod"),
        (EVENTS, "core.Event"),
        (DEPLOYMENTS, "apps.Deployment"),
        (("rbac.authorization.k8s.io", "v1", "roles"), "rbac.Role"),
    ],
)
def test_messages_name_a_kind_as_upstream_does(names: tuple[str, str, str], go_kind: str) -> None:
    assert kind(*names).go_kind == go_kind


def test_a_kind_is_made_once() -> None:
    assert kind(*PODS) is kind(*PODS) is KINDS.stored("", "pods")


def test_a_kind_that_is_stored_in_another_version_knows_that_one() -> None:
    scaler, events = kind(*SCALER), kind(*EVENTS)
    assert scaler.stored_kind is KINDS.stored("autoscaling", "horizontalpodautoscalers")
    assert events.stored_kind is KINDS.stored("", "events")
    assert (scaler.as_stored, kind(*PODS).as_stored) == (False, True)
    assert kind(*PODS).stored_kind is kind(*PODS)
    with pytest.raises(KeyError):
        KINDS.stored("events.k8s.io", "events")


@pytest.mark.parametrize(
    ("names", "subresources"),
    [
        (PODS, {"", "status"}),
        (("", "v1", "configmaps"), set()),
        (("certificates.k8s.io", "v1", "certificatesigningrequests"), {"", "status", "approval"}),
    ],
)
def test_fields_are_reset_by_subresource(names: tuple[str, str, str], subresources: set[str]) -> None:
    assert kind(*names).resets.keys() == subresources


def test_bodies_of_subresources_are_kinds_of_their_own() -> None:
    found = {name: body.gvk for name, body in kind(*PODS).bodies.items()}
    assert found["eviction"] == ("policy", "v1", "Eviction")
    assert found["binding"] == ("", "v1", "Binding")
    assert "status" not in found
    scale = kind(*DEPLOYMENTS).bodies["scale"]
    assert (scale.gvk, scale.go_kind) == (("autoscaling", "v1", "Scale"), "autoscaling.Scale")
    assert [column["name"] for column in scale.columns] == ["Name", "Desired", "Available", "Age"]


def test_a_stored_object_goes_outward_and_back() -> None:
    scaler = kind(*SCALER)
    spec = {
        "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 5,
    }
    obj = scaler.head({"metadata": {"name": "a"}, "spec": spec})

    async def scenario() -> None:
        stored = await scaler.inward(obj)
        assert stored["apiVersion"] == "autoscaling/v2"
        assert stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 5
        assert (await scaler.outward(stored))["spec"] == spec
        pods = kind(*PODS)
        assert await pods.outward(obj) is obj
        assert await pods.inward(obj) is obj

    asyncio.run(scenario())


def test_managers_are_compared_in_the_versions_that_there_are() -> None:
    conversion = kind(*SCALER).conversion
    assert conversion is not None
    assert conversion.now is not None
    assert kind(*PODS).conversion is None
    assert conversion.type_of("autoscaling/v1") is kind(*SCALER).type
    assert conversion.type_of("autoscaling/v9") is None
    assert conversion.now({"apiVersion": "autoscaling/v2"}, "autoscaling/v9") is None


def test_decoding_defaults_and_validation_are_the_kinds_own() -> None:
    pods = kind(*PODS)

    async def scenario() -> None:
        body = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"A"},"spec":{"containers":[]},"x":1}'
        obj, warnings = await pods.decode(body, "application/json", "Warn")
        assert warnings == ['unknown field "x"']
        assert pods.default(obj) is None, "built-in kinds never wait"
        assert obj["spec"]["restartPolicy"] == "Always"
        faults = pods.validate_create(obj)
        assert isinstance(faults, list)
        assert {fault.field for fault in faults} >= {"metadata.name", "spec.containers"}
        patched, strict = await pods.from_document({"metadata": {"name": "a"}, "y": 1})
        assert (patched["metadata"]["name"], strict) == ("a", ['unknown field "y"'])

    asyncio.run(scenario())


def test_every_built_in_kind_takes_every_patch() -> None:
    assert {STRATEGIC_PATCH, APPLY_PATCH} < set(kind(*PODS).patch_types)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, ""),
        ({"a": "b", "c": "d"}, "a=b,c=d"),
        ("a=b", "a=b"),
        ({"matchLabels": {"z": "1"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a,z=1"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["y", "x"]}]}, "a notin (x,y)"),
    ],
)
def test_selectors_are_text_in_a_scale(selector: Any, text: str) -> None:
    assert selector_text(selector) == text


def test_replicas_may_lie_anywhere() -> None:
    paths = ScalePaths(("spec", "deep", "wanted"), ("status", "there"), ("status", "text"))
    obj: Object = {"metadata": {"name": "a", "labels": {}}, "status": {"there": 2, "text": "x=y"}, "spec": {"kept": 1}}
    assert paths.read(obj) == {
        "metadata": {"name": "a"},
        "spec": {"replicas": 0},
        "status": {"replicas": 2, "selector": "x=y"},
    }
    written = paths.write(obj, 3)
    assert written["spec"] == {"kept": 1, "deep": {"wanted": 3}}
    assert obj["spec"] == {"kept": 1}
    assert paths.owned == ("f:spec", "f:deep", "f:wanted")


def test_types_of_an_extended_model_do_not_reach_the_one_below() -> None:
    first, second = made_up("a.example.com", size=INT), made_up("a.example.org", size=TEXT)
    assert first.model.find("a.example.com", "v1", "Widget") is first.type
    assert second.model.find("a.example.com", "v1", "Widget") is None
    assert model().find("a.example.com", "v1", "Widget") is None
    assert first.model.find("", "v1", "Pod") is model().find("", "v1", "Pod"), "the kinds below are there too"
    assert first.type.name == "com.example.a.v1.Widget"
    assert (first.type.go_name, first.json_only) == ("v1.Widget", True)


def test_what_is_compiled_of_a_type_goes_with_it() -> None:
    made = made_up("gone.example.com")
    obj = codec.normalise(made.type, {"metadata": {"name": "a"}, "spec": {"size": 1}})
    protobuf.decode_message(made.type, protobuf.encode_message(made.type, obj))
    assert plan(made.type) is plan(made.type)
    assert (owned_plan(made.type), zero(made.type)) is not None
    alive = weakref.ref(made.model)
    del made, obj
    gc.collect()
    assert alive() is None


def test_what_a_server_stores_lies_below_known_folders() -> None:
    core = stored_prefixes(server="core")
    assert {"pods", "services/specs", "minions"} <= set(core)
    assert stored_prefixes(server="extensions") == ["apiextensions.k8s.io/customresourcedefinitions"]
    assert set(core) < set(stored_prefixes())
    assert "tokenreviews" not in stored_prefixes()
