"""Which objects belong to which node, by the pods that run there.

    node ← pod ← secret, configmap, persistentvolumeclaim, serviceaccount, resourceclaim
                 persistentvolumeclaim ← persistentvolume ← secret
    node ← volumeattachment, resourceslice, podcertificaterequest

Each resource is a `Links` table that an informer feeds; a question walks from the object towards the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from apiserver_workers.storage.interface import Entry, Event

Vertex = tuple[str, str, str]  # resource, namespace, name

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class Links:
    """An informer's handler: for each object the vertex it leads to and the vertices that lead to it."""

    def __init__(self, links_of: Callable[[dict[str, Any]], tuple[Vertex, set[Vertex]] | None]) -> None:
        self._links_of = links_of
        self.target: dict[str, Vertex] = {}  # storage key: where the object leads to
        self._sources: dict[str, set[Vertex]] = {}
        self.by_source: dict[Vertex, set[str]] = {}  # a vertex: keys of the objects it leads to

    def replace(self, entries: list[Entry]) -> None:
        self.target.clear()
        self._sources.clear()
        self.by_source.clear()
        for entry in entries:
            self._put(entry)

    def apply(self, event: Event) -> None:
        self._drop(event.entry.key)
        if event.type != "DELETED":
            self._put(event.entry)

    def _put(self, entry: Entry) -> None:
        links = self._links_of(entry.obj)
        if links is None:
            return
        self.target[entry.key], self._sources[entry.key] = links
        for source in links[1]:
            self.by_source.setdefault(source, set()).add(entry.key)

    def _drop(self, key: str) -> None:
        self.target.pop(key, None)
        for source in self._sources.pop(key, ()):
            keys = self.by_source[source]
            keys.discard(key)
            if not keys:
                del self.by_source[source]


class NodeGraph:
    """`reaches` answers the node authorizer's question. `tables` are the handlers to feed, by storage prefix."""

    def __init__(self) -> None:
        self.tables = {
            "pods": Links(pod_links),
            "persistentvolumes": Links(volume_links),
            "volumeattachments": Links(own_node("volumeattachments", lambda obj: obj["spec"].get("nodeName"))),
            "resourceslices": Links(own_node("resourceslices", lambda obj: obj["spec"].get("nodeName"))),
            "podcertificaterequests": Links(
                own_node("podcertificaterequests", lambda obj: obj["spec"].get("nodeName"))
            ),
        }

    def reaches(self, vertex: Vertex, node: str) -> bool:
        """Whether a path leads from the object to the node."""
        goal: Vertex = ("nodes", "", node)
        seen, waiting = {vertex}, [vertex]
        while waiting:
            for target in self._targets(waiting.pop()):
                if target == goal:
                    return True
                if target not in seen and target[0] != "nodes":
                    seen.add(target)
                    waiting.append(target)
        return False

    def _targets(self, vertex: Vertex) -> Iterator[Vertex]:
        for table in self.tables.values():
            for key in table.by_source.get(vertex, ()):
                yield table.target[key]


def own_node(
    resource: str, node_of: Callable[[dict[str, Any]], str | None]
) -> Callable[[dict[str, Any]], tuple[Vertex, set[Vertex]] | None]:
    """Links of a resource whose objects name their node themselves."""

    def links(obj: dict[str, Any]) -> tuple[Vertex, set[Vertex]] | None:
        metadata, node = obj["metadata"], node_of(obj)
        if not node:
            return None
        return ("nodes", "", node), {(resource, metadata.get("namespace", ""), metadata["name"])}

    return links


def volume_links(volume: dict[str, Any]) -> tuple[Vertex, set[Vertex]] | None:
    """A volume belongs to its claim; its secrets belong to the volume's claim, too."""
    spec = volume.get("spec", {})
    claim = spec.get("claimRef")
    if not claim:
        return None
    claim_namespace = claim.get("namespace", "")
    sources: set[Vertex] = {("persistentvolumes", "", volume["metadata"]["name"])}
    for source in spec.values():
        if isinstance(source, dict) and source is not claim:
            sources.update(_volume_secrets(source, claim_namespace))
    return ("persistentvolumeclaims", claim_namespace, claim.get("name", "")), sources


def _volume_secrets(source: dict[str, Any], claim_namespace: str) -> Iterator[Vertex]:
    """The secrets that a kubelet mounts the volume with: every `...secretRef` but those of controllers, and Azure's."""
    for name, value in source.items():
        if name.startswith("controller") or not isinstance(value, dict):
            continue
        if name.lower().endswith("secretref") and value.get("name"):
            yield "secrets", value.get("namespace") or claim_namespace, value["name"]
    if source.get("shareName") and source.get("secretName"):
        yield "secrets", source.get("secretNamespace") or claim_namespace, source["secretName"]


def pod_links(pod: dict[str, Any]) -> tuple[Vertex, set[Vertex]] | None:
    """A pod on a node, with what its kubelet needs to run it. A mirror pod gives access to nothing but itself."""
    metadata, spec = pod["metadata"], pod.get("spec", {})
    if not spec.get("nodeName"):
        return None
    namespace = metadata.get("namespace", "")
    sources: set[Vertex] = {("pods", namespace, metadata["name"])}
    if MIRROR_ANNOTATION not in metadata.get("annotations", {}):
        sources.update((resource, namespace, name) for resource, name in _pod_needs(pod) if name)
    return ("nodes", "", spec["nodeName"]), sources


def _pod_needs(pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    spec = pod["spec"]
    yield "serviceaccounts", spec.get("serviceAccountName", "")
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for containers in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(containers) or ():
            yield from _container_needs(container)
    for volume in spec.get("volumes") or ():
        yield from _volume_needs(pod["metadata"]["name"], volume)
    for claim in spec.get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName", "")
    status = pod.get("status", {})
    for claim in status.get("resourceClaimStatuses") or ():
        yield "resourceclaims", claim.get("resourceClaimName", "")
    yield "resourceclaims", (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName", "")


def _container_needs(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
        yield "secrets", (source.get("secretRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield "configmaps", (source.get("configMapKeyRef") or {}).get("name", "")
        yield "secrets", (source.get("secretKeyRef") or {}).get("name", "")


def _volume_needs(pod_name: str, volume: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "configmaps", (volume.get("configMap") or {}).get("name", "")
    yield "secrets", (volume.get("secret") or {}).get("secretName", "")
    yield "secrets", (volume.get("azureFile") or {}).get("secretName", "")
    yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if "ephemeral" in volume:
        yield "persistentvolumeclaims", f"{pod_name}-{volume['name']}"
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield "configmaps", (source.get("configMap") or {}).get("name", "")
        yield "secrets", (source.get("secret") or {}).get("name", "")
    for driver in volume.values():
        if isinstance(driver, dict):
            for reference in ("secretRef", "nodePublishSecretRef"):
                yield "secrets", (driver.get(reference) or {}).get("name", "")
