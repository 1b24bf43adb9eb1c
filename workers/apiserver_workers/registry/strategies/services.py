"""Services: addresses and ports are allocated before a service is stored and released if it is not.

pkg/registry/core/service: storage/alloc.go (allocation), strategy.go (what a change of type drops).
"""

from __future__ import annotations

import functools

from apiserver_workers.apimachinery import errors
from apiserver_workers.apimachinery.validation.field import invalid
from apiserver_workers.apimachinery.validation.services import validate_cluster_ips
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.node_ports import NodePorts, PortError
from apiserver_workers.registry.service_ip import AllocationError, ServiceIPs, family_of
from apiserver_workers.registry.strategies.base import Finish, Object, Strategy

HEADLESS = "None"
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")


def needs_cluster_ip(spec: Object) -> bool:
    return spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer")


def needs_node_port(spec: Object) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_check_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def needs_external_policy(spec: Object) -> bool:
    return spec.get("type") in NODE_PORT_TYPES or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


class Allocation:
    """What one write took, to be given back if it fails, and what it gives up, to be released if it succeeds."""

    def __init__(self, strategy: ServiceStrategy) -> None:
        self.strategy = strategy
        self.taken_ips: list[str] = []
        self.taken_ports: list[int] = []
        self.freed_ips: list[str] = []
        self.freed_ports: list[int] = []

    async def finish(self, stored: bool) -> None:
        ips, ports = (self.freed_ips, self.freed_ports) if stored else (self.taken_ips, self.taken_ports)
        await self.strategy.release(ips, ports)


