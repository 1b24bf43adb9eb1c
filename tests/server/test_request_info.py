"""RequestInfo against the cases of upstream's own table (requestinfo_test.go) and the odd paths."""

import pytest
from apiserver_workers.server.http.request_info import request_info

# method, url, verb, prefix, group, version, namespace, resource, subresource, name, parts
CASES = [
    ("GET", "/api/v1/namespaces", "list", "api", "", "v1", "", "namespaces", "", "", "namespaces"),
    ("GET", "/api/v1/namespaces/other", "get", "api", "", "v1", "other", "namespaces", "", "other", "namespaces/other"),
    ("GET", "/api/v1/namespaces/other/pods", "list", "api", "", "v1", "other", "pods", "", "", "pods"),
    ("GET", "/api/v1/namespaces/other/pods/foo", "get", "api", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("HEAD", "/api/v1/namespaces/other/pods/foo", "get", "api", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("GET", "/api/v1/pods", "list", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/proxy/namespaces/other/pods/foo", "proxy", "api", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("GET", "/api/v1/proxy/namespaces/other/pods/foo/sub/path", "proxy", "api", "", "v1", "other", "pods", "", "foo", "pods/foo/sub/path"),
    ("GET", "/api/v1/watch/pods", "watch", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?watch=true", "watch", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?watch=false", "list", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?watch", "watch", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/watch/namespaces/other/pods", "watch", "api", "", "v1", "other", "pods", "", "", "pods"),
    ("POST", "/api/v1/namespaces/other/pods", "create", "api", "", "v1", "other", "pods", "", "", "pods"),
    ("PUT", "/api/v1/namespaces/other/finalize", "update", "api", "", "v1", "other", "namespaces", "finalize", "other", "namespaces/other/finalize"),
    ("DELETE", "/api/v1/namespaces/other/pods", "deletecollection", "api", "", "v1", "other", "pods", "", "", "pods"),
    ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete", "api", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("PATCH", "/api/v1/namespaces/other/pods/foo", "patch", "api", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("GET", "/api/v1/namespaces/other/pods/foo/status", "get", "api", "", "v1", "other", "pods", "status", "foo", "pods/foo/status"),
    ("POST", "/apis/extensions/v1/namespaces/other/pods", "create", "apis", "extensions", "v1", "other", "pods", "", "", "pods"),
    ("PUT", "/apis/apps/v1/namespaces/x/deployments/y/scale", "update", "apis", "apps", "v1", "x", "deployments", "scale", "y", "deployments/y/scale"),
    ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dfoo", "list", "api", "", "v1", "", "pods", "", "foo", "pods"),
    ("GET", "/api/v1/pods?fieldSelector=a=b,metadata.name==foo&watch=1", "watch", "api", "", "v1", "", "pods", "", "foo", "pods"),
    ("GET", "/api/v1/pods?fieldSelector=metadata.name!=foo", "list", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?fieldSelector=metadata.name=..", "list", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?fieldSelector=metadata.name=foo&limit=x", "list", "api", "", "v1", "", "pods", "", "", "pods"),
    ("DELETE", "/api/v1/pods?fieldSelector=metadata.name=foo", "deletecollection", "api", "", "v1", "", "pods", "", "", "pods"),
    ("BREW", "/api/v1/pods", "", "api", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1//namespaces/x", "get", "api", "", "v1", "", "", "x", "namespaces", "/namespaces/x"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_resource_requests(case):
    method, url, verb, prefix, group, version, namespace, resource, subresource, name, parts = case
    path, _, query = url.partition("?")
    info = request_info(method, path, query)
    assert info.is_resource_request
    assert (info.verb, info.api_prefix, info.api_group, info.api_version) == (verb, prefix, group, version)
    assert (info.namespace, info.resource, info.subresource, info.name) == (namespace, resource, subresource, name)
    assert "/".join(info.parts) == parts


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz/etcd/x/y"])
def test_other_paths_are_non_resource_requests(path):
    info = request_info("POST", path)
    assert not info.is_resource_request
    assert (info.verb, info.path) == ("post", path)


@pytest.mark.parametrize("path", ["/api/v1/watch", "/apis/apps/v1/proxy"])
def test_a_legacy_verb_without_a_resource_is_an_error(path):
    with pytest.raises(ValueError, match="unable to determine kind and namespace"):
        request_info("GET", path)


def test_selectors_are_kept_for_authorization():
    info = request_info("GET", "/api/v1/pods", "labelSelector=a%3Db&fieldSelector=spec.nodeName%3Dn")
    assert (info.label_selector, info.field_selector) == ("a=b", "spec.nodeName=n")
    assert request_info("GET", "/api/v1/watch/pods", "labelSelector=a%3Db").label_selector == ""
