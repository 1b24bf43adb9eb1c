"""Cells of nodes, volumes, events, policies and the rest of what a cluster is run with."""

from __future__ import annotations

from typing import Any

from workers.apimachinery.tables.cells import (
    NONE,
    UNSET,
    Cell,
    Object,
    condition,
    created,
    format_labels,
    get,
    items,
    name,
)
from workers.apimachinery.tables.durations import UNKNOWN, age, human_duration

ROLE_LABEL_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"
ACCESS_MODES = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
STORAGE_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_STORAGE_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
DEFAULT_ATTRIBUTES_CLASS = ("volumeattributesclass.alpha.kubernetes.io/is-default-class",)


def component(obj: Object, now: float) -> list[Any]:
    """The row of a ComponentStatus."""
    for found in obj.get("conditions") or ():
        if found.get("type") == "Healthy":
            health = "Healthy" if found.get("status") == "True" else "Unhealthy"
            return [name(obj, now), health, found.get("message", ""), found.get("error", "")]
    return [name(obj, now), "Unknown", "", ""]


def node_status(node: Object, now: float) -> str:
    ready = condition(node, "Ready")
    text = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if get(node, "spec.unschedulable") else text


def node_roles(node: Object, now: float) -> str:
    roles = set()
    for key, role in (get(node, "metadata.labels") or {}).items():
        if key.startswith(ROLE_LABEL_PREFIX):
            roles.add(key.removeprefix(ROLE_LABEL_PREFIX))
        elif key == ROLE_LABEL:
            roles.add(role)
    return ",".join(sorted(roles - {""})) or NONE


def node_address(kind: str) -> Cell:
    """The node's first address of a type."""

    def cell(node: Object, now: float) -> str:
        for address in items(node, "status.addresses"):
            if address.get("type") == kind:
                return address.get("address", "")
        return NONE

    return cell


def phase(obj: Object, now: float) -> str:
    """The phase of a volume or claim; one that is being deleted is terminating."""
    return "Terminating" if get(obj, "metadata.deletionTimestamp") else get(obj, "status.phase") or ""


def access_modes(modes: list[str]) -> str:
    return ",".join(short for mode, short in ACCESS_MODES if mode in modes)


def volume_capacity(volume: Object, now: float) -> str:
    return get(volume, "spec.capacity.storage") or "0"


def volume_modes(volume: Object, now: float) -> str:
    return access_modes(items(volume, "spec.accessModes"))


def volume_claim(volume: Object, now: float) -> str:
    claim = get(volume, "spec.claimRef")
    return "" if claim is None else f"{claim.get('namespace', '')}/{claim.get('name', '')}"


def claim_capacity(claim: Object, now: float) -> str:
    return (get(claim, "status.capacity.storage") or "0") if get(claim, "spec.volumeName") else ""


def claim_modes(claim: Object, now: float) -> str:
    return access_modes(items(claim, "status.accessModes")) if get(claim, "spec.volumeName") else ""


def storage_class(obj: Object, now: float) -> str:
    """The storage class of a volume or claim; the annotation is older and wins."""
    annotations = get(obj, "metadata.annotations") or {}
    return annotations.get(STORAGE_CLASS_ANNOTATION) or get(obj, "spec.storageClassName") or ""


def name_of_class(annotations: tuple[str, ...]) -> Cell:
    """The name of a class, marked when an annotation makes it the default."""

    def cell(obj: Object, now: float) -> str:
        found = get(obj, "metadata.annotations") or {}
        default = any(found.get(annotation) == "true" for annotation in annotations)
        return f"{name(obj, now)} (default)" if default else name(obj, now)

    return cell


def token_requests(driver: Object, now: float) -> str:
    requests = get(driver, "spec.tokenRequests")
    return UNSET if requests is None else ",".join(request.get("audience", "") for request in requests)


def quota(limits: bool) -> Cell:
    """Used and hard amounts of a quota: those of limits, or all others."""

    def cell(obj: Object, now: float) -> str:
        hard, used = get(obj, "status.hard") or {}, get(obj, "status.used") or {}
        return ", ".join(
            f"{resource}: {used.get(resource, '0')}/{hard[resource]}"
            for resource in sorted(hard)
            if resource.startswith("limits.") == limits
        )

    return cell