class ServiceStrategy(Strategy):
    """Allocation of cluster IPs, node ports and health check ports."""

    @functools.cached_property
    def ips(self) -> dict[str, ServiceIPs]:
        """The ranges by family, the default one first."""
        ranges = self.registry.settings.service_cluster_ip_range.split(",")
        found = [ServiceIPs(self.registry, cidr.strip()) for cidr in ranges]
        return {one.family: one for one in found}

    @functools.cached_property
    def ports(self) -> NodePorts:
        return NodePorts(self.registry, self.registry.settings.service_node_port_range)

    async def begin_create(self, obj: Object, context: Context) -> Finish | None:
        normalise_cluster_ips(obj["spec"], None)
        return await self._allocate(obj, None, context)

    async def begin_update(self, new: Object, old: Object, context: Context) -> Finish | None:
        if context.subresource:
            return None
        new["spec"] = dict(new.get("spec") or {})
        keep_allocated(new["spec"], old["spec"])
        normalise_cluster_ips(new["spec"], old["spec"])
        return await self._allocate(new, old, context)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if not context.subresource:
            drop_type_dependent(new["spec"], old["spec"])

    async def after_delete(self, obj: Object, context: Context) -> None:
        spec = obj["spec"]
        ips = [address for address in spec.get("clusterIPs") or () if address != HEADLESS]
        await self.release(ips, ports_of(spec))

    async def release(self, ips: list[str], ports: list[int]) -> None:
        for address in ips:
            if (allocator := self.ips.get(family_of(address))) is not None:
                await allocator.release(address)
        await self.ports.release(ports)

    # allocation

    async def _allocate(self, new: Object, old: Object | None, context: Context) -> Finish:
        allocation = Allocation(self)
        spec, before = new["spec"], old["spec"] if old else None
        if faults := validate_cluster_ips(spec, spec.get("type", ""), before or {}):
            # Allocation is made for fields that fit together; nothing else is looked at if they do not.
            raise self._invalid(new, *faults)
        try:
            self._init_families(new, before)
            await self._allocate_ips(new, before, allocation, context)
            await self._allocate_ports(new, before, allocation, context)
            await self._allocate_health_port(new, before, allocation, context)
        except BaseException:
            if not context.dry_run:
                await allocation.finish(False)
            raise
        if before is not None and needs_cluster_ip(before) and not needs_cluster_ip(spec):
            allocation.freed_ips += [a for a in before.get("clusterIPs") or () if a != HEADLESS]
        if context.dry_run:
            return _nothing
        return allocation.finish

    def _invalid(self, obj: Object, *faults: errors.FieldError) -> errors.ApiError:
        return errors.invalid("Service", "", obj["metadata"].get("name", ""), faults)

    def _init_families(self, obj: Object, before: Object | None) -> None:
        """initIPFamilyFields: what the addresses, families and policy say about each other."""
        spec = obj["spec"]
        if not needs_cluster_ip(spec):
            return
        ips, families, policy = (
            spec.get("clusterIPs") or [],
            list(spec.get("ipFamilies") or ()),
            spec.get("ipFamilyPolicy"),
        )
        if ips[:1] == [HEADLESS] and not spec.get("selector"):
            self._init_selectorless(spec, families, policy)
            return
        if policy is None:
            policy = "RequireDualStack" if len(ips) == 2 or len(families) == 2 else "SingleStack"
        for index, address in enumerate(ips):
            if address != HEADLESS and index >= len(families):
                families.append(family_of(address))
        faults = []
        if policy == "RequireDualStack" and len(self.ips) < 2:
            text = "this cluster is not configured for dual-stack services"
            faults.append(invalid("spec.ipFamilyPolicy", policy, text))
        for index, family in enumerate(families):
            if family not in self.ips:
                faults.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
        if faults:
            raise self._invalid(obj, *faults)
        if not families:
            families = [next(iter(self.ips))]
        if policy != "SingleStack" and len(self.ips) == 2 and len(families) == 1:
            families += [family for family in self.ips if family not in families]
        spec["ipFamilyPolicy"], spec["ipFamilies"] = policy, families

    def _init_selectorless(self, spec: Object, families: list[str], policy: str | None) -> None:
        """A headless service whose endpoints somebody else makes may have any family."""
        spec["ipFamilyPolicy"] = policy or "RequireDualStack"
        if not families:
            families = [next(iter(self.ips))]
        if len(families) == 1 and spec["ipFamilyPolicy"] != "SingleStack":
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families

    async def _allocate_ips(self, obj: Object, before: Object | None, allocation: Allocation, context: Context) -> None:
        spec = obj["spec"]
        ips = list(spec.get("clusterIPs") or ())
        if not needs_cluster_ip(spec) or ips[:1] == [HEADLESS]:
            return
        if before is not None and needs_cluster_ip(before) and before.get("clusterIPs"):
            if ips[:1] != before["clusterIPs"][:1]:
                return  # validation refuses the change
        held = set((before or {}).get("clusterIPs") or ()) if before and needs_cluster_ip(before) else set()
        for index, family in enumerate(spec.get("ipFamilies") or ()):
            if index < len(ips) and ips[index] in held:
                continue
            asked = ips[index] if index < len(ips) else ""
            if asked and _bad_address(asked):
                return
            address = await self._take_ip(family, asked, obj, context)
            if not context.dry_run:
                allocation.taken_ips.append(address)
            ips[index:] = [address, *ips[index + 1 :]]
        if ips:
            spec["clusterIPs"], spec["clusterIP"] = ips, ips[0]

    async def _take_ip(self, family: str, asked: str, obj: Object, context: Context) -> str:
        allocator = self.ips.get(family)
        path, shown = "spec.clusterIPs", obj["spec"].get("clusterIPs")
        if allocator is None:
            text = f"failed to allocate IP {asked}: not configured on this cluster"
            raise self._invalid(obj, invalid(path, shown, text))
        try:
            if not asked:
                return await allocator.allocate_next(obj, dry_run=context.dry_run)
            await allocator.allocate(asked, obj, dry_run=context.dry_run)
            return asked
        except AllocationError as error:
            what = f"IP {asked}" if asked else "a serviceIP"
            raise self._invalid(obj, invalid(path, shown, f"failed to allocate {what}: {error}")) from None

    async def _allocate_ports(
        self, obj: Object, before: Object | None, allocation: Allocation, context: Context
    ) -> None:
        spec = obj["spec"]
        held = set(node_ports(before)) if before is not None and before.get("type") in NODE_PORT_TYPES else set()
        if needs_node_port(spec) or (spec.get("type") == "LoadBalancer" and node_ports(spec)):
            spec["ports"] = [dict(port) for port in spec.get("ports") or ()]
            await self._number_ports(obj, held, allocation, context)
        kept = set(node_ports(spec)) if spec.get("type") in NODE_PORT_TYPES else set()
        allocation.freed_ports += sorted(held - kept)

    async def _number_ports(self, obj: Object, held: set[int], allocation: Allocation, context: Context) -> None:
        spec = obj["spec"]
        ours = set(held)  # ports that this service may use, for another protocol too
        asked = {port["nodePort"] for port in spec["ports"] if port.get("nodePort")}
        shared = SharedPorts()
        for index, port in enumerate(spec["ports"]):
            number = port.get("nodePort") or 0
            path = f"spec.ports[{index}].nodePort"
            try:
                if number and number not in ours:
                    await self.ports.allocate(number, dry_run=context.dry_run)
                    self._took(allocation, number, context)
                elif not number and needs_node_port(spec):
                    number = shared.for_another_protocol(port)
                    if not number:
                        number = await self.ports.allocate_next(dry_run=context.dry_run, besides=asked)
                        self._took(allocation, number, context)
                    port["nodePort"] = number
            except PortError as error:
                raise self._invalid(obj, invalid(path, number, str(error))) from None
            if number:
                ours.add(number)
                shared.add(port, number)

    @staticmethod
    def _took(allocation: Allocation, port: int, context: Context) -> None:
        if not context.dry_run:
            allocation.taken_ports.append(port)

    async def _allocate_health_port(
        self, obj: Object, before: Object | None, allocation: Allocation, context: Context
    ) -> None:
        spec = obj["spec"]
        had = (before or {}).get("healthCheckNodePort") or 0
        needs = needs_health_check_port(spec)
        if before is not None and needs_health_check_port(before):
            if not needs and had:
                allocation.freed_ports.append(had)
            return
        if not needs:
            return
        asked = spec.get("healthCheckNodePort") or 0
        try:
            if asked:
                await self.ports.allocate(asked, dry_run=context.dry_run)
            else:
                asked = await self.ports.allocate_next(dry_run=context.dry_run)
        except PortError as error:
            text = f"failed to allocate requested HealthCheck NodePort {asked}: {error}"
            raise errors.internal_error(text) from None
        self._took(allocation, asked, context)
        spec["healthCheckNodePort"] = asked


