"""Webhooks from files: what a folder may hold, that they come first, see configurations too, and follow the files."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from apiserver_workers.admission import manifests
from apiserver_workers.admission.webhook.static import load_hooks
from apiserver_workers.admission.webhook.validating import ValidatingAdmissionWebhook
from apiserver_workers.apimachinery import feature_gates

from tests.admission.cluster import Cluster, refused, run
from tests.auth.remote import Authority
from tests.webhooks.hooks import HookServer, allow, configuration, deny, rule

Object = dict[str, Any]
PLURAL = "validatingwebhookconfigurations"
NAME = "a.static.k8s.io"


@pytest.fixture(autouse=True)
def gate() -> Iterator[None]:
    feature_gates.use({"ManifestBasedAdmissionControlConfig": True})
    yield
    feature_gates.use({})


def hook(**fields: Any) -> Object:
    return {
        "name": "h.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule()],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }


def write(folder: Path, *documents: Object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "hooks.yaml").write_text(yaml.safe_dump_all(documents))


def test_configurations_are_defaulted_and_in_the_order_of_their_names(tmp_path: Path) -> None:
    others = configuration("b.static.k8s.io", hook(name="z.example.com"), mutating=False)
    write(tmp_path, others, configuration(NAME, hook(), hook(name="i.example.com"), mutating=False))
    hooks, _ = load_hooks(str(tmp_path), PLURAL)
    assert [one.key for one in hooks] == [
        f"manifest/{NAME}/h.example.com/0",
        f"manifest/{NAME}/i.example.com/0",
        "manifest/b.static.k8s.io/z.example.com/0",
    ]
    assert hooks[0].timeout == 10.0


REFUSED = [
    (configuration("a", hook(), mutating=False), 'must have a name ending with ".static.k8s.io"'),
    (configuration(NAME, hook(), mutating=True), "unsupported resource type"),
    (
        configuration(NAME, hook(clientConfig={"service": {"name": "s", "namespace": "n"}}), mutating=False),
        "clientConfig.service is not supported for static manifests; use clientConfig.url instead",
    ),
    (
        configuration(NAME, hook(sideEffects="Some"), mutating=False),
        'webhooks[0].sideEffects: Unsupported value: "Some"',
    ),
    ({**configuration(NAME, mutating=False), "nonsense": 1}, 'strict decoding error: unknown field "nonsense"'),
]


@pytest.mark.parametrize(("document", "message"), REFUSED)
def test_what_is_no_configuration_for_a_file_is_refused(tmp_path: Path, document: Object, message: str) -> None:
    write(tmp_path, document)
    told = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "staticManifestsDir": str(tmp_path),
    }
    with pytest.raises(ValueError) as caught:
        ValidatingAdmissionWebhook.configured(told)
    assert str(caught.value).startswith(f'failed to load static webhook manifests from "{tmp_path}": error loading ')
    assert message in str(caught.value)


def test_the_gate_must_be_on(tmp_path: Path) -> None:
    feature_gates.use({})
    with pytest.raises(ValueError, match="requires the ManifestBasedAdmissionControlConfig feature gate"):
        ValidatingAdmissionWebhook.configured(told(tmp_path))


def told(folder: Path) -> Object:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "staticManifestsDir": str(folder),
    }


def test_webhooks_of_files_come_first_and_follow_the_files(
    config: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "CHECK_SECONDS", 0.05)
    folder = tmp_path / "manifests"
    with HookServer(authority, file=deny("of a file"), api=allow) as server:
        rules = [rule("configmaps validatingwebhookconfigurations")]
        write(folder, configuration(NAME, server.hook("file", rules=rules), mutating=False))

        async def scenario(cluster: Cluster) -> None:
            error = await refused(cluster.create("configmaps", {"metadata": {"name": "c"}}), 400)
            assert error.message.endswith(": of a file")
            other = configuration("b", server.hook("api"), mutating=False)
            plural = f"{PLURAL}.admissionregistration.k8s.io"
            await refused(cluster.create(plural, other), 400)
            write(folder)
            for number in range(100):
                await asyncio.sleep(0.05)
                try:
                    await cluster.create("configmaps", {"metadata": {"name": f"c{number}"}})
                    break
                except Exception:
                    continue
            else:
                pytest.fail("the files are not read again")
            await cluster.create(plural, other)
            await cluster.create("configmaps", {"metadata": {"name": "last"}})
            assert len(server.requests("api")) == 1

        given = orjson.dumps({"ValidatingAdmissionWebhook": told(folder)})
        asyncio.run(run(dataclasses.replace(config, admission_configuration=given), scenario))
