"""pods/eviction: a pod is deleted if its disruption budget allows (pkg/registry/core/pod/storage.EvictionREST)."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.builtin_kind import builtin
from apiserver_workers.apimachinery.codec.decoder import read_body
from apiserver_workers.apimachinery.errors import ApiError, bad_request, conflict
from apiserver_workers.apimachinery.label_selectors import label_selector_matches
from apiserver_workers.registry.attributes import CREATE, Attributes
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.metadata import match_namespace
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.server.endpoints.budget import charge, too_many
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import decode_object
from apiserver_workers.server.endpoints.negotiation import request_media_type
from apiserver_workers.server.endpoints.options import as_object, delete_options_of, write_options
from apiserver_workers.server.endpoints.respond import output_of, plain_response
from apiserver_workers.server.endpoints.served import Served, View
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.http.query import parse_query

Object = dict[str, Any]

ATTEMPTS, PAUSE = 20, 0.1
OLDER = ("v1beta1",)
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
MORE_THAN_ONE = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
# Such a pod is no longer, or not yet, part of what a budget guards.
UNGUARDED_PHASES = ("Succeeded", "Failed", "Pending")
ENDED_PHASES = ("Succeeded", "Failed")


async def create(request: Request, served: Served) -> Response:
    """POST of an Eviction. Raises ApiError: 400, 404, 409, and 429 when the budget does not allow it."""
    output = output_of(request, tables=False)
    options = write_options(request.raw_query, "CreateOptions")
    eviction = await _decode(request, served.bodies["eviction"], options.field_validation)
    context = context_of(request, served, as_object("CreateOptions", options), dry_run=options.dry_run)
    match_namespace(eviction["metadata"], context.namespace)
    attributes = served.store.attributes(CREATE, context, eviction, None)
    await served.store.admission.admit(attributes)
    if eviction["metadata"].get("name", "") != context.name:
        raise bad_request("name in URL does not match name in Eviction object")
    deletion = _deletion_options(eviction, parse_query(request.raw_query).get("dryRun") or [])
    await served.store.admission.validate(attributes)
    await Evictor(served.store, context, deletion).evict()
    return plain_response(request, SUCCESS, output, served.kind.model, status=201)


async def _decode(request: Request, view: View, field_validation: str) -> Object:
    """The Eviction of the body; clients of both versions are served, which are the same but for their names."""
    expected = codec.GroupVersionKind(*view.kind.gvk)
    gvk = read_body(request.body, request_media_type(request.headers.get("content-type", "")), expected).gvk
    if gvk.group == expected.group and gvk.version in OLDER:
        info = dataclasses.replace(view.info, version=gvk.version)
        view = View(builtin(view.kind.model, info))
    return await decode_object(request, view, field_validation)


def _deletion_options(eviction: Object, dry_run: list[str]) -> DeleteOptions:
    """The eviction's DeleteOptions; the query may ask for a dry run too. Raises ApiError."""
    given = dict(eviction.get("deleteOptions") or {})
    if given.get("dryRun") and dry_run and given["dryRun"] != dry_run:
        shown = " and ".join(f"[{' '.join(values)}]" for values in (dry_run, given["dryRun"]))
        raise ApiError(500, "", f"Non-matching dry-run options in request and content: {shown}")
    given["dryRun"] = given.get("dryRun") or dry_run
    return delete_options_of(given)