async def _nothing(stored: bool) -> None:
    """A dry run has nothing to release."""


def _bad_address(address: str) -> bool:
    try:
        family_of(address)
    except ValueError:
        return True
    return False


class SharedPorts:
    """The node ports of a service's entries so far. Entries with the same port and different protocols get the same one."""

    def __init__(self) -> None:
        self._protocols: dict[int, set[str]] = {}  # by node port
        self._numbers: dict[int, list[int]] = {}  # the node ports of a port, in their order
        self._passed: dict[tuple[int, str], int] = {}  # how many of those have an entry of the protocol already

    def add(self, port: Object, number: int) -> None:
        """The entry has this node port."""
        self._protocols.setdefault(number, set()).add(port.get("protocol", "TCP"))
        self._numbers.setdefault(port.get("port", 0), []).append(number)

    def for_another_protocol(self, port: Object) -> int:
        """The first node port of an entry with the same port and another protocol; 0 if there is none."""
        key = port.get("port", 0), port.get("protocol", "TCP")
        numbers = self._numbers.get(key[0], [])
        passed = self._passed.get(key, 0)
        while passed < len(numbers) and key[1] in self._protocols[numbers[passed]]:
            passed += 1
        self._passed[key] = passed
        return numbers[passed] if passed < len(numbers) else 0


def node_ports(spec: Object | None) -> list[int]:
    return [port["nodePort"] for port in (spec or {}).get("ports") or () if port.get("nodePort")]


def ports_of(spec: Object) -> list[int]:
    """All ports that a service holds."""
    if spec.get("type") not in NODE_PORT_TYPES:
        return []
    health = spec.get("healthCheckNodePort")
    return [*node_ports(spec), health] if health else node_ports(spec)


def normalise_cluster_ips(spec: Object, before: Object | None) -> None:
    """normalizeClusterIPs: clients that know only clusterIP speak for clusterIPs too."""
    one, many = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if before is None:
        if one and not many:
            spec["clusterIPs"] = [one]
        return
    was = before.get("clusterIP", "")
    if was and not one and spec.get("clusterIPs") == before.get("clusterIPs"):
        spec.pop("clusterIPs", None)
    elif was and one and was != one and spec.get("clusterIPs") == before.get("clusterIPs"):
        spec["clusterIPs"] = [one, *many[1:]]
    elif not was and one and not many:
        spec["clusterIPs"] = [one]


def keep_allocated(spec: Object, before: Object) -> None:
    """patchAllocatedValues: an update that leaves allocated fields out means them unchanged."""
    if needs_cluster_ip(before) and needs_cluster_ip(spec):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == before.get("clusterIP") and before.get("clusterIPs"):
            spec["clusterIPs"] = before["clusterIPs"]
    if needs_node_port(before) and needs_node_port(spec):
        known = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()}
        taken = set(node_ports(spec))
        ports = []
        for port in spec.get("ports") or ():
            number = known.get((port.get("protocol"), port.get("port")))
            keep = not port.get("nodePort") and number and number not in taken
            ports.append({**port, "nodePort": number} if keep else port)
        spec["ports"] = ports
    if needs_health_check_port(before) and needs_health_check_port(spec):
        if not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def drop_type_dependent(spec: Object, before: Object) -> None:
    """dropTypeDependentFields: values left over from another type go, unless the update changed them."""
    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            _drop_if_same(spec, before, field)
    if needs_node_port(before) and not needs_node_port(spec) and node_ports(spec) == node_ports(before):
        spec["ports"] = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports") or ()]
    if needs_health_check_port(before) and not needs_health_check_port(spec):
        _drop_if_same(spec, before, "healthCheckNodePort")
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_if_same(spec, before, "allocateLoadBalancerNodePorts")
        _drop_if_same(spec, before, "loadBalancerClass")
    if needs_external_policy(before) and not needs_external_policy(spec):
        _drop_if_same(spec, before, "externalTrafficPolicy")
    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        _drop_if_same(spec, before, "internalTrafficPolicy")


def _drop_if_same(spec: Object, before: Object, field: str) -> None:
    if field in spec and spec[field] == before.get(field):
        del spec[field]


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {("", "services"): ServiceStrategy}
