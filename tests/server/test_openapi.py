"""OpenAPI: the documents of both versions and how they are handed out."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources
from apiserver_workers.apimachinery.types import model
from apiserver_workers.server.http.messages import JSON, Request, Response
from apiserver_workers.server.openapi.documents import OpenAPIDocument
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.openapi.protobuf import encode
from apiserver_workers.server.openapi.protobuf_v3 import encode as encode_v3
from apiserver_workers.server.openapi.v2 import fnv1_64

from tests.openapi import v2_document, v3_documents

RESOURCES = list(builtin_resources().values())
VERSION = "v1.36.2"
JOBS = builtin_resources()["batch", "v1", "jobs"]

Object = dict[str, Any]


@pytest.fixture(scope="module")
def v3() -> dict[str, Object]:
    return v3_documents(RESOURCES, model(), VERSION)


@pytest.fixture(scope="module")
def v2() -> Object:
    return v2_document(RESOURCES, model(), VERSION)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def resolve(document: Object, reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/", 2):
        found = found[part]
    return found


def test_every_reference_leads_somewhere(v3: dict[str, Object], v2: Object) -> None:
    for document in (*v3.values(), v2):
        for reference in set(references(document)):
            assert resolve(document, reference)


def test_operation_ids_are_unique(v3: dict[str, Object], v2: Object) -> None:
    for document in (*v3.values(), v2):
        operations = [
            operation["operationId"]
            for path, item in document["paths"].items()
            if path[0] == "/" and "serverRelativeURL" not in item
            for method, operation in item.items()
            if method != "parameters"
        ]
        assert len(operations) == len(set(operations))


def test_operations_are_named_as_clients_know_them(v3: dict[str, Object]) -> None:
    core, apps, rbac = (v3[name]["paths"] for name in ("api/v1", "apis/apps/v1", "apis/rbac.authorization.k8s.io/v1"))
    pods = "/api/v1/namespaces/{namespace}/pods"
    assert core[pods]["get"]["operationId"] == "listCoreV1NamespacedPod"
    assert core[pods]["delete"]["operationId"] == "deleteCoreV1CollectionNamespacedPod"
    assert core["/api/v1/pods"]["get"]["operationId"] == "listCoreV1PodForAllNamespaces"
    assert core[pods + "/{name}/exec"]["get"]["operationId"] == "connectCoreV1GetNamespacedPodExec"
    assert core[pods + "/{name}/proxy/{path}"]["put"]["operationId"] == "connectCoreV1PutNamespacedPodProxyWithPath"
    assert core[pods + "/{name}/log"]["get"]["operationId"] == "readCoreV1NamespacedPodLog"
    assert core["/api/v1/watch/namespaces/{namespace}/pods/{name}"]["get"]["operationId"] == "watchCoreV1NamespacedPod"
    assert core["/api/v1/nodes/{name}/status"]["patch"]["operationId"] == "patchCoreV1NodeStatus"
    scale = apps["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["put"]
    assert scale["operationId"] == "replaceAppsV1NamespacedDeploymentScale"
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    roles = rbac["/apis/rbac.authorization.k8s.io/v1/clusterroles"]["post"]
    assert roles["operationId"] == "createRbacAuthorizationV1ClusterRole"
    assert roles["tags"] == ["rbacAuthorization_v1"]


def test_parameters_of_all_operations_of_a_path_stand_with_the_path(v3: dict[str, Object]) -> None:
    item = v3["api/v1"]["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]
    assert [parameter["name"] for parameter in item["parameters"]] == ["name", "namespace", "pretty"]
    assert "parameters" not in item["get"]
    assert [parameter["name"] for parameter in item["patch"]["parameters"]] == [
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
    ]


def test_schemas_are_kubernetes_own(v3: dict[str, Object]) -> None:
    schemas = v3["apis/apps/v1"]["components"]["schemas"]
    spec = schemas["io.k8s.api.apps.v1.DeploymentSpec"]
    assert spec["required"] == ["selector", "template"]
    assert spec["properties"]["replicas"]["type"] == "integer"
    assert spec["properties"]["template"]["default"] == {}
    assert "default" not in spec["properties"]["selector"] or spec["properties"]["selector"]["default"] == {}
    container = schemas["io.k8s.api.core.v1.Container"]["properties"]
    assert container["name"] | {"description": ""} == {"description": "", "type": "string", "default": ""}
    assert container["env"]["x-kubernetes-patch-merge-key"] == "name"
    assert schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]["default"] == "TCP"
    kinds = schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "apps", "kind": "DeleteOptions", "version": "v1"}]
    assert "null" not in str(schemas["io.k8s.api.core.v1.PodSpec"])


def test_v2_shares_parameters_under_names_that_clients_have_seen(v2: Object) -> None:
    put = v2["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["put"]
    assert {"$ref": "#/parameters/fieldManager-Qy4HdaTW"} in put["parameters"]
    assert v2["parameters"]["fieldManager-Qy4HdaTW"]["name"] == "fieldManager"
    assert [parameter.get("name") for parameter in put["parameters"]] == ["body", "dryRun", None, "fieldValidation"]
    assert v2["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] == "int-or-string"


def test_the_hash_is_fnv_1() -> None:
    assert fnv1_64(b"").hex() == "cbf29ce484222325"
    assert fnv1_64(b"a").hex() == "af63bd4c8601b7be"


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a protobuf message: (number, bytes or int)."""
    found: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 2:
            length = varint()
            found.append((key >> 3, data[at : at + length]))
            at += length
        else:
            found.append((key >> 3, varint()))
    return found


