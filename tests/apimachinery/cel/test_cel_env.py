"""Environments by version: what each version of Kubernetes adds."""

import pytest
from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.compiler import check_expression, compile_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import BIND, EVERYTHING, PATCH, SELECTORS, environment
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.types import DYN
from apiserver_workers.apimachinery.cel.variables import AUTHORIZER

DECLARATIONS = Declarations({"d": DYN, "authorizer": AUTHORIZER})


def compiles(source: str, environment: env.Environment) -> bool:
    try:
        check_expression(source, environment, DECLARATIONS)
    except CompileError:
        return False
    return True


@pytest.mark.parametrize(
    ("since", "source"),
    [
        (25, "url('http://a').getHost() == 'a'"),
        (25, "'a'.find('a') == 'a'"),
        (25, "[1].isSorted()"),
        (25, "'a'.charAt(0) == 'a'"),
        (27, "authorizer.group('').resource('pods').check('get').allowed()"),
        (28, "1 < 1.5"),
        (28, "optional.of(1).hasValue()"),
        (28, "d.?a.hasValue()"),
        (28, "d.?a.optMap(x, x).hasValue()"),
        (28, "isQuantity('1')"),
        (29, "'%d'.format([1]) == '1'"),
        (29, "sets.contains([1], [1])"),
        (30, "ip('1.2.3.4').family() == 4"),
        (30, "cidr('1.2.3.0/24').containsIP('1.2.3.4')"),
        (30, "type(ip('1.2.3.4')) == net.IP"),
        (31, "format.named('dns1123Label').hasValue()"),
        (31, "authorizer.group('').resource('pods').labelSelector('a').check('get').allowed()"),
        (32, "[1].all(i, x, i == x)"),
        (32, "{1: 2}.transformMap(k, v, v) == {}"),
        (33, "isSemver('1.2.3')"),
        (34, "[3, 1].sort() == [1, 3]"),
        (34, "[3, 1].sortBy(x, x) == [1, 3]"),
        (34, "lists.range(2) == [0, 1]"),
    ],
)
def test_versions(since: int, source: str) -> None:
    found = [version for version in (*range(25, 38), EVERYTHING) if compiles(source, environment(version))]
    assert found == [version for version in (*range(25, 38), EVERYTHING) if version >= since]


def test_libraries_that_only_some_users_have() -> None:
    assert not compiles("jsonpatch.escapeKey('a/b') == 'a'", environment(EVERYTHING))
    assert compiles("jsonpatch.escapeKey('a/b') == 'a'", environment(EVERYTHING, PATCH))
    assert not compiles("cel.bind(x, 1, x) == 1", environment(EVERYTHING))
    assert compiles("cel.bind(x, 1, x) == 1", environment(EVERYTHING, BIND))


def test_a_library_whose_gate_is_off() -> None:
    source = "authorizer.group('').resource('pods').labelSelector('a').check('get').allowed()"
    assert not compiles(source, environment(36, without=SELECTORS))


def test_the_overloads_of_1_36() -> None:
    rows = environment(36).by_name
    assert len([row for named in rows.values() for row in named if not row.hidden]) >= 300
    assert not {"math.greatest", "base64.encode", "proto.getExt"} & set(rows)


def test_environments_and_programs_are_made_once() -> None:
    assert environment(30) is environment(30)
    first = compile_expression("1 + 1", environment(30), DECLARATIONS)
    assert compile_expression("1 + 1", environment(30), DECLARATIONS) is first
    assert compile_expression("1 + 1", environment(31), DECLARATIONS) is not first


def test_keywords_as_fields() -> None:
    assert not env.recognizes_keywords(30)
    assert env.recognizes_keywords(31)
