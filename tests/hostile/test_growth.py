"""What takes a client's text apart does so in linear time, and no text makes it fail in another way than it says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from apiserver_workers.apimachinery import quantity, times
from apiserver_workers.apimachinery.codec import jsontext, yamltext
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.integers import HUGE, whole
from apiserver_workers.apimachinery.selectors import parse_fields, parse_labels
from apiserver_workers.authorization.rules import missing, targets, uncovered
from apiserver_workers.registry import continue_token
from apiserver_workers.registry.interpret import parse_revision
from apiserver_workers.registry.metadata import drop_duplicate_owners
from apiserver_workers.server.delegation.raw_query import fields_without, has_field
from apiserver_workers.server.http.query import parse_query

from tests.hostile.growth import grows_as_judged, grows_linearly

Text = Callable[[int], str]

TEXTS: dict[str, Text] = {
    "digits": lambda n: "9" * n,
    "zeros": lambda n: "0" * n + "x",
    "fraction": lambda n: "1." + "0" * n + "1",
    "letters": lambda n: "a" * n,
    "commas": lambda n: "," * n,
    "terms": lambda n: ",".join(f"a{i}=b" for i in range(n)),
    "set": lambda n: "a in (" + ",".join(f"b{i}" for i in range(n)) + ")",
    "escapes": lambda n: "a=" + "\\," * n,
    "units": lambda n: "1h" * n,
    "brackets": lambda n: "[" * n,
    "signs": lambda n: "+-" * n,
    "spaces": lambda n: " " * n + "x",
    "quotes": lambda n: '"' * n,
    "not ASCII": lambda n: "\u00b2\u0661" * n,
    "pairs": lambda n: "&".join("resourceVersion=1" for _ in range(n)),
}


def unremembered(memoized: Callable[[str], Any]) -> Callable[[str], Any]:
    """What makes the results that a memo keeps."""
    make: Callable[[str], Any] = memoized.__self__.make  # type: ignore[attr-defined]
    return make


READERS: dict[str, Callable[[str], Any]] = {
    "quantity": unremembered(quantity.parse),
    "duration": times.parse_duration,
    "time": times.parse,
    "labels": unremembered(parse_labels),
    "fields": unremembered(parse_fields),
    "continue": continue_token.decode,
    "revision": parse_revision,
    "integer": whole,
    "JSON": lambda text: jsontext.loads(text.encode()),
    "YAML": lambda text: yamltext.load_yaml(text.encode()),
    "fields of a query": unremembered(parse_query),
    "query": lambda text: (fields_without(text, {"resourceVersion"}), has_field(text, "continue")),
}
EXPECTED = (ApiError, ValueError, jsontext.DecodeError)


def read(reader: Callable[[str], Any], text: str) -> None:
    try:
        reader(text)
    except EXPECTED:
        return


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("reader", READERS)
def test_texts_are_read_in_linear_time(reader: str, text: str) -> None:
    def step(size: int) -> Callable[[], object]:
        made = TEXTS[text](size)
        return lambda: read(READERS[reader], made)

    assert not grows_linearly(step, (3_000, 30_000))


def looked_for_before(values: list[str]) -> int:
    return sum(value in values[:index] for index, value in enumerate(values))


@pytest.mark.parametrize(
    ("step", "quadratic"),
    [(looked_for_before, True), (lambda values: [text + text for text in values] * 20, False)],
)
def test_a_quadratic_step_is_found(step: Callable[[list[str]], object], quadratic: bool) -> None:
    def of_size(size: int) -> Callable[[], object]:
        values = [f"v{number}" for number in range(size)]
        return lambda: step(values)

    assert bool(grows_as_judged(of_size)) == quadratic


def encoded(obj: Any) -> str:
    raw = obj if isinstance(obj, bytes) else json.dumps(obj).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


OF_TOKEN = {"v": "meta.k8s.io/v1", "rv": 5, "start": "a/b"}
INTO = "continue key is not valid: json: cannot unmarshal"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rv": True}, f"{INTO} bool into Go struct field continueToken.rv of type int64"),
        ({"rv": 1 << 63}, f"{INTO} number 9223372036854775808 into Go struct field continueToken.rv of type int64"),
        ({"rv": 1.5}, f"{INTO} number 1.5 into"),
        ({"rv": "5"}, f"{INTO} string into"),
        ({"rv": []}, f"{INTO} array into"),
        ({"rv": 0}, "incorrect encoded start resourceVersion"),
        ({"rv": None}, "incorrect encoded start resourceVersion"),
        ({"start": 5}, f"{INTO} number 5 into Go struct field continueToken.start of type string"),
        ({"start": ""}, "encoded start key empty"),
        ({"start": "../x"}, "../x"),
        ({"v": []}, f"{INTO} array into Go struct field continueToken.v of type string"),
        ({"v": "v2"}, "server does not recognize this encoded version v2"),
    ],
)
def test_a_continue_token_has_its_types(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError) as refused:
        continue_token.decode(encoded({**OF_TOKEN, **changes}))
    assert refused.value.code == 400 and why in refused.value.message


@pytest.mark.parametrize("token", [[], 5, True, "x", [[]], None, {}])
def test_a_continue_token_is_an_object(token: Any) -> None:
    with pytest.raises(ApiError) as refused:
        continue_token.decode(encoded(token))
    assert refused.value.code == 400


@pytest.mark.parametrize(("text", "number"), [
    ("5", 5), ("-5", -5), ("+5", 5), ("9" * 400, int("9" * 400)), ("9" * 5000, HUGE), ("-" + "9" * 5000, -HUGE),
    ("+" + "9" * 5000, HUGE),
])  # fmt: skip
def test_integers_of_any_length(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "x", "-", "9" * 5000 + "x", "--" + "9" * 5000])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError):
        whole(text)


@pytest.mark.parametrize(
    "body", [b"[" + b"9" * 5000 + b"]", b'{"a":-' + b"9" * 400 + b"}", b"1e999", b"\xff" + b"9" * 5000]
)
def test_numbers_beyond_all_doubles_are_refused(body: bytes) -> None:
    with pytest.raises(jsontext.DecodeError):
        jsontext.loads(body)


def test_owners_that_repeat_are_dropped_in_linear_time() -> None:
    def step(size: int) -> Callable[[], object]:
        owners = [{"apiVersion": "v1", "kind": "K", "name": f"n{i}", "uid": f"u{i}"} for i in range(size)]
        return lambda: drop_duplicate_owners({"ownerReferences": [*owners]}, [])

    assert not grows_linearly(step, (2_200, 22_000))
    warnings: list[str] = []
    metadata = {"ownerReferences": [{"uid": "a", "name": "x"}, {"uid": "b"}, {"name": "x", "uid": "a"}]}
    drop_duplicate_owners(metadata, warnings)
    assert metadata["ownerReferences"] == [{"uid": "a", "name": "x"}, {"uid": "b"}]
    assert warnings[0].endswith("observed: a")


def role(size: int) -> dict[str, Any]:
    return {
        "apiGroups": [f"g{i}" for i in range(size)],
        "resources": [f"r{i}" for i in range(size)],
        "verbs": [f"v{i}" for i in range(size)],
    }


def test_a_wide_role_takes_no_step_a_verb() -> None:
    assert targets([role(80)]) == 6400
    held = [role(80), {"apiGroups": ["*"], "resources": ["r0"], "verbs": ["*"]}]
    assert sum(rule is not None for rule in missing(held, [role(80)])) == 0
    found = uncovered([{**role(80), "verbs": ["v0"]}], [role(80)])
    assert len(found) == 6400 and found[0]["verbs"] == [f"v{i}" for i in range(1, 80)]
