"""The audiences that a kubelet may ask service account tokens for: those that the pod's volumes are mounted with.

Upstream: validateNodeServiceAccountAudience of plugin/pkg/admission/noderestriction, behind the gate
ServiceAccountNodeAudienceRestriction. Any other audience takes the verb request-serviceaccounts-token-audience.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver_workers.admission.initializer import Lister
from apiserver_workers.admission.plugin import Object
from apiserver_workers.authorization.attributes import Attributes as Question
from apiserver_workers.authorization.attributes import Authorizer, Decision, EvaluationError
from apiserver_workers.registry.attributes import Attributes

VERB = "request-serviceaccounts-token-audience"
# The CSI drivers that in-tree volumes have moved to (k8s.io/csi-translation-lib).
MOVED_VOLUMES = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "azureDisk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "portworxVolume": "pxd.portworx.com",
    "vsphereVolume": "csi.vsphere.vmware.com",
}

Listers = Callable[[str], Lister]


class _Unknown(Exception):
    """Something that a volume leads to is not there; the message says what."""


async def audience_fault(node: Attributes, pod: Object, listers: Listers, authorizer: Authorizer) -> str:
    """Why the token that `node` asks for is refused, "" if it is not."""
    audiences = ((node.obj or {}).get("spec") or {}).get("audiences") or []
    if len(audiences) > 1:
        return "node may only request 0 or 1 audiences"
    audience = audiences[0] if audiences else ""
    found, faults = _mounted(pod, audience, listers)
    if found:
        return ""
    if faults:
        shown = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        return f'error validating audience "{audience}": {shown}'
    return await _unmounted(node, audience, authorizer)


async def _unmounted(node: Attributes, audience: str, authorizer: Authorizer) -> str:
    """Whether an authorizer lets the node ask for an audience that no volume of the pod names."""
    asked = Question(
        node.user,
        VERB,
        namespace=node.namespace,
        api_version="v1",
        resource=audience,
        name=node.name,
        resource_request=True,
    )
    missing, name = f'audience "{audience}" not found in pod spec volume', node.user.name
    try:
        decision, _ = await authorizer.authorize(asked)
    except EvaluationError as error:
        if error.decision is Decision.ALLOW:
            return ""
        return f"{missing}, error authorizing {name} to request tokens for this audience: {error.fault}"
    if decision is Decision.ALLOW:
        return ""
    return f"{missing}, {name} is not authorized to request tokens for this audience"


def _mounted(pod: Object, audience: str, listers: Listers) -> tuple[bool, list[str]]:
    """Whether a volume of the pod has that audience, and what could not be found out."""
    faults: list[str] = []
    for volume in pod["spec"].get("volumes") or ():
        sources = (volume.get("projected") or {}).get("sources") or ()
        tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
        if any(((token or {}).get("audience") or "") == audience for token in tokens):
            return True, []
        try:
            driver = _driver_of(pod, volume, listers)
            if driver and _has_audience(driver, audience, listers):
                return True, []
        except _Unknown as error:
            faults.append(str(error))
    return False, list(dict.fromkeys(faults))


def _driver_of(pod: Object, volume: Object, listers: Listers) -> str:
    """The CSI driver that mounts the volume, "" if none does. Raises _Unknown."""
    if (volume.get("ephemeral") or {}).get("volumeClaimTemplate"):
        return _driver_of_claim(pod, f"{pod['metadata']['name']}-{volume['name']}", listers)
    if volume.get("persistentVolumeClaim"):
        return _driver_of_claim(pod, volume["persistentVolumeClaim"].get("claimName", ""), listers)
    return _driver_in(volume)


def _driver_of_claim(pod: Object, name: str, listers: Listers) -> str:
    claim = listers("persistentvolumeclaims").get(name, pod["metadata"].get("namespace", ""))
    if claim is None:
        raise _Unknown(f'persistentvolumeclaim "{name}" not found')
    volume_name = (claim.get("spec") or {}).get("volumeName", "")
    volume = listers("persistentvolumes").get(volume_name)
    if volume is None:
        raise _Unknown(f'persistentvolume "{volume_name}" not found')
    return _driver_in(volume.get("spec") or {})


def _driver_in(source: Object) -> str:
    if source.get("csi"):
        return str(source["csi"].get("driver", ""))
    return next((driver for name, driver in MOVED_VOLUMES.items() if source.get(name)), "")


def _has_audience(driver: str, audience: str, listers: Listers) -> bool:
    found = listers("csidrivers").get(driver)
    if found is None:
        raise _Unknown(f'csidriver.storage.k8s.io "{driver}" not found')
    requests = (found.get("spec") or {}).get("tokenRequests") or ()
    return any((request.get("audience") or "") == audience for request in requests)
