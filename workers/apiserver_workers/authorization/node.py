"""The node authorizer (plugin/pkg/auth/authorizer/node): a kubelet may do what its own node and pods need.

For the resources in RULES the object must belong to the node; all else is decided by the fixed rules of system:node.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes, Decision
from apiserver_workers.authorization.node_graph import NodeGraph
from apiserver_workers.authorization.rules import HeldRules, Rule, compile_rule

USER_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
CHANGING = frozenset({"get", "create", "update", "patch", "delete"})
READS_ACCOUNTS = ("KubeletServiceAccountTokenForCredentialProviders", "PodCertificateRequest")
UNSUPPORTED_RULES = "node authorizer does not support user rule resolution"

Answer = tuple[Decision, str]
ALLOW: Answer = (Decision.ALLOW, "")
SILENT: Answer = (Decision.NO_OPINION, "")


def node_of(user: UserInfo) -> str | None:
    """The node that the user is, None if it is none."""
    if user.name.startswith(USER_PREFIX) and NODES_GROUP in user.groups:
        return user.name.removeprefix(USER_PREFIX)
    return None


def no(reason: str) -> Answer:
    return Decision.NO_OPINION, reason


class NodeAuthorizer:
    """Decides for users of the group system:nodes by the graph; has no opinion on anyone else."""

    kind = "Node"
    name = "node"

    def __init__(self, graph: NodeGraph, rules: list[Rule]) -> None:
        self._graph = graph
        self._rules = [compile_rule(rule) for rule in rules]

    async def authorize(self, attributes: Attributes) -> Answer:
        node = node_of(attributes.user)
        if node is None:
            return SILENT
        if not node:
            return no(f'unknown node for user "{attributes.user.name}"')
        if attributes.resource_request:
            decide = RULES.get((attributes.api_group, attributes.resource))
            if decide is not None:
                return decide(self, node, attributes)
        return ALLOW if any(rule.allows(attributes) for rule in self._rules) else SILENT

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        return HeldRules() if node_of(user) is None else HeldRules(incomplete=True, error=UNSUPPORTED_RULES)

    def related(self, node: str, a: Attributes) -> Answer:
        if not a.name:
            return no("No Object name found")
        if self._graph.reaches((a.resource, a.namespace, a.name), node):
            return ALLOW
        return no(f"no relationship found between node '{node}' and this object")

    def read_namespaced(self, node: str, a: Attributes) -> Answer:
        if a.verb not in ("get", "list", "watch"):
            return no("can only read resources of this type")
        if a.subresource:
            return no("cannot read subresource")
        if not a.namespace:
            return no("can only read namespaced object of this type")
        return self.related(node, a)

    def get(self, node: str, a: Attributes) -> Answer:
        if a.verb != "get":
            return no("can only get individual resources of this type")
        if a.subresource:
            return no("cannot get subresource")
        return self.related(node, a)

    def claim(self, node: str, a: Attributes) -> Answer:
        if a.subresource != "status":
            return self.get(node, a)
        if a.verb not in ("update", "patch"):
            return no("can only get/update/patch this type")
        return self.related(node, a)

    def service_account(self, node: str, a: Attributes) -> Answer:
        if a.verb == "get" and not a.subresource:
            if any(map(feature_gates.enabled, READS_ACCOUNTS)):
                return self.read_namespaced(node, a)
            return no("not allowed to get service accounts")
        if a.verb != "create" or not a.name:
            return no("can only create tokens for individual service accounts")
        if a.subresource != "token":
            return no("can only create token subresource of serviceaccount")
        return self.related(node, a)

    def lease(self, node: str, a: Attributes) -> Answer:
        if a.verb not in CHANGING:
            return no("can only get, create, update, patch, or delete a node lease")
        if a.namespace != LEASE_NAMESPACE:
            return no(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if a.verb != "create" and a.name != node:
            return no("can only access node lease with the same name as the requesting node")
        return ALLOW

    def csi_node(self, node: str, a: Attributes) -> Answer:
        if a.verb not in CHANGING:
            return no("can only get, create, update, patch, or delete a CSINode")
        if a.subresource:
            return no("cannot authorize CSINode subresources")
        if a.verb != "create" and a.name != node:
            return no("can only access CSINode with the same name as the requesting node")
        return ALLOW

    def resource_slice(self, node: str, a: Attributes) -> Answer:
        if a.subresource:
            return no("cannot authorize ResourceSlice subresources")
        if a.verb == "create":
            return ALLOW
        if a.verb in ("get", "update", "patch", "delete"):
            return self.related(node, a)
        if a.verb in ("list", "watch", "deletecollection"):
            if selects_node(a, node):
                return ALLOW
            return no("can only list/watch/deletecollection resourceslices with nodeName field selector")
        return no("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, "
                  "delete, deletecollection")  # fmt: skip

    def node(self, node: str, a: Attributes) -> Answer:
        if a.subresource == "status":
            return ALLOW if a.verb in ("update", "patch") else SILENT
        if a.subresource:
            return SILENT
        if a.verb in ("create", "update", "patch"):
            return ALLOW
        if a.verb in ("get", "list", "watch"):
            if a.name == node:
                return ALLOW
            read = f"'{a.name}'" if a.name else "all nodes"
            return no(f"node '{node}' cannot read {read}, only its own Node object")
        return SILENT

    def pod(self, node: str, a: Attributes) -> Answer:
        if a.subresource == "status":
            return ALLOW if a.verb in ("update", "patch") else SILENT
        if a.subresource == "eviction":
            return ALLOW if a.verb == "create" else SILENT
        if a.subresource:
            return SILENT
        if a.verb == "get":
            return self.get(node, a)
        if a.verb in ("list", "watch"):
            if selects_node(a, node):
                return ALLOW
            if a.name:
                return self.related(node, a)
            return no("can only list/watch pods with spec.nodeName field selector")
        return ALLOW if a.verb in ("create", "delete") else SILENT

    def certificate_request(self, node: str, a: Attributes) -> Answer:
        if not feature_gates.enabled("PodCertificateRequest"):
            return SILENT
        if a.subresource:
            return no("nodes may not access the status subresource of PodCertificateRequests")
        if a.verb == "create":
            return ALLOW
        if a.verb == "get":
            return self.related(node, a)
        if a.verb in ("list", "watch"):
            if selects_node(a, node):
                return ALLOW
            return no("can only list/watch podcertificaterequests with nodeName field selector")
        return no(f"nodes may not {a.verb} podcertificaterequests")


def selects_node(attributes: Attributes, node: str) -> bool:
    """Whether the request's field selector asks for this node's objects only."""
    return any(
        term.field == "spec.nodeName" and term.operator in ("=", "==") and term.value == node
        for term in attributes.fields
    )


RULES: dict[tuple[str, str], Callable[[NodeAuthorizer, str, Attributes], Answer]] = {
    ("", "secrets"): NodeAuthorizer.read_namespaced,
    ("", "configmaps"): NodeAuthorizer.read_namespaced,
    ("", "persistentvolumeclaims"): NodeAuthorizer.claim,
    ("", "persistentvolumes"): NodeAuthorizer.get,
    ("", "serviceaccounts"): NodeAuthorizer.service_account,
    ("", "nodes"): NodeAuthorizer.node,
    ("", "pods"): NodeAuthorizer.pod,
    ("storage.k8s.io", "volumeattachments"): NodeAuthorizer.get,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer.csi_node,
    ("coordination.k8s.io", "leases"): NodeAuthorizer.lease,
    ("resource.k8s.io", "resourceclaims"): NodeAuthorizer.get,
    ("resource.k8s.io", "resourceslices"): NodeAuthorizer.resource_slice,
    ("certificates.k8s.io", "podcertificaterequests"): NodeAuthorizer.certificate_request,
}
