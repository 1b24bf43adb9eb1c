"""Conversion by a webhook: what it may change, and what becomes of answers that are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from apiserver_workers.apimachinery.custom.conversion import ReviewFailed

from tests.extensions.serving import GROUP, WIDGETS, definition, serving, version

OTHER = WIDGETS.replace("/v1/", "/v2/")
FAILED = "conversion webhook for example.com/v2, Kind=Widget"
WEBHOOK = {
    "strategy": "Webhook",
    "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://192.0.2.1/"}},
}


def renamed(obj: dict[str, Any], wanted: str) -> dict[str, Any]:
    """v1 has spec.size, v2 spec.width."""
    old, new = ("size", "width") if wanted.endswith("v2") else ("width", "size")
    spec = {new if name == old else name: value for name, value in (obj.get("spec") or {}).items()}
    return {**obj, "apiVersion": wanted, "spec": spec}


class Webhook:
    """Converts widgets, unless `lie` makes something else of an answer."""

    def __init__(self, lie: Callable[[dict[str, Any]], Any] = lambda answer: answer) -> None:
        self.lie = lie
        self.asked: list[int] = []

    def of(self, definition: dict[str, Any]) -> Callable[[bytes], Any]:
        async def ask(body: bytes) -> bytes:
            review = json.loads(body)
            request = review["request"]
            self.asked.append(len(request["objects"]))
            converted = [renamed(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
            response = {"uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}}
            answer = self.lie({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})
            return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

        return ask


def widgets() -> dict[str, Any]:
    second = version("v2", storage=False, spec={"width": {"type": "integer"}})
    return definition(version(), second, conversion=WEBHOOK)


async def test_objects_are_converted_both_ways_and_many_at_once(etcd, root):
    webhook = Webhook()
    async with serving(etcd, root, webhook.of) as server:
        await server.define(widgets())
        for name in ("a", "b", "c"):
            body = {"kind": "Widget", "apiVersion": f"{GROUP}/v2", "metadata": {"name": name}, "spec": {"width": 7}}
            made = await server.call("POST", OTHER, body)
            assert (made.status, made.obj["spec"]) == (201, {"width": 7}), made.body
        assert (await server.call("GET", f"{WIDGETS}/a")).obj["spec"] == {"size": 7}
        webhook.asked.clear()
        listed = (await server.call("GET", OTHER)).obj["items"]
        assert [item["spec"] for item in listed] == [{"width": 7}] * 3
        assert webhook.asked == [3]


def respond(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {**answer, "response": {**answer["response"], **changes}}


def of_object(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def lie(answer: dict[str, Any]) -> dict[str, Any]:
        for obj in answer["response"]["convertedObjects"]:
            change(obj)
        return answer

    return lie


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (respond(convertedObjects=[]), f"{FAILED} returned 0 objects, expected 1"),
        (respond(result={"status": "Failure", "message": "no"}), f"{FAILED} failed: no"),
        (respond(result={}), f"{FAILED} failed: response.result.status was '', not 'Success'"),
        (lambda answer: {**answer, "response": None}, f"{FAILED} failed: no response provided"),
        (
            of_object(lambda obj: obj["metadata"].update(name="other")),
            f"{FAILED} returned invalid object: must have the same name: a != other",
        ),
        (
            of_object(lambda obj: obj["metadata"].update(uid="other")),
            "other",
        ),
        (
            of_object(lambda obj: obj.update(apiVersion=f"{GROUP}/v3")),
            f"{FAILED} returned invalid object at index 0: invalid groupVersion "
            "(expected example.com/v1, received example.com/v3)",
        ),
        (
            of_object(lambda obj: obj["metadata"].update(labels={"a": 1})),
            f"{FAILED} returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object",
        ),
    ],
)
async def test_wrong_answers_refuse_the_request_and_store_nothing(etcd, root, lie, message):
    webhook = Webhook(lie)
    async with serving(etcd, root, webhook.of) as server:
        await server.define(widgets())
        body = {"kind": "Widget", "apiVersion": f"{GROUP}/v2", "metadata": {"name": "a"}, "spec": {"width": 7}}
        answer = await server.call("POST", OTHER, body)
        assert answer.status == 500
        assert message in answer.message
        assert (await server.call("GET", f"{WIDGETS}/a")).status == 404


async def test_a_webhook_that_does_not_answer_harms_no_other_version(etcd, root):
    def silent(definition: dict[str, Any]) -> Callable[[bytes], Any]:
        async def ask(body: bytes) -> bytes:
            raise ReviewFailed("Post: connection refused")

        return ask

    async with serving(etcd, root, silent) as server:
        await server.define(widgets())
        assert (await server.create("a", spec={"size": 1})).status == 201
        assert (await server.call("GET", WIDGETS)).status == 200
        answer = await server.call("GET", f"{OTHER}/a")
        assert (answer.status, answer.message) == (
            500,
            "conversion webhook for example.com/v1, Kind=Widget failed: Post: connection refused",
        )


async def test_only_labels_and_annotations_change(etcd, root):
    def change(obj: dict[str, Any]) -> None:
        obj["metadata"]["labels"] = {"a": "b"}
        obj["metadata"]["finalizers"] = ["example.com/x"]

    webhook = Webhook(of_object(change))
    async with serving(etcd, root, webhook.of) as server:
        await server.define(widgets())
        await server.create("a", spec={"size": 1})
        found = (await server.call("GET", f"{OTHER}/a")).obj["metadata"]
        assert (found["labels"], found.get("finalizers")) == ({"a": "b"}, None)
