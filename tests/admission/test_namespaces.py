"""NamespaceLifecycle."""

from __future__ import annotations

from tests.admission.cluster import NAMESPACE, Cluster, refused


def test_nothing_is_created_in_a_namespace_that_does_not_exist(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        error = await refused(cluster.create("configmaps", {"metadata": {"name": "c"}}, namespace="absent"), 404)
        assert error.message == 'namespaces "absent" not found'

    in_cluster(scenario)


def test_a_namespace_that_ends_takes_nothing_new_but_lets_the_old_change(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("configmaps", {"metadata": {"name": "old"}})
        await cluster.delete("namespaces", NAMESPACE)
        error = await refused(cluster.create("configmaps", {"metadata": {"name": "new"}}))
        why = f"unable to create new content in namespace {NAMESPACE} because it is being terminated"
        assert error.message == f'configmaps "new" is forbidden: {why}'
        (cause,) = error.details["causes"]
        assert cause == {
            "reason": "NamespaceTerminating",
            "message": f"namespace {NAMESPACE} is being terminated",
            "field": "metadata.namespace",
        }
        changed = await cluster.update("configmaps", "old", lambda live: {**live, "data": {"a": "b"}})
        assert changed["data"] == {"a": "b"}

    in_cluster(scenario)


def test_some_namespaces_are_immortal(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("namespaces", {"metadata": {"name": "default"}})
        error = await refused(cluster.delete("namespaces", "default"))
        assert error.message == 'namespaces "default" is forbidden: this namespace may not be deleted'

    in_cluster(scenario)
