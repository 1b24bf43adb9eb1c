"""How objects lie in etcd: what is written, what can be read, what is out of date."""

import json

import orjson
import pytest
import yaml
from apiserver_workers.apimachinery import codec, protobuf, types
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.storage import serializer
from apiserver_workers.storage.entry import StoredEntry
from apiserver_workers.storage.formats import Formats, Unreadable
from apiserver_workers.storage.serializer import JSON, MEDIA_TYPES, PROTOBUF, YAML

from tests.kinds import kinds

DEPLOYMENT = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "metadata": {"name": "web", "namespace": "d", "uid": "u-1", "creationTimestamp": "2026-01-02T03:04:05Z"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"a": "y"}},
        "template": {
            "metadata": {"labels": {"a": "y"}},
            "spec": {"containers": [{"name": "c", "image": "nginx", "resources": {"limits": {"cpu": "100m"}}}]},
        },
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
    },
    "status": {},
}
KEY = "/registry/deployments/d/web"
AUTOSCALER = {
    "kind": "HorizontalPodAutoscaler",
    "apiVersion": "autoscaling/v2",
    "metadata": {"name": "a", "namespace": "d", "uid": "u-2"},
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
        "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
    },
    "status": {"desiredReplicas": 0},
}  # fmt: skip
AUTOSCALER_KEY = "/registry/horizontalpodautoscalers/d/a"
MODEL_1_30 = types.model("1.30")
HEADS = {JSON: b'{"kind":"Deployment"', YAML: b"apiVersion: apps/v1\n", PROTOBUF: b"k8s\x00\n\x15\n\x07apps/v1"}


def normal(obj: dict) -> bytes:
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = types.model().kind(group, version, obj["kind"])
    return codec.encode({"kind": obj["kind"], "apiVersion": obj["apiVersion"], **codec.normalise(kind, obj)})


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@pytest.mark.parametrize("other", MEDIA_TYPES)
def test_what_is_written_in_any_form_is_read_by_whoever_writes_another(media_type, other):
    value = normal(DEPLOYMENT)
    stored = Formats(media_type=media_type).write(KEY, value)
    assert stored.startswith(HEADS[media_type])
    reader = Formats(media_type=other)
    entry = reader.entry(KEY, stored, 7)
    assert orjson.loads(entry.value) == orjson.loads(value)
    assert entry.obj["metadata"]["resourceVersion"] == "7"
    assert b'"resourceVersion":"7"' in entry.body
    assert reader.stale(entry) == (media_type != other)
    assert entry.size == len(stored)
    later = entry.at(9)
    assert (later.obj["metadata"]["resourceVersion"], later.size, later.value) == ("9", entry.size, entry.value)


STORED = {
    (info.group, info.version, info.kind): info
    for info in builtin_resources().values()
    if info.stored_as == (info.group, info.version) and "update" in info.verbs
}


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@pytest.mark.parametrize("name", [name for name, filled in kinds().items() if filled.gvk in STORED])
def test_every_kind_comes_back_whole(name, media_type):
    filled = kinds()[name]
    info = STORED[filled.gvk]
    value = normal(filled.object)
    key = f"/registry/{info.storage_prefix}/namespace/name"
    stored = Formats(media_type=media_type).write(key, value)
    entry = Formats(media_type=media_type).entry(key, stored, 1)
    assert orjson.loads(entry.value) == orjson.loads(value)
    assert not Formats(media_type=media_type).stale(entry)


def test_strings_that_look_like_something_else_survive_yaml():
    words = [
        "y",
        "No",
        "null",
        "~",
        "1",
        "0x1f",
        "1_000",
        "1:30",
        "2026-01-02",
        ".5",
        "",
        " a",
        "a: b",
        "#",
        "é\n",
        "-",
    ]
    value = normal(
        {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": "a"},
            "data": dict(zip("abcdefghijklmnop", words, strict=True)),
        }
    )
    formats = Formats(media_type=YAML)
    stored = formats.write("/registry/configmaps/d/a", value)
    assert yaml.safe_load(stored) == orjson.loads(value)
    assert Formats().entry("/registry/configmaps/d/a", stored, 1).value == value


