"""Plugins of Kubernetes 1.12 that later releases dropped: they are off unless they are named.

SecurityContextDeny refuses pods that choose users or SELinux options, DenyEscalatingExec and DenyExecOnPrivileged refuse
to open a way into pods that could do more than other pods.
"""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Object, Plugin
from apiserver_workers.admission.plugin import forbidden as forbidden_object
from apiserver_workers.apimachinery.errors import forbidden
from apiserver_workers.registry.attributes import CONNECT, CREATE, UPDATE, Attributes

POD_FIELDS = ("supplementalGroups", "seLinuxOptions", "runAsUser", "fsGroup")
CONTAINER_FIELDS = ("seLinuxOptions", "runAsUser")
GO_NAMES = {
    "supplementalGroups": "SupplementalGroups",
    "seLinuxOptions": "SELinuxOptions",
    "runAsUser": "RunAsUser",
    "fsGroup": "FSGroup",
}


class SecurityContextDeny(Plugin):
    """Sees pods."""

    name = "SecurityContextDeny"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))

    def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        if why := _chosen(pod["spec"]):
            raise forbidden("pods", "", pod["metadata"].get("name", ""), f"{why} is forbidden")


def _chosen(spec: Object) -> str:
    """What a pod chooses and may not, "" if nothing."""
    own = spec.get("securityContext") or {}
    for field in POD_FIELDS:
        if own.get(field) is not None:
            return f"pod.Spec.SecurityContext.{GO_NAMES[field]}"
    for containers in ("initContainers", "containers"):
        for container in spec.get(containers) or ():
            context = container.get("securityContext") or {}
            for field in CONTAINER_FIELDS:
                if context.get(field) is not None:
                    return f"SecurityContext.{GO_NAMES[field]}"
    return ""


class DenyExecOnPrivileged(Plugin):
    """Sees exec and attach."""

    name = "DenyExecOnPrivileged"
    operations = frozenset((CONNECT,))
    resources = frozenset((PODS,))
    subresources = frozenset(("exec", "attach"))
    shares_host = False

    def validate(self, attributes: Attributes) -> None:
        pod = self.lister("pods").get(attributes.name, attributes.namespace)
        if pod is None:
            return  # the handler says so
        spec = pod["spec"]
        if self.shares_host and spec.get("hostPID"):
            raise forbidden_object(attributes, "cannot exec into or attach to a container using host pid")
        if self.shares_host and spec.get("hostIPC"):
            raise forbidden_object(attributes, "cannot exec into or attach to a container using host ipc")
        if any((one.get("securityContext") or {}).get("privileged") for one in spec.get("containers") or ()):
            raise forbidden_object(attributes, "cannot exec into or attach to a privileged container")


class DenyEscalatingExec(DenyExecOnPrivileged):
    """The same, and refuses pods that share the node's processes or memory."""

    name = "DenyEscalatingExec"
    shares_host = True
