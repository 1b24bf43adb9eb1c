"""Whether aggregated servers can be used: the condition Available of APIServices that have a service.

Each such APIService has a task of its own, so that one whose server hangs keeps no other from being checked. It is checked
when it, its service or the service's endpoints change, and otherwise every 30 seconds; after a failed check sooner
(kube-aggregator/pkg/controllers/status/remote).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.metrics import REGISTRY
from apiserver_workers.core.bootstrap.changes import Changes
from apiserver_workers.core.bootstrap.objects import Objects, with_condition
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.aggregation.api_service import (
    GROUP,
    RESOURCE,
    APIService,
    ServiceReference,
    api_service,
    is_available,
)
from apiserver_workers.server.aggregation.asking import Backends, Unanswered
from apiserver_workers.server.aggregation.identity import MASTERS
from apiserver_workers.storage.interface import StorageError

Object = dict[str, Any]

RESYNC = 30.0
SETTLE = 0.05  # seconds between two looks at all APIServices: changes come in groups
TIMEOUT = 5.0
ATTEMPTS = 5
FIRST_RETRY, LAST_RETRY = 0.005, 30.0
SERVICES, SLICES = ("", "services"), ("discovery.k8s.io", "endpointslices")
SERVICE_LABEL = "kubernetes.io/service-name"

UNAVAILABLE = REGISTRY.gauge(
    "aggregator_unavailable_apiservice",
    "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
    ("name",),
)
UNAVAILABLE_TOTAL = REGISTRY.counter(
    "aggregator_unavailable_apiservice_total",
    "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
    ("name", "reason"),
)

log = logging.getLogger(__name__)


class Finding(Exception):
    """A check that failed: the condition's status, reason and message."""

    def __init__(self, reason: str, message: str, status: str = "False") -> None:
        super().__init__(message)
        self.condition = _condition(status, reason, message)


def _condition(status: str, reason: str, message: str) -> Object:
    return {"type": "Available", "status": status, "reason": reason, "message": message}


PASSED = _condition("True", "Passed", "all checks passed")


def port_name(service: Object, reference: ServiceReference) -> str:
    """What the service calls the port. Raises Finding."""
    for port in service["spec"].get("ports") or ():
        if port["port"] == reference.port:
            name: str = port.get("name") or ""
            return name
    text = f'service/{reference.name} in "{reference.namespace}" is not listening on port {reference.port}'
    raise Finding("ServicePortError", text)


def check_endpoints(reference: ServiceReference, called: str, slices: Sequence[Object]) -> None:
    """Whether some endpoint serves the port. Raises Finding."""
    where = f'service/{reference.name} in "{reference.namespace}"'
    if not slices:
        raise Finding("EndpointsNotFound", f"cannot find endpointslices for {where}")
    if not any(_has_endpoint(one, called) for one in slices):
        text = f'endpointslices for {where} have no addresses with port name "{called}"'
        raise Finding("MissingEndpoints", text)


def _has_endpoint(one: Object, called: str) -> bool:
    ready = any((endpoint.get("conditions") or {}).get("ready", True) for endpoint in one.get("endpoints") or ())
    ports = one.get("ports") or ()
    return ready and any(port.get("name", "") == called and port.get("port") is not None for port in ports)


