"""Requests for custom resources: what is kept, dropped, defaulted, converted and refused."""

from __future__ import annotations

import pytest

from tests.extensions.serving import GROUP, WIDGETS, definition, serving, version

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
SIZE = {"size": {"type": "integer", "default": 3}, "colour": {"type": "string"}}
OTHER = WIDGETS.replace("/v1/", "/v2/")


async def test_unknown_fields_are_dropped_with_a_warning_and_defaults_are_set(etcd, root):
    async with serving(etcd, root) as server:
        await server.define(definition(version(spec=SIZE)))
        made = await server.create("a", spec={"x": 1}, y=2)
        assert (made.status, made.obj["spec"], "y" in made.obj) == (201, {"size": 3}, False)
        assert made.warnings == ['unknown field "spec.x"', 'unknown field "y"']
        assert made.obj["metadata"]["generation"] == 1
        listed = (await server.call("GET", WIDGETS)).obj
        assert listed["metadata"]["continue"] == ""
        assert listed["items"][0]["kind"] == "Widget"


async def test_a_schema_that_changes_shapes_what_is_stored(etcd, root):
    async with serving(etcd, root) as server:
        await server.define(definition(version(spec={"colour": {"type": "string"}, "old": {"type": "string"}})))
        await server.create("a", spec={"colour": "red", "old": "x"})
        await server.define(definition(version(spec=SIZE)))
        before = await server.call("GET", f"{WIDGETS}/a")
        assert before.obj["spec"] == {"colour": "red", "size": 3}
        after = await server.call("PATCH", f"{WIDGETS}/a", {}, type=MERGE)
        assert after.version != before.version, "what lies otherwise in etcd is written"
        again = await server.call("PATCH", f"{WIDGETS}/a", {}, type=MERGE)
        assert again.version == after.version


async def test_each_version_prunes_what_it_does_not_know(etcd, root):
    async with serving(etcd, root) as server:
        second = version("v2", storage=False, spec={"size": {"type": "integer"}, "new": {"type": "string"}})
        await server.define(definition(version(spec=SIZE), second))
        body = {"kind": "Widget", "apiVersion": f"{GROUP}/v2", "metadata": {"name": "a"}, "spec": {"new": "x"}}
        made = await server.call("POST", OTHER, body)
        assert (made.status, made.obj["apiVersion"], made.obj["spec"]) == (201, f"{GROUP}/v2", {"size": 3})
        assert (await server.call("GET", f"{WIDGETS}/a")).obj["apiVersion"] == f"{GROUP}/v1"
        wrong = await server.call("POST", WIDGETS, body)
        assert wrong.message == (
            "the API version in the data (example.com/v2) does not match the expected API version (example.com/v1)"
        )


async def test_status_is_written_apart(etcd, root):
    async with serving(etcd, root) as server:
        await server.define(definition(version(spec=SIZE, subresources={"status": {}})))
        await server.create("a", spec={"size": 1}, status={"ready": True})
        assert "status" not in (await server.call("GET", f"{WIDGETS}/a")).obj
        change = {"metadata": {"labels": {"a": "b"}}, "spec": {"size": 9}, "status": {"ready": True}}
        written = (await server.call("PATCH", f"{WIDGETS}/a/status", change, type=MERGE)).obj
        assert (written["spec"], written["status"], written["metadata"].get("labels")) == (
            {"size": 1},
            {"ready": True},
            None,
        )
        assert written["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("GET", f"{WIDGETS}/a/nothing", 404, 'widgets.example.com "a" not found'),
        ("GET", f"{WIDGETS}/none", 404, 'widgets.example.com "none" not found'),
        ("GET", f"{WIDGETS}?fieldSelector=spec.colour=red", 400, "field label not supported: spec.colour"),
    ],
)
async def test_what_is_not_there_is_refused_in_the_handlers_words(etcd, root, method, path, code, message):
    async with serving(etcd, root) as server:
        await server.define(definition())
        await server.create("a")
        path, _, query = path.partition("?")
        name, _, value = query.partition("=")
        answer = await server.call(method, path, **({name: value} if name else {}))
        assert (answer.status, answer.message) == (code, message)


async def test_strategic_patches_are_refused(etcd, root):
    async with serving(etcd, root) as server:
        await server.define(definition())
        await server.create("a")
        answer = await server.call("PATCH", f"{WIDGETS}/a", {}, type="application/strategic-merge-patch+json")
        assert answer.status == 415
        assert answer.message.endswith(
            "accepted media types include: application/json-patch+json, application/merge-patch+json,"
            " application/apply-patch+yaml"
        )


async def test_apply_merges_lists_by_their_keys(etcd, root):
    items = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "v": {"type": "integer"}},
        },
    }
    async with serving(etcd, root) as server:
        await server.define(definition(version(spec={"parts": items})))
        for manager, name in (("one", "a"), ("two", "b")):
            body = {
                "kind": "Widget",
                "apiVersion": f"{GROUP}/v1",
                "metadata": {"name": "w"},
                "spec": {"parts": [{"name": name, "v": 1}]},
            }
            answer = await server.call("PATCH", f"{WIDGETS}/w", body, type=APPLY, fieldManager=manager)
            assert answer.status in (200, 201), answer.body
        assert [part["name"] for part in answer.obj["spec"]["parts"]] == ["a", "b"]
        assert len(answer.obj["metadata"]["managedFields"]) == 2
