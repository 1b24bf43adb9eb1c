"""Subresources that lead to a kubelet: log, exec, attach, portforward, proxy.

Which pod, which container and whether it runs anywhere is decided here.
"""

from __future__ import annotations

from typing import Any

from workers.apimachinery.errors import bad_request, service_unavailable
from workers.server.endpoints.pod_log import check_log_options
from workers.server.endpoints.query import parse_query, text
from workers.server.endpoints.served import Served
from workers.server.http import Request, Response

Object = dict[str, Any]


async def connect(request: Request, served: Served) -> Response:
    """The answer as far as it does not need a kubelet. Raises ApiError."""
    info = request.info
    assert info is not None
    entry = await served.store.get(info.namespace, info.name)
    if info.resource == "pods":
        query = parse_query(request.raw_query)
        if info.subresource == "log":
            check_log_options(query, info.name)
        container_of(entry.obj, text(query, "container"), info.subresource)
        if not (entry.obj.get("spec") or {}).get("nodeName"):
            return _nowhere(info.name, info.subresource)
    raise service_unavailable(
        f"{info.resource}/{info.subresource} needs a connection to a kubelet, which is not configured"
    )


def _nowhere(name: str, subresource: str) -> Response:
    """What a pod answers that no node runs."""
    if subresource == "log":
        return Response(204, content_type="")
    if subresource == "proxy":
        raise bad_request("address not allowed")
    raise bad_request(f"pod {name} does not have a host assigned")


def container_of(pod: Object, asked: str, subresource: str) -> str:
    """The container that a request means. Raises ApiError 400 when it is not clear or not there."""
    if subresource not in ("log", "exec", "attach"):
        return ""
    name, spec = pod["metadata"]["name"], pod.get("spec") or {}
    main = [container["name"] for container in spec.get("containers") or ()]
    others = [
        container["name"] for field in ("initContainers", "ephemeralContainers") for container in spec.get(field) or ()
    ]
    if asked:
        if asked not in (*main, *others):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(main) == 1:
        return main[0]
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]")
