"""Programs: selection, errors that are absorbed, macros, constants worked out beforehand, re-entrancy."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from apiserver_workers.apimachinery.cel.failures import Failure, NeedDecision
from apiserver_workers.apimachinery.cel.folding import ProgramFault
from apiserver_workers.apimachinery.cel.library.authz import Answer, Authorizer, Question, ResourceCheck
from apiserver_workers.apimachinery.cel.text import result
from apiserver_workers.apimachinery.cel.values import Fields

from tests.apimachinery.cel.evaluating import LIMIT, compiled, failure, value

VALUES = [
    # an error counts only if the other operand does not decide
    ("false && a.b", {"a": {}}, "false"),
    ("a.b && false", {"a": {}}, "false"),
    ("true || a.b", {"a": {}}, "true"),
    ("a.b || true", {"a": {}}, "true"),
    ("a || true", {"a": 1}, "true"),
    ("a && false", {"a": 1}, "false"),
    ("[1, 2].all(i, i / (i - 1) == 9)", {}, "false"),
    ("[1, 2].exists(i, i / (i - 1) == 2)", {}, "true"),
    # numbers are keys of numbers
    ("{1: 'a'}[dyn(1u)]", {}, '"a"'),
    ("{1u: 'a'}[dyn(1.0)]", {}, '"a"'),
    ("[5, 6][dyn(1.0)]", {}, "6"),
    ("{dyn(1): 'int', dyn(true): 'bool', dyn('1'): 'text'}[true]", {}, '"bool"'),
    ("dyn(1) == dyn(true)", {}, "false"),
    ("dyn(1) == dyn(1.0) && dyn(1u) == dyn(1)", {}, "true"),
    ("[dyn(1)] == [dyn(1.0)] && {'a': dyn(1)} == {'a': dyn(1u)}", {}, "true"),
    ("null == a", {"a": None}, "true"),
    ("a == 'x'", {"a": 1}, "false"),
    ("dyn(9007199254740993) == dyn(9007199254740992.0)", {}, "true"),
    # optional selection
    ("a.?b.?c.orValue(1)", {"a": {}}, "1"),
    ("a.?b.c.hasValue()", {"a": {"b": {"c": None}}}, "true"),
    ("a[?5].hasValue()", {"a": [1]}, "false"),
    ("a.?b.optMap(x, x + 1).orValue(0)", {"a": {"b": 1}}, "2"),
    ("a.?b.optFlatMap(x, x.?c).orValue(0)", {"a": {"b": {"c": 5}}}, "5"),
    ("has(a.?b.c)", {"a": {}}, "false"),
    ("[?a.?b, ?a.?c]", {"a": {"b": 1}}, "[1]"),
    ("{?'x': a.?b, ?'y': a.?c}", {"a": {"b": 1}}, "map[x:1]"),
    ("has(a.b)", {"a": {"b": None}}, "true"),
    ("has(a.b)", {"a": 1}, "false"),
    # macros
    ("[1, 2, 3].exists_one(i, i > 2)", {}, "true"),
    ("[3, 1, 2].sortBy(i, -i)", {}, "[3 2 1]"),
    ("a.map(k, k)", {"a": {"x": 1}}, "[x]"),
    ("a.filter(k, a[k] > 1)", {"a": {"x": 1, "y": 2}}, "[y]"),
    ("[[1], [2, 3]].map(l, l.map(i, i * 2))", {}, "[[2] [4, 6]]"),
    ("a.transformMap(k, v, v > 1, v * 10)", {"a": {"x": 1, "y": 2}}, "map[y:20]"),
    ("[1, 2].transformMap(i, v, v)", {}, "map[0:1 1:2]"),
    ("a.all(x, b.exists(y, x == y))", {"a": [1], "b": [2, 1]}, "true"),
    ("(c ? a : b).x", {"c": False, "a": {}, "b": {"x": 7}}, "7"),
    ("(c ? a : b)[0]", {"c": True, "a": [8], "b": []}, "8"),
    # membership among constants
    ("a in ['x', 'y']", {"a": "x"}, "true"),
    ("a in [1, 2]", {"a": 2.0}, "true"),
    ("a in [1.0, 2.5]", {"a": 1}, "true"),
    ("a in [1u]", {"a": True}, "false"),
    ("a in [[1]]", {"a": [1]}, "true"),
    ("a in []", {}, "false"),
]


@pytest.mark.parametrize(("expression", "values", "expected"), VALUES)
def test_value(expression: str, values: dict[str, Any], expected: str) -> None:
    if expression == "a in []":
        # the list decides: the element is not even looked at
        assert compiled(expression, {"a": "dyn"})[1].run({}, LIMIT).value is False
        return
    assert result(value(expression, **values)) == expected


FAILURES = [
    ("a.b", {"a": {}}, "no such key: b"),
    ("a.b.c", {"a": {"b": 1}}, "no such key: c"),
    ("a['b']", {"a": {}}, "no such key: b"),
    ("a.b", {"a": [1]}, "unsupported index type 'string' in list"),
    ("a[1]", {"a": [1]}, "index out of bounds: 1"),
    ("a[-1]", {"a": [1]}, "index out of bounds: -1"),
    ("a[b]", {"a": [1], "b": 0.5}, "unsupported index value 0.5 in list"),
    ("a[b]", {"a": [1], "b": True}, "unsupported index type 'bool' in list"),
    ("a[0]", {"a": "text"}, "no such key: 0"),
    ("a && true", {"a": 1}, "no such overload"),
    ("a.b || c.d", {"a": {}, "c": {}}, "no such key: b"),
    ("a ? 1 : 2", {"a": 1}, "no such overload"),
    ("a.all(x, true)", {"a": 1}, "got 'types.Int', expected iterable type"),
    ("a.all(i, x, true)", {"a": "b"}, "unsupported comprehension range type: types.String"),
    ("[1].map(i, i / 0)", {}, "division by zero"),
    ("[1, 2].exists_one(i, i / 0 == 1)", {}, "division by zero"),
    ("[?a]", {"a": 1}, "cannot initialize optional list element from non-optional value 1"),
    ("{?'k': a}", {"a": 1}, "cannot initialize optional entry 'k' from non-optional value 1"),
    ("a.startsWith(b)", {"a": "x", "b": 1}, "no such overload"),
    ("a.charAt(b)", {"a": "x", "b": "y"}, "no such overload: charAt(string, string)"),
]


@pytest.mark.parametrize(("expression", "values", "expected"), FAILURES)
def test_failure(expression: str, values: dict[str, Any], expected: str) -> None:
    assert failure(expression, **values) == expected


def test_a_variable_without_a_value() -> None:
    program = compiled("a.b", {"a": "dyn"})[1]
    assert str(program.run({}, LIMIT).failure) == "no such attribute(s): a"


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("int('x')", "type conversion error from 'string' to 'int'"),
        ("'a'.find('(')", "error parsing regexp: missing closing ): `(`"),
        ("{'a': 1}[dyn(null)]", "invalid qualifier type: types.Null"),
    ],
)
def test_constants_that_have_no_value(expression: str, fault: str) -> None:
    with pytest.raises(ProgramFault) as raised:
        compiled(expression)
    assert str(raised.value) == fault


def test_fields_are_worked_out_once_and_only_when_asked_for() -> None:
    asked: list[str] = []

    def thunk(name: str) -> Any:
        asked.append(name)
        if name == "bad":
            raise Failure("no luck")
        return 5

    variables = Fields({name: lambda name=name: thunk(name) for name in ("good", "bad", "unused")})
    assert value("v.good + v.good", v=variables) == 10
    assert failure("v.bad == 1", v=variables) == "no luck"
    assert failure("v.bad == 1", v=variables) == "no luck"
    assert failure("v.none == 1", v=variables) == "no such key: none"
    assert asked == ["good", "bad"]


CHECK = "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('x').check('get')"
AUTHORIZER = {"authorizer": "kubernetes.authorization.Authorizer"}
QUESTION = Question("get", group="apps", resource="deployments", subresource="scale", namespace="n", name="x")


def test_a_missing_decision_ends_the_evaluation_until_it_is_known() -> None:
    program = compiled(f"true || false ? {CHECK}.allowed() : false", AUTHORIZER)[1]
    memo: dict[Question, Answer] = {}
    with pytest.raises(NeedDecision) as need:
        program.run({"authorizer": Authorizer(memo)}, LIMIT)
    assert need.value.attributes == QUESTION
    memo[QUESTION] = Answer(allowed=True)
    outcome = program.run({"authorizer": Authorizer(memo)}, LIMIT)
    assert outcome.value is True
    assert outcome.cost == 350_007


def test_a_check_moves_the_soft_limit() -> None:
    program = compiled(f"{CHECK}.allowed()", AUTHORIZER)[1]
    outcome = program.run({"authorizer": Authorizer({QUESTION: Answer(True)})}, LIMIT, 20_000)
    assert outcome.value is True


AUTHORIZER_VALUES = [
    ("authorizer.path('/healthz').check('get').allowed()", Question("get", path="/healthz"), Answer(True), True),
    (
        "authorizer.serviceAccount('ns', 'sa').group('').resource('pods').check('list').reason()",
        Question("list", ("ns", "sa"), resource="pods"),
        Answer(False, "because"),
        "because",
    ),
    (
        "authorizer.group('').resource('pods').fieldSelector('a=b').labelSelector('c=d').check('list').errored()",
        Question("list", resource="pods", field_selector="a=b", label_selector="c=d"),
        Answer(False, error="broken"),
        True,
    ),
    (
        "authorizer.group('').resource('pods').check('list').error()",
        Question("list", resource="pods"),
        Answer(False, error="broken"),
        "broken",
    ),
]


@pytest.mark.parametrize(("expression", "question", "answer", "expected"), AUTHORIZER_VALUES)
def test_authorizer(expression: str, question: Question, answer: Answer, expected: Any) -> None:
    program = compiled(expression, AUTHORIZER)[1]
    assert program.run({"authorizer": Authorizer({question: answer})}, LIMIT).value == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("authorizer.path(' ').check('get').allowed()", "path must not be empty"),
        ("authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"),
        ("authorizer.serviceAccount('ns', 'S').path('/').check('get').allowed()", "Invalid service account name"),
        ("authorizer.serviceAccount('N', 's').path('/').check('get').allowed()", "Invalid service account namespace"),
        ("authorizer == authorizer", "no such overload"),
    ],
)
def test_authorizer_failure(expression: str, expected: str) -> None:
    program = compiled(expression, AUTHORIZER)[1]
    assert str(program.run({"authorizer": Authorizer({})}, LIMIT).failure) == expected


def test_request_resource_is_a_variable_with_a_dot() -> None:
    types = {**AUTHORIZER, "authorizer.requestResource": "kubernetes.authorization.ResourceCheck"}
    program = compiled("authorizer.requestResource.check('get').allowed()", types)[1]
    authorizer = Authorizer({Question("get", resource="pods"): Answer(True)})
    activation = {"authorizer": authorizer, "authorizer.requestResource": ResourceCheck(authorizer, resource="pods")}
    assert program.run(activation, LIMIT).value is True


def test_a_program_is_re_entrant() -> None:
    program = compiled("l.map(i, l.filter(j, j <= i).size())", {"l": "list(int)"})[1]
    outcomes: list[Any] = []

    def work(length: int) -> None:
        expected = list(range(1, length + 1))
        outcomes.extend(program.run({"l": list(range(length))}, LIMIT).value == expected for _ in range(50))

    threads = [threading.Thread(target=work, args=(length,)) for length in (5, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 150
