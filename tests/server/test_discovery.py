"""Discovery: the documents made of resources, and how a client gets at them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from apiserver_workers.apimachinery import protobuf
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources, parse_resource
from apiserver_workers.apimachinery.types import DEFAULT_MINOR, model
from apiserver_workers.apimachinery.versions import version_rank
from apiserver_workers.server.discovery import documents as discovery
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.http.messages import Request, Response

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
ADDRESS = "192.0.2.1:6443"
BUILTIN = tuple(builtin_resources().values())


def entry(group: str, version: str, resource: str = "things", **more: Any) -> ResourceInfo:
    return parse_resource(
        {
            "group": group,
            "version": version,
            "resource": resource,
            "kind": "Thing",
            "singular": "thing",
            "namespaced": True,
            "verbs": ["watch", "get"],
            **more,
        }
    )


SCALE = {"subresource": "scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]}


@pytest.fixture(scope="module")
def endpoints() -> DiscoveryEndpoints:
    return DiscoveryEndpoints(lambda: BUILTIN, minor=DEFAULT_MINOR, server_address=ADDRESS)


def ask(endpoints: DiscoveryEndpoints, path: str, accept: str = "", *, method: str = "GET", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(endpoints.handle(Request(method, path, "", {"accept": accept, **named})))


def content(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def test_groups_and_versions_are_in_the_order_of_their_priorities() -> None:
    groups = discovery.group_resources(
        entry(group, version)
        for group, version in [
            ("z.example.com", "v1alpha1"),
            ("z.example.com", "v1"),
            ("z.example.com", "v2beta1"),
            ("z.example.com", "other"),
            ("a.example.com", "v1"),
            ("autoscaling", "v1"),
            ("autoscaling", "v2"),
            ("apiregistration.k8s.io", "v1"),
            ("", "v1"),
        ]
    )
    assert list(groups) == ["apiregistration.k8s.io", "", "autoscaling", "a.example.com", "z.example.com"]
    assert list(groups["z.example.com"]) == ["v1", "v2beta1", "v1alpha1", "other"]
    assert list(groups["autoscaling"]) == ["v2", "v1"]


def test_versions_are_ranked_as_kubernetes_ranks_them() -> None:
    ranked = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2"]
    assert sorted(set(ranked), key=version_rank, reverse=True) == ranked


def test_a_resource_is_followed_by_its_subresources() -> None:
    info = entry("g", "v1", shortNames=["th"], categories=["all"], subresources=[SCALE])
    document = discovery.build_resource_list("g", "v1", [info])
    assert document["resources"] == [
        {
            "name": "things",
            "singularName": "thing",
            "namespaced": True,
            "kind": "Thing",
            "verbs": ["get", "watch"],
            "shortNames": ["th"],
            "categories": ["all"],
            "storageVersionHash": discovery.storage_version_hash(info),
        },
        {
            "name": "things/scale",
            "singularName": "",
            "namespaced": True,
            "group": "autoscaling",
            "version": "v1",
            "kind": "Scale",
            "verbs": ["get"],
        },
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("apps", "v1", "daemonsets"), "dd7pWHUlMKQ="),
        (("events.k8s.io", "v1", "events"), "r2yiGXH7wu8="),
        (("autoscaling", "v1", "horizontalpodautoscalers"), "qwQve8ut294="),
        (("apiextensions.k8s.io", "v1", "customresourcedefinitions"), "jfWCUB31mvA="),
    ],
)
def test_the_storage_version_hash_is_upstreams(key: tuple[str, str, str], expected: str) -> None:
    assert discovery.storage_version_hash(builtin_resources()[key]) == expected


def test_what_is_not_stored_has_no_hash() -> None:
    document = discovery.build_resource_list("g", "v1", [entry("g", "v1", verbs=["create"])])
    assert "storageVersionHash" not in document["resources"][0]


def test_the_core_group_is_apart(endpoints: DiscoveryEndpoints) -> None:
    api = content(ask(endpoints, "/api"))
    assert api["versions"] == ["v1"]
    assert api["serverAddressByClientCIDRs"][0]["serverAddress"] == ADDRESS
    assert "apiVersion" not in content(ask(endpoints, "/api/v1"))
    assert "" not in [group["name"] for group in content(ask(endpoints, "/apis"))["groups"]]


def test_a_group_names_its_preferred_version(endpoints: DiscoveryEndpoints) -> None:
    group = content(ask(endpoints, "/apis/autoscaling/"))
    assert group["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}
    assert len(group["versions"]) == 2


def test_one_document_has_it_all_for_those_who_accept_it(endpoints: DiscoveryEndpoints) -> None:
    response = ask(endpoints, "/apis", f"{AGGREGATED},application/json")
    assert response.content_type == AGGREGATED
    groups = {group["metadata"]["name"]: group for group in content(response)["items"]}
    deployments = next(r for r in groups["apps"]["versions"][0]["resources"] if r["resource"] == "deployments")
    assert deployments["scope"] == "Namespaced"
    assert [sub["subresource"] for sub in deployments["subresources"]] == ["scale", "status"]
    assert content(ask(endpoints, "/api", AGGREGATED))["items"][0]["metadata"] == {}


def test_the_first_clause_that_can_be_met_decides(endpoints: DiscoveryEndpoints) -> None:
    unknown = AGGREGATED.replace("v=v2", "v=v3")
    for accept in (f"application/json,{AGGREGATED}", f"{unknown},application/json", f"{AGGREGATED};q=0.5,*/*", ""):
        assert content(ask(endpoints, "/apis", accept))["kind"] == "APIGroupList"
    with pytest.raises(ApiError) as refused:
        ask(endpoints, "/apis", unknown)
    assert refused.value.code == 406


def test_only_the_roots_have_the_aggregated_form(endpoints: DiscoveryEndpoints) -> None:
    for path in ("/apis/apps", "/apis/apps/v1", "/api/v1"):
        with pytest.raises(ApiError) as refused:
            ask(endpoints, path, AGGREGATED)
        assert refused.value.code == 406


def test_a_client_that_has_the_document_is_told_so(endpoints: DiscoveryEndpoints) -> None:
    headers = dict(ask(endpoints, "/apis", AGGREGATED).headers)
    assert headers["Vary"] == "Accept"
    again = ask(endpoints, "/apis", AGGREGATED, if_none_match=headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert ask(endpoints, "/apis", AGGREGATED, if_none_match='"other"').status == 200


def test_other_methods_are_refused_where_upstream_refuses_them(endpoints: DiscoveryEndpoints) -> None:
    assert ask(endpoints, "/apis", method="DELETE").status == 200
    for path in ("/api", "/api/v1", "/apis/apps/v1"):
        with pytest.raises(ApiError) as refused:
            ask(endpoints, path, method="POST")
        assert refused.value.code == 405


def test_new_resources_replace_the_old_ones() -> None:
    served = [entry("g", "v1")]
    endpoints = DiscoveryEndpoints(lambda: tuple(served), minor=DEFAULT_MINOR, server_address=ADDRESS)
    before = dict(ask(endpoints, "/apis", AGGREGATED).headers)["ETag"]
    assert ask(endpoints, "/apis/g/v1").status == 200
    served[0] = entry("h", "v1")
    assert asyncio.run(endpoints.paths()) == ["/apis", "/apis/", "/apis/h", "/apis/h/v1"]
    assert dict(ask(endpoints, "/apis", AGGREGATED).headers)["ETag"] != before
    with pytest.raises(ApiError) as gone:
        ask(endpoints, "/apis/g")
    assert gone.value.code == 404


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1"])
def test_documents_are_served_as_protobuf_too(endpoints: DiscoveryEndpoints, path: str) -> None:
    media_type = "application/vnd.kubernetes.protobuf"
    response = ask(endpoints, path, media_type)
    assert response.content_type == media_type
    assert isinstance(response.body, bytes)
    model_type = model().kind("", "v1", content(ask(endpoints, path))["kind"])
    decoded = protobuf.decode_object(model_type, response.body)
    assert decoded["kind"] == content(ask(endpoints, path))["kind"]


def test_documents_are_served_as_yaml_too(endpoints: DiscoveryEndpoints) -> None:
    response = ask(endpoints, "/apis/apps", "application/yaml")
    assert response.content_type == "application/yaml"
    assert isinstance(response.body, bytes)
    assert b"kind: APIGroup\n" in response.body


class OtherServer:
    """A DiscoverySource."""

    def __init__(self, *infos: ResourceInfo) -> None:
        self.infos = infos

    async def groups(self) -> tuple[str, list[dict[str, Any]]]:
        return str(self.infos), discovery.group_items(discovery.group_resources(self.infos))


def test_groups_of_other_servers_stand_among_the_own_ones() -> None:
    other = OtherServer(entry("b.example.com", "v1"), entry("apps", "v9"), entry("apps", "v1"))
    own = (entry("a.example.com", "v1"), entry("apps", "v1", "own"), entry("c.example.com", "v1"))
    endpoints = DiscoveryEndpoints(lambda: own, minor=DEFAULT_MINOR, server_address=ADDRESS, sources=[other])
    groups = {group["name"]: group for group in content(ask(endpoints, "/apis"))["groups"]}
    assert list(groups) == ["apps", "a.example.com", "b.example.com", "c.example.com"]
    assert [version["version"] for version in groups["apps"]["versions"]] == ["v9", "v1"]
    items = {item["metadata"]["name"]: item for item in content(ask(endpoints, "/apis", AGGREGATED))["items"]}
    found = {version["version"]: version["resources"][0]["resource"] for version in items["apps"]["versions"]}
    assert found == {"v9": "things", "v1": "own"}, "of a version that two servers have the own one counts"
    assert content(ask(endpoints, "/apis/b.example.com"))["preferredVersion"]["version"] == "v1"
    with pytest.raises(ApiError):
        ask(endpoints, "/apis/b.example.com/v1")  # whoever serves it answers that
    before = dict(ask(endpoints, "/apis", AGGREGATED).headers)["ETag"]
    other.infos = ()
    assert "b.example.com" not in ask(endpoints, "/apis").body.decode()  # type: ignore[union-attr]
    assert dict(ask(endpoints, "/apis", AGGREGATED).headers)["ETag"] != before
