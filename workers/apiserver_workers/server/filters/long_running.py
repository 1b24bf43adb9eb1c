"""Which requests may take as long as they like: no deadline and no place among the requests in flight."""

from __future__ import annotations

from apiserver_workers.server.http.request_info import RequestInfo

VERBS = frozenset({"watch", "proxy"})
SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})
PATH_PREFIX = "/debug/pprof/"


def is_long_running(info: RequestInfo) -> bool:
    """Upstream's BasicLongRunningRequestCheck."""
    if info.is_resource_request:
        return info.verb in VERBS or info.subresource in SUBRESOURCES
    return info.path.startswith(PATH_PREFIX)