def test_custom_resources_definitions_and_api_services_are_json_whatever_is_asked_for():
    formats = Formats(media_type=PROTOBUF)
    for key, value in (
        ("/registry/example.com/widgets/d/a", b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"}}'),
        ("/registry/apiregistration.k8s.io/apiservices/v1.", b'{"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1","metadata":{"name":"v1."}}'),
        ("/registry/apiextensions.k8s.io/customresourcedefinitions/a.b", b'{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"a.b"}}'),
    ):  # fmt: skip
        assert formats.write(key, value) == value
        entry = formats.entry(key, value, 3)
        assert entry.value == value
        assert not formats.stale(entry)


def test_ones_own_write_is_not_decoded_again(monkeypatch):
    formats = Formats(media_type=PROTOBUF)
    value = normal(DEPLOYMENT)
    stored = formats.write(KEY, value)
    monkeypatch.setattr(protobuf, "decode_object", None)
    entry = formats.entry(KEY, stored, 5)
    assert not formats.of(KEY)._written
    assert isinstance(entry, StoredEntry)
    assert entry.value is value
    assert not formats.stale(entry)


def test_what_is_remembered_of_own_writes_has_a_limit_in_bytes():
    formats = Formats(media_type=PROTOBUF)
    value = normal({**DEPLOYMENT, "metadata": {"name": "web", "annotations": {"a": "x" * 100_000}}})
    for number in range(100):
        formats.write(f"{KEY}-{number}", value)
    kept = formats.of(KEY)._written
    assert 5 < len(kept) <= (4 << 20) // (2 * len(value) - 5_000)
    formats.write(KEY, normal({**DEPLOYMENT, "metadata": {"name": "web", "annotations": {"a": "x" * 300_000}}}))
    assert all(key != KEY for key, _ in kept)


def test_a_group_is_stored_in_the_version_asked_for_and_read_in_ours():
    formats = Formats(storage_versions="autoscaling/v1,apps/v1")
    value = normal(AUTOSCALER)
    stored = formats.write(AUTOSCALER_KEY, value)
    assert json.loads(stored)["apiVersion"] == "autoscaling/v1"
    assert json.loads(stored)["spec"]["targetCPUUtilizationPercentage"] == 50
    for reader, stale in ((formats, False), (Formats(), True), (Formats(media_type=PROTOBUF), True)):
        reader.of(AUTOSCALER_KEY)._written.clear()
        entry = reader.entry(AUTOSCALER_KEY, stored, 1)
        assert orjson.loads(entry.value) == orjson.loads(value)
        assert reader.stale(entry) == stale


def test_a_kind_may_be_stored_in_another_group():
    event = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e", "namespace": "d"}, "involvedObject": {"kind": "Pod"},
             "reason": "r", "message": "m", "source": {"component": "c"}, "type": "Normal", "count": 1,
             "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:05Z"}  # fmt: skip
    formats = Formats(media_type=PROTOBUF, storage_versions="=events.k8s.io/v1")
    stored = formats.write("/registry/events/d/e", normal(event))
    assert protobuf.open_envelope(stored)[:2] == ("events.k8s.io/v1", "Event")
    read = Formats().entry("/registry/events/d/e", stored, 1)
    assert orjson.loads(read.value) == orjson.loads(normal(event))
    config_map = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}'
    assert protobuf.open_envelope(formats.write("/registry/configmaps/d/a", config_map))[0] == "v1"


@pytest.mark.parametrize("text", ["a/b/c", "=", "apps/", "g=a/b/c"])
def test_a_storage_version_that_is_none_is_an_error(text):
    with pytest.raises(ValueError, match="unexpected GroupVersion string"):
        Formats(storage_versions=text)


@pytest.mark.parametrize(
    "stored",
    [b"k8s\0\xff\xff", b"k8s\0\n\x06\n\x02v9\x12\x00", b'{"kind":"X","apiVersion":', b"- a", b"", b"\xff", b"k8s:enc:aescbc:v1:k:xx"],
)  # fmt: skip
def test_what_cannot_be_read_is_an_internal_error_that_names_the_key(stored):
    entry = Formats().entry("/registry/configmaps/d/a", stored, 1)
    for ask in ("value", "body", "item", "obj", "form"):
        with pytest.raises(Unreadable, match='unable to transform key "/registry/configmaps/d/a": ') as raised:
            getattr(entry, ask)
        assert (raised.value.code, raised.value.reason) == (500, "InternalError")


def test_what_protobuf_cannot_say_in_an_older_version_is_stored_as_json(monkeypatch):
    """1.30's resource claims of a pod had a field `source`, which is no field of 1.36's message any more."""
    monkeypatch.setattr(serializer.types, "model", lambda: MODEL_1_30)
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}
    formats = Formats(media_type=PROTOBUF)
    assert formats.write("/registry/pods/d/a", normal(pod)).startswith(b"k8s\0")
    claim = {"name": "x", "source": {"resourceClaimName": "y"}}
    value = normal({**pod, "spec": {**pod["spec"], "resourceClaims": [claim]}})
    assert formats.write("/registry/pods/d/a", value) == value


def test_keys_that_hold_no_objects_are_left_alone():
    assert Formats(media_type=PROTOBUF).entry("compact_rev_key", b"12", 1).value == b"12"
    assert Formats("/x").entry("/registry/pods/d/a", b"anything", 1).value == b"anything"
