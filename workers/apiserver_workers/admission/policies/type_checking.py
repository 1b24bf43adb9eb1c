"""What a ValidatingAdmissionPolicy's status says of its expressions: warnings where they do not fit the types they see.

At admission `object` and `params` have no type. Here they have those of the kinds that the rules name. A warning never
changes what the policy does.

Upstream: policy/validating/typechecking.go; pkg/controller/validatingadmissionpolicystatus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from apiserver_workers.admission.versions import Gvk
from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.compiler import check_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.schema import Declared, DeclaredField, declare
from apiserver_workers.apimachinery.cel.types import DYN
from apiserver_workers.apimachinery.cel.variables import admission_declarations, variable, with_variables
from apiserver_workers.apimachinery.types import Field, Type

Object = dict[str, Any]
# The kinds of a group, version and resource, and the type of a kind (None: it has none that is known).
KindsOf = Callable[[str, str, str], Iterable[Gvk]]
SchemaOf = Callable[[Gvk], Object | None]

MOST_TYPES = 10
MANAGER = "validatingadmissionpolicy-status"

_FORMS: dict[str, Object] = {
    "string": {"type": "string"},
    "duration": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "intstr": {"x-kubernetes-int-or-string": True},
    "raw": {"type": "object"},
    # either a string or a number, which expressions cannot see
    "quantity": {},
}


def schema_of_type(type: Type) -> Object:
    """The OpenAPI schema of a built-in type without references; where a type contains itself there is an empty object."""
    return _schema(type, frozenset())


def _schema(type: Type, around: frozenset[str]) -> Object:
    if type.name in around:
        return {"type": "object"}
    inside = around | {type.name}
    properties = {name: _field_schema(field, inside) for name, field in type.fields.items()}
    return {"type": "object", "properties": properties}


def _field_schema(field: Field, around: frozenset[str]) -> Object:
    if field.form == "object" and field.type is not None:
        return _schema(field.type, around)
    if field.form == "list" and field.element is not None:
        return {"type": "array", "items": _field_schema(field.element, around)}
    if field.form == "map" and field.element is not None:
        return {"type": "object", "additionalProperties": _field_schema(field.element, around)}
    return _FORMS.get(field.form, {})


class Checked(NamedTuple):
    """A kind that expressions are checked against."""

    gvk: Gvk
    declared: Declared | None


def expression_warnings(policy: Object, kinds_of: KindsOf, schema_of: SchemaOf) -> list[Object]:
    """The ExpressionWarnings of a policy's validations and messages."""
    spec = policy.get("spec") or {}
    kinds = [Checked(gvk, _declared(schema_of(gvk), gvk)) for gvk in checked_kinds(spec, kinds_of)]
    kinds = [kind for kind in kinds if kind.declared is not None]
    params = _params(spec, schema_of)
    found = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            source = validation.get(field)
            if source and (text := "\n".join(_warnings(source, spec, kinds, params))):
                found.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": text})
    return found


def status_of(policy: Object, warnings: list[Object]) -> Object:
    """The status that tells of the check of a policy's present generation."""
    checking = {"expressionWarnings": warnings} if warnings else {}
    return {"observedGeneration": policy["metadata"].get("generation", 0), "typeChecking": checking}


def needs_check(policy: Object) -> bool:
    """Whether the status tells of an older generation than the present one."""
    observed: int = (policy.get("status") or {}).get("observedGeneration", 0)
    return bool(policy["metadata"].get("generation", 0) > observed)


def checked_kinds(spec: Object, kinds_of: KindsOf) -> list[Gvk]:
    """The kinds that the rules name without wildcards, at most MOST_TYPES of a rule, in order."""
    found: set[Gvk] = set()
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        count = 0
        for group, version, resource in _named(rule):
            for gvk in kinds_of(group, version, resource):
                found.add(gvk)
                count += 1
                if count == MOST_TYPES:
                    return sorted(found)
    return sorted(found)


def _named(rule: Object) -> Iterator[tuple[str, str, str]]:
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if any("*" in name for name in (*groups, *versions)):
        return
    resources = [name for name in rule.get("resources") or () if "*" not in name and "/" not in name]
    for group in sorted(groups):
        for version in sorted(versions):
            for resource in sorted(resources):
                yield group, version, resource


def _params(spec: Object, schema_of: SchemaOf) -> Checked | None:
    """The kind of the parameters, None if there are none."""
    kind = spec.get("paramKind")
    if kind is None:
        return None
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    gvk = group, version, kind.get("kind", "")
    return Checked(gvk, _declared(schema_of(gvk), gvk))


def _declared(schema: Object | None, gvk: Gvk) -> Declared | None:
    return None if schema is None else declare(schema, root=True, name=gvk[2])


def _warnings(source: str, spec: Object, kinds: list[Checked], params: Checked | None) -> Iterator[str]:
    """What is wrong with an expression for each of the kinds."""
    environment = env.stored_expressions()
    for gvk, declared in kinds:
        fields: dict[str, DeclaredField] = {}
        declarations = with_variables(_declarations(declared, params), fields)
        for one in spec.get("variables") or ():
            try:
                result = check_expression(one["expression"], environment, declarations).type
            except CompileError:
                result = DYN
            fields[one["name"]] = variable(one["name"], result)
        try:
            check_expression(source, environment, declarations)
        except CompileError as error:
            group, version, name = gvk
            yield f"{group}/{version}, Kind={name}: {error}\n"


def _declarations(declared: Declared | None, params: Checked | None) -> Declarations:
    """The variables of a policy with the types of a kind and of its parameters."""
    known = admission_declarations(params=params is not None, authorizer=True)
    variables = {name: type for name, type in known.variables.items() if name != "authorizer.requestResource"}
    structs = dict(known.structs)
    if declared is not None:
        variables["object"] = variables["oldObject"] = declared.type
        structs.update(declared.structs)
    if params is not None and params.declared is not None:
        variables["params"] = params.declared.type
        structs.update(params.declared.structs)
    return replace(known, variables=variables, structs=structs)
