"""Lists of type set and map, embedded objects, and the formats of strings."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.structural.embedded import EmbeddedError, coerce_embedded, embedded_faults
from apiserver_workers.apimachinery.structural.formats import FORMATS, supported
from apiserver_workers.apimachinery.structural.list_types import list_type_faults
from apiserver_workers.apimachinery.structural.model import structural_of

SET = {"type": "array", "x-kubernetes-list-type": "set"}
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True}


def mapped(*keys):
    return {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


@pytest.mark.parametrize(
    ("schema", "items", "expected"),
    [
        (SET, ["a", "b"], []),
        (SET, ["a", "a", "a"], ['x[1]: Duplicate value: "a"']),
        (SET, [1, True, "1", 1.5], []),
        (SET, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], ['x[1]: Duplicate value: {"a":1,"b":2}']),
        (mapped("k"), [{"k": "a"}, {"k": "b"}], []),
        (mapped("k"), [{"k": "a", "v": 1}, {"k": "a", "v": 2}], ['x[1]: Duplicate value: {"k":"a"}']),
        (mapped("k"), [{}, {"v": 1}], ["x[1]: Duplicate value: {}"]),
        (mapped("k", "p"), [{"k": "a", "p": 1}, {"k": "a", "p": 2}], []),
        (mapped("k"), [{"k": "a"}, 5], ["x[1]: Invalid value: 5: must be an object for an array of list-type map"]),
    ],
)
def test_no_item_is_there_twice(schema, items, expected):
    root = structural_of({"properties": {"x": schema}})
    assert list(map(str, list_type_faults({"x": items}, root))) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}, []),
        ({"apiVersion": "v1", "kind": "Pod"}, []),
        ({}, ["x.apiVersion: Required value", "x.kind: Required value"]),
        ({"apiVersion": "a/b/c", "kind": "Pod"}, ['x.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c']),
        ({"apiVersion": "", "kind": ""}, ['x.apiVersion: Invalid value: "": must not be empty', 'x.kind: Invalid value: "": must not be empty']),
        ({"apiVersion": 1, "kind": "Pod"}, ["x.apiVersion: Invalid value: 1: must be a string"]),
    ],
)  # fmt: skip
def test_embedded_objects_have_a_head(value, expected):
    root = structural_of({"properties": {"x": EMBEDDED}})
    assert list(map(str, embedded_faults({"x": value}, root))) == expected


def test_metadata_of_embedded_objects_is_brought_into_shape():
    root = structural_of({"properties": {"x": EMBEDDED}})
    obj = {"x": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "odd": 1, "creationTimestamp": None}}}
    assert coerce_embedded(obj, root, collect=True) == ["x.metadata.odd"]
    assert obj["x"]["metadata"] == {"name": "a"}
    wrong = {"x": {"apiVersion": "v1", "kind": 5, "metadata": {"name": "a", "labels": 5}}}
    with pytest.raises(EmbeddedError, match=r"x\.kind"):
        coerce_embedded(wrong, root)
    coerce_embedded(wrong, root, drop_invalid=True)
    assert wrong == {"x": {"apiVersion": "v1", "metadata": {"name": "a"}}}


FITS = [
    ("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77bcf86cd79943901"),
    ("uri", "https://a.b/c", "a b"),
    ("email", "a@b.c", "a@"),
    ("email", "A B <a@b.c>", "a@b@c"),
    ("hostname", "a.example.com", "-a"),
    ("ipv4", "10.0.0.1", "10.0.0.256"),
    ("ipv6", "::1", "10.0.0.1"),
    ("cidr", "10.0.0.0/8", "10.0.0.0"),
    ("mac", "01:23:45:67:89:ab", "01:23:45:67:89"),
    ("mac", "0123.4567.89ab", "0123-4567-89ab"),
    ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99"),
    ("uuid3", "a0eebc999c0b3ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    ("uuid4", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-cb6d-6bb9bd380a11"),
    ("uuid5", "a0eebc99-9c0b-5ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("isbn", "978-0321751041", "978-0321751042"),
    ("isbn10", "0321751043", "0321751044"),
    ("isbn13", "978-0321751041", "0321751043"),
    ("creditcard", "4012 8888 8888 1881", "4012888888881882"),
    ("ssn", "111-11-1111", "111111111"),
    ("hexcolor", "#FFFFFF", "#FFFF"),
    ("rgbcolor", "rgb(255,255,255)", "rgb(255,255,256)"),
    ("byte", "YQ==", "YQ"),
    ("date", "2020-02-29", "2021-02-29"),
    ("datetime", "2014-12-15T19:30:20.000Z", "2014-12-15"),
    ("duration", "22 ns", "22"),
    ("duration", "3 weeks", "three weeks"),
    ("k8sshortname", "a-b", "a.b"),
    ("k8slongname", "a.b", "A.b"),
]


@pytest.mark.parametrize(("name", "good", "bad"), FITS)
def test_a_format_fits_and_does_not(name, good, bad):
    assert FORMATS[name](good) and not FORMATS[name](bad)


def test_every_format_is_tested_and_names_may_have_dashes():
    assert {name for name, _, _ in FITS} | {"password"} == FORMATS.keys()
    assert supported("string", "date-time", 36) and supported("", "date-time", 36)
    assert not supported("string", "int32", 36) and supported("integer", "int32", 36)
    assert not supported("boolean", "date", 36)
    assert supported("string", "k8s-short-name", 34) and not supported("string", "k8s-short-name", 33)
