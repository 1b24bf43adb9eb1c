"""What clients are warned of although it is valid."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.warnings import warn_on_create, warn_on_update

INFOS = {(info.group, info.kind): info for info in builtin_resources().values() if info.version in ("v1", "v2")}


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        ),
        (
            {"volumes": [{"name": "v", "cephfs": {}}]},
            "spec.volumes[0].cephfs: deprecated in v1.28, non-functional in v1.31+",
        ),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, 'spec.imagePullSecrets[1].name: duplicate name "a"'),
        ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
        (
            {"topologySpreadConstraints": [{"topologyKey": "zone"}]},
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ),
        (
            {"containers": [{"name": "c", "resources": {"limits": {"memory": "100m"}}}]},
            'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        ),
        (
            {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]},
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        ),
    ],
)
def test_a_pod_that_is_likely_a_mistake_is_warned_of(spec: dict[str, Any], warning: str) -> None:
    assert warn_on_create(INFOS["", "Pod"], pod(**spec)) == [warning]


def test_a_variable_that_extends_itself_is_no_mistake() -> None:
    variables = [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]
    assert warn_on_create(INFOS["", "Pod"], pod(containers=[{"name": "c", "env": variables}])) == []


def test_updates_of_pods_are_not_looked_at() -> None:
    assert warn_on_update(INFOS["", "Pod"], pod(volumes=[{"name": "v", "rbd": {}}]), pod()) == []


def test_a_template_is_looked_at_when_its_object_counts_a_change() -> None:
    template = pod(volumes=[{"name": "v", "rbd": {}}])
    old = {"metadata": {"name": "d", "generation": 1}, "spec": {"template": template}}
    new = {**old, "metadata": {"name": "d", "generation": 2}}
    warning = "spec.template.spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+"
    assert warn_on_update(INFOS["apps", "Deployment"], old, old) == []
    assert warn_on_update(INFOS["apps", "Deployment"], new, old) == [warning]


def test_a_name_with_dots_makes_surprising_host_names() -> None:
    named = {**pod(), "metadata": {"name": "a.b"}}
    (warning,) = warn_on_create(INFOS["", "Pod"], named)
    assert warning.startswith(
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior;"
    )
    assert warning.endswith("a DNS label is recommended: [must not contain dots]")


def test_a_service_is_told_what_it_sets_in_vain() -> None:
    spec = {"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP", "externalName": "x"}
    found = warn_on_create(INFOS["", "Service"], {"metadata": {}, "spec": spec})
    assert found == [
        "spec.SessionAffinity is ignored for headless services",
        'spec.externalName is ignored when spec.type is not "ExternalName"',
    ]


def test_ranges_with_host_bits_are_ambiguous() -> None:
    spec = {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}
    (warning,) = warn_on_create(INFOS["networking.k8s.io", "NetworkPolicy"], {"metadata": {}, "spec": spec})
    assert warning == (
        'spec.egress[0].to[0].ipBlock.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context'
        ' (should be "10.0.0.0/8" or "10.0.0.1/32"?)'
    )


def test_a_tls_secret_without_certificates_is_warned_of() -> None:
    secret = {"metadata": {}, "type": "kubernetes.io/tls", "data": {"tls.crt": "eA==", "tls.key": "eA=="}}
    assert warn_on_create(INFOS["", "Secret"], secret) == ["tls: failed to find any PEM data in certificate input"]


def test_an_ipv6_address_has_one_canonical_form() -> None:
    obj = {"metadata": {}, "addressType": "IPv6", "endpoints": [{"addresses": ["2001:db8:0::1"]}]}
    assert warn_on_create(INFOS["discovery.k8s.io", "EndpointSlice"], obj) == [
        'endpoints[0].addresses[0]: IPv6 address "2001:db8:0::1" should be in RFC 5952 canonical format ("2001:db8::1")'
    ]
