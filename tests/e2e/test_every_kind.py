"""Every stored built-in kind through HTTP: by the official Python client's typed models, and in protobuf both ways."""

from __future__ import annotations

import json
import re
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver_workers.apimachinery import codec, protobuf
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.types import model
from kubernetes import client, config, watch

from tests.manifests import manifest, stored_resources
from tests.running import RunningServer, wait_for

KINDS = pytest.mark.parametrize("info", stored_resources(), ids=lambda info: f"{info.resource}.{info.group_version}")
NAMESPACE = "every-kind"
PROTOBUF = "application/vnd.kubernetes.protobuf"
WRITE_ONLY = ("stringData",)
MARKED = ("flowschemas",)  # the server itself sets a condition within a second
# Models with another name than the version's and the kind's.
MODELS = {
    ("", "Event"): "CoreV1Event",
    ("events.k8s.io", "Event"): "EventsV1Event",
    ("resource.k8s.io", "ResourceClaim"): "ResourceV1ResourceClaim",
}


@pytest.fixture(scope="module")
def api(server: RunningServer) -> client.ApiClient:
    return config.new_client_from_config(str(server.kubeconfig))


@pytest.fixture(scope="module", autouse=True)
def namespace(server: RunningServer) -> Iterator[None]:
    assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})[0] == 201
    account = {"metadata": {"name": "default"}}
    assert server.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)[0] == 201
    yield
    server.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def path_of(info: ResourceInfo, name: str = "") -> str:
    prefix = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    scope = f"/namespaces/{NAMESPACE}" if info.namespaced else ""
    return f"{prefix}{scope}/{info.resource}" + (f"/{name}" if name else "")


def wait_until_marked(server: RunningServer, info: ResourceInfo, name: str) -> None:
    """Wait until the server has written what it writes by itself, so that it does not write in the middle of a test."""
    wait_for(lambda: b'"conditions":' in server.request("GET", path_of(info, name))[1], 10, "its condition")


def holds(found: Any, wanted: Any) -> bool:
    """Whether everything that was asked for is there; admission may have added to lists. A time may be written otherwise."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) >= len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted or (isinstance(found, str) and found.replace("+00:00", "Z") == wanted))


# ---- the official client


class Typed:
    """The official client's functions for one resource."""

    def __init__(self, api: client.ApiClient, info: ResourceInfo) -> None:
        group = "".join(part.capitalize() for part in (info.group or "core").removesuffix(".k8s.io").split("."))
        self._functions = getattr(client, f"{group}{info.version.capitalize()}Api")(api)
        self._kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", info.kind).lower()
        self._scope = "namespaced_" if info.namespaced else ""
        self._namespace = (NAMESPACE,) if info.namespaced else ()
        self.api = api
        self.model = MODELS.get((info.group, info.kind), f"{info.version.capitalize()}{info.kind}")

    @property
    def watched(self) -> str:
        """The model that the client's Watch makes of events."""
        return self.model.removeprefix("Resource") if self.model.startswith("ResourceV1") else self.model

    def function(self, verb: str) -> Any:
        return getattr(self._functions, f"{verb}_{self._scope}{self._kind}")

    def __call__(self, verb: str, *arguments: Any, **options: Any) -> Any:
        """create(body), read(name), patch(name, body), replace(name, body), delete(name), list()"""
        if verb in ("read", "patch", "replace", "delete"):
            arguments = (arguments[0], *self._namespace, *arguments[1:])
        else:
            arguments = (*self._namespace, *arguments)
        return self.function(verb)(*arguments, **options)

    def made_of(self, obj: dict[str, Any]) -> Any:
        """The typed object that a manifest stands for."""
        return self.api.deserialize(json.dumps(obj), self.model, "application/json")

    def plain(self, typed: Any) -> Any:
        return self.api.sanitize_for_serialization(typed)


@KINDS
def test_the_official_client_has_its_way(api: client.ApiClient, server: RunningServer, info: ResourceInfo) -> None:
    typed = Typed(api, info)
    wanted = manifest(info, "typed", NAMESPACE)
    name = wanted["metadata"]["name"]
    start = typed("list").metadata.resource_version
    body = typed.made_of(wanted)
    assert type(body).__name__ == typed.model and holds(typed.plain(body), wanted)
    made = typed("create", body)
    for key in WRITE_ONLY:
        wanted.pop(key, None)
    assert holds(typed.plain(made), wanted)
    if info.resource in MARKED:
        wait_until_marked(server, info, name)
        made = typed("read", name)
    assert typed.plain(typed("read", name)) == typed.plain(made)
    listed = typed("list", field_selector=f"metadata.name={name}").items
    assert [one.metadata.uid for one in listed] == [made.metadata.uid]

    patched = typed("patch", name, {"metadata": {"labels": {"patched": "yes"}}})
    assert patched.metadata.labels["patched"] == "yes"
    patched.metadata.labels["replaced"] = "too"
    replaced = typed("replace", name, patched)
    assert replaced.metadata.labels == patched.metadata.labels
    typed("delete", name, grace_period_seconds=0)
    assert gone_or_going(typed, name)
    if not hasattr(client, typed.watched):
        return  # the client itself looks for a model there that it has not

    stream = watch.Watch().stream(
        typed.function("list"),
        *((NAMESPACE,) if info.namespaced else ()),
        resource_version=start,
        field_selector=f"metadata.name={name}",
        timeout_seconds=2,
    )
    seen = []
    for event in stream:
        seen.append((event["type"], type(event["object"]).__name__))
        if event["type"] == "DELETED" or len(seen) == 4:
            break
    # What finalizers hold is changed instead of removed; whoever removes them is no part of this server.
    assert [kind for kind, _ in seen[:3]] == ["ADDED", "MODIFIED", "MODIFIED"]
    assert {name for _, name in seen} == {typed.model}


