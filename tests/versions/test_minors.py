"""Every minor version that the schema package ships is served: its versions, its fields, its documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from apiserver_workers.apimachinery.enablement import resource_enablement
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.schemas import shipped_minors
from apiserver_workers.apimachinery.types import TypeModel
from apiserver_workers.server.discovery import documents as discovery
from apiserver_workers.server.openapi.protobuf import encode

from tests.openapi import v2_document, v3_documents
from tests.registry.api import Api, running
from tests.storage.etcd_process import EtcdProcess
from tests.versions.authority import trust_anchor

Serve = Callable[[str], TypeModel]

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
REFERENCE = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
# A valid spec, and which field shows that it came back, of kinds that some minors serve in several versions.
SAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "ConfigMap": ({"data": {"k": "v"}}, "data"),
    "Deployment": ({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}}, "spec"),
    "HorizontalPodAutoscaler": ({"spec": {"scaleTargetRef": REFERENCE, "maxReplicas": 3}}, "spec"),
    "PodDisruptionBudget": ({"spec": {"minAvailable": 1}}, "spec"),
    "CSIStorageCapacity": ({"storageClassName": "fast", "capacity": "1Gi"}, "capacity"),
    "FlowSchema": ({"spec": {"priorityLevelConfiguration": {"name": "exempt"}}}, "spec"),
    "PriorityLevelConfiguration": (
        {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
        "spec",
    ),
    "IPAddress": ({"spec": {"parentRef": {"resource": "services", "name": "s", "namespace": "default"}}}, "spec"),
    "ValidatingAdmissionPolicy": (
        {
            "spec": {
                "validations": [{"expression": "true"}],
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ]
                },
            }
        },
        "spec",
    ),
    "DeviceClass": ({"spec": {"selectors": [{"cel": {"expression": "true"}}]}}, "spec"),
    "ClusterTrustBundle": ({"spec": {"trustBundle": trust_anchor()}}, "spec"),
    "LeaseCandidate": (
        {
            "spec": {
                "leaseName": "l",
                "binaryVersion": "1.30.0",
                "emulationVersion": "1.30.0",
                "strategy": "OldestEmulationVersion",
            }
        },
        "spec",
    ),
    "StorageVersion": ({"spec": {}, "status": {}}, "metadata"),
}
NAMES = {"IPAddress": "192.0.2.1", "StorageVersion": "apps.deployments"}
# Kinds whose sample does not fit everywhere: theirs were other fields then.
OTHERWISE = {("coordination.k8s.io/v1alpha1", "LeaseCandidate"), ("resource.k8s.io/v1alpha3", "DeviceClass")}
# What the minor version brought: the first that has the field.
POD_FIELDS = {
    "schedulingGates": ([{"name": "g"}], 26),
    "resources": ({"limits": {"cpu": "1"}}, 32),
    "hostnameOverride": ("h", 34),
}


def path_of(info: ResourceInfo) -> str:
    root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    return f"{root}/namespaces/default/{info.resource}" if info.namespaced else f"{root}/{info.resource}"


@pytest.mark.parametrize("minor", shipped_minors())
async def test_kinds_are_created_and_read_in_every_version(
    minor: str, etcd: EtcdProcess, root: str, serve: Serve
) -> None:
    serve(minor)
    everything = resource_enablement(minor, {"api/all": "true"}, gates={"AllAlpha": True, "AllBeta": True})
    sampled = [
        i for i in everything if i.kind in SAMPLES and (i.group_version, i.kind) not in OTHERWISE and not i.plain
    ]
    assert len(sampled) >= len(SAMPLES) // 2
    async with running(etcd, root, everything) as api:
        for info in sampled:
            await check(api, info, [other for other in sampled if other.stored_as == info.stored_as])
        await check_unknown_fields(api, int(minor.partition(".")[2]))


async def check(api: Api, info: ResourceInfo, served: list[ResourceInfo]) -> None:
    """Create an object in this version and read it in every version that there is of it."""
    body, shown = SAMPLES[info.kind]
    name = NAMES.get(info.kind, "sample")
    created = await api.create(name, path=path_of(info), kind=info.kind, **body)
    assert created.status == 201, (info.group_version, created.body)
    for other in [other for other in served if other.kind == info.kind]:
        read = await api.call("GET", f"{path_of(other)}/{name}")
        assert read.status == 200
        assert (read.obj["apiVersion"], shown in read.obj) == (other.group_version, True)
        listed = await api.call("GET", path_of(other))
        assert name in [item["metadata"]["name"] for item in listed.obj["items"]]
    again = await api.call("PUT", f"{path_of(info)}/{name}", created.obj)
    assert again.obj == created.obj, "writing back what was read changes nothing"
    assert (await api.call("DELETE", f"{path_of(info)}/{name}")).status == 200


async def check_unknown_fields(api: Api, minor: int) -> None:
    """A field that comes with a later version is an unknown one."""
    for field, (value, since) in POD_FIELDS.items():
        spec = {**TEMPLATE["spec"], field: value}
        known = minor >= since
        path = "/api/v1/namespaces/default/podtemplates"
        template = {"template": {"spec": spec}}

        strict = await api.call(
            "POST",
            path,
            {"kind": "PodTemplate", "metadata": {"name": field.lower()}, **template},
            fieldValidation="Strict",
        )
        assert (strict.status == 201) is known, strict.body
        if not known:
            assert f'unknown field "template.spec.{field}"' in strict.message
        warned = await api.call(
            "POST", path, {"kind": "PodTemplate", "metadata": {"name": f"{field.lower()}-w"}, **template}
        )
        assert warned.status == 201
        assert (field in warned.obj["template"]["spec"]) is known
        assert warned.warnings == ([] if known else [f'unknown field "template.spec.{field}"'])


@pytest.mark.parametrize("minor", shipped_minors())
def test_discovery_and_openapi_describe_the_version(minor: str, serve: Serve) -> None:
    model = serve(minor)
    served = resource_enablement(minor)
    groups = discovery.group_resources(served)
    assert all("alpha" not in version for versions in groups.values() for version in versions)
    documents = v3_documents(served, model, f"v{minor}.0")
    for group, versions in groups.items():
        for version, infos in versions.items():
            name = f"apis/{group}/{version}" if group else f"api/{version}"
            document = documents[name]
            assert document["info"]["version"] == f"v{minor}.0"
            kinds = {
                gvk["kind"]
                for schema in document["components"]["schemas"].values()
                for gvk in schema.get("x-kubernetes-group-version-kind", ())
                if (gvk["group"], gvk["version"]) == (group, version)
            }
            assert {info.kind for info in infos} <= kinds
    whole = v2_document(served, model, f"v{minor}.0")
    assert {f"/apis/{group}/" for group in groups if group} <= whole["paths"].keys()
    assert encode(whole)
