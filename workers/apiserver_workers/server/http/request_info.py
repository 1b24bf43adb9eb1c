"""RequestInfo: what a request asks for, read from its method, path and query alone.

A port of RequestInfoFactory (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go). Authorization, admission, routing
and metrics all decide by it, so it is computed once and by one pure function.

    /api/{version}/namespaces/{namespace}/{resource}/{name}/{subresource}/...
    /apis/{group}/{version}/...                    the same, with a group
    /api/{version}/watch/...  /api/{version}/proxy/...   legacy: the verb stands in the path
    everything else is a non-resource request, whose verb is its method in lower case
"""

from __future__ import annotations

from dataclasses import dataclass

from apiserver_workers.apimachinery.integers import has_sign_and_digits
from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.server.http.messages import Request

API_PREFIXES = frozenset({"api", "apis"})
GROUPLESS_API_PREFIXES = frozenset({"api"})
SPECIAL_VERBS = frozenset({"proxy", "watch"})
SPECIAL_VERBS_NO_SUBRESOURCES = frozenset({"proxy"})
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SELECTING_VERBS = frozenset({"list", "watch", "deletecollection"})
INTEGER_OPTIONS = ("limit", "timeoutSeconds")


@dataclass(frozen=True, slots=True, eq=False)
class RequestInfo:
    """What a request asks for. Requests alike share one instance; never change it."""

    path: str
    verb: str
    is_resource_request: bool = False
    api_prefix: str = ""
    api_group: str = ""
    api_version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    field_selector: str = ""
    label_selector: str = ""


def request_info(method: str, path: str, raw_query: str = "") -> RequestInfo:
    """The RequestInfo of a request with this method, percent-decoded path and raw query.

    Raises ValueError for a legacy verb path that names no resource, such as /api/v1/watch.
    """
    return info_of(Request(method, path, raw_query, {}))


def info_of(request: Request) -> RequestInfo:
    """The RequestInfo of a request. Raises ValueError as `request_info`."""
    key = (request.method, request.path, request.raw_query)
    info = _infos.get(key)
    if info is None:
        info = _read(request)
        _infos.keep(key, info)
    return info


def _read(request: Request) -> RequestInfo:
    method, path = request.method, request.path
    parts = tuple(path.strip("/").split("/"))
    prefix = parts[0]
    group_parts = 0 if prefix in GROUPLESS_API_PREFIXES else 1
    if prefix not in API_PREFIXES or len(parts) < 3 + group_parts:
        return RequestInfo(path, method.lower())
    group = parts[1] if group_parts else ""
    version = parts[1 + group_parts]
    parts = parts[2 + group_parts :]

    verb_in_path = parts[0] in SPECIAL_VERBS
    if verb_in_path:
        if len(parts) < 2:
            raise ValueError(f"unable to determine kind and namespace from url, {path}")
        verb, parts = parts[0], parts[1:]
    else:
        verb = VERBS.get(method, "")

    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]

    name = parts[1] if len(parts) >= 2 else ""
    subresource = parts[2] if len(parts) >= 3 and verb not in SPECIAL_VERBS_NO_SUBRESOURCES else ""
    field_selector = label_selector = ""
    if not name:
        query = request.query
        if verb == "get":
            verb = "watch" if _truth(query.get("watch")) else "list"
            name = _selected_name(query)
        elif verb == "delete":
            verb = "deletecollection"
        if verb in SELECTING_VERBS and not verb_in_path:
            field_selector = query.get("fieldSelector", [""])[0]
            label_selector = query.get("labelSelector", [""])[0]
    return RequestInfo(
        path, verb, True, prefix, group, version, namespace, parts[0], subresource, name, parts,
        field_selector, label_selector,
    )  # fmt: skip


_infos: Kept[tuple[str, str, str], RequestInfo] = Kept()


def _truth(values: list[str] | None) -> bool:
    """A boolean of the query as Go decodes it: given, and neither "false" nor "0"."""
    return values is not None and values[0].lower() not in ("false", "0")


def _selected_name(query: dict[str, list[str]]) -> str:
    """The name that fieldSelector=metadata.name=NAME asks for, or "" where the options are not sound."""
    selector = query.get("fieldSelector", [""])[0]
    if "metadata.name" not in selector:
        return ""
    for option in INTEGER_OPTIONS:
        value = query.get(option, ["0"])[0]
        if not has_sign_and_digits(value):
            return ""
    for term in selector.split(","):
        field, equals, value = term.partition("=")
        if field == "metadata.name" and equals:
            name = value.removeprefix("=")
            return name if name not in (".", "..") and "/" not in name and "%" not in name else ""
    return ""