def gone_or_going(typed: Typed, name: str) -> bool:
    try:
        return bool(typed("read", name).metadata.deletion_timestamp)
    except client.ApiException as error:
        return bool(error.status == 404)


# ---- protobuf


class Wire:
    """Requests and answers in protobuf for one resource."""

    def __init__(self, server: RunningServer, info: ResourceInfo) -> None:
        self.server, self.info = server, info
        self.type = model().kind(info.group, info.version, info.kind)

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, accept: str = PROTOBUF, kind: str = PROTOBUF
    ) -> tuple[int, str, bytes]:
        request = urllib.request.Request(
            self.server.url + path, body, {"Accept": accept, "Content-Type": kind}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.server.admin_tls()) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read()

    def path(self, name: str = "") -> str:
        return path_of(self.info, name)

    def message(self, kind: str, obj: dict[str, Any]) -> bytes:
        """An object that is no resource, such as DeleteOptions, in protobuf."""
        return protobuf.encode_object(model().kind(self.info.group, self.info.version, kind), obj)

    def json(self, name: str) -> Any:
        return typeless(json.loads(self.ask("GET", self.path(name), accept="application/json")[2]))

    def decoded(self, body: bytes, kind: str = "") -> Any:
        """An answer as JSON would have it; compared with what the server says in JSON."""
        type = model().kind(self.info.group, self.info.version, kind) if kind else self.type
        return codec.normalise(type, protobuf.decode_object(type, body))


@KINDS
def test_protobuf_says_what_json_says(server: RunningServer, info: ResourceInfo) -> None:
    wire = Wire(server, info)
    wanted = manifest(info, "wired", NAMESPACE)
    name = wanted["metadata"]["name"]
    selected = f"?fieldSelector=metadata.name={name}"
    _, _, body = wire.ask("GET", wire.path() + selected)
    start = wire.decoded(body, f"{info.kind}List")["metadata"]["resourceVersion"]

    status, kind, body = wire.ask("POST", wire.path(), protobuf.encode_object(wire.type, wanted))
    assert (status, kind, body[:4]) == (201, PROTOBUF, b"k8s\0"), body
    made = wire.decoded(body)
    for key in WRITE_ONLY:
        wanted.pop(key, None)
    assert holds(made, wanted)
    if info.resource in MARKED:
        wait_until_marked(server, info, name)
        made = wire.decoded(wire.ask("GET", wire.path(name))[2])
    assert made == wire.json(name)

    made["metadata"].setdefault("annotations", {})["put"] = "yes"
    status, _, body = wire.ask("PUT", wire.path(name), protobuf.encode_object(wire.type, made))
    assert status == 200 and wire.decoded(body) == wire.json(name), body
    assert wire.decoded(body)["metadata"]["annotations"]["put"] == "yes"

    patch = json.dumps({"metadata": {"annotations": {"patched": "too"}}}).encode()
    status, kind, body = wire.ask("PATCH", wire.path(name), patch, kind="application/merge-patch+json")
    assert (status, kind) == (200, PROTOBUF) and wire.decoded(body) == wire.json(name)

    status, kind, body = wire.ask("GET", wire.path(name))
    assert (status, kind) == (200, PROTOBUF) and wire.decoded(body) == wire.json(name)
    status, kind, body = wire.ask("GET", wire.path() + selected)
    listed = json.loads(wire.ask("GET", wire.path() + selected, accept="application/json")[2])
    assert (status, kind) == (200, PROTOBUF)
    gvk = {"kind": info.kind, "apiVersion": info.group_version}
    found = [gvk | one for one in wire.decoded(body, f"{info.kind}List")["items"]]
    assert found == [typeless(gvk | one) for one in listed["items"]] and len(found) == 1

    status, kind, body = wire.ask("DELETE", wire.path(name), wire.message("DeleteOptions", {"gracePeriodSeconds": 0}))
    assert (status, kind, body[:4]) == (200, PROTOBUF, b"k8s\0")

    query = f"{selected}&watch=1&resourceVersion={start}&timeoutSeconds=1"
    status, kind, body = wire.ask("GET", wire.path() + query)
    events = list(watched(wire, body))
    assert (status, kind) == (200, f"{PROTOBUF};stream=watch")
    assert [one for one, _ in events[:3]] == ["ADDED", "MODIFIED", "MODIFIED"]
    assert events[0][1] == {**events[0][1], "metadata": {**events[0][1]["metadata"], "name": name}}
    assert holds(events[0][1], wanted)


