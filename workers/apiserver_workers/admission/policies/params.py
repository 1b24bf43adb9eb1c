"""The parameters of policies: objects of any kind that a binding names or selects.

Objects that this server serves come from its watch cache, and those of another built-in kind too, which is followed from
the first time that it is needed. Objects of other kinds are read from the server that serves them, at each write.

Upstream: policy/generic/policy_dispatcher.go (CollectParams), policy_source.go (ensureParamsForPolicyLocked).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from apiserver_workers.admission.initializer import Elsewhere, Initializer, Lister
from apiserver_workers.admission.policies.source import DENY
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.label_selectors import label_selector_matches
from apiserver_workers.apimachinery.resources import ResourceInfo, resource
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.storage.interface import StorageError

Object = dict[str, Any]
ParamKind = tuple[str, str]  # apiVersion, kind
Params = Sequence[Object | None]

NO_PARAMS: Params = (None,)
SYNC_SECONDS = 1.0
KNOWN_SECONDS = 1.0  # for so long what another server said of a kind is believed
NEEDS_NAMESPACE = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
NEEDS_NO_NAMESPACE = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
NOT_FOUND = "no params found for policy binding with `Deny` parameterNotFoundAction"
EXCLUSIVE = "paramRef.name and paramRef.selector are mutually exclusive"
NEITHER = "one of name or selector must be provided"


class ConfigurationError(Exception):
    """Policy or binding cannot be used; the text is upstream's."""


class Kept(NamedTuple):
    """Objects in a watch cache: the kind in the version that they are asked for in, and where they lie."""

    served: ServedKind
    lister: Lister

    @property
    def namespaced(self) -> bool:
        return self.served.info.namespaced

    async def read(self, namespace: str, name: str, selector: Object | None) -> list[Object]:
        """The object of that name, or those that are selected. Raises ApiError, StorageError."""
        found = self._find(namespace, name, selector)
        if not found:
            await self.lister.fresh()
            found = self._find(namespace, name, selector)
        return [await self.served.outward(obj) for obj in found]

    def _find(self, namespace: str, name: str, selector: Object | None) -> list[Object]:
        if selector is None:
            obj = self.lister.get(name, namespace)
            return [] if obj is None else [obj]
        objects = (entry.obj for entry in self.lister.list(namespace))
        return [obj for obj in objects if label_selector_matches(selector, obj["metadata"].get("labels") or {})]


class Foreign(NamedTuple):
    """Objects of another server's. `kind` is that of the parameters."""

    elsewhere: Elsewhere
    group_version: str
    kind: str
    plural: str
    namespaced: bool

    async def read(self, namespace: str, name: str, selector: Object | None) -> list[Object]:
        """The object of that name, or those that are selected. Raises ApiError."""
        found = await self.elsewhere.read(self.group_version, self.plural, namespace, name)
        head = {"kind": self.kind, "apiVersion": self.group_version}
        return [
            {**head, **obj}
            for obj in found
            if selector is None or label_selector_matches(selector, obj["metadata"].get("labels") or {})
        ]


Source = Kept | Foreign


class ParamSources:
    """Where the objects of each kind of parameter are."""

    def __init__(self, initializer: Initializer) -> None:
        self._initializer = initializer
        self._known: dict[ParamKind, tuple[float, object, Source | None]] = {}
        self._loading = asyncio.Lock()

    async def find(self, param_kind: ParamKind) -> Source:
        """Where the objects of a kind are. Raises ConfigurationError for a kind that nobody serves, ApiError."""
        served = self._initializer.equivalents.served()
        known = self._known.get(param_kind)
        if known is None or known[1] is not served or known[0] < time.monotonic():
            source = await self._look(param_kind, served)
            lasting = isinstance(source, Kept) and source.served in served
            until = float("inf") if lasting else time.monotonic() + KNOWN_SECONDS
            known = self._known[param_kind] = until, served, source
        if known[2] is None:
            group, version = split(param_kind[0])
            shown = f"{group}/{version}, Kind={param_kind[1]}"
            raise ConfigurationError(f"failed to find resource referenced by paramKind: '{shown}'")
        return known[2]

    async def _look(self, param_kind: ParamKind, served: Sequence[ServedKind]) -> Source | None:
        api_version, name = param_kind
        for kind in served:
            if kind.info.kind == name and kind.info.group_version == api_version and kind.info.is_stored:
                return self._kept(kind)
        elsewhere = self._initializer.elsewhere
        if elsewhere is None:
            return None
        found = await elsewhere.resource(api_version, name)
        if found is None:
            return None
        builtin = resource(*split(api_version), found.plural)
        if builtin is not None and builtin.is_stored:
            return await self._follow(builtin)
        return Foreign(elsewhere, api_version, name, found.plural, found.namespaced)

    async def _follow(self, info: ResourceInfo) -> Source:
        """Have a built-in kind of another server in this one's cache. Raises ConfigurationError."""
        registry = self._initializer.registry
        try:
            async with asyncio.timeout(SYNC_SECONDS), self._loading:
                await registry.cache.add(info.storage_prefix)
        except TimeoutError:
            raise ConfigurationError(f"paramKind kind `{info.kind}` not yet synced to use for admission") from None
        return self._kept(registry.kinds.of(info))

    def _kept(self, served: ServedKind) -> Source:
        """A kind in the cache. Its lister is not shared: a custom resource that comes again has another cache."""
        registry, prefix = self._initializer.registry, served.info.storage_prefix
        return Kept(served, Lister(registry.cache.resource(prefix), f"{registry.etcd_prefix}/{prefix}/"))


async def collect_params(source: Source | None, ref: Object | None, namespace: str) -> Params:
    """The parameters that a binding gives a write in `namespace`; none where that is no fault.

    `source` is None for a policy without paramKind, `ref` the binding's paramRef. Raises ConfigurationError.
    """
    if source is None or ref is None:
        return NO_PARAMS
    own, name, selector = ref.get("namespace", ""), ref.get("name", ""), ref.get("selector")
    if source.namespaced:
        namespace = own or namespace
        if not namespace:
            raise ConfigurationError(NEEDS_NAMESPACE)
    elif own:
        raise ConfigurationError(NEEDS_NO_NAMESPACE)
    else:
        namespace = ""
    if name and selector is not None:
        raise ConfigurationError(EXCLUSIVE)
    if not name and selector is None:
        raise ConfigurationError(NEITHER)
    found = await _read(source, namespace, name, selector)
    if not found and ref.get("parameterNotFoundAction") == DENY:
        raise ConfigurationError(NOT_FOUND)
    return found


async def _read(source: Source, namespace: str, name: str, selector: Object | None) -> list[Object]:
    try:
        return await source.read(namespace, name, selector)
    except ApiError as error:
        raise ConfigurationError(error.message) from error
    except StorageError as error:
        raise ConfigurationError(str(error)) from error


def split(api_version: str) -> tuple[str, str]:
    """Group and version of an apiVersion."""
    group, _, version = api_version.rpartition("/")
    return group, version
