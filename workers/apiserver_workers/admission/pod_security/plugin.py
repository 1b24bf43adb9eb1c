"""The plugin: which writes are evaluated, and what a violation leads to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver_workers.admission.plugin import PODS, Object, Plugin, forbidden
from apiserver_workers.admission.pod_security.configuration import Configuration, parse
from apiserver_workers.admission.pod_security.evaluation import details, evaluate, reasons
from apiserver_workers.admission.pod_security.levels import (
    LEVELS,
    PREFIX,
    PRIVILEGED,
    UNRESTRICTED,
    LevelVersion,
    Policy,
    policy_of,
)
from apiserver_workers.apimachinery.errors import invalid
from apiserver_workers.apimachinery.pod_templates import POD_TEMPLATES
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.storage.interface import Entry

NAMESPACES = ("", "namespaces")
POD_SUBRESOURCES = frozenset(("", "ephemeralcontainers", "resize"))
CONTAINER_LISTS = ("containers", "initContainers")
MAX_PODS = 3000  # that a change of a namespace's level looks at
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
CONTAINER_ANNOTATIONS = (
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
)


class PodSecurity(Plugin):
    """Sees namespaces, pods, and what makes pods: only the pods themselves are ever refused."""

    name = "PodSecurity"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((NAMESPACES, PODS, *POD_TEMPLATES))

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        expected = POD_SUBRESOURCES if (group, resource) == PODS else ("",)
        return operation in cls.operations and (group, resource) in cls.resources and subresource in expected

    config: Configuration

    @classmethod
    def configured(cls, given: Any) -> Configuration:
        return parse(given)

    def validate(self, attributes: Attributes) -> None:
        kind = (attributes.info.group, attributes.info.resource)
        if kind == NAMESPACES:
            self._namespace(attributes)
            return
        if exempt := self._exempt(attributes):
            attributes.annotate(PREFIX + "exempt", exempt)
            return
        namespace = self.lister("namespaces").get(attributes.namespace)
        labels = namespace["metadata"].get("labels") if namespace else None
        policy, _ = policy_of(labels, self.config.defaults)
        if policy == UNRESTRICTED:
            attributes.annotate(PREFIX + "enforce-policy", str(policy.enforce))
            return
        assert attributes.obj is not None
        if kind == PODS:
            if attributes.old_obj is None or _is_significant(attributes.obj, attributes.old_obj):
                self._evaluate(attributes, policy, attributes.obj, enforce=True)
        elif template := _template(attributes.obj, POD_TEMPLATES[kind]):
            self._evaluate(attributes, policy, template, enforce=False)

    def _exempt(self, attributes: Attributes) -> str:
        """What exempts a request from all policies, "" if nothing does."""
        if attributes.namespace in self.config.namespaces:
            return "namespace"
        return "user" if attributes.user.name in self.config.users else ""

    def _evaluate(self, attributes: Attributes, policy: Policy, pod: Object, *, enforce: bool) -> None:
        if (pod.get("spec") or {}).get("runtimeClassName") in self.config.runtime_classes:
            attributes.annotate(PREFIX + "exempt", "runtimeClass")
            return
        _evaluate(attributes, policy, pod, enforce=enforce)

    def _namespace(self, attributes: Attributes) -> None:
        """The labels must be valid if they changed; pods that a stricter level would refuse are warned of."""
        new, old = attributes.obj, attributes.old_obj
        assert new is not None
        labels = new["metadata"].get("labels")
        policy, faults = policy_of(labels, self.config.defaults)
        before, old_faults = policy_of(old["metadata"].get("labels") if old else None, self.config.defaults)
        if faults and (old is None or faults != old_faults):
            raise invalid("Namespace", "", new["metadata"].get("name", ""), faults)
        wanted, had = policy.enforce, before.enforce
        relaxed = wanted.minor == had.minor and LEVELS.index(wanted.level) <= LEVELS.index(had.level)
        name, exempt = new["metadata"].get("name", ""), self.config.namespaces
        if old is not None and (wanted.level == PRIVILEGED or relaxed):
            return
        if name in exempt:
            attributes.warnings += self.config.ignored(name, policy, labels or {})
        elif old is not None:
            attributes.warnings += pods_violating(wanted, name, self._pods(name))

    def _pods(self, namespace: str) -> list[Entry]:
        """The pods of a namespace that are not exempt."""
        pods = self.lister("pods").list(namespace)
        exempt = self.config.runtime_classes
        return [one for one in pods if not exempt or one.obj["spec"].get("runtimeClassName") not in exempt]


def _evaluate(attributes: Attributes, policy: Policy, pod: Object, *, enforce: bool) -> None:
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if violations := evaluate(policy.audit, metadata, spec):
        told = f'would violate PodSecurity "{policy.audit}": {details(violations)}'
        attributes.annotate(PREFIX + "audit-violations", told)
    if enforce:
        attributes.annotate(PREFIX + "enforce-policy", str(policy.enforce))
        if violations := evaluate(policy.enforce, metadata, spec):
            raise forbidden(attributes, f'violates PodSecurity "{policy.enforce}": {details(violations)}')
    if violations := evaluate(policy.warn, metadata, spec):
        attributes.warnings.append(f'would violate PodSecurity "{policy.warn}": {details(violations)}')


def _template(obj: Object, path: Iterable[str]) -> Object | None:
    found: Object | None = obj
    for field in path:
        found = (found or {}).get(field)
    return found


def pods_violating(wanted: LevelVersion, namespace: str, pods: Iterable[Entry]) -> list[str]:
    """Warnings of existing pods that a new level would refuse, one for all pods with the same violations."""
    pods = list(pods)
    found: dict[str, list[str]] = {}
    for entry in pods[:MAX_PODS]:
        if violations := evaluate(wanted, entry.obj["metadata"], entry.obj["spec"]):
            found.setdefault(reasons(violations), []).append(entry.obj["metadata"]["name"])
    warnings = []
    if len(pods) > MAX_PODS:
        checked = f"the first {MAX_PODS} of {len(pods)} existing pods"
        warnings.append(f"new PodSecurity enforce level only checked against {checked}")
    if found:
        warnings.append(
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{wanted}"'
        )
    return warnings + sorted(f"{_named(names)}: {why}" for why, names in found.items())


def _named(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other {'pod' if others == 1 else 'pods'})"


def _is_significant(new: Object, old: Object) -> bool:
    """Whether an update changes what a policy looks at: images and profiles; all else of a pod is immutable."""
    spec, before = new["spec"], old["spec"]
    annotations, old_annotations = (pod["metadata"].get("annotations") or {} for pod in (new, old))
    if annotations.get(SECCOMP_POD) != old_annotations.get(SECCOMP_POD):
        return True
    if any(len(spec.get(field) or ()) != len(before.get(field) or ()) for field in CONTAINER_LISTS):
        return True
    pairs = [
        pair for field in CONTAINER_LISTS for pair in zip(spec.get(field) or (), before.get(field) or (), strict=True)
    ]
    known = {one.get("name"): one for one in before.get("ephemeralContainers") or ()}
    pairs += [(one, known.get(one.get("name"))) for one in spec.get("ephemeralContainers") or ()]
    return any(
        was is None
        or now.get("image") != was.get("image")
        or _annotations(now, annotations) != _annotations(was, old_annotations)
        for now, was in pairs
    )


def _annotations(container: Object, annotations: dict[str, str]) -> list[str | None]:
    return [annotations.get(prefix + container.get("name", "")) for prefix in CONTAINER_ANNOTATIONS]
