"""A kind whose conversion and validation have to wait, as those of custom resources may, through every verb."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from apiserver_workers.registry.attributes import UPDATE, Attributes
from apiserver_workers.server.surface import Surface

from tests.made_up import Renaming, two_versions
from tests.registry.api import Answer, Api, running

GROUP = "waiting.example.com"
V1, V2 = (f"/apis/{GROUP}/{version}/namespaces/default/widgets" for version in ("v1", "v2"))
APPLY = "application/apply-patch+yaml"


async def serve(api: Api) -> Renaming:
    first, second, conversion = two_versions(GROUP)
    await Surface(api.server, api.backend.registry).change(add=[first, second])
    return conversion


async def make(api: Api, name: str = "a", path: str = V1, **spec: Any) -> Answer:
    version = path.split("/")[3]
    body = {"apiVersion": f"{GROUP}/{version}", "kind": "Widget", "metadata": {"name": name}, "spec": spec}
    return await api.call("POST", path, body)


async def test_objects_are_served_in_both_versions(etcd, root):
    async with running(etcd, root) as api:
        await serve(api)
        made = await make(api, path=V2, width=3)
        assert (made.status, made.obj["spec"]) == (201, {"width": 3})
        assert orjson.loads((await api.backend.storage.get(f"{root}/{GROUP}/widgets/default/a")).value)["spec"] == {
            "size": 3
        }
        assert (await api.call("GET", f"{V1}/a")).obj["spec"] == {"size": 3}
        assert (await api.call("GET", f"{V2}/a")).obj["spec"] == {"width": 3}
        body = {**made.obj, "spec": {"width": 4}}
        assert (await api.call("PUT", f"{V2}/a", body)).obj["spec"] == {"width": 4}
        assert (await api.merge(f"{V2}/a", {"spec": {"width": 5}})).obj["spec"] == {"width": 5}
        assert (await api.call("GET", f"{V1}/a")).obj["spec"] == {"size": 5}
        assert (await api.call("DELETE", f"{V2}/a")).status == 200


@pytest.mark.parametrize("query", [{}, {"limit": "1"}, {"labelSelector": "!x"}])
async def test_lists_are_converted_together_and_their_items_are_whole(etcd, root, query):
    async with running(etcd, root) as api:
        conversion = await serve(api)
        for name in ("a", "b"):
            await make(api, name, size=1)
        stored = await api.call("GET", V1, **query)
        assert all((item["kind"], item["apiVersion"]) == ("Widget", f"{GROUP}/v1") for item in stored.obj["items"])
        conversion.calls.clear()
        converted = await api.call("GET", V2, **query)
        assert [item["spec"] for item in converted.obj["items"]] == [{"width": 1}] * len(stored.obj["items"])
        assert conversion.calls == [(len(stored.obj["items"]), f"{GROUP}/v2")]
        assert converted.obj["apiVersion"] == f"{GROUP}/v2"


async def test_a_watch_tells_of_objects_in_its_version(etcd, root):
    async with running(etcd, root) as api:
        await serve(api)
        await make(api, size=1)
        watch = await api.watch(V2)
        assert (await anext(watch))["object"]["spec"] == {"width": 1}
        await api.merge(f"{V1}/a", {"spec": {"size": 2}})
        event = await anext(watch)
        assert (event["type"], event["object"]["apiVersion"]) == ("MODIFIED", f"{GROUP}/v2")
        assert event["object"]["spec"] == {"width": 2}
        await watch.aclose()


async def test_managers_of_one_version_see_what_is_done_in_the_other(etcd, root):
    async with running(etcd, root) as api:
        await serve(api)
        head = {"kind": "Widget", "metadata": {"name": "a"}}
        first = {"apiVersion": f"{GROUP}/v1", **head, "spec": {"size": 1, "colour": "red"}}
        made = await api.call("PATCH", f"{V1}/a", first, type=APPLY, fieldManager="one")
        assert made.status == 201
        second = {"apiVersion": f"{GROUP}/v2", **head, "spec": {"width": 2}}
        refused = await api.call("PATCH", f"{V2}/a", second, type=APPLY, fieldManager="two")
        assert (refused.status, refused.obj["reason"]) == (409, "Conflict")
        forced = await api.call("PATCH", f"{V2}/a", second, type=APPLY, fieldManager="two", force="true")
        assert forced.obj["spec"] == {"width": 2, "colour": "red"}
        owned = {entry["manager"]: entry["fieldsV1"]["f:spec"] for entry in forced.obj["metadata"]["managedFields"]}
        assert owned == {"one": {"f:colour": {}}, "two": {"f:width": {}}}


async def test_faults_that_come_late_count(etcd, root):
    async with running(etcd, root) as api:
        await serve(api)
        refused = await make(api, path=V2, width=101)
        assert (refused.status, refused.obj["reason"]) == (422, "Invalid")
        assert "spec.size: Invalid value: too big" in refused.message


async def test_a_kind_says_which_patches_and_field_selectors_it_takes(etcd, root):
    async with running(etcd, root) as api:
        await serve(api)
        await make(api, colour="red")
        await make(api, "b", colour="blue")
        patched = await api.call("PATCH", f"{V1}/a", {}, type="application/strategic-merge-patch+json")
        assert patched.status == 415
        found = await api.call("GET", V2, fieldSelector="spec.colour=red")
        assert [item["metadata"]["name"] for item in found.obj["items"]] == ["a"]
        assert (await api.call("GET", V1, fieldSelector="spec.size=1")).status == 400


async def test_admission_sees_the_version_of_the_request_and_may_ask_for_any(etcd, root, monkeypatch):
    seen: list[tuple[str, str, Any, Any]] = []

    async def validate(attributes: Attributes) -> None:
        if attributes.operation == UPDATE:
            assert attributes.obj is not None and attributes.old_obj is not None
            asked = attributes.requested.info.group_version
            new = await attributes.in_version(attributes.obj, asked)
            back = await attributes.from_version(new)
            assert back == attributes.obj
            old = await attributes.in_version(attributes.old_obj, asked)
            seen.append((asked, attributes.info.group_version, old["spec"], new["spec"]))

    async with running(etcd, root) as api:
        monkeypatch.setattr(api.backend.admission, "validate", validate)
        await serve(api)
        await make(api, size=1)
        await api.merge(f"{V2}/a", {"spec": {"width": 2}})
        assert seen == [(f"{GROUP}/v2", f"{GROUP}/v1", {"width": 1}, {"width": 2})]
