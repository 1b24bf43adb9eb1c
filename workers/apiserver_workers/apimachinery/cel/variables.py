"""The variables of admission policies and match conditions, with their types.

`object`, `oldObject` and `params` have no type: their checks against OpenAPI belong to the controller manager.

Upstream: apiserver/pkg/admission/plugin/cel/compile.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from .declarations import Declarations
from .schema import Declared, DeclaredField
from .types import (
    ANY,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Form,
    Type,
    list_of,
    map_of,
    opaque,
    struct,
)

AUTHORIZER = opaque("kubernetes.authorization.Authorizer")
RESOURCE_CHECK = opaque("kubernetes.authorization.ResourceCheck")

_TEXT = Declared(STRING, smallest=2)
_TEXTS = Declared(list_of(STRING), smallest=2, largest=-1, element=_TEXT)
_LABELS = Declared(map_of(STRING, STRING), smallest=2, largest=-1, key=_TEXT, element=_TEXT)
_EXTRA = Declared(map_of(STRING, _TEXTS.type), smallest=2, largest=-1, key=_TEXT, element=_TEXTS)
_TIME = Declared(TIMESTAMP, smallest=21, format="date-time")
_NUMBER = Declared(INT, smallest=1)


def object_type(name: str, fields: Mapping[str, Declared]) -> Declared:
    """A type with fields that is declared in code, not by a schema."""
    named = {field: DeclaredField(field, declared) for field, declared in fields.items()}
    return Declared(struct(name), smallest=2, fields=named)


def _texts(*names: str) -> dict[str, Declared]:
    return dict.fromkeys(names, _TEXT)


_GVK = object_type("kubernetes.GroupVersionKind", _texts("group", "version", "kind"))
_GVR = object_type("kubernetes.GroupVersionResource", _texts("group", "version", "resource"))
USER_INFO = object_type("kubernetes.UserInfo", {**_texts("username", "uid"), "groups": _TEXTS, "extra": _EXTRA})
REQUEST = object_type(
    "kubernetes.AdmissionRequest",
    {
        "kind": _GVK,
        "resource": _GVR,
        "requestKind": _GVK,
        "requestResource": _GVR,
        **_texts("subResource", "requestSubResource", "name", "namespace", "operation"),
        "userInfo": USER_INFO,
        "dryRun": Declared(BOOL, smallest=4),
        "options": Declared(DYN, smallest=1),
    },
)
_SPEC = object_type("kubernetes.NamespaceSpec", {"finalizers": _TEXTS})
_CONDITION = object_type(
    "kubernetes.NamespaceCondition",
    {**_texts("status", "type", "message", "reason"), "lastTransitionTime": _TIME},
)
_CONDITIONS = Declared(list_of(_CONDITION.type), smallest=2, largest=-1, element=_CONDITION)
_STATUS = object_type("kubernetes.NamespaceStatus", {"conditions": _CONDITIONS, "phase": _TEXT})
_METADATA = object_type(
    "kubernetes.NamespaceMetadata",
    {
        **_texts("name", "generateName", "namespace", "UID", "resourceVersion"),
        "labels": _LABELS,
        "annotations": _LABELS,
        "creationTimestamp": _TIME,
        "deletionTimestamp": _TIME,
        "deletionGracePeriodSeconds": _NUMBER,
        "generation": _NUMBER,
        "finalizers": _TEXTS,
    },
)
NAMESPACE = object_type("kubernetes.Namespace", {"metadata": _METADATA, "spec": _SPEC, "status": _STATUS})


def structs_of(*roots: Declared) -> dict[str, Declared]:
    """All object types of some types and what is inside them, by name."""
    found: dict[str, Declared] = {}
    for root in roots:
        _collect(root, found)
    return found


def _collect(declared: Declared, found: dict[str, Declared]) -> None:
    if declared.element is not None:
        _collect(declared.element, found)
    if declared.fields is not None:
        found[declared.type.name] = declared
        for field in declared.fields.values():
            _collect(field.declared, found)


@cache
def admission_declarations(
    *, params: bool, authorizer: bool, patch: bool = False, keywords: bool = True
) -> Declarations:
    """What expressions of policies and match conditions may use.

    `params` and `authorizer` say whether there are such variables; `patch` adds the types of a mutating policy's patches.
    """
    variables: dict[str, Type] = {
        "object": DYN,
        "oldObject": DYN,
        "namespaceObject": NAMESPACE.type,
        "request": REQUEST.type,
    }
    if params:
        variables["params"] = DYN
    if authorizer:
        variables["authorizer"] = AUTHORIZER
        variables["authorizer.requestResource"] = RESOURCE_CHECK
    return Declarations(
        variables,
        structs=structs_of(NAMESPACE, REQUEST),
        schemas={"namespaceObject": NAMESPACE, "request": REQUEST},
        patch_types=patch,
        keywords=keywords,
    )


VARIABLES = "kubernetes.variables"
_KEPT = frozenset((BOOL, BYTES, DOUBLE, DURATION, INT, NULL, STRING, TIMESTAMP, UINT, ANY))


def with_variables(declarations: Declarations, fields: dict[str, DeclaredField]) -> Declarations:
    """The declarations with `variables`, whose fields may still be added while expressions compile."""
    variables = Declared(struct(VARIABLES), smallest=2, fields=fields)
    return replace(
        declarations,
        variables={**declarations.variables, "variables": variables.type},
        structs={**declarations.structs, VARIABLES: variables},
    )


def variable(name: str, result: Type | None) -> DeclaredField:
    """A field of `variables`: what an expression of that result leaves; dyn if it does not compile."""
    return DeclaredField(name, Declared(_kept(result or DYN), smallest=1))


def _kept(result: Type) -> Type:
    """Scalars, and lists and maps of what is kept; everything else is dyn."""
    if result.form is Form.LIST:
        return list_of(_kept(result.parameters[0]))
    if result.form is Form.MAP:
        key, value = result.parameters
        return map_of(_kept(key), _kept(value))
    return result if result in _KEPT else DYN