def test_v2_in_protobuf_has_every_definition_and_path(v2: Object) -> None:
    document = fields(encode(v2))
    assert document[0] == (1, b"2.0")
    by_number = dict(document)
    definitions = {dict(fields(entry))[1].decode(): dict(fields(entry))[2] for _, entry in fields(by_number[9])}
    assert definitions.keys() == v2["definitions"].keys()
    config_map = fields(definitions["io.k8s.api.core.v1.ConfigMap"])
    assert (22, b"\x0a\x06object") in config_map
    properties = [dict(fields(entry))[1] for _, entry in fields(dict(config_map)[25])]
    assert properties == [b"apiVersion", b"binaryData", b"data", b"immutable", b"kind", b"metadata"]
    (extension,) = [dict(fields(value)) for number, value in config_map if number == 31]
    assert extension[1] == b"x-kubernetes-group-version-kind"
    paths = {dict(fields(entry))[1].decode(): dict(fields(entry))[2] for _, entry in fields(by_number[8])}
    assert paths.keys() == v2["paths"].keys()
    get = dict(fields(dict(fields(paths["/api/v1/namespaces/{namespace}/pods/{name}"]))[2]))
    assert get[5] == b"readCoreV1NamespacedPod"


# --- the handlers -------------------------------------------------------------------------------------------------


def serving(infos: Iterable[ResourceInfo] = RESOURCES) -> OpenAPIEndpoints:
    kinds = tuple(map(BuiltinKinds(model()).of, infos))
    return OpenAPIEndpoints(lambda: kinds, model(), version=VERSION)


@pytest.fixture(scope="module")
def endpoints() -> OpenAPIEndpoints:
    return serving()


def asked(path: str, query: str = "", method: str = "GET", **headers: str) -> Request:
    return Request(method, path, query, {name.replace("_", "-"): value for name, value in headers.items()})


def answer(endpoints: OpenAPIEndpoints, request: Request) -> tuple[int, dict[str, str], bytes, str]:
    v2 = request.path.startswith("/openapi/v2")
    response = asyncio.run(_handled(endpoints.handle_v2 if v2 else endpoints.handle_v3, request))
    assert isinstance(response.body, bytes)
    return response.status, dict(response.headers), response.body, response.content_type


async def _handled(handler: Any, request: Request) -> Any:
    return await handler(request)


def index(endpoints: OpenAPIEndpoints) -> dict[str, str]:
    """The URL of each document."""
    paths = orjson.loads(answer(endpoints, asked("/openapi/v3"))[2])["paths"]
    return {name: entry["serverRelativeURL"] for name, entry in paths.items()}


