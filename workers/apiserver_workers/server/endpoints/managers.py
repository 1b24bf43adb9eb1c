"""Field management of the endpoints: who wrote, and metadata.managedFields of what was written."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import conversion, types
from apiserver_workers.apimachinery.apply import managed
from apiserver_workers.apimachinery.apply.reset import reset_fields
from apiserver_workers.apimachinery.resources import ResourceInfo, catalogue
from apiserver_workers.apimachinery.types import Type
from apiserver_workers.registry.options import WriteOptions
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Request

Object = dict[str, Any]


def manager_of(request: Request, options: WriteOptions) -> str:
    """The field manager: the option, else the beginning of the user agent."""
    return options.field_manager or managed.manager_from_user_agent(request.headers.get("user-agent", ""))


def track(served: View, live: Object | None, new: Object, manager: str, subresource: str = "") -> Object:
    """`new` with the managedFields of a create, update or patch over `live`; both of the served version."""
    return managed.track_update(
        served.type,
        live,
        new,
        manager=manager,
        api_version=served.info.group_version,
        now=now(),
        subresource=subresource,
        reset=reset_fields(served.info, subresource),
        convert=converter(served),
    )


def apply(
    served: View, live: Object | None, configuration: Any, manager: str, *, force: bool, subresource: str = ""
) -> Object:
    """`live` after the configuration was applied; not normalised. Raises ApiError."""
    applied, _ = managed.apply(
        served.type,
        live,
        configuration,
        manager=manager,
        api_version=served.info.group_version,
        kind=served.info.kind,
        now=now(),
        force=force,
        subresource=subresource,
        reset=reset_fields(served.info, subresource),
        convert=converter(served),
    )
    return applied


class Converter:
    """Objects of one kind in the versions that its field managers used."""

    def __init__(self, versions: dict[str, tuple[str, str, Type]]) -> None:
        self._versions = versions

    def __call__(self, obj: Object, api_version: str) -> tuple[Type, Object] | None:
        """The type of that version and the object in it; None for a version that is not served."""
        found = self._versions.get(api_version)
        if found is None:
            return None
        group, version, type = found
        return type, conversion.convert(obj, group, version)


_CONVERTERS: dict[tuple[str, tuple[str, str]], Converter | None] = {}


def converter(served: View) -> Converter | None:
    """The converter of a resource; None where there is one version only."""
    key = (served.info.storage_prefix, served.info.stored_as)
    if key not in _CONVERTERS:
        model = types.model()
        versions = {
            info.group_version: (info.group, info.version, model.kind(info.group, info.version, info.kind))
            for info in catalogue().values()
            if (info.storage_prefix, info.stored_as) == key and exists(info)
        }
        _CONVERTERS[key] = Converter(versions) if len(versions) > 1 else None
    return _CONVERTERS[key]


def exists(info: ResourceInfo) -> bool:
    """Whether objects can be in that version: it is one of this Kubernetes version, or the one that is stored."""
    kind = (info.group, info.version, info.kind)
    return kind in types.model().schemas.kinds or info.stored_as == kind[:2]
