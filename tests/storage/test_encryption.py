"""Encryption at rest: what each provider writes, and what may read it."""

import base64
from types import SimpleNamespace

import pytest
from apiserver_workers.storage.encryption.config import load_encryption_config
from apiserver_workers.storage.encryption.kept import keep_file, load_rules
from apiserver_workers.storage.encryption.reload import WatchedFile
from apiserver_workers.storage.encryption.transformers import AESCBC, AESGCM, Secretbox, TransformError
from apiserver_workers.storage.formats import Formats, Unreadable
from apiserver_workers.storage.serializer import PROTOBUF

KEY = "/registry/secrets/d/s"
SECRET = (
    b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","namespace":"d"},"data":{"a":"Yg=="},"type":"Opaque"}'
)
K1, K2 = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def provider(name, *keys):
    if name == "identity":
        return "      - identity: {}\n"
    listed = "".join(f"          - {{name: {key}, secret: {secret}}}\n" for key, secret in keys)
    return f"      - {name}:\n          keys:\n{listed}"


def document(*sections):
    """Sections are (resources, providers)."""
    listed = "".join(f"  - resources: [{names}]\n    providers:\n{''.join(made)}" for names, made in sections)
    return f"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n{listed}"


@pytest.fixture
def formats(tmp_path):
    def make(*sections, media_type="application/json"):
        path = tmp_path / "encryption.yaml"
        path.write_text(document(*sections))
        config = load_encryption_config(str(path))
        made = Formats(media_type=media_type)
        made.use(config.rules, config.digest)
        return made

    return make


@pytest.mark.parametrize(("name", "cipher"), [("aescbc", AESCBC), ("aesgcm", AESGCM), ("secretbox", Secretbox)])
@pytest.mark.parametrize("media_type", ["application/json", PROTOBUF])
def test_a_value_is_prefixed_with_its_provider_and_key_and_can_be_read_with_that_key_alone(
    formats, name, cipher, media_type
):
    stored = formats(('"secrets"', [provider(name, ("key1", K1))]), media_type=media_type).write(KEY, SECRET)
    prefix = f"k8s:enc:{name}:v1:key1:".encode()
    assert stored.startswith(prefix)
    assert b"Opaque" not in stored
    plain = cipher(base64.b64decode(K1)).decrypt(stored[len(prefix) :], KEY.encode())
    assert plain[:4] == (b"k8s\0" if media_type == PROTOBUF else b'{"ki')
    reader = formats(('"secrets"', [provider(name, ("key2", K2), ("key1", K1))]))
    assert reader.entry(KEY, stored, 1).value == SECRET
    wrong = formats(('"secrets"', [provider(name, ("key1", K2))])).entry(KEY, stored, 1)
    with pytest.raises(Unreadable) as raised:
        _ = wrong.value
    assert raised.value.message.startswith(f'Internal error occurred: unable to transform key "{KEY}": ')


def test_a_value_sealed_by_aes_gcm_belongs_to_its_key_in_etcd(formats):
    found = formats(('"*.*"', [provider("aesgcm", ("k", K1))]))
    stored = found.write(KEY, SECRET)
    with pytest.raises(Unreadable, match="cipher: message authentication failed"):
        _ = found.entry("/registry/secrets/d/other", stored, 1).value


def test_aes_cbc_is_what_the_standard_says():
    """NIST SP 800-38A, F.2.5: CBC-AES256, its first block; what follows is the padding."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    iv = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    block = bytes.fromhex("f58c4c04d6e5f1ba779eabfb5f7bfbd6")
    with pytest.raises(TransformError, match="invalid"):
        AESCBC(key).decrypt(iv + block, b"")
    sealed = AESCBC(key).encrypt(bytes.fromhex("6bc1bee22e409f96e93d7e117393172a"), b"")
    assert AESCBC(key).decrypt(sealed, b"") == bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    assert len(sealed) == 48


def test_secretbox_opens_what_nacl_sealed():
    """The vector of NaCl's own tests (tests/secretbox.c), with its nonce in front."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    box = bytes.fromhex(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a"
        "c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae"
        "90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74"
        "e355a5"
    )
    assert Secretbox(key).decrypt(nonce + box, b"").startswith(bytes.fromhex("be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc"))  # fmt: skip


@pytest.mark.parametrize(
    ("cipher", "data", "why"),
    [
        (AESCBC, b"short", "the stored data was shorter than the required size"),
        (AESCBC, b"x" * 17, "the stored data is not a multiple of the block size"),
        (AESCBC, b"x" * 16, r"invalid PKCS7 data \(empty or not padded\)"),
        (AESGCM, b"short", "the stored data was shorter than the required size"),
        (Secretbox, b"x" * 39, "the stored data was shorter than the required size"),
        (Secretbox, b"x" * 60, "output array was not large enough for encryption"),
    ],
)
def test_damaged_data_says_what_is_wrong_with_it(cipher, data, why):
    with pytest.raises(TransformError, match=why):
        cipher(b"k" * 32).decrypt(data, b"")


def test_plain_data_is_read_where_identity_is_among_the_providers_and_is_then_out_of_date(formats):
    found = formats(('"secrets"', [provider("aescbc", ("k", K1)), provider("identity")]))
    entry = found.entry(KEY, SECRET, 1)
    assert (entry.value, found.stale(entry)) == (SECRET, True)
    without = formats(('"secrets"', [provider("aescbc", ("k", K1))]))
    own = without.entry(KEY, without.write(KEY, SECRET), 1)
    assert (own.value, without.stale(own)) == (SECRET, False)