class _Watched:
    """An APIService that is checked again and again."""

    def __init__(self, fingerprint: object) -> None:
        self.fingerprint = fingerprint
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Availability:
    """Checks all APIServices that have a service, in the worker that runs the hooks."""

    def __init__(self, registry: Registry, objects: Objects, backends: Backends) -> None:
        self._objects = objects
        self._backends = backends
        self._all_changes = Changes(registry, ((GROUP, RESOURCE), SERVICES, SLICES))
        self._few_changes = Changes(registry, ((GROUP, RESOURCE),))
        self._watched: dict[str, _Watched] = {}
        self._ran_at = 0.0
        self._unavailable: dict[str, float] = {}
        UNAVAILABLE.follow(lambda: {(name,): value for name, value in self._unavailable.items()})

    async def run(self) -> None:
        """Have all checked whose APIService, service or endpoints are not what they were."""
        remote = {service.name: service for service in self._remote()}
        for name in self._watched.keys() - remote.keys():
            self._forget(name)
        for name, service in remote.items():
            self._follow(name, self._fingerprint(service))

    async def pause(self, timeout: float) -> None:
        """Wait for the next change. When this ends, because another worker takes over, so do all checks."""
        try:
            changes = self._all_changes if self._watched else self._few_changes
            loop = asyncio.get_running_loop()
            await changes.wait(timeout)
            await asyncio.sleep(self._ran_at + SETTLE - loop.time())
            self._ran_at = loop.time()
        except asyncio.CancelledError:
            for name in tuple(self._watched):
                self._forget(name)
            raise

    def _remote(self) -> list[APIService]:
        found = self._objects.list(GROUP, RESOURCE)
        for obj in found:
            if obj["spec"].get("service") is None:
                self._unavailable[obj["metadata"]["name"]] = float(not is_available(obj))
        names = {obj["metadata"]["name"] for obj in found}
        self._unavailable = {name: value for name, value in self._unavailable.items() if name in names}
        return [api_service(obj) for obj in found if obj["spec"].get("service") is not None]

    def _follow(self, name: str, fingerprint: object) -> None:
        watched = self._watched.get(name)
        if watched is None:
            watched = self._watched[name] = _Watched(fingerprint)
            watched.task = asyncio.create_task(self._check_on(name, watched), name=f"availability of {name}")
        elif watched.fingerprint != fingerprint:
            watched.fingerprint = fingerprint
            watched.changed.set()

    def _forget(self, name: str) -> None:
        watched = self._watched.pop(name)
        if watched.task is not None:
            watched.task.cancel()

    def _slices(self, reference: ServiceReference) -> list[Object]:
        return [
            one
            for one in self._objects.list(*SLICES, reference.namespace)
            if (one["metadata"].get("labels") or {}).get(SERVICE_LABEL) == reference.name
        ]

    def _fingerprint(self, service: APIService) -> object:
        """What a check depends on, but the server itself."""
        reference = service.service
        assert reference is not None
        of_service = self._objects.get(*SERVICES, reference.name, reference.namespace)
        version = of_service["metadata"]["resourceVersion"] if of_service is not None else ""
        versions = tuple(one["metadata"]["resourceVersion"] for one in self._slices(reference))
        return service.service, service.ca_bundle, service.insecure, service.available, version, versions

    async def _check_on(self, name: str, watched: _Watched) -> None:
        """Check one APIService for as long as it is there."""
        retry = FIRST_RETRY
        while True:
            watched.changed.clear()
            try:
                passed = await self._check(name)
            except (ApiError, StorageError) as error:
                log.warning("the availability of %s could not be written: %s", name, error)
                passed = False
            except Exception:
                log.exception("the availability of %s could not be checked", name)
                passed = False
            wait = RESYNC if passed else retry
            retry = FIRST_RETRY if passed else min(retry * 2, LAST_RETRY)
            try:
                async with asyncio.timeout(wait):
                    await watched.changed.wait()
            except TimeoutError:
                pass

    async def _check(self, name: str) -> bool:
        """Check and write down what is found; false if it is to be checked again soon."""
        obj = self._objects.get(GROUP, RESOURCE, name)
        if obj is None or obj["spec"].get("service") is None:
            return True
        failed = False
        try:
            await self._judge(api_service(obj))
            condition = PASSED
        except Finding as finding:
            condition = finding.condition
            failed = condition["reason"] == "FailedDiscoveryCheck"
        await self._write(name, condition)
        return not failed

    async def _judge(self, service: APIService) -> None:
        """Raises Finding."""
        reference = service.service
        assert reference is not None
        found = self._objects.get("", "services", reference.name, reference.namespace)
        if found is None:
            text = f'service/{reference.name} in "{reference.namespace}" is not present'
            raise Finding("ServiceNotFound", text)
        if found["spec"].get("type") == "ClusterIP":
            called = port_name(found, reference)
            check_endpoints(reference, called, self._slices(reference))
        await self._ask(service)

    async def _ask(self, service: APIService) -> None:
        """Ask the server for its discovery; if that fails several times at once. Raises Finding."""
        why = await self._attempt(service)
        if not why:
            return
        attempts = [asyncio.create_task(self._attempt(service)) for _ in range(ATTEMPTS - 1)]
        try:
            for attempt in asyncio.as_completed(attempts):
                why = await attempt
                if not why:
                    return
        finally:
            for task in attempts:
                task.cancel()
        raise Finding("FailedDiscoveryCheck", why)

    async def _attempt(self, service: APIService) -> str:
        """What is wrong with the server, "" if nothing."""
        try:
            status = await self._backends.status(service, service.path, MASTERS, timeout=TIMEOUT)
        except Unanswered as error:
            return f"failing or missing response from {error.url}: {error}" if error.url else str(error)
        if 200 <= status < 300:
            return ""
        url = f"https://{await self._authority(service)}{service.path}"
        return f"failing or missing response from {url}: bad status from {url}: {status}"

    async def _authority(self, service: APIService) -> str:
        return (await self._backends.locate(service)).authority

    async def _write(self, name: str, condition: Object) -> None:
        available = condition["status"] == "True"
        self._unavailable[name] = float(not available)
        before = self._objects.get(GROUP, RESOURCE, name)
        if before is None:
            return
        was_available = is_available(before)
        await self._objects.update(
            GROUP, RESOURCE, name, lambda live: _with_finding(live, condition), subresource="status"
        )
        if was_available and not available:
            UNAVAILABLE_TOTAL.inc((name, condition["reason"]))


def _with_finding(live: Object, condition: Object) -> Object | None:
    """The APIService with the condition; None if it has it, or is local by now."""
    if live["spec"].get("service") is None:
        return None
    return with_condition(live, condition)
