"""Resource claims: who may be given devices as an administrator, and who may write which part of a claim's status.

pkg/registry/resource/resourceclaim and resourceclaimtemplate, pkg/registry/resource/resourceutils. The rights are those
on subresources that exist for authorization alone: `resourceclaims/binding` for allocation and reservations,
`resourceclaims/driver` for what a driver says of its devices, by driver, with verbs that say whose node it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.served_kind import FaultsToCome, joined
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.apimachinery.validation.field import Errors, each, forbidden, section
from apiserver_workers.registry.attributes import Question
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Finish, Object, Strategy
from apiserver_workers.registry.strategies.expressions import ExpressionStrategy

GATE, DEVICES_GATE = "DRAResourceClaimGranularStatusAuthorization", "DRAResourceClaimDeviceStatus"
ADMIN_LABEL = "resource.kubernetes.io/admin-access"
ADMIN_TEXT = f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
NODE_NAME = "authentication.kubernetes.io/node-name"
BINDING_TEXT = "changing status.allocation or status.reservedFor requires"
Key = tuple[str | None, ...]


class _AdminAccess(ExpressionStrategy):
    """Devices are given as to an administrator only where the namespace's label says so."""

    def _refuse_admin(self, context: Context, requests: Iterable[tuple[str, Object]]) -> Errors:
        """`requests` are what may ask for it, with where it is said."""
        path = next((path for path, request in requests if request.get("adminAccess")), "")
        if not path:
            return []
        namespaces = self.registry.store("", "namespaces")
        entry = namespaces.cache.get(namespaces.key("", context.namespace))
        labels = entry.obj["metadata"].get("labels") or {} if entry is not None else {}
        return [] if labels.get(ADMIN_LABEL) == "true" else [forbidden(f"{path}.adminAccess", ADMIN_TEXT)]


class ResourceClaimTemplateStrategy(_AdminAccess):
    """What it makes claims of needs the label too."""

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        requested = _requested(section(obj, "spec", "spec"), "spec.devices.requests")
        return joined(self._refuse_admin(context, requested), super().validate_create(obj, context))


class ResourceClaimStrategy(_AdminAccess):
    """The status is written part by part, by who may."""

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        requested = _requested(section(obj, "spec"), "spec.devices.requests")
        return joined(self._refuse_admin(context, requested), super().validate_create(obj, context))

    async def begin_update(self, new: Object, old: Object, context: Context) -> Finish | None:
        """Asks whether the user may write what differs, which the validation then tells."""
        context.faults = []
        if context.subresource == "status" and feature_gates.enabled(GATE):
            context.faults = await self._unauthorized(section(new, "status"), section(old, "status"), context)
        return await super().begin_update(new, old, context)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        status = new.get("status")
        if context.subresource == "status" and status and "devices" in status:
            devices = kept_devices(status, section(old, "status"))
            new["status"] = {**status, "devices": devices}
            if not devices:
                del new["status"]["devices"]

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        errors: Errors = []
        if context.subresource == "status" and not any(one.get("adminAccess") for _, one in _results(old)):
            errors += self._refuse_admin(context, _results(new))
        return joined(errors + context.faults, super().validate_update(new, old, context))

    async def _unauthorized(self, now: Object, before: Object, context: Context) -> Errors:
        verb = "patch" if context.options.get("kind") == "PatchOptions" else "update"
        errors: Errors = []
        if any(now.get(field) != before.get(field) for field in ("allocation", "reservedFor")):
            if why := await self._refusal(context, verb, "binding"):
                needs = f'{BINDING_TEXT} resource="resourceclaims/binding", verb="{verb}" permission: {why}'
                errors.append(forbidden("status.allocation", needs))
        if now.get("allocation") is None or not feature_gates.enabled(DEVICES_GATE):
            return errors
        verbs = driver_verbs(verb, context.user, node_of(now["allocation"]))
        for driver in changed_drivers({**now, "devices": kept_devices(now, before)}, before):
            refusals = [await self._refusal(context, one, "driver", context.namespace, driver) for one in verbs]
            if all(refusals):
                needs = f'resource="resourceclaims/driver", verb="[{" ".join(verbs)}]" permission: {refusals[0]}'
                errors.append(forbidden("status.devices", f"changing status.devices requires {needs}"))
        return errors

    async def _refusal(self, context: Context, verb: str, subresource: str, namespace: str = "", name: str = "") -> str:
        """Why the user may not do that to that subresource of claims; "" if it is permitted."""
        permits = self.registry.permits
        if permits is None:
            return ""
        info = self.info
        return await permits(
            Question(context.user, verb, info.group, info.version, info.resource, subresource, namespace, name)
        )


def _requested(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    for at, request in each(path, section(spec, "devices").get("requests")):
        if request.get("exactly") is not None:
            yield at, request["exactly"]


def _results(claim: Object) -> list[tuple[str, Object]]:
    results = section(claim, "status", "allocation", "devices").get("results")
    return list(each("status.allocation.devices.results", results))


def _key(device: Object) -> Key:
    return tuple(device.get(name) for name in ("driver", "pool", "device", "shareID"))


def kept_devices(now: Object, before: Object) -> list[Object]:
    """The devices of a status without those that were allocated before and are not any more."""
    gone = _allocated(before) - _allocated(now)
    return [device for device in now.get("devices") or () if _key(device) not in gone]


def _allocated(status: Object) -> set[Key]:
    return {_key(result) for result in section(status, "allocation", "devices").get("results") or ()}


def changed_drivers(now: Object, before: Object) -> list[str]:
    """The drivers whose devices are new, gone or changed, in order."""
    after = {_key(device): device for device in now.get("devices") or ()}
    held = {_key(device): device for device in before.get("devices") or ()}
    return sorted({str(key[0]) for key in after.keys() | held.keys() if after.get(key) != held.get(key)})


def node_of(allocation: Object) -> str:
    """The one node that an allocation is for; "" if it may be on several."""
    terms = section(allocation, "nodeSelector").get("nodeSelectorTerms") or []
    if len(terms) != 1 or terms[0].get("matchExpressions"):
        return ""
    fields = terms[0].get("matchFields") or []
    if len(fields) != 1 or (fields[0].get("key"), fields[0].get("operator")) != ("metadata.name", "In"):
        return ""
    values = fields[0].get("values") or []
    return str(values[0]) if len(values) == 1 else ""


def driver_verbs(verb: str, user: UserInfo, node: str) -> list[str]:
    """The verbs of which one must be permitted: who runs on the claim's node may be allowed that alone."""
    arbitrary = [f"arbitrary-node:{verb}"]
    account = user.name.startswith("system:serviceaccount:") and user.name.count(":") == 3
    if node and account and user.extra.get(NODE_NAME) == [node]:
        return [f"associated-node:{verb}", *arbitrary]
    return arbitrary


_GROUP = "resource.k8s.io"
STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    (_GROUP, "resourceclaims"): ResourceClaimStrategy,
    (_GROUP, "resourceclaimtemplates"): ResourceClaimTemplateStrategy,
}