def test_the_index_lists_a_document_for_every_version_and_path_of_discovery(endpoints: OpenAPIEndpoints) -> None:
    urls = index(endpoints)
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version", "openid/v1/jwks"} <= set(urls)
    assert re.fullmatch(r"/openapi/v3/apis/apps/v1\?hash=[0-9A-F]{128}", urls["apis/apps/v1"])


def test_the_hash_is_that_of_the_content(endpoints: OpenAPIEndpoints) -> None:
    urls = index(endpoints)
    _, headers, body, _ = answer(endpoints, asked("/openapi/v3/apis/batch/v1"))
    assert urls["apis/batch/v1"].endswith(hashlib.sha512(body).hexdigest().upper())
    assert headers["Etag"] == f'"{hashlib.sha512(body).hexdigest().upper()}"'
    described = dataclasses.replace(JOBS, verbs=JOBS.verbs - {"delete"})
    changed = index(serving([described if info is JOBS else info for info in RESOURCES]))
    assert {name for name in urls if urls[name] != changed[name]} == {"apis/batch/v1"}, "the names are the same"


def test_each_form_of_v2_has_a_tag_of_its_own(endpoints: OpenAPIEndpoints) -> None:
    accepts = ("application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    tags = {answer(endpoints, asked("/openapi/v2", accept=accept))[1]["Etag"] for accept in accepts}
    assert len(tags) == 2


def test_the_url_of_the_index_gives_the_document_for_good(endpoints: OpenAPIEndpoints) -> None:
    _, _, found, media_type = answer(endpoints, asked("/openapi/v3"))
    assert media_type == "text/plain; charset=utf-8"
    path, _, query = orjson.loads(found)["paths"]["apis/batch/v1"]["serverRelativeURL"].partition("?")
    status, headers, body, media_type = answer(endpoints, asked(path, query))
    assert (status, media_type) == (200, "application/json")
    assert headers["Cache-Control"] == "public, immutable"
    assert headers["Etag"] == f'"{query.removeprefix("hash=")}"'
    assert "/apis/batch/v1/namespaces/{namespace}/jobs" in orjson.loads(body)["paths"]


def test_an_old_hash_is_sent_to_the_new_one(endpoints: OpenAPIEndpoints) -> None:
    status, headers, _, _ = answer(endpoints, asked("/openapi/v3/version", "hash=OLD"))
    assert status == 301
    assert re.fullmatch(r"/openapi/v3/version\?hash=[0-9A-F]{128}", headers["Location"])


def test_what_the_client_has_is_not_sent_again(endpoints: OpenAPIEndpoints) -> None:
    _, headers, _, _ = answer(endpoints, asked("/openapi/v2"))
    status, _, body, _ = answer(endpoints, asked("/openapi/v2", if_none_match=headers["Etag"]))
    assert (status, body) == (304, b"")


def test_documents_are_compressed_when_asked(endpoints: OpenAPIEndpoints) -> None:
    _, headers, zipped, _ = answer(endpoints, asked("/openapi/v3/version", accept_encoding="gzip"))
    _, _, plain, _ = answer(endpoints, asked("/openapi/v3/version"))
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped) == plain


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        (
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        ),
    ],
)
def test_v2_is_json_or_protobuf(endpoints: OpenAPIEndpoints, accept: str, media_type: str) -> None:
    status, _, body, given = answer(endpoints, asked("/openapi/v2", accept=accept))
    assert (status, given) == (200, media_type)
    assert body[:1] == (b"{" if "json" in media_type else b"\x0a")


def test_other_media_types_and_methods_are_refused(endpoints: OpenAPIEndpoints) -> None:
    assert answer(endpoints, asked("/openapi/v2", accept="text/html"))[0] == 406
    with pytest.raises(ApiError) as caught:
        answer(endpoints, asked("/openapi/v3", method="POST"))
    assert caught.value.code == 405


def test_requests_during_the_build_share_it() -> None:
    built = []

    def build() -> bytes:
        built.append(1)
        return b"{}"

    async def run() -> None:
        document = OpenAPIDocument(build, bytes)
        bodies = await asyncio.gather(*(document.body(JSON) for _ in range(5)), document.body(JSON, zipped=True))
        assert bodies[:5] == [b"{}"] * 5
        assert await document.digest() == hashlib.sha512(b"{}").hexdigest().upper()

    asyncio.run(run())
    assert built == [1]


