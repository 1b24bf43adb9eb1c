"""Field management of the endpoints: who wrote, and metadata.managedFields of what was written.

managedFields may name versions that other managers used, in which the objects are then compared too. Where such a
conversion has to wait, the whole comparison runs in a thread, which asks the event loop for each conversion.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from apiserver_workers.apimachinery.apply import managed
from apiserver_workers.apimachinery.apply.plan import plan
from apiserver_workers.apimachinery.apply.tracking import Converter
from apiserver_workers.apimachinery.apply.typed import fits
from apiserver_workers.apimachinery.served_kind import Conversion
from apiserver_workers.apimachinery.types import Type
from apiserver_workers.registry.options import WriteOptions
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Request

Object = dict[str, Any]
T = TypeVar("T")


def manager_of(request: Request, options: WriteOptions) -> str:
    """The field manager: the option, else the beginning of the user agent."""
    return options.field_manager or managed.manager_from_user_agent(request.headers.get("user-agent", ""))


async def track(served: View, live: Object | None, new: Object, manager: str, subresource: str = "") -> Object:
    """`new` with the managedFields of a create, update or patch over `live`; both of the served version."""
    kind = served.kind
    if kind.as_sent and not fits(plan(kind.type), new):
        # what cannot be told apart into fields is managed by nobody; validation will refuse most of it
        new["metadata"] = {name: value for name, value in new["metadata"].items() if name != "managedFields"}
        return new
    return await _converting(
        kind.conversion,
        managed.track_update,
        kind.type,
        live,
        new,
        manager=manager,
        api_version=kind.info.group_version,
        now=now(),
        subresource=subresource,
        reset=kind.resets.get(subresource),
    )


async def apply(
    served: View, live: Object | None, configuration: Any, manager: str, *, force: bool, subresource: str = ""
) -> Object:
    """`live` after the configuration was applied; not normalised. Raises ApiError."""
    kind = served.kind
    applied, _ = await _converting(
        kind.conversion,
        managed.apply,
        kind.type,
        live,
        configuration,
        manager=manager,
        api_version=kind.info.group_version,
        kind=kind.info.kind,
        now=now(),
        force=force,
        subresource=subresource,
        reset=kind.resets.get(subresource),
    )
    return applied


async def _converting(
    conversion: Conversion | None, function: Callable[..., T], /, *arguments: Any, **options: Any
) -> T:
    """What the function returns, called with the kind's converter as `convert`."""
    if conversion is None:
        return function(*arguments, **options)
    if conversion.now is not None:
        return function(*arguments, **options, convert=conversion.now)
    convert = waiting_converter(conversion)
    return await asyncio.to_thread(functools.partial(function, *arguments, **options, convert=convert))


def waiting_converter(conversion: Conversion) -> Converter:
    """A converter for another thread than that of the running event loop: it waits for the loop to convert."""
    loop = asyncio.get_running_loop()

    def convert(obj: Object, api_version: str) -> tuple[Type, Object] | None:
        type = conversion.type_of(api_version)
        if type is None:
            return None
        waiting = asyncio.run_coroutine_threadsafe(conversion.convert([obj], api_version), loop)
        return type, waiting.result()[0]

    return convert