def typeless(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as protobuf has it: what is nested says nothing of its kind."""
    for claim in obj["spec"].get("volumeClaimTemplates", ()) if obj["kind"] == "StatefulSet" else ():
        del claim["kind"], claim["apiVersion"]
    return obj


def watched(wire: Wire, body: bytes) -> Iterator[tuple[str, Any]]:
    """The events of a protobuf watch: each a WatchEvent message behind its length."""
    while body:
        (length,) = struct.unpack(">I", body[:4])
        frame, body = body[4 : 4 + length], body[4 + length :]
        assert len(frame) == length
        yield event_of(frame, wire)


def event_of(frame: bytes, wire: Wire) -> tuple[str, Any]:
    """Field 1 is the type, field 2 a RawExtension whose field 1 is the object."""
    fields = dict(delimited(frame))
    raw = dict(delimited(fields[2]))[1]
    return fields[1].decode(), wire.decoded(raw)


def delimited(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message."""
    position = 0
    while position < len(message):
        number, wire_type = message[position] >> 3, message[position] & 7
        assert wire_type == 2
        position += 1
        length = shift = 0
        while True:
            byte = message[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield number, message[position : position + length]
        position += length


def test_errors_come_in_protobuf_too(server: RunningServer) -> None:
    info = next(one for one in stored_resources() if one.resource == "configmaps")
    wire = Wire(server, info)
    status, kind, body = wire.ask("GET", wire.path("absent"))
    told = wire.decoded(body, "Status")
    assert (status, kind, told["reason"], told["code"]) == (404, PROTOBUF, "NotFound", 404)
    assert told["message"] == 'configmaps "absent" not found' and told["details"] == {
        "kind": "configmaps",
        "name": "absent",
    }
    status, kind, body = wire.ask("POST", wire.path(), b"k8s\0not protobuf")
    assert (status, kind, wire.decoded(body, "Status")["reason"]) == (400, PROTOBUF, "BadRequest")


def test_a_table_is_json_where_protobuf_is_asked_for_as_well(server: RunningServer) -> None:
    wire = Wire(server, next(one for one in stored_resources() if one.resource == "configmaps"))
    accept = f"application/json;as=Table;v=v1;g=meta.k8s.io,{PROTOBUF},application/json"
    status, kind, body = wire.ask("GET", wire.path(), accept=accept)
    assert (status, kind, json.loads(body)["kind"]) == (200, "application/json", "Table")
    metadata = f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    status, kind, body = wire.ask("GET", wire.path(), accept=metadata)
    assert (status, kind.partition(";")[0], body[:4]) == (200, PROTOBUF, b"k8s\0")
    status, kind, body = wire.ask("GET", wire.path(), accept=f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1")
    assert (status, json.loads(body)["reason"]) == (406, "NotAcceptable")


def test_an_informer_begins_with_a_streamed_list(server: RunningServer) -> None:
    """What client-go does: one watch that tells what there is, then a bookmark, then what changes."""
    wire = Wire(server, next(one for one in stored_resources() if one.resource == "configmaps"))
    for name in ("a", "b"):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"streamed-{name}", "labels": {"s": "1"}}}
        assert wire.ask("POST", wire.path(), protobuf.encode_object(wire.type, body))[0] == 201
    options = (
        "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSelector=s%3D1"
    )
    request = urllib.request.Request(
        f"{server.url}{wire.path()}?{options}&timeoutSeconds=5", headers={"Accept": f"{PROTOBUF},application/json"}
    )
    with urllib.request.urlopen(request, timeout=20, context=server.admin_tls()) as answer:
        assert answer.headers["Content-Type"] == f"{PROTOBUF};stream=watch"

        def event() -> tuple[str, Any]:
            (length,) = struct.unpack(">I", answer.read(4))
            return event_of(answer.read(length), wire)

        first = [event(), event(), event()]
        assert [(kind, one["metadata"].get("name")) for kind, one in first] == [
            ("ADDED", "streamed-a"),
            ("ADDED", "streamed-b"),
            ("BOOKMARK", None),
        ]
        assert first[2][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(first[2][1]["metadata"]["resourceVersion"]) >= int(first[1][1]["metadata"]["resourceVersion"])
        wire.ask("DELETE", wire.path("streamed-a"))
        kind, gone = event()
        assert (kind, gone["metadata"]["name"]) == ("DELETED", "streamed-a")
    wire.ask("DELETE", wire.path("streamed-b"))