class NoAdmission:
    """What an eviction writes is a consequence of what admission has let pass."""

    async def admit(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        pass


class Evictor:
    """One eviction of the pod `context.name`."""

    def __init__(self, pods: Store, context: Context, options: DeleteOptions) -> None:
        self._pods = copy.copy(pods)
        self._pods.admission = NoAdmission()
        self._budgets = pods.strategy.registry.store("policy", "poddisruptionbudgets")
        self._context = dataclasses.replace(context, subresource="", dry_run=bool(options.dry_run), options={})
        self._options = options

    async def evict(self) -> None:
        """Charge the pod's budget, if it has one, and delete the pod. Raises ApiError."""
        pod = await self._end_unguarded()
        if pod is None:
            return
        guards = await self._guards(pod)
        if len(guards) > 1:
            raise ApiError(500, "", MORE_THAN_ONE)
        if not guards:
            await self._end(self._options)
        elif harmless(pod, guards[0]):
            await self._end_unhealthy(pod, guards[0])
        else:
            budget = guards[0]["metadata"]["name"]
            await charge(self._budgets, self._context.namespace, budget, pod["metadata"]["name"], self._context.dry_run)
            await self._end(self._options)

    async def _end_unguarded(self) -> Object | None:
        """Delete the pod if no budget guards it any more; else the pod. A pod that changes meanwhile is looked at again."""
        attempts = 1 if self._options.resource_version is not None else ATTEMPTS
        while True:
            pod = (await self._pods.get(self._context.namespace, self._context.name)).obj
            if not unguarded(pod):
                return pod
            ended = pod["status"].get("phase") in ENDED_PHASES or "deletionTimestamp" in pod["metadata"]
            try:
                await self._end(self._options if ended else self._as_read(pod))
                return None
            except ApiError as error:
                attempts -= 1
                if error.reason != "Conflict" or not attempts:
                    raise
            await asyncio.sleep(PAUSE)

    async def _end_unhealthy(self, pod: Object, budget: Object) -> None:
        """Delete a pod that the budget does not count, unless it has become healthy meanwhile."""
        try:
            await self._end(self._as_read(pod))
        except ApiError as error:
            if error.reason == "Conflict" and self._options.resource_version is None:
                raise too_many(budget["metadata"]["name"]) from error
            raise

    def _as_read(self, pod: Object) -> DeleteOptions:
        """The options with the precondition that the pod has not changed, unless the client has set one."""
        options = copy.copy(self._options)
        if options.resource_version is None:
            options.resource_version = pod["metadata"]["resourceVersion"]
        return options

    async def _guards(self, pod: Object) -> list[Object]:
        await self._budgets.cache.fresh()
        labels = pod["metadata"].get("labels") or {}
        budgets = [entry.obj for entry in self._budgets.cache.list(self._budgets.prefix(self._context.namespace))]
        return [one for one in budgets if label_selector_matches((one.get("spec") or {}).get("selector"), labels)]

    async def _end(self, options: DeleteOptions) -> None:
        """Say in the pod's status why it goes, and delete it."""
        options = copy.copy(options)
        if not self._context.dry_run:
            context = dataclasses.replace(self._context, subresource="status")
            result, _ = await self._pods.update(Condemnation(options), context)
            if options.resource_version is not None:
                options.resource_version = result.obj["metadata"]["resourceVersion"]
        await self._pods.delete(self._context, options)


class Condemnation:
    """The Transform that gives a pod the condition of a disruption's target, if it meets the preconditions."""

    def __init__(self, options: DeleteOptions) -> None:
        self._uid = options.uid
        self._resource_version = options.resource_version

    async def __call__(self, pod: Object | None) -> Object:
        assert pod is not None, "an update that may not create was given nothing"
        metadata = pod["metadata"]
        uid, version = metadata.get("uid", ""), metadata.get("resourceVersion", "")
        if self._uid and self._uid != uid:
            why = f"the UID in the precondition ({self._uid}) does not match the UID in record ({uid})."
            raise conflict("Pod", "", metadata["name"], f"{why} The object might have been deleted and then recreated")
        if self._resource_version and self._resource_version != version:
            why = f"the ResourceVersion in the precondition ({self._resource_version}) does not match"
            why += f" the ResourceVersion in record ({version}). The object might have been modified"
            raise conflict("Pod", "", metadata["name"], why)
        return {**pod, "metadata": dict(metadata), "status": condemned(pod)}


def condemned(pod: Object) -> Object:
    """The pod's status with the condition DisruptionTarget."""
    status = pod.get("status") or {}
    conditions = list(status.get("conditions") or ())
    held = next((index for index, one in enumerate(conditions) if one.get("type") == "DisruptionTarget"), None)
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    if held is None:
        conditions.append(condition)
    else:
        if conditions[held].get("status") == "True":
            condition["lastTransitionTime"] = conditions[held].get("lastTransitionTime")
        conditions[held] = condition
    return {**status, "conditions": conditions}


def unguarded(pod: Object) -> bool:
    """Whether the pod may go whatever a budget says."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in UNGUARDED_PHASES or "deletionTimestamp" in pod["metadata"]


def harmless(pod: Object, budget: Object) -> bool:
    """Whether the pod, being unhealthy, may go without the budget being charged."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return 0 < status.get("desiredHealthy", 0) <= status.get("currentHealthy", 0)
