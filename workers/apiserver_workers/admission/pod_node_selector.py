"""PodNodeSelector: a namespace says in an annotation, or the configuration says for it, on which nodes its pods run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver_workers.admission.namespaces import annotation, find_namespace
from apiserver_workers.admission.plugin import PODS, Pending, Plugin, own_spec
from apiserver_workers.apimachinery.errors import ApiError, forbidden
from apiserver_workers.registry.attributes import CREATE, Attributes

Labels = Mapping[str, str]

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
CLUSTER_DEFAULT = "clusterDefaultNodeSelector"
SECTION = "podNodeSelectorPluginConfig"


class PodNodeSelector(Plugin):
    """Sees new pods."""

    name = "PodNodeSelector"
    operations = frozenset((CREATE,))
    resources = frozenset((PODS,))

    @classmethod
    def configured(cls, given: Any) -> dict[str, str]:
        """The selectors by namespace, and of the cluster."""
        section = (given or {}).get(SECTION) if isinstance(given, dict | None) else given
        if section is None:
            return {}
        if not isinstance(section, dict) or not all(isinstance(value, str) for value in section.values()):
            raise ValueError(f"{SECTION} must be a mapping of namespaces to node selectors")
        for value in section.values():
            parse_selector(value)
        return section

    def admit(self, attributes: Attributes) -> Pending:
        return self._admit(attributes)

    def validate(self, attributes: Attributes) -> Pending:
        return self._validate(attributes)

    async def _admit(self, attributes: Attributes) -> None:
        selector = await self._checked(attributes)
        assert attributes.obj is not None
        merged = {**selector, **(attributes.obj["spec"].get("nodeSelector") or {})}
        if merged:
            own_spec(attributes.obj)["nodeSelector"] = merged
        self._check_allowed(attributes)

    async def _validate(self, attributes: Attributes) -> None:
        await self._checked(attributes)
        self._check_allowed(attributes)

    async def _checked(self, attributes: Attributes) -> Labels:
        """The namespace's selector. Raises ApiError if the pod's conflicts with it."""
        namespace = await find_namespace(self.lister("namespaces"), attributes.namespace)
        given = annotation(namespace, ANNOTATION)
        try:
            selector = parse_selector(self.config.get(CLUSTER_DEFAULT, "") if given is None else given)
        except ValueError as error:
            raise ApiError(500, "", str(error)) from None
        assert attributes.obj is not None
        wanted = attributes.obj["spec"].get("nodeSelector") or {}
        if any(key in wanted and wanted[key] != value for key, value in selector.items()):
            raise _forbidden(attributes, "pod node label selector conflicts with its namespace node label selector")
        return selector

    def _check_allowed(self, attributes: Attributes) -> None:
        """Raises ApiError if the pod asks for other nodes than the configuration allows in its namespace."""
        allowed = parse_selector(self.config.get(attributes.namespace, ""))
        assert attributes.obj is not None
        wanted = attributes.obj["spec"].get("nodeSelector") or {}
        if allowed and any(allowed.get(key) != value for key, value in wanted.items()):
            raise _forbidden(attributes, "pod node label selector labels conflict with its namespace whitelist")


def _forbidden(attributes: Attributes, why: str) -> ApiError:
    assert attributes.obj is not None
    return forbidden("pods", "", attributes.obj["metadata"].get("name", ""), why)


def parse_selector(text: str) -> dict[str, str]:
    """The labels of `a=b,c=d` (labels.ConvertSelectorToLabelsMap). Raises ValueError."""
    labels: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals or "=" in value:
            raise ValueError(f"invalid selector: {part}")
        labels[key.strip()] = value.strip()
    return labels