def test_fields_with_few_values_name_them(v3: dict[str, Object]) -> None:
    container = v3["api/v1"]["components"]["schemas"]["io.k8s.api.core.v1.Container"]["properties"]
    policy = container["imagePullPolicy"]
    assert policy["enum"] == ["Always", "IfNotPresent", "Never"]
    assert (
        '\n\nPossible enum values:\n - `"Always"` means that kubelet always attempts to pull' in policy["description"]
    )
    schemas = v3["apis/batch/v1"]["components"]["schemas"]
    restart = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"]
    assert restart["description"].endswith('values:\n - `"Always"`\n - `"Never"`\n - `"OnFailure"`')


def test_v3_in_protobuf_has_every_schema_path_and_value(v3: dict[str, Object]) -> None:
    document = v3["apis/batch/v1"]
    found = dict(fields(encode_v3(document)))
    assert found[1] == b"3.0.0"
    paths = {dict(fields(entry))[1].decode() for _, entry in fields(found[4])}
    assert paths == set(document["paths"])
    named = [dict(fields(entry)) for _, entry in fields(dict(fields(found[5]))[1])]
    assert {entry[1].decode() for entry in named} == set(document["components"]["schemas"])
    (spec,) = (entry[2] for entry in named if entry[1] == b"io.k8s.api.batch.v1.CronJobSpec")
    properties = dict(fields(dict(fields(spec))[1]))[31]
    (policy,) = (dict(fields(e))[2] for _, e in fields(properties) if dict(fields(e))[1] == b"concurrencyPolicy")
    values = [dict(fields(value))[2] for number, value in fields(dict(fields(policy))[1]) if number == 24]
    assert values == [b'"Allow"\n', b'"Forbid"\n', b'"Replace"\n']


def test_v3_is_json_or_protobuf(endpoints: OpenAPIEndpoints) -> None:
    accept = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
    status, _, body, given = answer(endpoints, asked("/openapi/v3/apis/batch/v1", accept=accept))
    assert (status, given) == (200, accept)
    assert body[:7] == b"\x0a\x053.0.0"


def answered(path: str, query: str = "", method: str = "GET", **headers: str) -> Response:
    endpoints = OpenAPIEndpoints(RESOURCES, model(), version="1.36")
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return asyncio.run(endpoints.routes()[path](Request(method, path, query, named)))


def test_the_index_names_each_document_by_its_own_hash() -> None:
    endpoints = OpenAPIEndpoints(RESOURCES, model(), version="1.36")
    routes = endpoints.routes()
    index = orjson.loads(endpoints._index)["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/events.k8s.io/v1"} <= index.keys()
    for entry in index.values():
        path, _, query = entry["serverRelativeURL"].partition("?")
        # who has the document already is told so, without a redirection
        digest = query.removeprefix("hash=")
        request = Request("GET", path, query, {"if-none-match": f'"{digest}"', "accept-encoding": "gzip"})
        if path == "/openapi/v3/api/v1":
            assert asyncio.run(routes[path](request)).status == 304
        assert endpoints._hash(path.removeprefix("/openapi/v3/")) == digest


def test_documents_are_served_as_content() -> None:
    path = "/openapi/v3/apis/apps/v1"
    whole = answered(path)
    headers = dict(whole.headers)
    tag, date = headers["Etag"], headers["Last-Modified"]
    assert orjson.loads(whole.body)["info"] == {"title": "Kubernetes", "version": "1.36"}
    assert answered(path, method="HEAD").status == 200
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*", f'W/"x",W/{tag}'):
        unchanged = answered(path, if_none_match=condition)
        assert (unchanged.status, dict(unchanged.headers)["Etag"]) == (304, tag)
    assert answered(path, if_none_match='"x"').status == 200
    assert answered(path, if_modified_since=date).status in (200, 304)  # it is made anew for each answer here
    part = answered(path, range="bytes=0-9")
    assert (part.status, part.body) == (206, whole.body[:10])
    assert answered(path, range="bytes=99999999-").status == 416
    with pytest.raises(ApiError) as refused:
        answered(path, method="POST")
    assert refused.value.code == 405