def test_plain_data_without_identity_among_the_providers_is_refused(formats):
    found = formats(('"secrets"', [provider("aescbc", ("k", K1))]))
    with pytest.raises(Unreadable, match="no matching prefix found"):
        _ = found.entry(KEY, SECRET, 1).value


def test_identity_first_decrypts_on_the_next_write(formats):
    before = formats(('"secrets"', [provider("aescbc", ("k", K1))]))
    stored = before.write(KEY, SECRET)
    found = formats(('"secrets"', [provider("identity"), provider("aescbc", ("k", K1))]))
    entry = found.entry(KEY, stored, 1)
    assert (entry.value, found.stale(entry), found.write(KEY, SECRET)) == (SECRET, True, SECRET)


def test_encrypted_data_without_any_configuration_is_refused(formats):
    stored = formats(('"secrets"', [provider("secretbox", ("k", K1))])).write(KEY, SECRET)
    with pytest.raises(Unreadable, match="identity transformer tried to read encrypted data"):
        _ = Formats().entry(KEY, stored, 1).value


def test_two_keys_of_one_name_are_told_apart(formats):
    stored = formats(('"secrets"', [provider("aesgcm", ("k", K1))])).write(KEY, SECRET)
    found = formats(('"secrets"', [provider("aesgcm", ("k", K2)), provider("aesgcm", ("k", K1))]))
    entry = found.entry(KEY, stored, 1)
    assert (entry.value, found.stale(entry)) == (SECRET, True)


RULES = [
    ('"secrets", "deployments.apps"', {"secrets": True, "pods": False, "deployments": True, "widgets": False}),
    ('"*."', {"secrets": True, "pods": True, "deployments": False, "widgets": False, "masterleases": True}),
    ('"*.apps"', {"secrets": False, "deployments": True, "widgets": False}),
    ('"*.*"', {"secrets": True, "pods": True, "deployments": True, "widgets": True, "masterleases": True, "ranges": True}),
    ('"widgets.example.com"', {"widgets": True, "secrets": False}),
]  # fmt: skip
KEYS = {
    "secrets": (KEY, b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}'),
    "pods": ("/registry/pods/d/a", b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}'),
    "deployments": ("/registry/deployments/d/a", b'{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"}}'),
    "widgets": ("/registry/example.com/widgets/d/a", b'{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"a"}}'),
    "masterleases": ("/registry/masterleases/192.0.2.1", b'{"kind":"Endpoints","apiVersion":"v1","metadata":{"generation":1}}'),
    "ranges": ("/registry/ranges/servicenodeports", b'{"kind":"RangeAllocation","apiVersion":"v1","metadata":{"name":"a"}}'),
}  # fmt: skip


@pytest.mark.parametrize(("resources", "expected"), RULES)
def test_rules_name_resources_groups_or_everything(formats, resources, expected):
    found = formats((resources, [provider("aescbc", ("k", K1))]))
    written = {name: found.write(*KEYS[name]).startswith(b"k8s:enc:") for name in expected}
    assert written == expected


def test_a_resource_of_an_earlier_rule_is_left_out_of_a_later_wildcard(formats):
    found = formats(('"pods"', [provider("identity")]), ('"*.*"', [provider("aesgcm", ("k", K1))]))
    assert not found.write(*KEYS["pods"]).startswith(b"k8s:enc:")
    assert found.write(*KEYS["secrets"]).startswith(b"k8s:enc:aesgcm:v1:k:")


def test_rules_change_for_entries_that_are_in_memory_already(formats, tmp_path):
    found = formats(('"secrets"', [provider("aescbc", ("k1", K1)), provider("identity")]))
    entry = found.entry(KEY, found.write(KEY, SECRET), 1)
    unread = found.entry(KEY, found.write(KEY, SECRET), 2)
    assert not found.stale(entry)
    file = WatchedFile(str(tmp_path / "encryption.yaml"), found.digest, str(tmp_path))
    assert file.changed() is None
    formats(('"secrets"', [provider("aescbc", ("k2", K2), ("k1", K1))]))
    found.use(file.changed())
    assert found.stale(entry)
    assert found.stale(unread)
    assert file.changed() is None
    (tmp_path / "encryption.yaml").write_text("kind: Nonsense")
    assert file.changed() is None
    assert found.write(KEY, SECRET).startswith(b"k8s:enc:aescbc:v1:k2:")
    settings = SimpleNamespace(
        encryption_provider_config=str(tmp_path / "encryption.yaml"),
        encryption_provider_config_automatic_reload=True,
        run_dir=str(tmp_path),
    )
    later = load_rules(settings).rules["", "secrets"]
    assert later.encrypt(SECRET, b"").startswith(b"k8s:enc:aescbc:v1:k2:"), (
        "a worker that starts now has the good rules"
    )
    assert (tmp_path / "encryption-config").stat().st_mode & 0o777 == 0o600


def test_without_reload_a_worker_has_the_rules_of_the_servers_start(formats, tmp_path):
    formats(('"secrets"', [provider("aescbc", ("k1", K1))]))
    settings = SimpleNamespace(
        encryption_provider_config=str(tmp_path / "encryption.yaml"),
        encryption_provider_config_automatic_reload=False,
        run_dir=str(tmp_path),
    )
    keep_file(settings)
    formats(('"secrets"', [provider("aescbc", ("k2", K2))]))
    assert load_rules(settings).rules["", "secrets"].encrypt(SECRET, b"").startswith(b"k8s:enc:aescbc:v1:k1:")
