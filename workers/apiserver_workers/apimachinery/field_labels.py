"""The fields that field selectors may name, kind by kind, and the three ways of refusing others.

Most kinds know metadata.name and metadata.namespace alone. The kinds in `SELECTABLE` know more, or refuse in their own
words (AddFieldLabelConversionsFor* and ToSelectableFields upstream).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.selectors import FieldSelector, FieldTerm

Object = dict[str, Any]
Getter = Callable[[Object], Any]


def _path(path: str) -> Getter:
    """The value at a dotted path."""
    names = path.split(".")

    def get(obj: Object) -> Any:
        value: Any = obj
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return get


def _number(path: str) -> Getter:
    get = _path(path)
    return lambda obj: get(obj) or 0


def _flag(path: str) -> Getter:
    get = _path(path)
    return lambda obj: bool(get(obj))


def _event_source(obj: Object) -> Any:
    return (obj.get("source") or {}).get("component") or obj.get("reportingComponent")


METADATA = {"metadata.name": _path("metadata.name"), "metadata.namespace": _path("metadata.namespace")}
NAME_ONLY = {"metadata.name": METADATA["metadata.name"]}

KNOWN_ONLY = '"{0}" is not a known field selector: only "metadata.name", "metadata.namespace"'
NOT_SUPPORTED = "field label not supported: {0}"


@dataclass(frozen=True, slots=True, eq=False)
class Selectable:
    """What one kind's field selectors may name: selector field -> how to read it; `names` are other names of fields.

    Two served versions of a resource have one each; objects are read in the stored version.
    """

    fields: Mapping[str, Getter] = field(default_factory=lambda: METADATA)
    refusal: str = KNOWN_ONLY
    names: Mapping[str, str] = field(default_factory=dict)

    def convert(self, selector: FieldSelector) -> FieldSelector:
        """The selector with the fields' own names. Raises ApiError 400 for a field that the kind does not know."""
        terms = []
        for term in selector.terms:
            name = self.names.get(term.field, term.field)
            if name == term.field and name not in self.fields:
                raise bad_request(self.refusal.format(term.field))
            terms.append(FieldTerm(name, term.equal, term.value))
        return FieldSelector(tuple(terms))

    def matcher(self, selector: FieldSelector) -> Callable[[Object], bool]:
        """Whether a stored object is selected by a converted selector; asked of the stored version."""
        tests = [
            (self.fields.get(term.field) or _GETTERS[term.field], term.equal, term.value) for term in selector.terms
        ]
        return lambda obj: all((as_text(get(obj)) == value) is equal for get, equal, value in tests)


def _paths(*paths: str) -> dict[str, Getter]:
    return {path: _path(path) for path in paths}


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT_FIELDS = {
    **METADATA,
    **_paths(*(f"involvedObject.{name}" for name in _REFERENCE)),
    **_paths("reason", "reportingComponent", "type"),
    "source": _event_source,
}

# (group, kind) of the served resource. Objects are in the stored version.
SELECTABLE: dict[tuple[str, str], Selectable] = {
    ("", "Pod"): Selectable(
        {
            **METADATA,
            **_paths(
                "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                "status.phase", "status.podIP", "status.nominatedNodeName",
            ),
            "spec.hostNetwork": _flag("spec.hostNetwork"),
        },
        NOT_SUPPORTED,
        {"spec.host": "spec.nodeName", "status.podIPs": "status.podIP"},
    ),
    ("", "Node"): Selectable({**NAME_ONLY, "spec.unschedulable": _flag("spec.unschedulable")}, NOT_SUPPORTED),
    ("", "ReplicationController"): Selectable(
        {**METADATA, "status.replicas": _number("status.replicas")}, NOT_SUPPORTED
    ),
    ("", "Event"): Selectable(_EVENT_FIELDS, NOT_SUPPORTED),
    ("events.k8s.io", "Event"): Selectable(
        {key: get for key, get in _EVENT_FIELDS.items() if not key.startswith("involved") and key != "source"},
        NOT_SUPPORTED,
        {f"regarding.{name}": f"involvedObject.{name}" for name in _REFERENCE}
        | {"reportingController": "reportingComponent"},
    ),
    ("", "Namespace"): Selectable({**NAME_ONLY, "status.phase": _path("status.phase")}, NOT_SUPPORTED),
    ("", "Secret"): Selectable({**METADATA, "type": _path("type")}, NOT_SUPPORTED),
    ("", "Service"): Selectable({**METADATA, **_paths("spec.clusterIP", "spec.type")}, NOT_SUPPORTED),
    ("batch", "Job"): Selectable(
        {**METADATA, "status.successful": _number("status.succeeded")}, 'field label "{0}" not supported for Job'
    ),
    ("certificates.k8s.io", "CertificateSigningRequest"): Selectable(
        {**NAME_ONLY, "spec.signerName": _path("spec.signerName")}, NOT_SUPPORTED
    ),
    ("certificates.k8s.io", "ClusterTrustBundle"): Selectable(
        {**NAME_ONLY, "spec.signerName": _path("spec.signerName")}, NOT_SUPPORTED
    ),
    ("certificates.k8s.io", "PodCertificateRequest"): Selectable(
        {**NAME_ONLY, **_paths("spec.signerName", "spec.podName", "spec.nodeName")}, NOT_SUPPORTED
    ),
    ("resource.k8s.io", "ResourceSlice"): Selectable(
        {**NAME_ONLY, **_paths("spec.nodeName", "spec.driver")},
        "field label not supported for {1}, Kind=ResourceSlice: {0}",
    ),
}  # fmt: skip
METADATA_ONLY = Selectable()
_GETTERS = {**_EVENT_FIELDS, **METADATA}


def selectable(info: ResourceInfo) -> Selectable:
    """What the field selectors of a built-in resource may name."""
    known = SELECTABLE.get((info.group, info.kind), METADATA_ONLY)
    return dataclasses.replace(known, refusal=known.refusal.replace("{1}", info.group_version))


def selectable_fields(info: ResourceInfo) -> tuple[str, ...]:
    """The fields that selectors of a resource may name."""
    known = selectable(info)
    return (*known.fields, *known.names)


def as_text(value: Any) -> str:
    """A field's value as selectors compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
