"""Bindings: a scheduler assigns a pod to a node (pkg/registry/core/pod/storage.BindingREST)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import ApiError, bad_request, conflict
from apiserver_workers.apimachinery.validation.field import Errors, not_supported, required
from apiserver_workers.registry.attributes import CREATE
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.metadata import match_namespace
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import decode_object
from apiserver_workers.server.endpoints.options import as_object, write_options
from apiserver_workers.server.endpoints.respond import output_of, plain_response
from apiserver_workers.server.endpoints.served import Served, View
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def create(request: Request, served: Served) -> Response:
    """POST of a pod's binding subresource."""
    return await BindingEndpoint(served.store, served.bodies["binding"]).create(request, served)


class BindingEndpoint:
    """POST of a Binding, to a pod's subresource or to the collection of bindings."""

    def __init__(self, pods: Store, bindings: View) -> None:
        self._pods = pods
        self._bindings = bindings

    async def create(self, request: Request, view: View) -> Response:
        """Assign the pod. Raises ApiError: 404, 409 when it cannot be assigned, 500 for a binding that is not valid."""
        output = output_of(request, tables=False)
        options = write_options(request.raw_query, "CreateOptions")
        binding = await decode_object(request, self._bindings, options.field_validation)
        context = context_of(request, view, as_object("CreateOptions", options), dry_run=options.dry_run)
        metadata = binding["metadata"]
        match_namespace(metadata, context.namespace)
        name = context.name or metadata.get("name", "")
        if name != metadata.get("name", ""):
            raise bad_request("name in URL does not match name in Binding object")
        context.name = name
        await self._assign(binding, context)
        return plain_response(request, SUCCESS, output, view.kind.model, status=201)

    async def _assign(self, binding: Object, context: Context) -> None:
        pods = self._pods
        attributes = pods.attributes(CREATE, context, binding, None)
        await pods.admission.admit(attributes)
        if faults := validate(binding):
            messages = [str(fault) for fault in faults]
            raise ApiError(500, "", messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]")
        await pods.admission.validate(attributes)
        assignment = Assignment(binding)
        await pods.modify(context.namespace, context.name, assignment, dry_run=context.dry_run)


class Assignment:
    """The Change that a binding makes to its pod."""

    def __init__(self, binding: Object) -> None:
        self.binding = binding

    def __call__(self, pod: Object) -> Object:
        metadata, bound = dict(pod["metadata"]), self.binding["metadata"]
        name = metadata["name"]
        if why := self._obstacle(pod, name):
            raise conflict("pods/binding", "", name, why)
        for field in ("annotations", "labels"):
            if bound.get(field):
                metadata[field] = {**metadata.get(field, {}), **bound[field]}
        spec = {**pod["spec"], "nodeName": self.binding["target"]["name"]}
        return {**pod, "metadata": metadata, "spec": spec, "status": scheduled(pod)}

    def _obstacle(self, pod: Object, name: str) -> str:
        uid, assigned = self.binding["metadata"].get("uid"), pod["spec"].get("nodeName")
        if uid and uid != pod["metadata"].get("uid"):
            return f"Precondition failed: UID in precondition: {uid}, UID in object meta: {pod['metadata'].get('uid')}"
        if "deletionTimestamp" in pod["metadata"]:
            return f"pod {name} is being deleted, cannot be assigned to a host"
        if assigned:
            return f'pod {name} is already assigned to node "{assigned}"'
        return f"pod {name} has non-empty .spec.schedulingGates" if pod["spec"].get("schedulingGates") else ""


def scheduled(pod: Object) -> Object:
    """The pod's status with the condition PodScheduled true."""
    status = pod.get("status") or {}
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}
    others = [held for held in status.get("conditions") or () if held.get("type") != "PodScheduled"]
    bound = {**status, "conditions": [*others, condition]}
    if feature_gates.enabled("ClearingNominatedNodeNameAfterBinding"):
        bound.pop("nominatedNodeName", None)
    return bound


def validate(binding: Object) -> Errors:
    """ValidatePodBinding."""
    target = binding.get("target") or {}
    faults: Errors = []
    if target.get("kind", "") not in ("", "Node"):
        faults.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        faults.append(required("target.name"))
    return faults
