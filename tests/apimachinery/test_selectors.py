"""Label and field selectors, and the fields that kinds let select."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.field_labels import selectable
from apiserver_workers.apimachinery.resources import ResourceInfo, resource
from apiserver_workers.apimachinery.selectors import (
    LabelSelector,
    _LabelParser,
    _plain_terms,
    parse_fields,
    parse_labels,
)

from tests.hostile.growth import seconds

MATCHES = [
    ("", {}, True),
    ("a=1", {"a": "1"}, True),
    ("a==1", {"a": "2"}, False),
    ("a!=1", {}, True),
    (" a = 1 , b in ( x, y ) ", {"a": "1", "b": "y"}, True),
    ("a in ()", {"a": ""}, True),
    ("a in (x,,y)", {"a": ""}, True),
    ("a notin (x)", {"a": "x"}, False),
    ("a", {"a": ""}, True),
    ("!a", {"a": ""}, False),
    ("a>5", {"a": "6"}, True),
    ("a<5", {"a": "six"}, False),
    ("a=", {"a": ""}, True),
    ("example.com/a=in", {"example.com/a": "in"}, True),
]


@pytest.mark.parametrize(("selector", "labels", "expected"), MATCHES)
def test_label_selectors_match(selector: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_labels(selector).matches(labels) is expected


REFUSED = [
    (",", "found ',', expected: !, identifier, or 'end of string'"),
    ("a,", "found '', expected: identifier after ','"),
    ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("a in x", "found 'x' expected: '('"),
    ("a in (x", "found '', expected: ',' or ')'"),
    ("a>x", "for 'Gt', 'Lt' operators, the value must be an integer"),
    ("a=-x-", "a valid label must be an empty string or consist of"),
    ("a_/b", "prefix part a lowercase RFC 1123 subdomain must consist of"),
]


@pytest.mark.parametrize(("selector", "message"), REFUSED)
def test_what_is_no_label_selector_is_refused(selector: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_labels(selector)
    assert refused.value.code == 400
    assert message in refused.value.message


def test_field_selectors_escape() -> None:
    [term] = parse_fields(r"a=x\,y\=z\\").terms
    assert (term.field, term.equal, term.value) == ("a", True, "x,y=z\\")
    with pytest.raises(ApiError, match=r"invalid escape sequence: \\b"):
        parse_fields(r"a=\b")


def info(group: str, version: str, name: str) -> ResourceInfo:
    found = resource(group, version, name)
    assert found is not None
    return found


POD = {
    "metadata": {"name": "p", "namespace": "n"},
    "spec": {"nodeName": "x", "hostNetwork": True},
    "status": {"phase": "Running"},
}
SELECTED = [
    ("spec.nodeName=x,status.phase!=Pending", True),
    ("spec.host=x", True),
    ("spec.hostNetwork=true", True),
    ("spec.hostNetwork=false", False),
    ("status.podIP=", True),
]


@pytest.mark.parametrize(("selector", "expected"), SELECTED)
def test_pods_are_selected_by_more_than_their_name(selector: str, expected: bool) -> None:
    pods = info("", "v1", "pods")
    labels = selectable(pods)
    assert labels.matcher(labels.convert(parse_fields(selector)))(POD) is expected


UNKNOWN = [
    (("", "v1", "configmaps"), '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    (("", "v1", "pods"), "field label not supported: spec.x"),
    (("batch", "v1", "jobs"), 'field label "spec.x" not supported for Job'),
    (
        ("resource.k8s.io", "v1", "resourceslices"),
        "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.x",
    ),
]


@pytest.mark.parametrize(("name", "message"), UNKNOWN)
def test_kinds_refuse_fields_each_in_its_own_words(name: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ApiError) as refused:
        selectable(info(*name)).convert(parse_fields("spec.x=1"))
    assert refused.value.message == message


def test_events_are_selected_by_the_names_of_either_version() -> None:
    event = {"involvedObject": {"name": "p"}, "source": {"component": "kubelet"}}
    old = selectable(info("", "v1", "events")).convert(parse_fields("involvedObject.name=p,source=kubelet"))
    new = selectable(info("events.k8s.io", "v1", "events")).convert(parse_fields("regarding.name=p"))
    stored = selectable(info("", "v1", "events"))
    assert stored.matcher(old)(event)
    assert stored.matcher(new)(event)


@pytest.mark.parametrize(
    "term", ["a", "!a", " ! a ", "a=b", "a==b", "a!=b", "a =", "a= b ", "a=notin", "a-b.c_d=E", "!in"]
)
def test_plain_terms_are_read_as_the_parser_reads_them(term):
    for text in (term, f"{term},z", f"z,{term}", f"x/y=1,{term}"):
        assert parse_labels(text) == LabelSelector(_LabelParser(text).parse())
    assert _plain_terms(f"{term},{term}") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a,",
        "!a=b",
        "a in (b)",
        "a/b",
        "a>1",
        "a b",
        "-a",
        "a=-",
        "a" * 64,
        "a=" + "b" * 64,
        "a=b=c",
        "!!a",
        "in",
        "notin=a",
        "a,,b",
    ],
)
def test_the_parser_reads_what_is_not_plain(text):
    assert _plain_terms(text) is None


def test_a_very_long_selector_costs_little():
    text = ",".join(f"!k{number}" for number in range(30_000))
    parser = seconds(lambda: _LabelParser(text).parse(), 0)
    assert seconds(lambda: _plain_terms(text), 0) < parser / 2
