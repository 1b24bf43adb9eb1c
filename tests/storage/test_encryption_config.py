"""A file that is no EncryptionConfiguration: the message says what is wrong, in upstream's words, and shows no key."""

import base64
from pathlib import Path

import pytest
from apiserver_workers.storage.encryption.config import EncryptionConfigError, load_encryption_config

HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"
KEY = base64.b64encode(b"k" * 32).decode()
AES = f"aescbc: {{keys: [{{name: k, secret: {KEY}}}]}}"


def rules(resources: str, *providers: str) -> str:
    return f"{HEAD}resources:\n- resources: [{resources}]\n  providers: [{', '.join(f'{{{p}}}' for p in providers)}]\n"


CASES = {
    "": 'error while loading file: encryption provider configuration file "{path}" is empty',
    "a: [": "error decoding encryption provider configuration file",
    "[]": "error decoding encryption provider configuration file",
    "kind: EncryptionConfiguration": "Object 'apiVersion' is missing",
    "apiVersion: v1": "Object 'Kind' is missing",
    "apiVersion: v1\nkind: Pod": 'no kind "Pod" is registered for version "v1" in scheme',
    HEAD: "resources: Required value: at least one resources is required",
    HEAD + "resources: x": "resources must be a list",
    HEAD + "resurces: []": 'unknown field "resurces"',
    rules("", AES): "resources[0].resources: Required value: at least one resources[0].resources is required",
    rules("secrets"): "resources[0].providers: Required value: at least one resources[0].providers is required",
    rules("secrets", AES + ", identity: {}"): "resources[0].providers[0]: Invalid value",
    rules("secrets", ""): "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity",
    rules("secrets", "aesgcm: {keys: []}"): "resources[0].providers[0].aesgcm.keys: Required value: at least one keys is required",
    rules("secrets", "aesgcm: {keys: [{secret: eA==}]}"): "[resources[0].providers[0].aesgcm.keys[0].name: Required value: name is a mandatory field for a key, "
    'resources[0].providers[0].aesgcm.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 1, expected one of [16 24 32]]',
    rules("secrets", "secretbox: {keys: [{name: a}]}"): "keys[0].secret: Required value: secret is a mandatory field for a key",
    rules("secrets", "secretbox: {keys: [{name: a, secret: c2hvcnQ=}]}"): "got 5, expected one of [32]",
    rules("secrets", "secretbox: {keys: [{name: a, secret: ThisIsNoBase64!}]}"): 'Invalid value: "REDACTED": secrets must be base64 encoded',
    rules("Secrets", AES): 'resources[0].resources[0]: Invalid value: "Secrets": resource name should not contain capital letters',
    rules("'*'", AES): "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
    rules("apiserveripinfo", AES): "resources which do not have REST API/s cannot be encrypted",
    rules("events.events.k8s.io", AES): "Use 'events' instead in the config file",
    rules("deployments.extensions", AES): "'extensions' group has been removed and cannot be used for encryption",
    rules("'secrets.*'", AES): "encrypting the same resource across groups is not supported",
    rules("secrets, secrets", AES): 'resources[0].resources: Invalid value: ["secrets","secrets"]: the same resource cannot be specified multiple times',
    rules("secrets, '*.'", AES): "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed",
    rules("secrets, '*.*'", AES): "using overlapping resources",
    rules("'*.'", AES) + f"- resources: [secrets]\n  providers: [{{{AES}}}]\n": 'resource "secrets" is masked by earlier rule "*."',
    rules("'*.*'", AES) + f"- resources: [a.b]\n  providers: [{{{AES}}}]\n": 'resource "a.b" is masked by earlier rule "*.*"',
    rules("secrets", "kms: {apiVersion: v2, name: k, endpoint: 'unix:///k.sock'}"): "KMS providers are not supported by this server",
    rules("secrets", "kms: {apiVersion: v3, name: '', endpoint: 'http://a'}"): "name is a mandatory field for a provider",
    rules("secrets", "kms: {apiVersion: v2, name: k, endpoint: 'http://a'}"): 'unsupported scheme "http" for KMS provider, only unix is supported',
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=range(len(CASES)))
def test_what_is_wrong_with_a_file_is_said_in_upstreams_words(tmp_path, text, expected):
    path = tmp_path / "encryption.yaml"
    path.write_text(text)
    with pytest.raises(EncryptionConfigError) as raised:
        load_encryption_config(str(path))
    message = str(raised.value)
    assert expected.replace("{path}", str(path)) in message
    assert KEY not in message
    assert "ThisIsNoBase64" not in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        EncryptionConfigError, match=r"error reading encryption provider configuration file .*missing.yaml"
    ):
        load_encryption_config(str(tmp_path / "missing.yaml"))


def test_json_is_as_good_as_yaml(tmp_path):
    path = tmp_path / "encryption.json"
    path.write_text(
        '{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":'
        f'[{{"resources":["secrets"],"providers":[{{"secretbox":{{"keys":[{{"name":"a","secret":"{KEY}"}}]}}}},{{"identity":{{}}}}]}}]}}'
    )
    assert list(load_encryption_config(str(path)).rules) == [("", "secrets")]


def test_the_sample_is_good_once_it_has_a_key(tmp_path):
    sample = Path(__file__).parents[2] / "etc" / "encryption-config.yaml"
    path = tmp_path / "encryption.yaml"
    path.write_text(sample.read_text().replace("secret: KEY", f"secret: {KEY}"))
    assert list(load_encryption_config(str(path)).rules) == [("", "secrets")]