def pod_template_labels(template: Object, now: float) -> str:
    return format_labels(get(template, "template.metadata.labels"))


def role_reference(binding: Object, now: float) -> str:
    reference = binding.get("roleRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def subjects(kind: str) -> Cell:
    """The subjects of that kind in a binding; service accounts with their namespace."""

    def cell(binding: Object, now: float) -> str:
        return ", ".join(
            f"{subject.get('namespace', '')}/{subject.get('name', '')}"
            if kind == "ServiceAccount" and subject.get("namespace")
            else subject.get("name", "")
            for subject in binding.get("subjects") or ()
            if subject.get("kind") == kind
        )

    return cell


def requested_duration(request: Object, now: float) -> str:
    seconds = get(request, "spec.expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


def request_condition(request: Object, now: float) -> str:
    kinds = {found.get("type") for found in items(request, "status.conditions")}
    text = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    return text + (",Failed" if "Failed" in kinds else "") + (",Issued" if get(request, "status.certificate") else "")


def parameter_kind(policy: Object, now: float) -> str:
    kind = get(policy, "spec.paramKind")
    return UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def parameter(binding: Object, now: float) -> str:
    """The parameters of a policy binding: by name, or by selector in the form of Go's generated String()."""
    reference = get(binding, "spec.paramRef") or {}
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    return _selector_as_go(reference["selector"]) if "selector" in reference else UNSET


def _selector_as_go(selector: Object) -> str:
    wanted = selector.get("matchLabels") or {}
    pairs = "".join(f"{key}: {wanted[key]}," for key in sorted(wanted))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def missing_level(schema: Object, now: float) -> str:
    """Whether a flow schema refers to a priority level that does not exist."""
    return (condition(schema, "Dangling") or {"status": "?"}).get("status", "")


def claim_state(claim: Object, now: float) -> str:
    """The state of a resource claim."""
    deleted = get(claim, "metadata.deletionTimestamp")
    states = ["deleted"] if deleted else []
    if get(claim, "status.allocation") is not None:
        states.append("allocated")
        states += ["reserved"] if items(claim, "status.reservedFor") else []
    elif not deleted:
        states.append("pending")
    return ",".join(states)


def service_of(api_service: Object, now: float) -> str:
    """Who serves an APIService's group and version."""
    service = get(api_service, "spec.service")
    return "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"


def available(api_service: Object, now: float) -> str:
    found = condition(api_service, "Available")
    if found is None:
        return "Unknown"
    status, reason = found.get("status", ""), found.get("reason")
    return f"{status} ({reason})" if status != "True" and reason else status


def budget_limit(path: str) -> Cell:
    """A number or percentage of a disruption budget."""

    def cell(budget: Object, now: float) -> str:
        limit = get(budget, path)
        return "N/A" if limit is None else str(limit)

    return cell


def event(obj: Object, now: float) -> list[Any]:
    """The row of an event, in the core group's form or in that of events.k8s.io."""
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    repeats = obj.get("count") or obj.get("deprecatedCount") or 1
    series = obj.get("series")
    if series is not None:
        last, repeats = series.get("lastObservedTime"), series.get("count") or 0
    regarding = obj.get("involvedObject") or obj.get("regarding") or {}
    target = regarding.get("kind", "").lower()
    return [
        age(last, now) if last else UNKNOWN,
        obj.get("type") or "",
        obj.get("reason") or "",
        f"{target}/{regarding['name']}" if regarding.get("name") else target,
        regarding.get("fieldPath", ""),
        _event_source(obj),
        (obj.get("message") or obj.get("note") or "").strip(),
        age(first, now),
        repeats,
        name(obj, now),
    ]


def _event_source(obj: Object) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    component_name = source.get("component") or reporter
    instance = source.get("host") or obj.get("reportingInstance")
    return f"{component_name}, {instance}" if instance else component_name


def default_row(obj: Object, now: float) -> list[Any]:
    """Name and age: what several kinds show."""
    return [name(obj, now), created(obj, now)]
