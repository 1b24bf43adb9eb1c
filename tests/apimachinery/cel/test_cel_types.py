"""Types as values and texts, and how type parameters get their types."""

import pytest
from apiserver_workers.apimachinery.cel import types
from apiserver_workers.apimachinery.cel.types import DYN, INT, NULL, STRING, list_of, map_of, optional_of, parameter
from apiserver_workers.apimachinery.cel.unify import Bindings


@pytest.mark.parametrize(
    ("text", "long_text"),
    [
        ("int", "int"),
        ("null", "null_type"),
        ("timestamp", "google.protobuf.Timestamp"),
        ("list(duration)", "list(google.protobuf.Duration)"),
        ("map(string, list(A))", "map(string, list(A))"),
        ("optional_type(int)", "optional_type(int)"),
        ("type(int)", "type(int)"),
        ("wrapper(int)", "wrapper(int)"),
        ("kubernetes.Quantity", "kubernetes.Quantity"),
    ],
)
def test_texts(text: str, long_text: str) -> None:
    parsed = types.parse_type(text)
    assert (parsed.text, parsed.long_text) == (text, long_text)
    assert types.parse_type(text) == parsed
    assert hash(types.parse_type(text)) == hash(parsed)


def test_texts_that_are_no_types() -> None:
    with pytest.raises(ValueError, match="not a type"):
        types.parse_type("list(int) x")


@pytest.mark.parametrize(
    ("given", "expected", "fits"),
    [
        (INT, INT, True),
        (INT, STRING, False),
        (DYN, INT, True),
        (INT, DYN, True),
        (types.ERROR, INT, True),
        (list_of(INT), list_of(DYN), True),
        (list_of(INT), list_of(STRING), False),
        (list_of(INT), map_of(INT, INT), False),
        (NULL, types.TIMESTAMP, True),
        (NULL, optional_of(INT), True),
        (NULL, INT, False),
        (NULL, types.wrapper(INT), True),
        (INT, types.wrapper(INT), True),
        (types.wrapper(INT), INT, False),
        (types.struct("a"), types.struct("b"), False),
        (types.type_of(INT), types.type_of(STRING), True),
        (INT, types.NONE, False),
    ],
)
def test_what_fits(given: types.Type, expected: types.Type, fits: bool) -> None:
    assert Bindings().assignable(given, expected) is fits


def test_a_parameter_gets_the_first_type_and_keeps_it() -> None:
    a = parameter("A")
    bindings = Bindings()
    assert bindings.all_assignable([INT, list_of(INT)], [a, list_of(a)])
    assert bindings.substitute(list_of(a)) == list_of(INT)
    assert not bindings.assignable(STRING, a)


def test_a_parameter_becomes_more_general() -> None:
    a = parameter("A")
    bindings = Bindings()
    assert bindings.all_assignable([INT, DYN], [a, a])
    assert bindings.substitute(a) == DYN


def test_what_does_not_fit_binds_nothing() -> None:
    a = parameter("A")
    bindings = Bindings()
    assert not bindings.all_assignable([INT, STRING], [a, a])
    assert bindings.substitute(a) == a
    assert bindings.substitute(a, free_is_dyn=True) == DYN


def test_a_parameter_is_not_inside_of_itself() -> None:
    a = parameter("A")
    assert not Bindings().assignable(list_of(a), a)
