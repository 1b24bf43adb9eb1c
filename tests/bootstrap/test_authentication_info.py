"""The config map by which extension servers authenticate: each server adds to it what it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from apiserver_workers.core.bootstrap.authentication_info import completed, merge, own_data
from apiserver_workers.server.config import ServerConfig

from tests.auth.test_authentication import Authority


@pytest.fixture
def bundle(tmp_path) -> str:
    return Path(Authority("one").write(tmp_path / "one.crt")).read_text()


def test_a_server_without_authorities_has_nothing_to_say():
    assert own_data(ServerConfig(instance="i", run_dir="", service_ip="", loopback_token="")) == {}


def test_a_server_says_whom_it_trusts(tmp_path, bundle):
    config = ServerConfig(
        instance="i", run_dir="", service_ip="", loopback_token="", client_ca_file=str(tmp_path / "one.crt"),
        requestheader_client_ca_file=str(tmp_path / "one.crt"), requestheader_allowed_names=("front",),
        requestheader_username_headers=("X-Remote-User",),
    )  # fmt: skip
    data = own_data(config)
    assert data["client-ca-file"] == data["requestheader-client-ca-file"] == bundle
    assert json.loads(data["requestheader-allowed-names"]) == ["front"]
    assert json.loads(data["requestheader-username-headers"]) == ["X-Remote-User"]


def test_names_and_certificates_of_all_servers_are_kept(tmp_path, bundle):
    other = Path(Authority("two").write(tmp_path / "two.crt")).read_text()
    assert merge("client-ca-file", other, bundle) == other + bundle
    assert merge("client-ca-file", other + bundle, bundle) == other + bundle
    assert merge("client-ca-file", "garbage", bundle) == bundle
    assert json.loads(merge("requestheader-allowed-names", '["a"]', '["b", "a"]')) == ["a", "b"]
    existing = {"metadata": {}, "data": {"client-ca-file": other, "mine": "x"}}
    changed = completed(existing, {"client-ca-file": bundle})
    assert changed == {"metadata": {}, "data": {"client-ca-file": other + bundle, "mine": "x"}}
    assert completed(changed, {"client-ca-file": bundle}) is None
