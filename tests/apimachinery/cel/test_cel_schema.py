"""OpenAPI schemas as types: what rules see, sizes, names."""

import pytest
from apiserver_workers.apimachinery.cel.schema import LARGEST_REQUEST, declare, escape, unescape

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "text", "largest", "smallest"),
    [
        (STRING, "string", LARGEST_REQUEST - 2, 2),
        ({"type": "string", "maxLength": 5}, "string", 20, 2),
        ({"type": "string", "maxLength": -5}, "string", 0, 2),
        ({"type": "string", "enum": ["a", "bcd", 1]}, "string", 3, 2),
        ({"type": "string", "enum": ["a"], "maxLength": 2}, "string", 8, 2),
        ({"type": "string", "format": "byte"}, "bytes", LARGEST_REQUEST - 2, 2),
        ({"type": "string", "format": "byte", "maxLength": 5}, "bytes", 5, 2),
        ({"type": "string", "format": "duration"}, "duration", 32, 3),
        ({"type": "string", "format": "date"}, "timestamp", 12, 12),
        ({"type": "string", "format": "date-time"}, "timestamp", 32, 21),
        ({"type": "string", "format": "uuid"}, "string", LARGEST_REQUEST - 2, 2),
        ({"type": "boolean"}, "bool", 0, 4),
        ({"type": "integer"}, "int", 0, 1),
        ({"type": "number"}, "double", 0, 1),
        ({"x-kubernetes-int-or-string": True}, "dyn", LARGEST_REQUEST - 2, 1),
        ({"x-kubernetes-int-or-string": True, "maxLength": 3}, "dyn", 12, 1),
        ({"type": "array", "items": STRING}, "list(string)", (LARGEST_REQUEST - 2) // 3, 2),
        ({"type": "array", "items": STRING, "maxItems": 7}, "list(string)", 7, 2),
        ({"type": "object", "additionalProperties": STRING}, "map(string, string)", (LARGEST_REQUEST - 2) // 8, 2),
        ({"type": "object", "additionalProperties": STRING, "maxProperties": 7}, "map(string, string)", 7, 2),
        ({"type": "object"}, "selfType", 0, 2),
    ],
)
def test_types_and_sizes(schema: dict[str, object], text: str, largest: int, smallest: int) -> None:
    declared = declare(schema)
    assert declared is not None
    assert (declared.type.text, declared.largest, declared.smallest) == (text, largest, smallest)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "object", "additionalProperties": {}},
    ],
)
def test_what_has_no_type_is_not_seen(schema: dict[str, object]) -> None:
    assert declare(schema) is None


def test_fields_without_a_type_are_left_out() -> None:
    declared = declare({"type": "object", "properties": {"a": {}, "b": STRING}})
    assert declared is not None and declared.fields is not None
    assert list(declared.fields) == ["b"]


def test_additional_properties_true_are_no_map() -> None:
    declared = declare({"type": "object", "additionalProperties": True})
    assert declared is not None and declared.fields == {}


def test_required_fields_count_unless_they_have_a_default() -> None:
    properties = {"ab": STRING, "c": {"type": "integer", "default": 1}, "d": STRING}
    declared = declare({"type": "object", "properties": properties, "required": ["ab", "c"]})
    assert declared is not None
    assert declared.smallest == 2 + len("ab") + 2 + 4


def test_the_root_of_a_resource_has_its_metadata() -> None:
    declared = declare({"type": "object", "properties": {"spec": {"type": "object"}}}, root=True)
    assert declared is not None and declared.fields is not None
    assert sorted(declared.fields) == ["apiVersion", "kind", "metadata", "spec"]
    metadata = declared.fields["metadata"].declared
    assert sorted(metadata.fields or {}) == ["generateName", "name"]


def test_embedded_resources_have_metadata_as_well() -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True}
    declared = declare({"type": "object", "properties": {"template": embedded}})
    assert declared is not None and declared.fields is not None
    assert "apiVersion" in (declared.fields["template"].declared.fields or {})


def test_paths_and_names_of_inner_types() -> None:
    inner = {"type": "object", "properties": {"k": STRING}}
    declared = declare({"type": "object", "properties": {"l": {"type": "array", "items": inner}}})
    assert declared is not None
    assert sorted(declared.structs) == ["selfType", "selfType.l.@idx"]
    found = declared.at(("l", "@items", "k"))
    assert found is not None and found.type.text == "string"
    assert declared.at(("l", "@keys")) is None
    assert declared.at(("nope",)) is None


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a", "a"),
        ("a_b", "a_b"),
        ("a__b", "a__underscores__b"),
        ("a.b", "a__dot__b"),
        ("a-b", "a__dash__b"),
        ("a/b", "a__slash__b"),
        ("in", "__in__"),
        ("namespace", "__namespace__"),
        ("true", "__true__"),
        ("___", "__underscores___"),
        (".-/", "__dot____dash____slash__"),
        ("int", "int"),
    ],
)
def test_escapes(name: str, escaped: str) -> None:
    assert escape(name) == escaped
    assert unescape(escaped) == name


@pytest.mark.parametrize("name", ["", "1a", "a b", "ä", "a$"])
def test_names_without_an_escape(name: str) -> None:
    assert escape(name) is None


@pytest.mark.parametrize("name", ["a__in__", "__nope__"])
def test_unknown_escapes(name: str) -> None:
    assert unescape(name) is None
