"""The operations of the API, described once: the documents of both OpenAPI versions are rendered from these.

Names, tags and descriptions are those of the API server's installer, because generated clients are named after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.resources import SubresourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.strategies.traits import RETURNS_DELETED
from apiserver_workers.server.openapi.custom import model_name
from apiserver_workers.server.openapi.definitions import DESCRIPTIONS

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS, DELETE_OPTIONS, PATCH, WATCH_EVENT = (
    META + name for name in ("Status", "DeleteOptions", "Patch", "WatchEvent")
)

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
TEXT_TYPES = (JSON, YAML)
STREAMED_TYPES = (*MEDIA_TYPES, JSON + ";stream=watch", PROTOBUF + ";stream=watch")

LIST_PARAMETERS = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
)
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
PATCH_PARAMETERS = ("dryRun", "fieldManager patch", "fieldValidation", "force")
DELETE_PARAMETERS = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
COLLECTION_PARAMETERS = tuple(
    sorted({*DELETE_PARAMETERS, *LIST_PARAMETERS} - {"allowWatchBookmarks", "watch"}, key=str)
)
CONNECT_METHODS = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
CONNECTED = frozenset(("attach", "exec", "portforward", "proxy"))

WATCH_NOTE = "deprecated: use the 'watch' parameter with a list operation instead"

# verb -> (method, action, operation prefix, description of a resource, of a subresource, query parameters, codes)
VERBS: dict[str, tuple[str, str, str, str, str, tuple[str, ...], tuple[int, ...]]] = {
    "get": ("get", "get", "read", "read the specified {kind}", "read {sub} of the specified {kind}", (), (200,)),
    "list": ("get", "list", "list", "list or watch objects of kind {kind}", "", LIST_PARAMETERS, (200,)),
    "update": (
        "put",
        "put",
        "replace",
        "replace the specified {kind}",
        "replace {sub} of the specified {kind}",
        WRITE_PARAMETERS,
        (200, 201),
    ),
    "patch": (
        "patch",
        "patch",
        "patch",
        "partially update the specified {kind}",
        "partially update {sub} of the specified {kind}",
        PATCH_PARAMETERS,
        (200, 201),
    ),
    "create": (
        "post",
        "post",
        "create",
        "create {a} {kind}",
        "create {sub} of {a} {kind}",
        WRITE_PARAMETERS,
        (200, 201, 202),
    ),
    "delete": ("delete", "delete", "delete", "delete {a} {kind}", "", DELETE_PARAMETERS, (200, 202)),
    "deletecollection": (
        "delete",
        "deletecollection",
        "deleteCollection",
        "delete collection of {kind}",
        "",
        COLLECTION_PARAMETERS,
        (200,),
    ),
}
CODES = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}


@dataclass(slots=True)
class Operation:
    """One method of one path. `body` and `result` are definitions' names; "" stands for none, or for a string."""

    path: str
    method: str
    id: str
    tag: str
    description: str
    result: str = ""
    codes: tuple[int, ...] = (200,)
    action: str = ""
    kind: dict[str, str] = field(default_factory=dict)
    body: str = ""
    body_required: bool = True
    query: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ("*/*",)
    produces: tuple[str, ...] = MEDIA_TYPES
    own_parameters: dict[str, Any] = field(default_factory=dict)
    object_kind: str = ""


def operations_of(kind: ServedKind) -> Iterator[Operation]:
    """All operations of a resource with its subresources."""
    info = kind.info
    names = _Names(kind)
    base = names.base
    spaced = f"{base}/namespaces/{{namespace}}" if info.namespaced else base
    for verb in ("list", "create", "deletecollection"):
        if verb in info.verbs:
            yield names.operation(verb, f"{spaced}/{info.resource}")
    for verb in ("get", "update", "patch", "delete"):
        if verb in info.verbs:
            yield names.operation(verb, f"{spaced}/{info.resource}/{{name}}")
    if info.namespaced and "list" in info.verbs:
        yield names.all_namespaces(f"{base}/{info.resource}")
    if "watch" in info.verbs and not info.custom:
        yield from names.watches()
    for sub in info.subresources.values():
        path = f"{spaced}/{info.resource}/{{name}}/{sub.name}"
        if sub.name in CONNECTED:
            yield from names.connects(sub, path)
        else:
            for verb in ("get", "update", "patch", "create"):
                if verb in sub.verbs:
                    yield names.operation(verb, path, sub)


