"""Swagger 1.2 and the page for reading the API, which came before OpenAPI."""

import json
import re
from typing import Any

import pytest

from tests.running import RunningServer
from tests.serving.conftest import OpenServer

pytestmark = pytest.mark.e2e


def document(server: RunningServer, path: str) -> Any:
    status, body = server.request("GET", path, timeout=30)
    assert status == 200, body
    return json.loads(body)


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    own = {text for key, text in value.items() if key in ("$ref", "responseModel") and isinstance(text, str)}
    return own.union(*map(references, value.values())) if value else own


@pytest.mark.seed("S77")
def test_the_list_names_every_api(opened: OpenServer) -> None:
    listed = document(opened.server, "/swaggerapi")
    assert listed["swaggerVersion"] == "1.2"
    paths = {api["path"] for api in listed["apis"]}
    assert {"/api/v1", "/apis/apps/v1", "/apis/batch/v1", "/version"} <= paths
    for group in document(opened.server, "/apis")["groups"]:
        for version in group["versions"]:
            assert f"/apis/{version['groupVersion']}" in paths


@pytest.mark.seed("S77")
def test_a_declaration_has_the_operations_and_all_models_that_it_names(opened: OpenServer) -> None:
    for root in ("/api/v1", "/apis/apps/v1", "/apis/events.k8s.io/v1"):
        declared = document(opened.server, f"/swaggerapi{root}")
        assert (declared["swaggerVersion"], declared["resourcePath"]) == ("1.2", root)
        assert declared["basePath"] == opened.server.url
        for api in declared["apis"]:
            assert api["path"].startswith(root) and api["operations"]
            for operation in api["operations"]:
                named = {parameter["name"] for parameter in operation["parameters"] if parameter["paramType"] == "path"}
                assert named == set(re.findall(r"\{(\w+)\}", api["path"]))
        models = declared["models"]
        primitive = {"string", "integer", "boolean", "any", "object", "number"}
        assert references(declared) - primitive <= set(models)
    pods = next(a for a in document(opened.server, "/swaggerapi/api/v1")["apis"] if a["path"].endswith("/pods/{name}"))
    read = next(operation for operation in pods["operations"] if operation["method"] == "GET")
    assert (read["type"], read["nickname"]) == ("v1.Pod", "readCoreV1NamespacedPod")


@pytest.mark.seed("S77")
def test_a_root_that_is_not_there(opened: OpenServer) -> None:
    assert opened.server.request("GET", "/swaggerapi/apis/nope/v1")[0] == 404


def test_the_page_needs_nothing_from_elsewhere(opened: OpenServer) -> None:
    status, body = opened.server.request("GET", "/swagger-ui/")
    assert status == 200 and b'fetch("/openapi/v2"' in body
    assert not re.search(rb"https?://|//[a-z]+\.", body)
    assert opened.server.request("GET", "/swagger-ui/other.js")[0] == 404
