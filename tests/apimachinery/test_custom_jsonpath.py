"""JSONPath of printer columns and selectable fields, as client-go evaluates it."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.custom.jsonpath import JSONPath, PathError, as_text

OBJ = {
    "metadata": {"labels": {"a.b/c": "x"}},
    "spec": {"n": 1, "list": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}], "none": None},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.n", [1]),
        (".spec.missing.deep", []),
        (".spec.none", [None]),
        (r".metadata.labels.a\.b/c", ["x"]),
        (".metadata.labels['a\\.b/c']", ["x"]),
        (".spec.list[0].type", ["Ready"]),
        (".spec.list[-1].type", ["Other"]),
        (".spec.list[*].status", ["True", "False"]),
        (".spec.list[0:1].status", ["True"]),
        ('.spec.list[?(@.type=="Ready")].status', ["True"]),
        ("..status", ["True", "False"]),
    ],
)
def test_values_are_found(path: str, found: list[Any]) -> None:
    assert JSONPath(path).find(OBJ) == found


@pytest.mark.parametrize("path", [".spec.list[7]", ".spec.n[0]", ".spec.n[?(@.a==1)]"])
def test_what_cannot_be_followed_is_an_error(path: str) -> None:
    with pytest.raises(PathError):
        JSONPath(path).find(OBJ)


def test_text_of_values() -> None:
    assert [as_text(value) for value in ({"b": 1, "a": [2]}, None, True, 1.5)] == [
        '{"a":[2],"b":1}',
        "null",
        "true",
        "1.5",
    ]