class _Names:
    """How the operations of one resource are called."""

    def __init__(self, kind: ServedKind) -> None:
        info = self.info = kind.info
        self.kind = kind
        self.base = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
        group = group_name(info.group)
        self.prefix = group[0].upper() + group[1:] + info.version[0].upper() + info.version[1:]
        self.tag = f"{group}_{info.version}"
        self.spaced = "Namespaced" if info.namespaced else ""
        self.a = "an" if info.kind[0] in "AEIOU" else "a"

    def definition(self, kind: str, group: str, version: str) -> str:
        info = self.info
        if info.custom and (group, version) == (info.group, info.version):
            return model_name(group, version, kind)
        return self.kind.model.definition_name(group, version, kind)

    def operation(self, verb: str, path: str, sub: SubresourceInfo | None = None) -> Operation:
        info = self.info
        method, action, prefix, description, sub_description, query, codes = VERBS[verb]
        kind = {"group": info.group, "version": info.version, "kind": info.kind}
        if sub is not None:
            description = sub_description
            if sub.version:
                kind = {"group": sub.group, "version": sub.version, "kind": sub.kind}
            elif sub.kind:
                kind["kind"] = sub.kind
        operation = Operation(
            path=path,
            method=method,
            id=self._id(prefix, sub),
            tag=self.tag,
            description=description.format(kind=info.kind, a=self.a, sub=sub.name if sub else ""),
            result=self.definition(kind["kind"], kind["group"], kind["version"]),
            codes=codes,
            action=action,
            kind=kind,
            query=query,
            object_kind=info.kind,
        )
        self._complete(operation, verb, sub)
        return operation

    def _id(self, prefix: str, sub: SubresourceInfo | None) -> str:
        collection = prefix == "deleteCollection"
        middle = "Collection" if collection else ""
        suffix = sub.name[0].upper() + sub.name[1:] if sub else ""
        return f"{'delete' if collection else prefix}{self.prefix}{middle}{self.spaced}{self.info.kind}{suffix}"

    def _complete(self, operation: Operation, verb: str, sub: SubresourceInfo | None) -> None:
        """What depends on the verb beyond the table."""
        info = self.info
        if verb in ("create", "update"):
            operation.body = operation.result
        elif verb == "patch":
            operation.body, operation.consumes = PATCH, self.kind.patch_types
        elif verb in ("delete", "deletecollection"):
            operation.body, operation.body_required = DELETE_OPTIONS, False
            if verb == "deletecollection" or (info.group, info.resource) not in RETURNS_DELETED:
                operation.result = STATUS
        elif verb == "list":
            operation.result = self.definition(info.list_kind, info.group, info.version)
            operation.produces = STREAMED_TYPES
        if info.custom:
            operation.produces = TEXT_TYPES
            operation.consumes = operation.consumes if verb == "patch" else TEXT_TYPES
        if sub is not None and sub.name == "log":
            operation.result, operation.produces = "", ("text/plain", *MEDIA_TYPES)
            operation.own_parameters = DESCRIPTIONS["subresources"]["log"]

    def all_namespaces(self, path: str) -> Operation:
        operation = self.operation("list", path)
        operation.id = f"list{self.prefix}{self.info.kind}ForAllNamespaces"
        return operation

    def watches(self) -> Iterator[Operation]:
        info = self.info
        spaced = "/namespaces/{namespace}" if info.namespaced else ""
        one = f"{self.base}/watch{spaced}/{info.resource}/{{name}}"
        single = ", filtered to a single item with the 'fieldSelector' parameter."
        description = f"watch changes to an object of kind {info.kind}. {WATCH_NOTE}{single}"
        yield self._watch(one, "watch", f"watch{self.prefix}{self.spaced}{info.kind}", description)
        listed = f"watch individual changes to a list of {info.kind}. {WATCH_NOTE}."
        path = f"{self.base}/watch{spaced}/{info.resource}"
        yield self._watch(path, "watchlist", f"watch{self.prefix}{self.spaced}{info.kind}List", listed)
        if info.namespaced:
            name = f"watch{self.prefix}{info.kind}ListForAllNamespaces"
            yield self._watch(f"{self.base}/watch/{info.resource}", "watchlist", name, listed)

    def _watch(self, path: str, action: str, name: str, description: str) -> Operation:
        operation = self.operation("list", path)
        operation.action, operation.id, operation.description = action, name, description
        operation.result = WATCH_EVENT
        return operation

    def connects(self, sub: SubresourceInfo, path: str) -> Iterator[Operation]:
        """Operations that are passed on to a kubelet or through a proxy."""
        kind = {"group": self.info.group, "version": self.info.version, "kind": sub.kind}
        known = DESCRIPTIONS["subresources"]
        parameters = known.get(f"{self.info.resource}/{sub.name}") or known.get(sub.name, {})
        for verb, method in CONNECT_METHODS.items():
            if verb not in sub.verbs:
                continue
            called = method[0].upper() + method[1:]
            suffix = sub.name[0].upper() + sub.name[1:]
            base = Operation(
                path=path,
                method=method,
                id=f"connect{self.prefix}{called}{self.spaced}{self.info.kind}{suffix}",
                tag=self.tag,
                description=f"connect {method.upper()} requests to {sub.name} of {self.info.kind}",
                action="connect",
                kind=kind,
                produces=("*/*",),
                own_parameters=parameters,
                object_kind=sub.kind,
            )
            yield base
            if sub.name == "proxy":
                rest = {"path": {"type": "string", "description": "path to the resource"}}
                yield Operation(
                    **{
                        **{name: getattr(base, name) for name in Operation.__slots__},
                        "path": path + "/{path}",
                        "id": base.id + "WithPath",
                        "own_parameters": {**parameters, "{path}": rest["path"]},
                    }
                )


