"""Cells of services, endpoints and ingresses."""

from __future__ import annotations

from apiserver_workers.apimachinery.tables.cells import NONE, UNKNOWN, UNSET, Object, get, items, shortened


def cluster_ip(service: Object, now: float) -> str:
    addresses = items(service, "spec.clusterIPs")
    return addresses[0] if addresses else NONE


def external_ip(service: Object, now: float) -> str:
    kind, external = get(service, "spec.type"), items(service, "spec.externalIPs")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or NONE
    if kind == "LoadBalancer":
        addresses = load_balancer(service, now)
        return ",".join([*filter(None, [addresses]), *external]) or "<pending>"
    if kind == "ExternalName":
        return get(service, "spec.externalName") or ""
    return UNKNOWN


def load_balancer(obj: Object, now: float) -> str:
    """The addresses in status.loadBalancer, of a service or an ingress."""
    entries = items(obj, "status.loadBalancer.ingress")
    return ",".join(sorted({entry.get("ip") or entry.get("hostname") or "" for entry in entries} - {""}))


def service_ports(service: Object, now: float) -> str:
    return ",".join(_port(port) for port in items(service, "spec.ports")) or NONE


def _port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node}/{port.get('protocol', '')}"


def hosts(ingress: Object, now: float) -> str:
    rules = items(ingress, "spec.rules")
    found: list[str] = []
    more = False
    for rule in rules:
        # a rule behind the third host counts as more, whether it has a host or not
        more = more or len(found) == 3
        if not more and rule.get("host"):
            found.append(rule["host"])
    text = ",".join(found) or "*"
    return f"{text} + {len(rules) - 3} more..." if more else text


def ingress_ports(ingress: Object, now: float) -> str:
    return "80, 443" if items(ingress, "spec.tls") else "80"


def class_parameters(ingress_class: Object, now: float) -> str:
    parameters = get(ingress_class, "spec.parameters")
    if parameters is None:
        return NONE
    group = f".{parameters['apiGroup']}" if "apiGroup" in parameters else ""
    return f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"


def endpoints(obj: Object, now: float) -> str:
    subsets = obj.get("subsets")
    if not subsets:
        return NONE
    found = [address for subset in subsets for address in _subset(subset)]
    return shortened(found, len(found))


def _subset(subset: Object) -> list[str]:
    addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
    ports = subset.get("ports")
    if not ports:
        return addresses
    bracketed = [f"[{address}]" if ":" in address else address for address in addresses]
    return [f"{address}:{port.get('port', 0)}" for port in ports for address in bracketed]


def slice_ports(endpoint_slice: Object, now: float) -> str:
    ports = [
        str(port["port"]) if port.get("port") is not None else port.get("name", "*")
        for port in items(endpoint_slice, "ports")
    ]
    return shortened(ports, len(ports)) or UNSET


def slice_endpoints(endpoint_slice: Object, now: float) -> str:
    addresses = [
        address for endpoint in items(endpoint_slice, "endpoints") for address in endpoint.get("addresses") or ()
    ]
    return shortened(addresses, len(addresses)) or UNSET


def parent(address: Object, now: float) -> str:
    """What an IPAddress belongs to: services/default/kubernetes."""
    reference = get(address, "spec.parentRef")
    if reference is None:
        return NONE
    group = f".{reference['group']}" if reference.get("group") else ""
    resource = f"{reference.get('resource', '')}{group}".lower()
    return "/".join([resource, *filter(None, [reference.get("namespace")]), reference.get("name", "")])
