"""IP addresses and CIDRs: what Go's parsers take, what fields of objects take, and what is warned of."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.addresses import parse_cidr, parse_ip
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.addresses import (
    validate_canonical_cidr,
    validate_canonical_ip,
    validate_cidr,
    validate_ip,
)
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update
from apiserver_workers.apimachinery.warnings import warn_on_create, warn_on_update
from apiserver_workers.apimachinery.warnings.addresses import warn_of_cidr, warn_of_ip

INFOS = {(info.group, info.kind): info for info in builtin_resources().values()}
Object = dict[str, Any]

NO_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
ZEROS, CIDR_ZEROS = "must not have leading 0s", "must not have leading 0s in IP or prefix length"
MAPPED, CIDR_MAPPED = "must not be an IPv4-mapped IPv6 address", "must not have an IPv4-mapped IPv6 address"
HOST_BITS = "must not have bits set beyond the prefix length"


@pytest.fixture
def lenient() -> Iterator[None]:
    """The gate StrictIPCIDRValidation off."""
    feature_gates.use({"StrictIPCIDRValidation": False})
    yield
    feature_gates.use({})


# (value, fault when strict, whether the sloppy form takes it, fault when canonical)
IPS = [
    ("10.0.0.1", "", True, ""),
    ("2001:db8::1", "", True, ""),
    ("2001:DB8::1", "", True, 'must be in canonical form ("2001:db8::1")'),
    ("2001:db8:0::1", "", True, 'must be in canonical form ("2001:db8::1")'),
    ("010.0.0.1", ZEROS, True, ZEROS),
    ("10.00.0.1", ZEROS, True, ZEROS),
    ("10.0.0.000", ZEROS, True, ZEROS),
    ("::ffff:1.2.3.4", MAPPED, True, MAPPED),
    ("::ffff:102:304", MAPPED, True, MAPPED),
    ("::ffff:01.2.3.4", ZEROS, True, ZEROS),
    ("", NO_IP, False, NO_IP),
    ("10.0.0", NO_IP, False, NO_IP),
    ("10.0.0.256", NO_IP, False, NO_IP),
    ("10.0.0.1/8", NO_IP, False, NO_IP),
    ("fe80::1%eth0", NO_IP, False, NO_IP),
    ("a.b.c.d", NO_IP, False, NO_IP),
]
CIDRS = [
    ("10.0.0.0/8", "", True, ""),
    ("2001:db8::/32", "", True, ""),
    ("2001:DB8::/32", "", True, 'must be in canonical form ("2001:db8::/32")'),
    ("10.0.0.1/8", HOST_BITS, True, HOST_BITS),
    ("2001:db8::1/64", HOST_BITS, True, HOST_BITS),
    ("10.0.0.0/08", CIDR_ZEROS, True, CIDR_ZEROS),
    ("010.0.0.0/8", CIDR_ZEROS, True, CIDR_ZEROS),
    ("::ffff:10.0.0.0/104", CIDR_MAPPED, True, CIDR_MAPPED),
    ("10.0.0.0/0", HOST_BITS, True, HOST_BITS),
    ("0.0.0.0/0", "", True, ""),
    ("10.0.0.0/33", NO_CIDR, False, NO_CIDR),
    ("10.0.0.0", NO_CIDR, False, NO_CIDR),
    ("10.0.0.0/", NO_CIDR, False, NO_CIDR),
    ("10.0.0.0/-1", NO_CIDR, False, NO_CIDR),
    ("10.0.0.0/255.0.0.0", NO_CIDR, False, NO_CIDR),
    ("x/8", NO_CIDR, False, NO_CIDR),
]


def faults(errors: Any, value: str) -> str:
    prefix = f'Invalid value: "{value}": '
    assert all(error.body.startswith(prefix) and error.field == "p" for error in errors)
    return "; ".join(error.body.removeprefix(prefix) for error in errors)


@pytest.mark.parametrize(("value", "strict", "sloppy", "canonical"), IPS)
def test_ips(value: str, strict: str, sloppy: bool, canonical: str) -> None:
    assert faults(validate_ip(value, "p"), value) == strict
    assert validate_ip(value, "p", [value]) == []
    assert faults(validate_canonical_ip(value, "p"), value) == canonical
    assert (parse_ip(value) is not None) is sloppy


@pytest.mark.parametrize(("value", "strict", "sloppy", "canonical"), CIDRS)
def test_cidrs(value: str, strict: str, sloppy: bool, canonical: str) -> None:
    assert faults(validate_cidr(value, "p"), value) == strict
    assert validate_cidr(value, "p", [value]) == []
    assert faults(validate_canonical_cidr(value, "p"), value) == canonical
    assert (parse_cidr(value) is not None) is sloppy


@pytest.mark.parametrize(("value", "strict", "sloppy", "canonical"), IPS)
@pytest.mark.usefixtures("lenient")
def test_ips_with_the_gate_off(value: str, strict: str, sloppy: bool, canonical: str) -> None:
    assert faults(validate_ip(value, "p"), value) == ("" if sloppy else strict)
    assert faults(validate_canonical_ip(value, "p"), value) == canonical


@pytest.mark.parametrize(("value", "strict", "sloppy", "canonical"), CIDRS)
@pytest.mark.usefixtures("lenient")
def test_cidrs_with_the_gate_off(value: str, strict: str, sloppy: bool, canonical: str) -> None:
    assert faults(validate_cidr(value, "p"), value) == ("" if sloppy else strict)


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("10.0.0.1", []),
        ("010.0.0.1", ['p: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"']),
        ("::ffff:1.2.3.4", ['p: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"']),
        ("2001:DB8::1", ['p: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")']),
        ("nonsense", []),
    ],
)
def test_warnings_of_ips(value: str, warning: list[str]) -> None:
    assert list(warn_of_ip(value, "p")) == warning


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("10.0.0.0/8", []),
        (
            "10.1.2.3/8",
            ['p: CIDR value "10.1.2.3/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)'],
        ),
        ("10.0.0.0/08", ['p: non-standard CIDR value "10.0.0.0/08" is invalid: use "10.0.0.0/8"']),
        ("::ffff:10.0.0.0/104", ['p: non-standard CIDR value "::ffff:10.0.0.0/104" is invalid: use "10.0.0.0/8"']),
        (
            "10.1.2.3/08",
            [
                'p: CIDR value "10.1.2.3/08" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)',
                'p: non-standard CIDR value "10.1.2.3/08" is invalid: use "10.0.0.0/8"',
            ],
        ),
        (
            "2001:DB8::/32",
            ['p: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")'],
        ),
        ("nonsense", []),
    ],
)
def test_warnings_of_cidrs(value: str, warning: list[str]) -> None:
    assert list(warn_of_cidr(value, "p")) == warning


# --- every field that holds one -----------------------------------------------------------------------------------

CONTAINER = {
    "name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
}  # fmt: skip
POD_SPEC = {"containers": [CONTAINER], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
SERVICE = {
    "type": "LoadBalancer", "sessionAffinity": "None", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
    "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
}  # fmt: skip
LB = "loadBalancer"
EP = {"subsets": [{"addresses": [{"ip": ""}]}]}

# group, kind, subresource, the field, the object around its value
FIELDS: list[tuple[str, str, str, str, Any]] = [
    ("", "Pod", "", "spec.hostAliases[0].ip", lambda v: {"spec": {**POD_SPEC, "hostAliases": [{"ip": v}]}}),
    (
        "", "Pod", "", "spec.dnsConfig.nameservers[0]",
        lambda v: {"spec": {**POD_SPEC, "dnsConfig": {"nameservers": [v]}}},),
    ("", "Pod", "status", "status.podIPs[0]", lambda v: {"spec": POD_SPEC, "status": {"podIPs": [{"ip": v}]}}),
    (
        "", "Pod", "status", "status.hostIPs[0]",
        lambda v: {"spec": POD_SPEC, "status": {"hostIP": v, "hostIPs": [{"ip": v}]}},),
    ("", "Service", "", "spec.externalIPs[0]", lambda v: {"spec": {**SERVICE, "externalIPs": [v]}}),
    (
        "", "Service", "", "spec.clusterIPs[0]",
        lambda v: {"spec": {**SERVICE, "clusterIP": v, "clusterIPs": [v]}},),
    (
        "", "Service", "status", "status.loadBalancer.ingress[0].ip",
        lambda v: {"spec": SERVICE, "status": {LB: {"ingress": [{"ip": v, "ipMode": "VIP"}]}}},),
    ("", "Endpoints", "", "subsets[0].addresses[0].ip", lambda v: {"subsets": [{"addresses": [{"ip": v}]}]}),
    (
        "", "Endpoints", "", "subsets[0].notReadyAddresses[0].ip",
        lambda v: {"subsets": [{"notReadyAddresses": [{"ip": v}]}]},),
    (
        "discovery.k8s.io", "EndpointSlice", "", "endpoints[0].addresses[0]",
        lambda v: {"addressType": "IPv4", "endpoints": [{"addresses": [v]}]},),
    (
        "networking.k8s.io", "Ingress", "status", "status.loadBalancer.ingress[0].ip",
        lambda v: {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
                   "status": {LB: {"ingress": [{"ip": v}]}}},),
]  # fmt: skip
RANGES: list[tuple[str, str, str, str, Any]] = [
    (
        "", "Service", "", "spec.LoadBalancerSourceRanges[0]",
        lambda v: {"spec": {**SERVICE, "loadBalancerSourceRanges": [v]}},),
    (
        "", "Service", "", "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]",
        lambda v: {"metadata": {"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": v}},
                   "spec": SERVICE},),
    ("", "Node", "", "spec.podCIDRs[0]", lambda v: {"spec": {"podCIDR": v, "podCIDRs": [v]}}),
    (
        "networking.k8s.io", "NetworkPolicy", "", "spec.ingress[0].from[0].ipBlock.cidr",
        lambda v: {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": v}}]}]}},),
    (
        "networking.k8s.io", "NetworkPolicy", "", "spec.egress[0].to[0].ipBlock.except[0]",
        lambda v: {"spec": {"podSelector": {},
                            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [v]}}]}]}},),
]  # fmt: skip


def whole(kind: str, part: Object) -> Object:
    metadata = {"name": "x", "namespace": "" if kind == "Node" else "n", "uid": "u", "resourceVersion": "1"}
    return {"kind": kind, **part, "metadata": {**metadata, **part.get("metadata", {})}}


def judged(group: str, kind: str, subresource: str, new: Object, old: Object) -> list[Any]:
    info = INFOS[group, kind]
    if subresource:
        return validate_update(info, new, old, subresource=subresource)
    return validate_create(info, copy.deepcopy(new))


BAD_IPS = [("010.0.0.1", ZEROS), ("::ffff:1.2.3.4", MAPPED)]
BAD_CIDRS = [("10.0.0.1/8", HOST_BITS), ("10.0.0.0/08", CIDR_ZEROS), ("::ffff:10.0.0.0/104", CIDR_MAPPED)]
CASES = [(*field, *bad) for field in FIELDS for bad in BAD_IPS] + [(*f, *bad) for f in RANGES for bad in BAD_CIDRS]


@pytest.mark.parametrize(("group", "kind", "subresource", "field", "make", "value", "fault"), CASES)
def test_every_field_is_strict(
    group: str, kind: str, subresource: str, field: str, make: Any, value: str, fault: str
) -> None:
    good = whole(kind, make("10.0.0.0/8" if "CIDR" in kind or "/" in value else "10.0.0.1"))
    bad = whole(kind, make(value))
    assert judged(group, kind, subresource, good, good) == []
    found = [(error.field, error.body) for error in judged(group, kind, subresource, bad, good)]
    assert (field, f'Invalid value: "{value}": {fault}') in found


# Pods and nodes are judged anew upstream.
KEPT = [case for case in CASES if case[2] or case[1] not in ("Pod", "Node")]


@pytest.mark.parametrize(("group", "kind", "subresource", "field", "make", "value", "fault"), KEPT)
def test_an_update_may_keep_what_the_object_held(
    group: str, kind: str, subresource: str, field: str, make: Any, value: str, fault: str
) -> None:
    bad = whole(kind, make(value))
    assert not [
        error
        for error in validate_update(INFOS[group, kind], copy.deepcopy(bad), bad, subresource=subresource)
        if error.field == field
    ]


def test_a_slice_of_ipv6_takes_the_canonical_form_alone() -> None:
    obj = whole("EndpointSlice", {"addressType": "IPv6", "endpoints": [{"addresses": ["2001:DB8::1"]}]})
    [error] = validate_create(INFOS["discovery.k8s.io", "EndpointSlice"], obj)
    assert error.body == 'Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")'


@pytest.mark.parametrize("name", ["010.0.0.1", "::ffff:1.2.3.4", "2001:DB8::1"])
def test_an_ip_address_is_named_canonically(name: str) -> None:
    parent = {"resource": "services", "name": "s", "namespace": "n"}
    obj = {"kind": "IPAddress", "metadata": {"name": name}, "spec": {"parentRef": parent}}
    [error] = validate_create(INFOS["networking.k8s.io", "IPAddress"], obj)
    assert error.field == "metadata.name"


def test_a_service_cidr_is_canonical() -> None:
    for cidr, fault in [("10.0.0.0/08", CIDR_ZEROS), ("10.0.0.1/8", HOST_BITS), ("::ffff:10.0.0.0/104", CIDR_MAPPED)]:
        obj = {"kind": "ServiceCIDR", "metadata": {"name": "x"}, "spec": {"cidrs": [cidr]}}
        [error] = validate_create(INFOS["networking.k8s.io", "ServiceCIDR"], obj)
        assert error.body == f'Invalid value: "{cidr}": {fault}'


@pytest.mark.parametrize(
    ("group", "kind", "part", "path"),
    [
        ("", "Pod", {"status": {"podIPs": [{"ip": "2001:DB8::1"}]}}, "status.podIPs[0].ip"),
        ("", "Pod", {"status": {"hostIPs": [{"ip": "2001:DB8::1"}]}}, "status.hostIPs[0].ip"),
        ("", "Service", {"status": {LB: {"ingress": [{"ip": "2001:DB8::1"}]}}}, "status.loadBalancer.ingress[0]"),
        (
            "networking.k8s.io",
            "Ingress",
            {"status": {LB: {"ingress": [{"ip": "2001:DB8::1"}]}}},
            "status.loadBalancer.ingress[0]",
        ),
    ],
)
def test_a_status_is_warned_of(group: str, kind: str, part: Object, path: str) -> None:
    obj = whole(kind, part)
    [warning] = warn_on_update(INFOS[group, kind], obj, obj, "status")
    assert warning == f'{path}: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'


def test_what_the_endpoint_controllers_write_is_not_warned_of() -> None:
    subsets = {"subsets": [{"addresses": [{"ip": "2001:DB8::1"}]}]}
    slices = {"endpoints": [{"addresses": ["2001:DB8::1"]}]}
    for group, kind, part, labels in [
        ("", "Endpoints", subsets, {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}),
        (
            "discovery.k8s.io",
            "EndpointSlice",
            slices,
            {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
        ),
    ]:
        info = INFOS[group, kind]
        assert len(warn_on_create(info, whole(kind, part))) == 1
        assert warn_on_create(info, whole(kind, {**part, "metadata": {"labels": labels}})) == []
