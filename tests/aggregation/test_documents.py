"""Documents of servers that are not ours: what is taken from them, merged with ours or made into another form."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.server.discovery.documents import merge_groups
from apiserver_workers.server.discovery.foreign import from_resource_list, group_versions
from apiserver_workers.server.openapi.conversion import to_v3
from apiserver_workers.server.openapi.merging import checked, filtered, merged

Object = dict[str, Any]


def item(group: str, *versions: str, **more: Any) -> Object:
    return {"metadata": {"name": group}, "versions": [{"version": version, **more} for version in versions]}


def test_groups_are_merged_by_the_priorities_of_api_services() -> None:
    remote = [item("z.example", "v1", "v2", freshness="Current"), item("apps", "v1", freshness="Stale")]
    own = [item("apps", "v1"), item("batch", "v1")]
    found = merge_groups([remote, own], {("z.example", "v1"): (20000, 1), ("z.example", "v2"): (1, 2)})
    assert [one["metadata"]["name"] for one in found] == ["z.example", "apps", "batch"]
    assert [one["version"] for one in found[0]["versions"]] == ["v2", "v1"]
    assert found[1]["versions"][0]["freshness"] == "Stale", "the first server's version counts"


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        [],
        {"items": 7},
        {"items": [7]},
        {"items": [{"metadata": 7}]},
        {"items": [{"versions": [{"version": 1}]}]},
    ],
)
def test_what_is_no_discovery_document_is_refused(document: object) -> None:
    if document == []:
        with pytest.raises(ValueError, match="not a discovery document"):
            group_versions(document)
        return
    with pytest.raises(ValueError, match="not a discovery document"):
        group_versions(document)


def test_a_document_of_all_groups_is_taken_without_strange_fields() -> None:
    subresource = {"subresource": "status", "verbs": ["get"]}
    resource = {"resource": "a", "scope": "Cluster", "verbs": ["get"], "strange": 1, "subresources": [subresource]}
    document = {"items": [{"metadata": {"name": "g"}, "versions": [{"version": "v1", "resources": [resource]}]}]}
    empty = {"group": "", "version": "", "kind": ""}
    assert group_versions(document)["g", "v1"]["resources"] == [
        {
            "resource": "a",
            "responseKind": empty,
            "scope": "Cluster",
            "singularResource": "",
            "verbs": ["get"],
            "subresources": [{"subresource": "status", "responseKind": empty, "verbs": ["get"]}],
        }
    ]


def test_the_older_form_becomes_the_newer_one() -> None:
    listed = [
        {"name": "a", "singularName": "b", "namespaced": True, "kind": "A", "verbs": ["get"], "shortNames": ["s"]},
        {"name": "a/status", "kind": "A", "verbs": ["patch"], "group": "g", "version": "v2"},
        {"name": "lost/scale", "kind": "Scale", "verbs": ["get"]},
    ]
    found = from_resource_list({"resources": listed})
    assert [one["resource"] for one in found] == ["a", "lost"]
    assert found[0]["responseKind"] == {"group": "", "version": "", "kind": "A"}
    assert found[0]["subresources"][0]["responseKind"] == {"group": "g", "version": "v2", "kind": "A"}
    assert (found[0]["scope"], found[1]["scope"]) == ("Namespaced", "Cluster")


KINDS = "x-kubernetes-group-version-kind"


def document(path: str, **definitions: Object) -> Object:
    """A document with one path, which refers to the first definition."""
    schema = {"$ref": f"#/definitions/{next(iter(definitions))}"}
    operation = {"responses": {"200": {"description": "OK", "schema": schema}}}
    return {"swagger": "2.0", "paths": {path: {"get": operation}}, "definitions": definitions}


def reference(found: Object, path: str) -> str:
    name: str = found["paths"][path]["get"]["responses"]["200"]["schema"]["$ref"]
    return name


def test_what_two_documents_describe_differently_is_renamed() -> None:
    own = document("/a", A={"type": "object"}, A_v2={"type": "integer"})
    second = document("/b", A={"type": "string"}, B={"$ref": "#/definitions/A"})
    third = document("/c", A={"type": "string"})
    found = merged([own, second, third])
    assert found["definitions"]["A_v3"] == {"type": "string"}
    assert found["definitions"]["B"] == {"$ref": "#/definitions/A_v3"}
    assert reference(found, "/b") == reference(found, "/c") == "#/definitions/A_v3"
    assert reference(found, "/a") == "#/definitions/A"
    assert own["definitions"].keys() == {"A", "A_v2"}, "what is merged does not change"


def test_kinds_of_equal_definitions_are_collected() -> None:
    one, other = {"kind": "A", "group": "a"}, {"kind": "A", "group": "b"}
    found = merged(
        [document("/a", A={KINDS: [one]}), document("/b", A={KINDS: [other]}), document("/c", A={KINDS: [one]})]
    )
    assert found["definitions"] == {"A": {KINDS: [one, other]}}


def test_of_a_path_that_two_have_the_first_counts_and_nothing_is_left_of_the_other() -> None:
    found = merged([document("/a", A={"type": "object"}), document("/a", B={"type": "string"})])
    assert found["definitions"] == {"A": {"type": "object"}}


def test_only_a_group_versions_paths_are_taken() -> None:
    whole = document("/apis/g/v1/a", A={"$ref": "#/definitions/N"}, N={}, Unused={})
    whole["paths"]["/apis/other/v1/b"] = {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/O"}}}}}
    whole["definitions"]["O"] = {"$ref": "#/definitions/P"}
    whole["definitions"]["P"] = {}
    found = filtered(whole, "/apis/g/v1/")
    assert found["paths"].keys() == {"/apis/g/v1/a"}
    assert found["definitions"].keys() == {"A", "N", "Unused"}


def deep(levels: int) -> Object:
    schema: Object = {}
    for _ in range(levels):
        schema = {"items": schema}
    return {"definitions": {"A": schema}}


@pytest.mark.parametrize(
    "bad", [None, [], {"paths": 7}, {"paths": {"/a": 7}}, {"definitions": {"A": {KINDS: 7}}}, deep(200)]
)
def test_what_is_no_openapi_document_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="OpenAPI document"):
        checked(bad)


def test_a_document_of_v2_becomes_one_of_v3() -> None:
    body = {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/A"}}
    query = {"name": "q", "in": "query", "type": "integer", "uniqueItems": True}
    post = {
        "consumes": ["application/json"],
        "produces": ["application/yaml"],
        "parameters": [body, query],
        "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/A"}}},
        "x-kubernetes-action": "post",
    }
    definition = {
        "properties": {"b": {"description": "B", "$ref": "#/definitions/B"}, "c": {"items": {"type": "string"}}}
    }
    found = to_v3({"info": {"title": "T"}, "paths": {"/a": {"post": post}}, "definitions": {"A": definition}})
    schema = {"$ref": "#/components/schemas/A"}
    assert found["paths"]["/a"]["post"] == {
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "parameters": [{"name": "q", "in": "query", "schema": {"type": "integer", "uniqueItems": True}}],
        "responses": {"200": {"description": "OK", "content": {"application/yaml": {"schema": schema}}}},
        "x-kubernetes-action": "post",
    }
    wrapped = {"description": "B", "allOf": [{"$ref": "#/components/schemas/B"}]}
    assert found["components"]["schemas"]["A"]["properties"] == {"b": wrapped, "c": {"items": {"type": "string"}}}


@pytest.mark.parametrize(
    "bad", [{"paths": {"/a": 7}}, {"paths": {"/a": {"get": {"parameters": [7]}}}}, {"definitions": 7}]
)
def test_what_has_not_the_shape_of_v2_is_refused(bad: Object) -> None:
    with pytest.raises(ValueError, match="not an OpenAPI document"):
        to_v3(bad)
