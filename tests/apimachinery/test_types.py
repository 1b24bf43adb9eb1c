from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.types import Field, model


def field(path: str, *kind: str) -> Field:
    """The field at a dotted path of a kind; lists and maps are stepped into."""
    type = model().kind(*kind)
    names = path.split(".")
    for name in names[:-1]:
        member = type.fields[name]
        while member.element is not None:
            member = member.element
        assert member.type is not None
        type = member.type
    return type.fields[names[-1]]


def test_every_served_kind_and_subresource_has_a_type() -> None:
    types = model()
    for info in builtin_resources().values():
        fields = types.kind(info.group, info.version, info.kind).fields
        assert list(fields)[:2] == ["kind", "apiVersion"]
        for sub in info.subresources.values():
            if sub.kind.endswith("Options"):
                continue
            assert types.find(sub.group or info.group, sub.version or info.version, sub.kind), sub


def test_fields_are_in_the_order_of_the_go_struct() -> None:
    pod = model().kind("", "v1", "Pod")
    assert list(pod.fields) == ["kind", "apiVersion", "metadata", "spec", "status"]
    assert pod.go_name == "v1.Pod"
    assert pod.is_object
    assert not model().type("io.k8s.api.core.v1.PodSpec").is_object


def test_the_schema_tells_list_types_and_patch_keys() -> None:
    containers = field("spec.containers", "", "v1", "Pod")
    assert (containers.form, containers.list_type, containers.list_keys) == ("list", "map", ("name",))
    assert (containers.patch_strategies, containers.patch_key) == (("merge",), "name")
    assert containers.required
    volumes = field("spec.volumes", "", "v1", "Pod")
    assert volumes.patch_strategies == ("merge", "retainKeys")
    assert field("spec.selector", "apps", "v1", "Deployment").map_type == "atomic"


def test_inlined_messages_show_their_fields() -> None:
    volumes = field("spec.volumes", "", "v1", "Pod")
    assert volumes.element is not None and volumes.element.type is not None
    assert {"name", "hostPath", "configMap"} <= set(volumes.element.type.fields)
    assert [inline for _, inline in volumes.element.type.members] == [False, True]


@pytest.mark.parametrize(
    ("path", "kind", "form", "pointer"),
    [
        ("spec.replicas", ("apps", "v1", "Deployment"), "integer", True),
        ("spec.paused", ("apps", "v1", "Deployment"), "boolean", False),
        ("spec.strategy", ("apps", "v1", "Deployment"), "object", False),
        ("spec.strategy.rollingUpdate.maxSurge", ("apps", "v1", "Deployment"), "intstr", True),
        ("spec.ingressClassName", ("networking.k8s.io", "v1", "Ingress"), "string", True),
        ("spec.externalTrafficPolicy", ("", "v1", "Service"), "string", False),
        ("spec.renewTime", ("coordination.k8s.io", "v1", "Lease"), "microtime", True),
        ("data", ("apps", "v1", "ControllerRevision"), "raw", False),
        ("metadata.creationTimestamp", ("", "v1", "Pod"), "time", False),
    ],
)
def test_forms_and_pointers(path: str, kind: tuple[str, str, str], form: str, pointer: bool) -> None:
    found = field(path, *kind)
    assert (found.form, found.pointer) == (form, pointer)


def test_meta_kinds_are_in_every_group() -> None:
    assert model().kind("apps", "v1", "DeleteOptions") is model().kind("", "v1", "DeleteOptions")


def test_an_unknown_kind_is_a_key_error() -> None:
    assert model().find("", "v1", "Golden") is None
    with pytest.raises(KeyError):
        model().kind("", "v1", "Golden")


@pytest.mark.parametrize("minor", [f"1.{number}" for number in range(25, 38)])
def test_other_minor_versions_have_their_own_fields(minor: str) -> None:
    types = model(minor)
    for kind in types.kinds().values():
        assert types.type(kind).fields is not None
    volume_claim = types.type("io.k8s.api.core.v1.PersistentVolumeClaimSpec").fields
    assert ("volumeAttributesClassName" in volume_claim) == (int(minor[2:]) >= 29)


def test_a_minor_version_without_schemas_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="no schemas of Kubernetes"):
        model("1.3")
