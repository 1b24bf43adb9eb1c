"""Authorization checks: authorizer.group('').resource('pods').check('get').allowed() … Upstream: K/cel/library/authz.go.

An authorizer may have to wait, and an evaluation cannot. So `check` looks into the authorizer's memo; if the decision is
not there, NeedDecision leaves the evaluation, the caller decides, puts the decision into the memo and starts again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery import name_rules

from ..estimates import TRAVERSAL, CallEstimate, Operand, Range, times_factor
from ..failures import Failure, NeedDecision, no_such_overload
from ..values import Opaque, size_for_cost
from . import costs
from .row import Row

_PREFIX = "kubernetes.authorization."
CHECK_COST = 350_000
_LIST, _REQUIREMENT = 10, 50


@dataclass(frozen=True, slots=True)
class Question:
    """What an authorizer is asked. `service_account` (namespace and name) stands for the request's user if it is set.

    `path` is set for a request that is not about a resource.
    """

    verb: str
    service_account: tuple[str, str] | None = None
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An authorizer's decision; `error` is None if it could decide."""

    allowed: bool
    reason: str = ""
    error: str | None = None


class _Authz(Opaque):
    """Values of this library cannot be compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise no_such_overload()

    def __hash__(self) -> int:
        return id(self)


class Authorizer(_Authz):
    """kubernetes.authorization.Authorizer: the variable `authorizer`. `memo` has the decisions that are known."""

    __slots__ = ("memo", "service_account")
    type_name = _PREFIX + "Authorizer"

    def __init__(self, memo: dict[Question, Answer], service_account: tuple[str, str] | None = None) -> None:
        self.memo = memo
        self.service_account = service_account


class PathCheck(_Authz):
    """kubernetes.authorization.PathCheck"""

    __slots__ = ("authorizer", "path")
    type_name = _PREFIX + "PathCheck"

    def __init__(self, authorizer: Authorizer, path: str) -> None:
        self.authorizer = authorizer
        self.path = path


class GroupCheck(_Authz):
    """kubernetes.authorization.GroupCheck"""

    __slots__ = ("authorizer", "group")
    type_name = _PREFIX + "GroupCheck"

    def __init__(self, authorizer: Authorizer, group: str) -> None:
        self.authorizer = authorizer
        self.group = group


class ResourceCheck(_Authz):
    """kubernetes.authorization.ResourceCheck; also the variable `authorizer.requestResource`. `fields` are a Question's."""

    __slots__ = ("authorizer", "fields")
    type_name = _PREFIX + "ResourceCheck"

    def __init__(self, authorizer: Authorizer, **fields: str) -> None:
        self.authorizer = authorizer
        self.fields = fields


class Decision(_Authz):
    """kubernetes.authorization.Decision"""

    __slots__ = ("answer",)
    type_name = _PREFIX + "Decision"

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def path(authorizer: Authorizer, path: str) -> PathCheck:
    """authorizer.path(path). Raises Failure."""
    if not path.strip():
        raise Failure("path must not be empty")
    return PathCheck(authorizer, path)


def service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    """authorizer.serviceAccount(namespace, name). Raises Failure."""
    if name_rules.is_dns1123_subdomain(name):
        raise Failure("Invalid service account name")
    if name_rules.is_dns1123_label(namespace):
        raise Failure("Invalid service account namespace")
    return Authorizer(authorizer.memo, (namespace, name))


def resource(check: GroupCheck, resource: str) -> ResourceCheck:
    """groupCheck.resource(resource). Raises Failure."""
    if not resource.strip():
        raise Failure("resource must not be empty")
    return ResourceCheck(check.authorizer, group=check.group, resource=resource)


def _with(field: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def change(check: ResourceCheck, value: str) -> ResourceCheck:
        return ResourceCheck(check.authorizer, **{**check.fields, field: value})

    return change


def _ask(authorizer: Authorizer, question: Question) -> Decision:
    answer = authorizer.memo.get(question)
    if answer is None:
        raise NeedDecision(question)
    return Decision(answer)


def check_path(check: PathCheck, verb: str) -> Decision:
    """pathCheck.check(verb). Raises NeedDecision."""
    return _ask(check.authorizer, Question(verb, check.authorizer.service_account, path=check.path))


def check_resource(check: ResourceCheck, verb: str) -> Decision:
    """resourceCheck.check(verb). Raises NeedDecision."""
    return _ask(check.authorizer, Question(verb, check.authorizer.service_account, **check.fields))


def _selector_cost(args: Sequence[Any], _result: Any) -> int:
    size = size_for_cost(args[1])
    return _LIST + costs.traversal(size) + times_factor(times_factor(size, 0.5), _REQUIREMENT)


def _static_selector(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    size = args[0].size
    requirements = size.factor(0.5).factor(_REQUIREMENT)
    return CallEstimate(Range(_LIST, _LIST).plus(size.factor(TRAVERSAL)).plus(requirements))


def _row(identifier: str, name: str, args: tuple[str, ...], result: str, function: Callable[..., Any]) -> Row:
    args = (_PREFIX + args[0], *args[1:])
    result = _PREFIX + result if result[0].isupper() else result
    return Row(identifier, name, args, result, function, member=True, by_name=True, since=27, library="authz")


def _check(identifier: str, target: str, function: Callable[..., Any]) -> Row:
    return Row(
        identifier,
        "check",
        (_PREFIX + target, "string"),
        _PREFIX + "Decision",
        function,
        member=True,
        static=costs.fixed(CHECK_COST),
        runtime=CHECK_COST,
        instant=True,
        by_name=True,
        since=27,
        library="authz",
    )


def _selector(identifier: str, name: str, field: str) -> Row:
    return Row(
        identifier,
        name,
        (_PREFIX + "ResourceCheck", "string"),
        _PREFIX + "ResourceCheck",
        _with(field),
        member=True,
        static=_static_selector,
        runtime=_selector_cost,
        by_name=True,
        since=31,
        library="authz_selectors",
    )


_ON_RESOURCE = ("ResourceCheck", "string")

ROWS: tuple[Row, ...] = (
    _row("authorizer_path", "path", ("Authorizer", "string"), "PathCheck", path),
    _row("authorizer_group", "group", ("Authorizer", "string"), "GroupCheck", GroupCheck),
    _row(
        "authorizer_serviceaccount", "serviceAccount", ("Authorizer", "string", "string"), "Authorizer", service_account
    ),
    _row("groupcheck_resource", "resource", ("GroupCheck", "string"), "ResourceCheck", resource),
    _row("resourcecheck_subresource", "subresource", _ON_RESOURCE, "ResourceCheck", _with("subresource")),
    _row("resourcecheck_namespace", "namespace", _ON_RESOURCE, "ResourceCheck", _with("namespace")),
    _row("resourcecheck_name", "name", _ON_RESOURCE, "ResourceCheck", _with("name")),
    _selector("authorizer_fieldselector", "fieldSelector", "field_selector"),
    _selector("authorizer_labelselector", "labelSelector", "label_selector"),
    _check("pathcheck_check", "PathCheck", check_path),
    _check("resourcecheck_check", "ResourceCheck", check_resource),
    _row("decision_errored", "errored", ("Decision",), "bool", lambda decision: decision.answer.error is not None),
    _row("decision_error", "error", ("Decision",), "string", lambda decision: decision.answer.error or ""),
    _row("decision_allowed", "allowed", ("Decision",), "bool", lambda decision: decision.answer.allowed),
    _row("decision_reason", "reason", ("Decision",), "string", lambda decision: decision.answer.reason),
)
