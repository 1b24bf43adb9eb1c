"""Default classes, protection of what is in use, claims that grow."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.context import Context

from tests.admission.cluster import ADMIN, NAMESPACE, Cluster, refused

CLASSES = "storageclasses.storage.k8s.io"
IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def claim(size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    requests = {"requests": {"storage": size}}
    return {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": requests, **spec}}


async def storage_class(cluster: Cluster, name: str, *, expands: bool = False, default: bool = True) -> None:
    metadata = {"name": name, "annotations": {IS_DEFAULT: "true"} if default else {}}
    await cluster.create(CLASSES, {"metadata": metadata, "provisioner": "p.io/p", "allowVolumeExpansion": expands})


def test_a_claim_without_class_gets_the_default_one_and_a_finalizer(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await storage_class(cluster, "other", default=False)
        await storage_class(cluster, "usual")
        created = await cluster.create("persistentvolumeclaims", claim())
        assert created["spec"]["storageClassName"] == "usual"
        assert created["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]

    in_cluster(scenario)


def test_a_claim_may_want_no_class(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await storage_class(cluster, "usual")
        created = await cluster.create("persistentvolumeclaims", claim(storageClassName=""))
        assert created["spec"]["storageClassName"] == ""

    in_cluster(scenario)


def test_an_ingress_gets_the_default_class(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        metadata = {"name": "usual", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
        await cluster.create(
            "ingressclasses.networking.k8s.io", {"metadata": metadata, "spec": {"controller": "a.b/c"}}
        )
        backend = {"service": {"name": "s", "port": {"number": 80}}}
        ingress = {"metadata": {"name": "i"}, "spec": {"defaultBackend": backend}}
        created = await cluster.create("ingresses.networking.k8s.io", ingress)
        assert created["spec"]["ingressClassName"] == "usual"

    in_cluster(scenario)


def grown(live: dict[str, Any]) -> dict[str, Any]:
    return {**live, "spec": {**live["spec"], "resources": {"requests": {"storage": "2Gi"}}}}


@pytest.mark.parametrize(
    ("phase", "expands", "why"),
    [
        ("Pending", True, "Only bound persistent volume claims can be expanded"),
        ("Bound", False, "only dynamically provisioned pvc can be resized"),
    ],
)
def test_a_claim_that_may_not_grow(in_cluster, phase, expands, why):
    async def scenario(cluster: Cluster) -> None:
        await storage_class(cluster, "usual", expands=expands)
        await cluster.create("persistentvolumeclaims", claim())
        status = {"phase": phase}
        await cluster.update(
            "persistentvolumeclaims", "c", lambda live: {**live, "status": status}, subresource="status"
        )
        plugin = next(one for one in cluster.backend.admission.plugins if one.name == "PersistentVolumeClaimResize")
        live = await cluster.get("persistentvolumeclaims", "c")
        attributes = cluster.store("persistentvolumeclaims").attributes(
            "UPDATE", Context(ADMIN, NAMESPACE, "c"), grown(live), live
        )
        with pytest.raises(ApiError, match=why):
            plugin.validate(attributes)

    in_cluster(scenario)


def test_a_bound_claim_grows_if_its_class_lets_it(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await storage_class(cluster, "usual", expands=True)
        await cluster.create("persistentvolumeclaims", claim(volumeName="v"))
        bound = {"phase": "Bound"}
        await cluster.update(
            "persistentvolumeclaims", "c", lambda live: {**live, "status": bound}, subresource="status"
        )
        changed = await cluster.update("persistentvolumeclaims", "c", grown)
        assert changed["spec"]["resources"]["requests"]["storage"] == "2Gi"

    in_cluster(scenario)


def test_the_chain_refuses_a_claim_that_grows_unbound(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await storage_class(cluster, "usual", expands=True)
        await cluster.create("persistentvolumeclaims", claim())
        await refused(cluster.update("persistentvolumeclaims", "c", grown), 422)  # validation speaks first

    in_cluster(scenario)
