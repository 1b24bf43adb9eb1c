"""The type check: types of expressions, and the words of its faults."""

import pytest
from apiserver_workers.apimachinery.cel.compiler import check_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import EVERYTHING, PATCH, environment
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.schema import declare
from apiserver_workers.apimachinery.cel.types import DYN, INT, STRING, list_of, map_of
from apiserver_workers.apimachinery.cel.variables import admission_declarations

ENVIRONMENT = environment(EVERYTHING)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "x-y": {"type": "boolean"},
        "namespace": {"type": "string"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"key": {"type": "string"}}}},
    },
}
ROOT = declare(SCHEMA)
assert ROOT is not None
VARIABLES = {
    "self": ROOT.type,
    "d": DYN,
    "n": INT,
    "s": STRING,
    "l": list_of(INT),
    "m": map_of(STRING, INT),
    "a.b": INT,
}
DECLARATIONS = Declarations(VARIABLES, structs=ROOT.structs)


def type_of(source: str) -> str:
    return check_expression(source, ENVIRONMENT, DECLARATIONS).type.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + n", "int"),
        ("d", "dyn"),
        ("d + 1", "int"),
        ("d == d", "bool"),
        ("d ? 1 : 2", "int"),
        ("l[0]", "int"),
        ("m['a']", "int"),
        ("m.a", "int"),
        ("m.?a", "optional_type(int)"),
        ("m[?'a']", "optional_type(int)"),
        ("m.?a.orValue(1)", "int"),
        ("optional.none()", "optional_type(dyn)"),
        ("[]", "list(dyn)"),
        ("[] + l", "list(int)"),
        ("{}", "map(dyn, dyn)"),
        ("[?m.?a, 1]", "list(int)"),
        ("{'a': 1, ?'b': m.?a}", "map(string, int)"),
        ("l.map(x, string(x))", "list(string)"),
        ("l.filter(x, x > 1)", "list(int)"),
        ("m.map(k, k)", "list(string)"),
        ("l.transformMap(i, x, string(x))", "map(int, string)"),
        ("m.transformList(k, v, v)", "list(int)"),
        ("d.all(x, x.y)", "bool"),
        ("l.sortBy(x, -x)", "list(int)"),
        ("type(1)", "type(int)"),
        ("int", "type(int)"),
        ("type", "type(type)"),
        ("net.IP", "type(net.IP)"),
        ("google.protobuf.Timestamp", "type(timestamp)"),
        ("duration('1s')", "duration"),
        ("timestamp(0) - timestamp(0)", "duration"),
        ("quantity('1').add(1)", "kubernetes.Quantity"),
        ("a.b + 1", "int"),
        ("[1].all(a, a == 1)", "bool"),
        ("self.name", "string"),
        ("self.x__dash__y", "bool"),
        ("self.namespace", "string"),
        ("self.__namespace__", "string"),
        ("self.items[0].key", "string"),
        ("self.items.map(i, i.key)", "list(string)"),
        ("has(self.name)", "bool"),
        ("null", "null"),
        ("google.protobuf.Int64Value{value: 1}", "wrapper(int)"),
        ("google.protobuf.Duration{seconds: 1}", "duration"),
        ("strings.quote(s)", "string"),
    ],
)
def test_types(source: str, expected: str) -> None:
    assert type_of(source) == expected


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("nope", [(0, "undeclared reference to 'nope' (in container '')")]),
        (".nope", [(1, "undeclared reference to '.nope' (in container '')")]),
        ("nope(1)", [(4, "undeclared reference to 'nope' (in container '')")]),
        ("s.nope()", [(6, "undeclared reference to 'nope' (in container '')")]),
        ("Nope{}", [(4, "undeclared reference to 'Nope' (in container '')")]),
        ("1 + 'a'", [(2, "found no matching overload for '_+_' applied to '(int, string)'")]),
        ("s.size(1)", [(6, "found no matching overload for 'size' applied to 'string.(int)'")]),
        ("size([], [])", [(4, "found no matching overload for 'size' applied to '(list(dyn), list(dyn))'")]),
        ("1 ? 2 : 3", [(2, "found no matching overload for '_?_:_' applied to '(int, int, int)'")]),
        ("1 && s", [(0, "expected type 'bool' but found 'int'"), (5, "expected type 'bool' but found 'string'")]),
        ("n.x", [(1, "type 'int' does not support field selection")]),
        ("self.zz", [(4, "undefined field 'zz'")]),
        ("has(self.zz)", [(3, "undefined field 'zz'")]),
        ("self.?zz", [(4, "undefined field 'zz'")]),
        ("self.items[0].zz", [(13, "undefined field 'zz'")]),
        (
            "n.all(x, true)",
            [(0, "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)")],
        ),
        ("l.all(x, x)", [(9, "expected type 'bool' but found 'int'")]),
        ("[?1]", [(2, "expected type 'optional_type(int)' but found 'int'")]),
        ("{?'a': 1}", [(7, "expected type 'optional_type(int)' but found 'int'")]),
        ("int{}", [(3, "'int' is not a message type")]),
        ("map{}", [(3, "'map' is not a message type")]),
        ("google.protobuf.Duration{x: 1}", [(26, "undefined field 'x'")]),
        (
            "google.protobuf.Duration{seconds: 'a'}",
            [(32, "expected type of field 'seconds' is 'int' but provided type is 'string'")],
        ),
        (
            "nope + zz",
            [
                (0, "undeclared reference to 'nope' (in container '')"),
                (7, "undeclared reference to 'zz' (in container '')"),
            ],
        ),
    ],
)
def test_faults(source: str, faults: list[tuple[int, str]]) -> None:
    with pytest.raises(CompileError) as error:
        type_of(source)
    assert [tuple(fault) for fault in error.value.faults] == faults


