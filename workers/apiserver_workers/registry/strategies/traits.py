"""Facts about kinds that their strategies upstream answer with constants, as sets of resources."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver_workers.apimachinery.resources import ResourceInfo

STORAGE, DRA, ADMISSION = "storage.k8s.io", "resource.k8s.io", "admissionregistration.k8s.io"
RBAC, FLOWCONTROL = "rbac.authorization.k8s.io", "flowcontrol.apiserver.k8s.io"


def _resources(text: str) -> frozenset[tuple[str, str]]:
    """`resource` or `resource.group` per word."""
    return frozenset((word.partition(".")[2], word.partition(".")[0]) for word in text.split())


# AllowCreateOnUpdate: PUT makes the object if it is not there.
CREATES_ON_UPDATE = _resources(
    f"endpoints events limitranges services leases.coordination.k8s.io leasecandidates.coordination.k8s.io"
    f" runtimeclasses.node.k8s.io roles.{RBAC} clusterroles.{RBAC} rolebindings.{RBAC} clusterrolebindings.{RBAC}"
)

# AllowUnconditionalUpdate is false: PUT must name the resourceVersion that it replaces.
NEEDS_RESOURCE_VERSION = _resources(
    "leases.coordination.k8s.io leasecandidates.coordination.k8s.io runtimeclasses.node.k8s.io"
    " poddisruptionbudgets.policy clustertrustbundles.certificates.k8s.io podcertificaterequests.certificates.k8s.io"
    f" storageversions.internal.apiserver.k8s.io resourcepoolstatusrequests.{DRA}"
    f" csidrivers.{STORAGE} csinodes.{STORAGE} csistoragecapacities.{STORAGE} volumeattachments.{STORAGE}"
    f" mutatingwebhookconfigurations.{ADMISSION} validatingwebhookconfigurations.{ADMISSION}"
    f" mutatingadmissionpolicies.{ADMISSION} mutatingadmissionpolicybindings.{ADMISSION}"
    f" validatingadmissionpolicies.{ADMISSION} validatingadmissionpolicybindings.{ADMISSION}"
    " customresourcedefinitions.apiextensions.k8s.io apiservices.apiregistration.k8s.io"
)

# ReturnDeletedObject: DELETE answers with the object, not with a Status.
RETURNS_DELETED = _resources(
    "pods services serviceaccounts persistentvolumes persistentvolumeclaims podtemplates namespaces"
    f" resourcequotas csidrivers.{STORAGE} csinodes.{STORAGE} storageclasses.{STORAGE}"
    f" volumeattachments.{STORAGE} volumeattributesclasses.{STORAGE} deviceclasses.{DRA} resourceclaims.{DRA}"
    f" resourceclaimtemplates.{DRA} resourceslices.{DRA}"
)

# metadata.generation starts at 1 and counts changes.
HAS_GENERATION = _resources(
    "pods replicationcontrollers podtemplates deployments.apps daemonsets.apps replicasets.apps statefulsets.apps"
    " jobs.batch cronjobs.batch ingresses.networking.k8s.io ingressclasses.networking.k8s.io"
    " networkpolicies.networking.k8s.io poddisruptionbudgets.policy"
    f" endpointslices.discovery.k8s.io priorityclasses.scheduling.k8s.io flowschemas.{FLOWCONTROL}"
    f" prioritylevelconfigurations.{FLOWCONTROL} deviceclasses.{DRA} resourceslices.{DRA}"
    f" devicetaintrules.{DRA} mutatingwebhookconfigurations.{ADMISSION} validatingwebhookconfigurations.{ADMISSION}"
    f" mutatingadmissionpolicies.{ADMISSION} mutatingadmissionpolicybindings.{ADMISSION}"
    f" validatingadmissionpolicies.{ADMISSION} validatingadmissionpolicybindings.{ADMISSION}"
    " customresourcedefinitions.apiextensions.k8s.io"
)

# ... but stays 1 until the object is deleted, or starts with the first change.
COUNTS_NO_CHANGES = _resources("priorityclasses.scheduling.k8s.io")
COUNTS_CHANGES_ALONE = _resources(f"csidrivers.{STORAGE}")

KEEPS_STATUS_ON_CREATE = _resources("nodes")

# DefaultGarbageCollectionPolicy where it is not to delete dependents in the background; "" is Unsupported.
GARBAGE_COLLECTION = {("", "events"): "", ("", "replicationcontrollers"): "Orphan", ("batch", "jobs"): "Orphan"}

# What a status update may not change in metadata, where it is not nothing. WHOLE is ResetObjectMetaForStatus.
WHOLE = ("deletionTimestamp", "selfLink", "labels", "annotations", "finalizers", "ownerReferences")
STATUS_KEEPS = {
    ("apps", "deployments"): ("labels",),
    ("", "pods"): ("ownerReferences",),
    ("apiregistration.k8s.io", "apiservices"): ("labels", "annotations", "finalizers", "ownerReferences"),
} | dict.fromkeys(
    _resources(
        f"flowschemas.{FLOWCONTROL} prioritylevelconfigurations.{FLOWCONTROL} validatingadmissionpolicies.{ADMISSION}"
        f" podcertificaterequests.certificates.k8s.io servicecidrs.networking.k8s.io volumeattachments.{STORAGE}"
        f" resourceclaims.{DRA} devicetaintrules.{DRA} resourcepoolstatusrequests.{DRA} podgroups.scheduling.k8s.io"
        " storageversions.internal.apiserver.k8s.io storageversionmigrations.storagemigration.k8s.io"
    ),
    WHOLE,
)


@dataclass(frozen=True, slots=True)
class Traits:
    """The facts about one resource."""

    creates_on_update: bool
    unconditional_update: bool
    returns_deleted: bool
    generation: bool
    counts_changes: bool
    keeps_status_on_create: bool
    garbage_collection: str
    status_keeps: tuple[str, ...]


def traits_of(info: ResourceInfo) -> Traits:
    """The traits of a stored resource; a resource that no table names has the usual ones."""
    name = (info.group, info.resource)
    return Traits(
        creates_on_update=name in CREATES_ON_UPDATE,
        unconditional_update=name not in NEEDS_RESOURCE_VERSION,
        returns_deleted=name in RETURNS_DELETED,
        generation=name in HAS_GENERATION,
        counts_changes=name in HAS_GENERATION - COUNTS_NO_CHANGES | COUNTS_CHANGES_ALONE,
        keeps_status_on_create=name in KEEPS_STATUS_ON_CREATE,
        garbage_collection=GARBAGE_COLLECTION.get(name, "Background"),
        status_keeps=STATUS_KEEPS.get(name, ()),
    )
