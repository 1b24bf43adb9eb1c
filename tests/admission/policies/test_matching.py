"""Which writes constraints are about: rules, exclusions, names, scope, selectors, equivalent versions."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.admission.policies.matching import Criteria, kind_of_write
from apiserver_workers.admission.versions import Equivalents
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.label_selectors import label_selector_matches, label_selector_text
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.selectors import parse_labels
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.attributes import Attributes

KINDS = BuiltinKinds(types.model())
NAMES = {
    "pods": ("", "v1", "pods"),
    "namespaces": ("", "v1", "namespaces"),
    "nodes": ("", "v1", "nodes"),
    "deployments": ("apps", "v1", "deployments"),
    "hpa/v1": ("autoscaling", "v1", "horizontalpodautoscalers"),
    "hpa/v2": ("autoscaling", "v2", "horizontalpodautoscalers"),
}


def kind_of(name: str) -> Any:
    info = resource(*NAMES[name])
    assert info is not None
    return KINDS.of(info)


SERVED = tuple(map(kind_of, NAMES))
EQUIVALENTS = Equivalents()
EQUIVALENTS.served = lambda: SERVED


def write(name: str = "pods", operation: str = "CREATE", **fields: Any) -> Attributes:
    """A write of an object `o` in the namespace `ns`."""
    resource_name, _, subresource = name.partition(" ")
    kind = kind_of(resource_name)
    namespace = fields.pop("namespace", "ns" if kind.info.namespaced else "")
    obj = {"metadata": {"name": "o", **fields.pop("metadata", {})}}
    values = {"obj": obj, "old_obj": None, **fields}
    return Attributes(operation, kind.stored_kind, kind, subresource, namespace, "o", user=UserInfo("u"), **values)


def rule(group: str = "*", version: str = "*", *resources: str, operations: str = "*", **more: Any) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": list(resources or ("*",)),
        "operations": operations.split(),
        **more,
    }


def matched(attributes: Attributes, labels: dict[str, str] | None = None, **resources: Any) -> str:
    """The version that matches, "" for none."""
    narrowed = Criteria(resources).narrow(kind_of_write(attributes, EQUIVALENTS))
    match = None if narrowed is None else narrowed.match(attributes)
    if match is None or narrowed is None or (narrowed.needs_labels and not narrowed.selects(labels or {})):
        return ""
    return match.served.info.group_version


@pytest.mark.parametrize(
    ("one", "attributes", "expected"),
    [
        (rule(), write(), "v1"),
        (rule("", "v1", "pods"), write(), "v1"),
        (rule("apps", "v1", "pods"), write(), ""),
        (rule("", "v2", "pods"), write(), ""),
        (rule("", "v1", "services", "pods"), write(), "v1"),
        (rule("", "v1", "pods", operations="UPDATE DELETE"), write(), ""),
        (rule("", "v1", "pods", operations="UPDATE DELETE"), write(operation="DELETE"), "v1"),
        (rule("", "v1", "pods"), write("pods status", "UPDATE"), ""),
        (rule("", "v1", "pods/status"), write("pods status", "UPDATE"), "v1"),
        (rule("", "v1", "pods/*"), write("pods status", "UPDATE"), "v1"),
        (rule("", "v1", "*/status"), write("pods status", "UPDATE"), "v1"),
        (rule("", "v1", "*/*"), write("pods status", "UPDATE"), "v1"),
        (rule("", "v1", "*"), write("pods status", "UPDATE"), ""),
        (rule("", "v1", "pods/*"), write(), "v1"),
        (rule(resourceNames=["o"]), write(), "v1"),
        (rule(resourceNames=["x"]), write(), ""),
        (rule(scope="Namespaced"), write(), "v1"),
        (rule(scope="Cluster"), write(), ""),
        (rule(scope="Cluster"), write("nodes"), "v1"),
        (rule(scope="Namespaced"), write("nodes"), ""),
        (rule(scope="Cluster"), write("namespaces", "UPDATE", namespace="o"), "v1"),
        (rule(scope="Namespaced"), write("namespaces", "UPDATE", namespace="o"), ""),
    ],
)
def test_rules(one, attributes, expected):
    assert matched(attributes, resourceRules=[one]) == expected


def test_no_rules_are_every_write():
    assert matched(write()) == "v1"


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        (rule("", "v1", "pods"), ""),
        (rule("", "v1", "services"), "v1"),
        (rule("", "v1", "pods", resourceNames=["o"]), ""),
        (rule("", "v1", "pods", resourceNames=["x"]), "v1"),
        (rule("", "v1", "pods", operations="UPDATE"), "v1"),
    ],
)
def test_exclusions(excluded, expected):
    assert matched(write(), resourceRules=[rule()], excludeResourceRules=[excluded]) == expected


@pytest.mark.parametrize(
    ("policy", "version", "request_version", "expected"),
    [
        ("Exact", "v1", "hpa/v1", "autoscaling/v1"),
        ("Exact", "v1", "hpa/v2", ""),
        ("Equivalent", "v1", "hpa/v2", "autoscaling/v1"),
        ("Equivalent", "v2", "hpa/v1", "autoscaling/v2"),
        ("Equivalent", "v2beta2", "hpa/v1", ""),
        ("Equivalent", "*", "hpa/v1", "autoscaling/v1"),
    ],
)
def test_equivalent_versions(policy, version, request_version, expected):
    one = rule("autoscaling", version, "horizontalpodautoscalers")
    assert matched(write(request_version), resourceRules=[one], matchPolicy=policy) == expected


def test_a_rule_that_names_the_requests_version_wins_over_an_equivalent_one():
    rules = [rule("autoscaling", version, "horizontalpodautoscalers") for version in ("v2", "v1")]
    assert matched(write("hpa/v1"), resourceRules=rules, matchPolicy="Equivalent") == "autoscaling/v1"


def test_an_equivalent_version_is_excluded_too():
    excluded = rule("autoscaling", "v1", "horizontalpodautoscalers")
    for policy, expected in (("Exact", "autoscaling/v2"), ("Equivalent", "")):
        found = matched(write("hpa/v2"), resourceRules=[rule()], excludeResourceRules=[excluded], matchPolicy=policy)
        assert found == expected


def test_the_kind_of_a_subresource_is_that_of_its_body():
    attributes = write("deployments scale", "UPDATE")
    narrowed = Criteria({"resourceRules": [rule()]}).narrow(kind_of_write(attributes, EQUIVALENTS))
    assert narrowed is None
    narrowed = Criteria({"resourceRules": [rule("*", "*", "*/*")]}).narrow(kind_of_write(attributes, EQUIVALENTS))
    assert narrowed is not None
    match = narrowed.match(attributes)
    assert match is not None
    assert match.gvk == ("autoscaling", "v1", "Scale")


SELECTOR = {"matchLabels": {"a": "b"}}
LABELLED = {"metadata": {"labels": {"a": "b"}}}


@pytest.mark.parametrize(
    ("selector", "obj", "old", "expected"),
    [
        ({}, {"metadata": {}}, None, "v1"),
        (SELECTOR, {"metadata": {}}, None, ""),
        (SELECTOR, LABELLED, None, "v1"),
        (SELECTOR, {"metadata": {}}, LABELLED, "v1"),
        (SELECTOR, None, LABELLED, "v1"),
        (SELECTOR, None, {"metadata": {}}, ""),
        (SELECTOR, {"command": ["x"]}, None, ""),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"metadata": {}}, None, "v1"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"command": ["x"]}, None, ""),
        ({"matchLabels": {}, "matchExpressions": []}, {"command": ["x"]}, None, "v1"),
    ],
)
def test_the_object_selector_looks_at_both_objects(selector, obj, old, expected):
    assert matched(write(obj=obj, old_obj=old), resourceRules=[rule()], objectSelector=selector) == expected


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [({}, {}, "v1"), (SELECTOR, {"a": "b"}, "v1"), (SELECTOR, {"a": "c"}, ""), (SELECTOR, {}, "")],
)
def test_the_namespace_selector(selector, labels, expected):
    assert matched(write(), labels, resourceRules=[rule()], namespaceSelector=selector) == expected


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"a": "b", "c": "d"}}, "a=b,c=d"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, "a,!b"),
    ],
)
def test_selectors_as_text_select_the_same(selector, text):
    assert label_selector_text(selector) == text
    for labels in ({}, {"a": "b", "c": "d"}, {"a": "x"}, {"b": "y"}):
        assert parse_labels(text).matches(labels) == label_selector_matches(selector, labels)