def test_a_loops_variable_hides_a_variable_with_dots() -> None:
    with pytest.raises(CompileError, match="does not support field selection"):
        type_of("[1].all(a, a.b == 1)")


def test_overloads_that_fit_are_noted() -> None:
    checked = check_expression("d + 1", ENVIRONMENT, DECLARATIONS)
    assert checked.references[checked.expression.id].overloads == ("add_int64",)
    checked = check_expression("d + d", ENVIRONMENT, DECLARATIONS)
    assert "add_string" in checked.references[checked.expression.id].overloads


def test_a_namespaced_function_has_no_target() -> None:
    call = check_expression("strings.quote(s)", ENVIRONMENT, DECLARATIONS).expression
    assert (call.target, call.function) == (None, "strings.quote")  # type: ignore[union-attr]


def test_a_name_with_dots_is_one_variable() -> None:
    checked = check_expression("a.b", ENVIRONMENT, DECLARATIONS)
    assert checked.references[checked.expression.id].name == "a.b"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Object{spec: Object.spec{replicas: 1}}", "Object"),
        ("JSONPatch{op: 'add', path: '/a', value: 1}", "JSONPatch"),
        ("request.userInfo.groups", "list(string)"),
        ("namespaceObject.metadata.labels['a']", "string"),
        ("object.spec.replicas", "dyn"),
        ("authorizer.requestResource.check('get').allowed()", "bool"),
    ],
)
def test_variables_of_policies(source: str, expected: str) -> None:
    declarations = admission_declarations(params=True, authorizer=True, patch=True)
    assert check_expression(source, environment(EVERYTHING, PATCH), declarations).type.text == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("request.zz", "undefined field 'zz'"),
        ("params.x", "undeclared reference to 'params'"),
        ("authorizer.group('')", "undeclared reference to 'authorizer'"),
        ("Object{}", "undeclared reference to 'Object'"),
    ],
)
def test_variables_that_a_policy_lacks(source: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        check_expression(source, ENVIRONMENT, admission_declarations(params=False, authorizer=False))


def test_deep_types_take_no_long_time() -> None:
    check_expression("[" * 240 + "]" * 240, ENVIRONMENT, DECLARATIONS)
