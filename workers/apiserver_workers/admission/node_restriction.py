"""NodeRestriction: what a kubelet may not write even where it is authorized to write: other nodes' objects, labels that
would draw workloads to it, pods that would give it other objects to read.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver_workers.admission.mirror_pods import reference_fault
from apiserver_workers.admission.node_certificates import request_fault
from apiserver_workers.admission.node_tokens import audience_fault
from apiserver_workers.admission.plugin import CLAIMS, NODES, PODS, Object, Pending, Plugin, forbidden
from apiserver_workers.admission.pod_references import MIRROR, is_mirror
from apiserver_workers.admission.signers import REQUESTS
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import not_found
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.attributes import CREATE, DELETE, UPDATE, Attributes

USER_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
RESTRICTION = "node-restriction.kubernetes.io"
NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")

# The labels of the kubernetes.io and k8s.io namespaces that a kubelet may set on its node.
KUBELET_LABELS = frozenset(
    (
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    )
)
KUBELET_LABEL_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
# What of a claim's status a kubelet reports when it has grown the volume.
CLAIM_STATUS = frozenset(("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"))


class NodeRestriction(Plugin):
    """Sees every write of the kinds in RULES; concerns only users that are nodes."""

    name = "NodeRestriction"
    operations = frozenset((CREATE, UPDATE, DELETE))
    subresources = None

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        return (group, resource) in RULES and super().handles(operation, group, resource, subresource)

    def admit(self, attributes: Attributes) -> Pending:
        node = _node_of(attributes.user)
        if node is None:
            return None
        if not node:
            raise forbidden(attributes, f'could not determine node from user "{attributes.user.name}"')
        info = attributes.info
        if why := RULES[info.group, info.resource](self, node, attributes):
            raise forbidden(attributes, why)
        if _asks_for_token(attributes) and feature_gates.enabled("ServiceAccountNodeAudienceRestriction"):
            return self._check_audience(attributes)
        return None

    async def _check_audience(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        name = attributes.obj["spec"]["boundObjectRef"]["name"]
        pod = self.lister("pods").get(name, attributes.namespace)
        if pod is None:
            raise not_found("pods", "", name)
        if why := await audience_fault(attributes, pod, self.lister, self.initializer.authorizer):
            raise forbidden(attributes, why)

    # One rule a kind: each returns why the write is refused, "" if it is not.

    def pod(self, node: str, attributes: Attributes) -> str:
        rules = {"": self._whole_pod, "status": self._pod_status, "eviction": self._eviction}
        rule = rules.get(attributes.subresource)
        if rule is None:
            subresource = attributes.subresource
            return f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"
        return rule(node, attributes)

    def _whole_pod(self, node: str, attributes: Attributes) -> str:
        if attributes.operation == CREATE:
            assert attributes.obj is not None
            return self._new_pod(node, attributes.obj)
        if attributes.operation == DELETE:
            assert attributes.old_obj is not None
            own = attributes.old_obj["spec"].get("nodeName") == node
            return "" if own else f'node "{node}" can only delete pods with spec.nodeName set to itself'
        return f'unexpected operation "{attributes.operation}", node "{node}" can only create and delete mirror pods'

    def _new_pod(self, node: str, pod: Object) -> str:
        spec = pod["spec"]
        if not is_mirror(pod):
            return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
        if spec.get("nodeName") != node:
            return f'node "{node}" can only create pods with spec.nodeName set to itself'
        return self._owner(node, pod["metadata"].get("ownerReferences") or []) or reference_fault(node, spec)

    def _owner(self, node: str, owners: list[Object]) -> str:
        if len(owners) > 1:
            return f'node "{node}" can only create pods with a single owner reference set to itself'
        identity = [(owner.get("apiVersion"), owner.get("kind"), owner.get("name")) for owner in owners]
        if identity != [("v1", "Node", node)]:
            return f'node "{node}" can only create pods with an owner reference set to itself'
        (owner,) = owners
        if not owner.get("controller"):
            return f'node "{node}" can only create pods with a controller owner reference set to itself'
        if owner.get("blockOwnerDeletion"):
            return f'node "{node}" must not set blockOwnerDeletion on an owner reference'
        found = self.lister("minions").get(node)
        if found is None:
            raise not_found("nodes", "", node)
        uid = found["metadata"]["uid"]
        return "" if owner.get("uid") == uid else f"node {node} UID mismatch: expected {owner.get('uid')} got {uid}"

    def _pod_status(self, node: str, attributes: Attributes) -> str:
        new, old = attributes.obj, attributes.old_obj
        if attributes.operation != UPDATE:
            return f'unexpected operation "{attributes.operation}"'
        assert new is not None and old is not None
        if old["spec"].get("nodeName") != node:
            return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
            return f'node "{node}" cannot update labels through pod status'
        after, before = new.get("status") or {}, old.get("status") or {}
        if (after.get("resourceClaimStatuses") or []) != (before.get("resourceClaimStatuses") or []):
            return f'node "{node}" cannot update resource claim statues'
        if after.get("extendedResourceClaimStatus") != before.get("extendedResourceClaimStatus"):
            return f'node "{node}" cannot update extended resource claim status'
        return ""

    def _eviction(self, node: str, attributes: Attributes) -> str:
        if attributes.operation != CREATE:
            return f"unexpected operation {attributes.operation}"
        name = attributes.name or (attributes.obj or {}).get("metadata", {}).get("name", "")
        if not name:
            return "could not determine pod from request data"
        pod = self.lister("pods").get(name, attributes.namespace)
        if pod is None:
            raise not_found("pods", "", name)
        own = pod["spec"].get("nodeName") == node
        return "" if own else f"node {node} can only evict pods with spec.nodeName set to itself"

    def node(self, node: str, attributes: Attributes) -> str:
        if attributes.name != node:
            return f'node "{node}" is not allowed to modify node "{attributes.name}"'
        if attributes.operation == DELETE:
            return ""
        assert attributes.obj is not None
        spec, old = attributes.obj.get("spec") or {}, attributes.old_obj or {"metadata": {}}
        old_spec = old.get("spec") or {}
        source = spec.get("configSource")
        labels = _forbidden_labels(attributes.obj["metadata"].get("labels"), old["metadata"].get("labels"))
        if attributes.operation == CREATE:
            if source is not None:
                return f'node "{node}" is not allowed to create pods with a non-nil configSource'
            return f'node "{node}" is not allowed to set the following labels: {labels}' if labels else ""
        if source is not None and source != old_spec.get("configSource"):
            return f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
        if (spec.get("taints") or []) != (old_spec.get("taints") or []):
            return f'node "{node}" is not allowed to modify taints'
        if (attributes.obj["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
            return f'node "{node}" is not allowed to modify ownerReferences'
        return f"is not allowed to modify labels: {labels}" if labels else ""

    def claim(self, node: str, attributes: Attributes) -> str:
        if attributes.subresource != "status":
            return "may only update PVC status"
        if attributes.operation != UPDATE:
            return f'unexpected operation "{attributes.operation}"'
        assert attributes.obj is not None and attributes.old_obj is not None
        if _beyond_capacity(attributes.obj) == _beyond_capacity(attributes.old_obj):
            return ""
        return f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions'

    def token(self, node: str, attributes: Attributes) -> str:
        if not _asks_for_token(attributes):
            return ""
        reference = ((attributes.obj or {}).get("spec") or {}).get("boundObjectRef") or {}
        name, uid = reference.get("name"), reference.get("uid")
        if reference.get("apiVersion") != "v1" or reference.get("kind") != "Pod" or not name:
            return "node requested token not bound to a pod"
        if not uid:
            return "node requested token with a pod binding without a uid"
        pod = self.lister("pods").get(name, attributes.namespace)
        if pod is None:
            raise not_found("pods", "", name)
        if uid != pod["metadata"]["uid"]:
            return (
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        own = pod["spec"].get("nodeName") == node
        return "" if own else "node requested token bound to a pod scheduled on a different node"

    def lease(self, node: str, attributes: Attributes) -> str:
        if attributes.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        own = attributes.name == node
        return "" if own else "can only access node lease with the same name as the requesting node"

    def csi_node(self, node: str, attributes: Attributes) -> str:
        own = attributes.name == node
        return "" if own else "can only access CSINode with the same name as the requesting node"

    def resource_slice(self, node: str, attributes: Attributes) -> str:
        if attributes.operation == UPDATE:
            return ""
        verb, obj = ("create", attributes.obj) if attributes.operation == CREATE else ("delete", attributes.old_obj)
        own = ((obj or {}).get("spec") or {}).get("nodeName") == node
        return "" if own else f"can only {verb} ResourceSlice with the same NodeName as the requesting node"

    def pod_certificate_request(self, node: str, attributes: Attributes) -> str:
        if not feature_gates.enabled("PodCertificateRequest"):
            return "PodCertificateRequest feature gate is disabled"
        return request_fault(node, attributes, self.lister)

    def certificate_request(self, node: str, attributes: Attributes) -> str:
        if feature_gates.enabled("AllowInsecureKubeletCertificateSigningRequests"):
            return ""
        spec = (attributes.obj or {}).get("spec") or {}
        if attributes.operation != CREATE or spec.get("signerName") not in NODE_SIGNERS:
            return ""
        try:
            request = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        except ValueError as error:
            return f"unable to parse csr: {error}"
        names = [name.value for name in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        own = names == [USER_PREFIX + node]
        return "" if own else f"can only create a node CSR with CN={USER_PREFIX}{node}"


def _asks_for_token(attributes: Attributes) -> bool:
    asked = (attributes.operation, attributes.info.resource, attributes.subresource)
    return asked == (CREATE, "serviceaccounts", "token")


def _node_of(user: UserInfo) -> str | None:
    """The node that the user is, None if it is none."""
    if user.name.startswith(USER_PREFIX) and NODES_GROUP in user.groups:
        return user.name.removeprefix(USER_PREFIX)
    return None


def _forbidden_labels(new: dict[str, str] | None, old: dict[str, str] | None) -> str:
    """The labels that differ and that a kubelet may not change, as a message lists them."""
    new, old = new or {}, old or {}
    changed = [label for label in new.keys() | old.keys() if new.get(label) != old.get(label)]
    return ", ".join(sorted(label for label in changed if _is_restricted(label)))


def _is_restricted(label: str) -> bool:
    namespace, slash, _ = label.partition("/")
    if not slash:
        return False
    if _within(namespace, RESTRICTION):
        return True
    if not (_within(namespace, "kubernetes.io") or _within(namespace, "k8s.io")):
        return False
    return label not in KUBELET_LABELS and not any(_within(namespace, allowed) for allowed in KUBELET_LABEL_NAMESPACES)


def _within(namespace: str, domain: str) -> bool:
    return namespace == domain or namespace.endswith(f".{domain}")


def _beyond_capacity(claim: Object) -> Object:
    """The claim without what a kubelet may report."""
    metadata = {
        key: claim["metadata"][key] for key in claim["metadata"] if key not in ("resourceVersion", "managedFields")
    }
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in CLAIM_STATUS}
    return {**claim, "metadata": metadata, "status": status}


RULES: dict[tuple[str, str], Callable[[NodeRestriction, str, Attributes], str]] = {
    PODS: NodeRestriction.pod,
    NODES: NodeRestriction.node,
    CLAIMS: NodeRestriction.claim,
    ("", "serviceaccounts"): NodeRestriction.token,
    ("coordination.k8s.io", "leases"): NodeRestriction.lease,
    ("storage.k8s.io", "csinodes"): NodeRestriction.csi_node,
    ("resource.k8s.io", "resourceslices"): NodeRestriction.resource_slice,
    ("certificates.k8s.io", "podcertificaterequests"): NodeRestriction.pod_certificate_request,
    REQUESTS: NodeRestriction.certificate_request,
}
