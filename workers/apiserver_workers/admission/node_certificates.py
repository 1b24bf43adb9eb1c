"""PodCertificateRequests of kubelets: each is for a pod that runs on the node that asks (admitPodCertificateRequest)."""

from __future__ import annotations

from collections.abc import Callable

from apiserver_workers.admission.initializer import Lister
from apiserver_workers.admission.plugin import Object
from apiserver_workers.admission.pod_references import is_mirror
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.attributes import CREATE, Attributes

Listers = Callable[[str], Lister]


def request_fault(node: str, attributes: Attributes, listers: Listers) -> str:
    """Why the write is refused, "" if it is not. Raises ApiError 500 for what may be only too new for this worker."""
    if attributes.operation != CREATE:
        return f"unexpected operation {attributes.operation}"
    if attributes.subresource:
        return f"unexpected subresource {attributes.subresource}"
    spec = (attributes.obj or {}).get("spec") or {}
    named = spec.get("nodeName", "")
    if named != node:
        return f'PodCertificateRequest.Spec.NodeName="{named}", which is not the requesting node "{node}"'
    pod_name = f"{attributes.namespace}/{spec.get('podName', '')}"
    found = listers("minions").get(named)
    if found is None:
        raise _missing(f'node "{named}" named in the PodCertificateRequest', f'node "{named}"')
    _same_uid(
        pod_name,
        f"node UID {_quoted(spec.get('nodeUID'))}, inconsistent with the running node",
        spec.get("nodeUID"),
        found,
    )
    pod = listers("pods").get(spec.get("podName", ""), attributes.namespace)
    if pod is None:
        raise _missing(f'pod "{pod_name}" named in the PodCertificateRequest', f'pod "{spec.get("podName", "")}"')
    return _pod_fault(spec, pod, pod_name) or _account_fault(spec, attributes.namespace, pod_name, listers)


def _pod_fault(spec: Object, pod: Object, pod_name: str) -> str:
    uid = pod["metadata"]["uid"]
    if spec.get("podUID") != uid:
        raise _uncertain(
            f'PodCertificateRequest for pod "{pod_name}" contains pod UID ({_quoted(spec.get("podUID"))}) which differs '
            f'from running pod "{uid}"'
        )
    if pod["spec"].get("nodeName") != spec.get("nodeName"):
        return f'pod "{pod_name}" is not running on node "{spec.get("nodeName")}" named in the PodCertificateRequest'
    if is_mirror(pod):
        return f'pod "{pod_name}" is a mirror pod'
    account, own = spec.get("serviceAccountName", ""), pod["spec"].get("serviceAccountName", "")
    if account != own:
        return (
            f'PodCertificateRequest for pod "{pod_name}" contains serviceAccountName ("{account}") that differs from '
            f'running pod ("{own}")'
        )
    return ""


def _account_fault(spec: Object, namespace: str, pod_name: str, listers: Listers) -> str:
    name = spec.get("serviceAccountName", "")
    account = listers("serviceaccounts").get(name, namespace)
    if account is None:
        where = f'service account "{namespace}/{name}" named in the PodCertificateRequest'
        raise _missing(where, f'serviceaccount "{name}"')
    uid = spec.get("serviceAccountUID")
    _same_uid(
        pod_name, f"service account UID {_quoted(uid)}, which differs from the running service account", uid, account
    )
    return ""


def _same_uid(pod_name: str, what: str, uid: str | None, found: Object) -> None:
    """Raises ApiError 500, not 403: the object may have been made anew, and a repetition may succeed."""
    if found["metadata"]["uid"] != uid:
        shown = found["metadata"]["uid"]
        raise _uncertain(f'PodCertificateRequest for pod "{pod_name}" names {what} ("{shown}")')


def _uncertain(why: str) -> ApiError:
    return ApiError(500, "", why)


def _missing(what: str, which: str) -> ApiError:
    return _uncertain(f"while retrieving {what}: {which} not found")


def _quoted(text: str | None) -> str:
    return f'"{text or ""}"'
