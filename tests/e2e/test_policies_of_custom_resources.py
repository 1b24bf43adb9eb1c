"""Policies about custom resources, and custom resources as parameters of policies."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.running import RunningServer, wait_for

pytestmark = [needs_kubectl, pytest.mark.e2e]
Object = dict[str, Any]

API = "admissionregistration.k8s.io/v1"
DENIED = "ValidatingAdmissionPolicy '{0}' with binding '{0}' denied request: "
TAGS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "v": {"type": "string"}},
    },
}
FIELDS = {"size": {"type": "integer"}, "max": {"type": "integer", "default": 2}, "tags": TAGS}
SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": FIELDS}}}


def definition(plural: str, kind: str, *versions: str) -> Object:
    served = [
        {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": SCHEMA}}
        for name in versions
    ]
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": served},
    }


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    with RunningServer(tmp_path_factory.mktemp("server"), "--advertise-address=192.0.2.10") as server:
        kubectl = Kubectl(server, "default")
        definitions = [definition("limits", "Limit", "v1"), definition("widgets", "Widget", "v1", "v2")]
        kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, definitions)))
        names = [f"crd/{one['metadata']['name']}" for one in definitions]
        if kubectl.run("wait", "--for=condition=Established", *names, "--timeout=5s").returncode:
            pytest.skip("custom resources are not served yet")
        limit = {"apiVersion": "example.com/v1", "kind": "Limit", "metadata": {"name": "l", "labels": {"x": "y"}}}
        kubectl("apply", "-f", "-", stdin=json.dumps({**limit, "spec": {}}))
        yield kubectl


def widget(name: str, version: str = "v1", **spec: Any) -> str:
    return json.dumps(
        {"apiVersion": f"example.com/{version}", "kind": "Widget", "metadata": {"name": name}, "spec": spec}
    )


def rule(resource: str, group: str = "example.com") -> Object:
    return {"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": ["CREATE", "UPDATE"]}


class Installed:
    """A policy with a binding, there while this is entered."""

    def __init__(self, kubectl: Kubectl, kind: str, name: str, spec: Object, **binding: Any) -> None:
        self._kubectl = kubectl
        self._names = [f"{kind.lower()}binding/{name}", f"{kind.lower()}/{name}"]
        bound = {"policyName": name, **binding}
        self._made = [
            {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec},
            {"apiVersion": API, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": bound},
        ]

    def __enter__(self) -> None:
        self._kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, self._made)))
        time.sleep(0.5)

    def __exit__(self, *_: object) -> None:
        self._kubectl("delete", *self._names)
        time.sleep(0.5)


def validating(kubectl: Kubectl, name: str, expression: str, message: str, *rules: Object, **more: Any) -> Installed:
    validations = [{"expression": expression, "messageExpression": message}]
    kind, ref = more.pop("paramKind", None), more.pop("paramRef", None)
    spec = {"matchConstraints": {"resourceRules": list(rules), **more}, "validations": validations}
    bound = {"validationActions": ["Deny"]}
    if kind:
        spec["paramKind"], bound["paramRef"] = kind, {**ref, "parameterNotFoundAction": "Deny"}
    return Installed(kubectl, "ValidatingAdmissionPolicy", name, spec, **bound)


def refused(kubectl: Kubectl, obj: str, words: str) -> None:
    assert words in kubectl.fails("create", "--dry-run=server", "-f", "-", stdin=obj)


def passes(kubectl: Kubectl, obj: str) -> Object:
    made: Object = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=obj))
    return made


def test_custom_resources_in_each_version(kubectl: Kubectl) -> None:
    expression = "object.spec.size <= 3 && object.apiVersion == 'example.com/v1'"
    policy = validating(kubectl, "sizes", expression, "'size ' + string(object.spec.size)", rule("widgets"))
    with policy:
        passes(kubectl, widget("a", size=2))
        assert passes(kubectl, widget("a", "v2", size=2))["apiVersion"] == "example.com/v2"
        for version in ("v1", "v2"):
            refused(kubectl, widget("a", version, size=4), DENIED.format("sizes") + "size 4")


def test_the_exact_version_alone(kubectl: Kubectl) -> None:
    policy = validating(kubectl, "exact", "false", "'no'", rule("widgets"), matchPolicy="Exact")
    with policy:
        passes(kubectl, widget("a", "v2", size=4))
        refused(kubectl, widget("a", size=4), DENIED.format("exact") + "no")


def test_parameters_of_a_built_in_kind(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "built-in", "--from-literal=max=1")
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    expression, message = "object.spec.size <= int(params.data.max)", "'max ' + params.data.max"
    with validating(
        kubectl, "built-in", expression, message, rule("widgets"), paramKind=kind, paramRef={"name": "built-in"}
    ):
        passes(kubectl, widget("a", size=1))
        refused(kubectl, widget("a", size=2), DENIED.format("built-in") + "max 1")
        kubectl("delete", "configmap", "built-in")
        wait_for(
            lambda: "no params found" in kubectl.run("create", "-f", "-", stdin=widget("a", size=1)).stderr,
            5,
            "the end",
        )


@pytest.mark.parametrize("ref", [{"name": "l"}, {"selector": {"matchLabels": {"x": "y"}}}])
@pytest.mark.parametrize("about", ["widgets", "configmaps"])
def test_custom_resources_as_parameters(kubectl: Kubectl, about: str, ref: Object) -> None:
    kind = {"apiVersion": "example.com/v1", "kind": "Limit"}
    custom = about == "widgets"
    size = "object.spec.size" if custom else "object.data.size()"
    one = rule("widgets") if custom else rule("configmaps", "")
    expression, message = f"{size} <= params.spec.max", "'at most ' + string(params.spec.max)"
    with validating(kubectl, "custom", expression, message, one, paramKind=kind, paramRef=ref):
        for number in (2, 3):
            data = {str(each): "" for each in range(number)}
            plain = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
            obj = widget("a", size=number) if custom else plain
            if number == 2:
                passes(kubectl, obj)
            else:
                refused(kubectl, obj, DENIED.format("custom") + "at most 2")


def mutating(kubectl: Kubectl, *mutations: Object) -> Installed:
    spec = {
        "matchConstraints": {"resourceRules": [rule("widgets")]},
        "reinvocationPolicy": "Never",
        "mutations": list(mutations),
    }
    return Installed(kubectl, "MutatingAdmissionPolicy", "mutate", spec)


def applying(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patching(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def test_mutations_of_custom_resources(kubectl: Kubectl) -> None:
    tag = "Object{spec: Object.spec{tags: [Object.spec.tags{name: 'x', v: '2'}]}}"
    more = "[JSONPatch{op: 'add', path: '/spec/tags/-', value: Object.spec.tags{name: 'y'}}]"
    with mutating(kubectl, applying(tag), patching(more)):
        for version in ("v1", "v2"):
            made = passes(kubectl, widget("a", version, tags=[{"name": "x", "v": "1"}, {"name": "z"}]))
            assert made["spec"]["tags"] == [{"name": "x", "v": "2"}, {"name": "z"}, {"name": "y"}]
            assert made["spec"]["max"] == 2


def test_mutations_that_do_not_fit_the_schema(kubectl: Kubectl) -> None:
    with mutating(kubectl, applying("Object{spec: Object.spec{none: 1}}")):
        refused(kubectl, widget("a"), ".spec.none: field not declared in schema")
    with mutating(kubectl, patching("[JSONPatch{op: 'add', path: '/spec/none', value: 1}]")):
        assert "none" not in passes(kubectl, widget("a", size=1))["spec"]
    with mutating(kubectl, patching("[JSONPatch{op: 'add', path: '/spec/size', value: 'x'}]")):
        refused(kubectl, widget("a", size=1), "spec.size")
