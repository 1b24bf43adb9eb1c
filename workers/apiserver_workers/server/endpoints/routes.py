"""Which handler answers which verb: one table for resources, one for their subresources.

A resource has the verbs that its entry lists. A subresource that is another view of the same object (status, approval,
...) is written like the object, and its strategy keeps what is not addressed; the others have handlers of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from apiserver_workers.server.endpoints import binding, create, delete, eviction, patch, read, scale, update
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response

# A handler of a stored resource; one that is not stored is given to nobody but its own handler, as a View.
Route = Callable[[Request, Any], Awaitable[Response]]
Routes = dict[tuple[str, str], Route]

VERBS: dict[str, Route] = {
    "get": read.get,
    "list": read.list_,
    "watch": read.watch,
    "create": create.create,
    "update": update.update,
    "patch": patch.patch,
    "delete": delete.delete,
    "deletecollection": delete.delete_collection,
}

# Views of the object itself.
VIEW: dict[str, Route] = {"get": read.get, "update": update.update, "patch": patch.patch}

SUBRESOURCES: dict[str, dict[str, Route]] = {
    "status": VIEW,
    "finalize": VIEW,
    "approval": VIEW,
    "ephemeralcontainers": VIEW,
    "resize": VIEW,
    "scale": {"get": scale.get, "update": scale.update, "patch": scale.patch},
    "binding": {"create": binding.create},
    "eviction": {"create": eviction.create},
}


def routes_of(served: Served) -> Routes:
    """The handlers of a stored resource by (subresource, verb)."""
    info = served.info
    routes = {("", verb): VERBS[verb] for verb in info.verbs}
    for name, subresource in info.subresources.items():
        handlers = SUBRESOURCES.get(name, {})
        routes.update(((name, verb), handlers[verb]) for verb in subresource.verbs if verb in handlers)
    return routes