def group_name(group: str) -> str:
    """A group as operations and tags name it: core, apps, rbacAuthorization."""
    first, *rest = (group.removesuffix(".k8s.io") or "core").split(".")
    return first + "".join(word[0].upper() + word[1:] for word in rest)


def _fixed(path: str, tag: str, name: str, description: str, result: str, produces: tuple[str, ...]) -> Operation:
    return Operation(path, "get", name, tag, description, result=result, produces=produces)


def discovery_operations(document: str) -> Iterator[Operation]:
    """The operations of a document's own path: `api/v1`, `apis/apps`, `version`."""
    parts = document.split("/")
    if document in FIXED:
        yield FIXED[document]
        return
    group = parts[1] if parts[0] == "apis" else ""
    name = group_name(group)
    called = name[0].upper() + name[1:]
    if len(parts) == 2 and group:
        description = "get information of a group"
        yield _fixed(f"/{document}/", name, f"get{called}APIGroup", description, META + "APIGroup", MEDIA_TYPES)
    else:
        version = parts[-1]
        yield _fixed(
            f"/{document}/",
            f"{name}_{version}",
            f"get{called}{version[0].upper()}{version[1:]}APIResources",
            "get available resources",
            META + "APIResourceList",
            MEDIA_TYPES,
        )


FIXED = {
    "api": _fixed(
        "/api/", "core", "getCoreAPIVersions", "get available API versions", META + "APIVersions", MEDIA_TYPES
    ),
    "apis": _fixed(
        "/apis/", "apis", "getAPIVersions", "get available API versions", META + "APIGroupList", MEDIA_TYPES
    ),
    "version": _fixed(
        "/version/",
        "version",
        "getCodeVersion",
        "get the version information for this server",
        "io.k8s.apimachinery.pkg.version.Info",
        (JSON,),
    ),
    ".well-known/openid-configuration": _fixed(
        "/.well-known/openid-configuration/",
        "WellKnown",
        "getServiceAccountIssuerOpenIDConfiguration",
        "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
        "",
        (JSON,),
    ),
    "openid/v1/jwks": _fixed(
        "/openid/v1/jwks/",
        "openid",
        "getServiceAccountIssuerOpenIDKeyset",
        "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
        "",
        ("application/jwk-set+json",),
    ),
}


def parameters_of(operation: Operation) -> list[dict[str, Any]]:
    """The path and query parameters, in the order of v2's members, sorted by name."""
    parameters = []
    for name in ("name", "namespace", "path"):
        if f"{{{name}}}" in operation.path:
            text = DESCRIPTIONS["path"]["namespace"] if name == "namespace" else f"name of the {operation.object_kind}"
            if name == "path":
                text = operation.own_parameters["{path}"]["description"]
            parameters.append(_parameter("string", text, name, "path", required=True))
    known = DESCRIPTIONS["query"]
    for name in operation.query:
        described = known[name]
        parameters.append(_parameter(described["type"], described["description"], name.split(" ")[0], "query"))
    for name, described in operation.own_parameters.items():
        if name[0] != "{":
            parameters.append(_parameter(described["type"], described["description"], name, "query"))
    if operation.kind and operation.action != "connect":
        parameters.append(_parameter("string", known["pretty"]["description"], "pretty", "query"))
    return sorted(parameters, key=lambda parameter: (parameter["name"], parameter["in"]))


def _parameter(type: str, description: str, name: str, place: str, *, required: bool = False) -> dict[str, Any]:
    parameter = {"uniqueItems": True, "type": type, "description": description, "name": name, "in": place}
    return {**parameter, "required": True} if required else parameter
