"""ImagePolicyWebhook: a service says of a pod's images whether they may run.

Its answers are kept for a while. Upstream: plugin/pkg/admission/imagepolicy.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, NamedTuple

import orjson

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import PODS, Object, Pending, Plugin, forbidden
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.server.client.kubeconfig import ClientConfig, load_kubeconfig
from apiserver_workers.server.client.webhook import Backoff, Webhook, WebhookError

SECTION = "imagePolicy"
MARK = ".image-policy.k8s.io/"
AUDIT_PREFIX = "imagepolicywebhook" + MARK
FAILED_OPEN = "alpha.image-policy.k8s.io/failed-open"
EPHEMERAL = "ephemeralcontainers"
CACHE_SIZE = 1024
# What may be told of a time: its unit, its bounds and its default, in seconds. -1 is none, 0 the default.
TIMES = {
    "retryBackoff": ("backoff", 0.001, 1e-9, 300.0, 0.5),
    "allowTTL": ("allow cache", 1.0, 1.0, 1800.0, 300.0),
    "denyTTL": ("deny cache", 1.0, 1.0, 1800.0, 30.0),
}


class Config(NamedTuple):
    """What the plugin is told."""

    client: ClientConfig
    allow_ttl: float
    deny_ttl: float
    backoff: float
    default_allow: bool


class ImagePolicyWebhook(Plugin):
    """Sees pods, and their ephemeral containers."""

    name = "ImagePolicyWebhook"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))
    subresources = frozenset(("", EPHEMERAL))
    config: Config

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        self._webhook = Webhook(self.config.client, backoff=Backoff(initial=self.config.backoff))
        self._answers: OrderedDict[bytes, tuple[float, Object]] = OrderedDict()

    @classmethod
    def configured(cls, given: Any) -> Config:
        """The service's kubeconfig, and how long its answers count."""
        if given is None:
            raise ValueError("no config specified")
        section = given.get(SECTION) if isinstance(given, dict) else None
        section = {} if section is None else section
        if not isinstance(section, dict):
            raise ValueError(f"{SECTION} must be an object")
        backoff, allow, deny = (_seconds(section, field) for field in TIMES)
        client = load_kubeconfig(str(section.get("kubeConfigFile") or ""))
        return Config(client, allow, deny, backoff, section.get("defaultAllow") is True)

    def validate(self, attributes: Attributes) -> Pending:
        return self._review(attributes)

    async def stop(self) -> None:
        self._webhook.close()

    async def _review(self, attributes: Attributes) -> None:
        spec = review_spec(attributes)
        key = orjson.dumps(spec)
        status = self._kept(key)
        if status is None:
            try:
                status = await self._ask(spec)
            except WebhookError as error:
                self._failed(attributes, error)
                return
            self._keep(key, status)
        for name, value in (status.get("auditAnnotations") or {}).items():
            attributes.annotate(AUDIT_PREFIX + name, str(value))
        if status.get("allowed") is not True:
            reason = status.get("reason")
            denied = f"image policy webhook backend denied one or more images: {reason}"
            raise forbidden(attributes, denied if reason else "one or more images rejected by webhook backend")

    async def _ask(self, spec: Object) -> Object:
        review = {
            "kind": "ImageReview",
            "apiVersion": "imagepolicy.k8s.io/v1alpha1",
            "metadata": {},
            "spec": spec,
            "status": {"allowed": False},
        }
        answer = await self._webhook.review(review)
        return answer.get("status") or {}

    def _failed(self, attributes: Attributes, error: WebhookError) -> None:
        if not self.config.default_allow:
            raise forbidden(attributes, str(error))
        attributes.annotate(AUDIT_PREFIX + "failed-open", "true")
        assert attributes.obj is not None
        metadata = attributes.obj["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), FAILED_OPEN: "true"}

    def _kept(self, key: bytes) -> Object | None:
        until, status = self._answers.get(key, (0.0, None))
        if status is not None and until <= time.monotonic():
            del self._answers[key]
            return None
        return status

    def _keep(self, key: bytes, status: Object) -> None:
        lasts = self.config.allow_ttl if status.get("allowed") is True else self.config.deny_ttl
        self._answers[key] = time.monotonic() + lasts, status
        if len(self._answers) > CACHE_SIZE:
            self._answers.popitem(last=False)


def review_spec(attributes: Attributes) -> Object:
    """ImageReviewSpec: the images of a pod, and those of its annotations that are meant for the service."""
    assert attributes.obj is not None
    spec, metadata = attributes.obj["spec"], attributes.obj["metadata"]
    fields = ("ephemeralContainers",) if attributes.subresource == EPHEMERAL else ("containers", "initContainers")
    images = [container.get("image", "") for field in fields for container in spec.get(field) or ()]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if MARK in key}
    found: Object = {
        "containers": [{"image": image} for image in images],
        "annotations": annotations,
        "namespace": attributes.namespace,
    }
    return {name: value for name, value in found.items() if value}


def _seconds(section: Object, field: str) -> float:
    """A time of the configuration. Raises ValueError."""
    _, scale, least, most, default = TIMES[field]
    value = section.get(field, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{field} must be a whole number")
    if value == -1:
        return 0.0
    if value == 0:
        return default
    if not least <= value * scale <= most:
        raise ValueError(f"valid value is between {least:g}s and {most:g}s, got {value * scale:g}s")
    return value * scale
