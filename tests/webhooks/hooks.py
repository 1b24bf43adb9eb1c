"""A webhook server that records what it is asked, and configurations that name it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.auth.remote import Answer, Authority, Remote, as_json

Object = dict[str, Any]
# The request of a review to the response, without uid; or to a whole answer.
Decide = Callable[[Object], Any]


def allow(_: Object) -> Object:
    return {"allowed": True}


def deny(message: str = "no", **status: Any) -> Decide:
    """Refuses every request."""
    return lambda _: {"allowed": False, "status": {"message": message, **status}}


def patch(*operations: Object, **more: Any) -> Decide:
    """Allows every request, and changes its object."""
    return lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": encoded(list(operations)), **more}


def encoded(operations: Any) -> str:
    return base64.b64encode(json.dumps(operations).encode()).decode()


def label(name: str, value: str = "1") -> Decide:
    """Gives every object a label."""

    def decide(request: Object) -> Object:
        operations = [{"op": "add", "path": f"/metadata/labels/{name}", "value": value}]
        if not request["object"]["metadata"].get("labels"):
            operations.insert(0, {"op": "add", "path": "/metadata/labels", "value": {}})
        return {"allowed": True, "patchType": "JSONPatch", "patch": encoded(operations)}

    return decide


class HookServer:
    """Webhooks by path, each with what decides for it. `asked` has (path, review) of each call, in order."""

    def __init__(self, authority: Authority, hosts: tuple[str, ...] = (), **hooks: Decide) -> None:
        """`hosts` are names that its certificate is for."""
        self.hooks: dict[str, Decide] = hooks
        self.asked: list[tuple[str, Object]] = []
        self._lock = threading.Lock()
        self.remote = Remote(authority, self._answer, hosts=hosts)

    def __enter__(self) -> HookServer:
        self.remote.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.remote.__exit__()

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        name = path.partition("?")[0].strip("/")
        review = json.loads(body)
        with self._lock:
            self.asked.append((name, review))
        found = self.hooks[name](review["request"])
        if isinstance(found, tuple):
            return found  # type: ignore[return-value]
        response = {"uid": review["request"]["uid"], **found}
        return as_json({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response})

    def requests(self, name: str = "") -> list[Object]:
        """The requests of the reviews that a webhook, or all, was asked for."""
        with self._lock:
            return [review["request"] for path, review in self.asked if name in ("", path)]

    def client_config(self, name: str) -> Object:
        bundle = base64.b64encode(self.remote.authority.file.read_bytes()).decode()
        return {"url": f"{self.remote.url}/{name}", "caBundle": bundle}

    def hook(self, name: str, **fields: Any) -> Object:
        """A webhook of a configuration, which sees creations of config maps if nothing else is said."""
        return {
            "name": f"{name}.example.com",
            "clientConfig": self.client_config(name),
            "rules": [rule()],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **fields,
        }


def rule(resources: str = "configmaps", operations: str = "CREATE", groups: str = "*", **fields: Any) -> Object:
    """One rule; several values are separated by spaces, and the core group is `core`."""
    named = ["" if group == "core" else group for group in groups.split()]
    return {
        "operations": operations.split(),
        "apiGroups": named,
        "apiVersions": ["*"],
        "resources": resources.split(),
        **fields,
    }


def configuration(name: str, *hooks: Object, mutating: bool) -> Object:
    kind = "MutatingWebhookConfiguration" if mutating else "ValidatingWebhookConfiguration"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": list(hooks),
    }
