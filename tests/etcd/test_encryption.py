"""Encryption at rest on a whole server: what etcd sees, keys that change while it runs, and a prefix of its own."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import Compacted
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.etcd.outside import all_keys, ask, config_map, merge, raw, refused, watched
from tests.etcd_view import EtcdView
from tests.running import COMMAND, RunningServer, wait_for
from tests.storage.etcd_process import EtcdProcess
from tests.storage.test_encryption import K1, K2, document, provider

SECRETS = "/api/v1/namespaces/default/secrets"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SENTINEL = "c2VudGluZWwtb2YtdGhlLXRlc3Q="  # sentinel-of-the-test
FORMS = (SENTINEL.encode(), b"sentinel-of-the-test")

PLAIN = ('"secrets"', [provider("identity"), provider("aesgcm", ("k2", K2))])
ENCRYPTED = (
    ('"secrets"', [provider("aesgcm", ("k2", K2)), provider("aescbc", ("k1", K1)), provider("identity")]),
    ('"*.*"', [provider("secretbox", ("b", K1)), provider("identity")]),
)


class Place:
    def __init__(self, folder: Path) -> None:
        (folder / "etcd").mkdir()
        self.etcd = EtcdProcess(folder / "etcd")
        self.etcd.start()
        self.view = EtcdView(self.etcd.url, "/x")
        self.file = folder / "encryption.yaml"
        self.folder = folder

    def configure(self, *sections: tuple[str, list[str]]) -> None:
        self.file.write_text(document(*sections))

    def server(self, *flags: str) -> RunningServer:
        known = (f"--etcd-servers={self.etcd.url}", "--etcd-prefix=/x", "--advertise-address=192.0.2.10")
        return RunningServer(self.folder / "server", *known, f"--encryption-provider-config={self.file}", *flags)

    def secret(self, name: str) -> bytes:
        return raw(self.view, f"/x/secrets/default/{name}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("encrypted"))
    yield made
    made.view.close()
    made.etcd.kill()


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[RunningServer]:
    place.configure(PLAIN)
    flags = ("--encryption-provider-config-automatic-reload", "--etcd-compaction-interval=1s", "--core-workers=2")
    with place.server(*flags) as running:
        yield running


def reloaded(server: RunningServer, place: Place, *sections: tuple[str, list[str]]) -> None:
    """New rules, in use by every worker."""
    reloads = count_reloads(server)
    place.configure(*sections)
    wait_for(lambda: count_reloads(server) >= reloads + 2, 10, "the reload in both workers of the core")
    time.sleep(0.3)


@pytest.fixture
def encrypting(server: RunningServer, place: Place) -> RunningServer:
    """The server once it encrypts everything."""
    if place.file.read_text() != document(*ENCRYPTED):
        reloaded(server, place, *ENCRYPTED)
    return server


def count_reloads(server: RunningServer) -> float:
    name = 'apiserver_encryption_config_controller_automatic_reloads_total{status="success"}'
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    # the front's and the extensions server's are counted too
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)) / 2


def secret(name: str) -> dict:
    return {"metadata": {"name": name}, "data": {"a": SENTINEL}}


def test_keys_are_rotated_while_the_server_runs(server: RunningServer, place: Place) -> None:
    if place.file.read_text() != document(PLAIN):
        reloaded(server, place, PLAIN)
    ask(server, "POST", SECRETS, secret("s"))
    assert place.secret("s").startswith(b"k8s\0")
    assert any(form in place.secret("s") for form in FORMS)

    reloaded(server, place, ('"secrets"', [provider("aescbc", ("k1", K1)), provider("identity")]))
    assert ask(server, "GET", f"{SECRETS}/s")["data"] == {"a": SENTINEL}
    before = ask(server, "GET", f"{SECRETS}/s")
    after = ask(server, "PUT", f"{SECRETS}/s", before)
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"], "rewritten without a change"
    assert place.secret("s").startswith(b"k8s:enc:aescbc:v1:k1:")
    again = ask(server, "PUT", f"{SECRETS}/s", after)
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]

    reloaded(server, place, *ENCRYPTED)
    merge(server, f"{SECRETS}/s", {"metadata": {"labels": {"n": "1"}}})
    stored = place.secret("s")
    prefix = b"k8s:enc:aesgcm:v1:k2:"
    assert stored.startswith(prefix)
    nonce, sealed = stored[len(prefix) :][:12], stored[len(prefix) :][12:]
    plain = AESGCM(base64.b64decode(K2)).decrypt(nonce, sealed, b"/x/secrets/default/s")
    assert plain.startswith(b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12"), "what the Go server would read"
    ask(server, "POST", CONFIG_MAPS, config_map("c"))
    assert raw(place.view, "/x/configmaps/default/c").startswith(b"k8s:enc:secretbox:v1:b:")
    wait_for(
        lambda: raw(place.view, "/x/masterleases/192.0.2.10").startswith(b"k8s:enc:secretbox:"), 25, "the reconciler"
    )
    for _ in range(6):  # by either worker, from memory and from etcd
        assert [i["data"] for i in ask(server, "GET", SECRETS)["items"] if i["metadata"]["name"] == "s"] == [
            {"a": SENTINEL}
        ]
    assert ask(server, "GET", "/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]


def test_a_value_whose_key_is_gone_is_a_500_that_says_so(encrypting: RunningServer, place: Place) -> None:
    server = encrypting
    made = ask(server, "POST", SECRETS, secret("lost"))
    foreign = place.secret("lost")
    place.view.client.put("/x/secrets/default/moved", foreign)  # belongs to another key
    try:
        for path in (f"{SECRETS}/moved", SECRETS):
            status = refused(server, "GET", path)
            assert (status["code"], status["reason"]) == (500, "InternalError")
            assert status["message"].startswith(
                'Internal error occurred: unable to transform key "/x/secrets/default/moved": '
            )
        (told,) = watched(server, SECRETS, made["metadata"]["resourceVersion"])
        assert (told["type"], told["object"]["code"]) == ("ERROR", 500)
        assert ask(server, "GET", f"{SECRETS}/lost")["data"] == {"a": SENTINEL}, "the others are served"
    finally:
        place.view.client.delete("/x/secrets/default/moved")
    assert ask(server, "GET", SECRETS)["items"]
    text = server.request("GET", "/metrics")[1].decode()
    name = "apiserver_storage_transformation_operations_total"
    labels = 'resource="secrets",status="{}",transformation_type="{}",transformer_prefix="k8s:enc:aesgcm:v1:"'
    for status, direction in (("OK", "to_storage"), ("Unknown", "from_storage")):
        assert f"{name}{{{labels.format(status, direction)}}} " in text


def test_a_wrong_file_changes_nothing(encrypting: RunningServer, place: Place) -> None:
    server = encrypting
    ask(server, "POST", SECRETS, secret("w"))
    good = place.file.read_text()
    place.file.write_text(good.replace(K2, "bm90IGEga2V5"))
    wait_for(lambda: "--encryption-provider-config is not reloaded" in server.logs(), 10, "the complaint")
    assert ask(server, "GET", f"{SECRETS}/w")["data"] == {"a": SENTINEL}
    assert "bm90IGEga2V5" not in server.logs()
    (worker, *_) = server.processes("core worker")
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: worker not in server.processes("core worker") and server.status()["ready"], 30, "the new worker")
    for _ in range(6):
        assert ask(server, "GET", f"{SECRETS}/w")["data"] == {"a": SENTINEL}, "by a worker that has started since too"
    place.file.write_text(good)


@pytest.mark.seed("S14")
def test_every_key_has_the_prefix_but_the_compactors(server: RunningServer, place: Place) -> None:
    wait_for(lambda: "compact_rev_key" in all_keys(place.view), 10, "the compactor's key")
    assert {key.split("/")[1] for key in all_keys(place.view) if key.startswith("/")} == {"x"}
    wait_for(lambda: is_compacted(place.etcd.url, 2), 10, "the compaction of what is older than the interval")


def is_compacted(url: str, revision: int) -> bool:
    async def ask_etcd() -> bool:
        storage = EtcdStorage([url])
        try:
            await storage.get("/x/namespaces/default", revision)
        except Compacted:
            return True
        finally:
            await storage.close()
        return False

    return asyncio.run(ask_etcd())


def test_no_secret_is_in_any_log(encrypting: RunningServer) -> None:
    server = encrypting
    ask(server, "POST", SECRETS, secret("logged"))
    merge(server, f"{SECRETS}/logged", {"data": {"b": SENTINEL}})
    refused(server, "POST", SECRETS, {**secret("Invalid!"), "type": "kubernetes.io/tls"})
    logs = b"".join(path.read_bytes() for path in (server.run_dir / "logs").iterdir())
    assert not any(form in logs for form in (*FORMS, K1.encode(), K2.encode()))


@pytest.mark.seed("S42")
def test_what_is_wrong_with_the_file_is_said_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "encryption.yaml"
    file.write_text(document(('"secrets"', [provider("aescbc", ("k", "c2hvcnQ="))])))
    folders = (f"--run-dir={tmp_path}/r", f"--data-dir={tmp_path}/d")
    command = [*COMMAND, "start", *folders, f"--encryption-provider-config={file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert f"--encryption-provider-config {file}: error while parsing file: resources[0].providers[0].aescbc.keys[0].secret: " in done.stderr  # fmt: skip
    assert "got 5, expected one of [16 24 32]" in done.stderr
    assert "c2hvcnQ=" not in done.stderr
    assert not (tmp_path / "d").exists()
    lone = subprocess.run(
        [*COMMAND, "start", *folders, "--encryption-provider-config-automatic-reload"], capture_output=True, text=True
    )
    assert lone.returncode == 1
    assert "must be set with --encryption-provider-config" in lone.stderr
    form = subprocess.run(
        [*COMMAND, "start", *folders, "--storage-media-type=text/plain"], capture_output=True, text=True
    )
    assert form.returncode == 1
    assert "--storage-media-type" in form.stderr
