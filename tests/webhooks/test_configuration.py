"""--admission-control-config-file: how it is read, what each plugin makes of it, and what a start says of a wrong one."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from apiserver_workers.admission.configuration import configuration_faults, load_configuration
from apiserver_workers.admission.image_policy_webhook import ImagePolicyWebhook
from apiserver_workers.admission.pod_security.configuration import parse
from apiserver_workers.admission.webhook.mutating import MutatingAdmissionWebhook

from tests.auth.remote import Authority, Remote, as_json, kubeconfig
from tests.running import COMMAND, RunningServer
from tests.webhooks.hooks import HookServer, allow, configuration

Object = dict[str, Any]
HEAD = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration"}
POD_SECURITY = {"apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration"}


def written(path: Path, *plugins: Object, **fields: Any) -> str:
    path.write_text(yaml.safe_dump({**HEAD, "plugins": list(plugins), **fields}))
    return str(path)


def test_a_plugin_is_told_what_stands_there_or_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("a: 1")
    plugins = [
        {"name": "A", "configuration": {"x": ["y"]}},
        {"name": "B", "path": "other.yaml"},
        {"name": "B", "configuration": {"second": True}},
        {"name": "C"},
    ]
    told = json.loads(load_configuration(written(tmp_path / "config.yaml", *plugins)))
    assert told == {"A": {"x": ["y"]}, "B": {"a": 1}, "C": None}


@pytest.mark.parametrize(
    ("document", "plugin"),
    [
        ({"imagePolicy": {"kubeConfigFile": "/x"}}, "ImagePolicyWebhook"),
        ({"podNodeSelectorPluginConfig": {"ns": "a=b"}}, "PodNodeSelector"),
    ],
)
def test_the_older_file_of_one_plugin_is_that_plugins(tmp_path: Path, document: Object, plugin: str) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    assert json.loads(load_configuration(str(path))) == {plugin: document}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line "),
        ("kind: Pod", 'expected kind AdmissionConfiguration of apiserver.config.k8s.io/v1 or apiserver.k8s.io/v1alpha1'),
        (yaml.safe_dump({**HEAD, "plugin": []}), 'unknown field "plugin"'),
        (yaml.safe_dump({**HEAD, "plugins": [{"name": 1}]}), "plugins[0].name must be of type string"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        load_configuration(str(path))
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "config.yaml", {"name": "A", "path": "absent.yaml"})
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
        load_configuration(path)


def faults(name: str, given: Any) -> list[str]:
    return list(configuration_faults(json.dumps({name: given}).encode(), [name], []))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("ImagePolicyWebhook", None, "no config specified"),
        ("ImagePolicyWebhook", {"imagePolicy": {"allowTTL": 9000}}, "valid value is between 1s and 1800s, got 9000s"),
        ("EventRateLimit", None, "limits: Invalid value: []: must not be empty"),
        ("PodNodeSelector", {"podNodeSelectorPluginConfig": {"ns": "a"}}, "invalid selector: a"),
        ("PodNodeSelector", {"podNodeSelectorPluginConfig": {"ns": 1}}, "must be a mapping of namespaces"),
        ("PodSecurity", {**POD_SECURITY, "defaults": {"enforce": "most"}}, 'defaults.enforce: Invalid value: "most"'),
        ("PodSecurity", {**POD_SECURITY, "defaults": {"warn-version": "2"}}, "defaults.warn-version: Invalid value"),
        (
            "PodSecurity",
            {**POD_SECURITY, "exemptions": {"namespaces": ["a", "a"]}},
            "exemptions.namespaces[1]: Duplicate",
        ),
        ("PodSecurity", {**POD_SECURITY, "exemptions": {"usernames": [""]}}, "username must not be empty"),
        (
            "ResourceQuota",
            {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "ResourceQuotaConfiguration",
                "limitedResources": [{}],
            },
            "limitedResources[0].resource: Required value",
        ),
        (
            "ValidatingAdmissionWebhook",
            {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": "some/file",
            },
            'kubeConfigFile must be an absolute file path, but got "some/file"',
        ),
    ],
)
def test_what_a_plugin_cannot_take_is_said_as_upstream_says_it(name: str, given: Any, message: str) -> None:
    (fault,) = faults(name, given)
    assert fault.startswith(f'failed to initialize admission: couldn\'t init admission plugin "{name}": ')
    assert message in fault


def test_pod_security_takes_defaults_and_exemptions() -> None:
    given = {
        **POD_SECURITY,
        "defaults": {"enforce": "baseline", "enforce-version": "v1.30"},
        "exemptions": {"namespaces": ["free"], "usernames": ["root"], "runtimeClasses": ["vm"]},
    }
    found = parse(given)
    assert [str(one) for one in found.defaults] == ["baseline:v1.30", "privileged:latest", "privileged:latest"]
    assert (found.namespaces, found.users, found.runtime_classes) == ({"free"}, {"root"}, {"vm"})
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    warning = 'namespace "free" is exempt from Pod Security, and the policy (enforce=restricted:latest) will be ignored'
    from apiserver_workers.admission.pod_security.levels import policy_of

    policy, _ = policy_of(labels)
    assert found.ignored("free", policy, labels) == [warning]


def test_without_a_configuration_nothing_is_told() -> None:
    assert not list(configuration_faults(b"", [], []))
    assert MutatingAdmissionWebhook.configured(None) == ("", None)


def test_images_are_reviewed_and_answers_kept(in_cluster: Any, authority: Authority, tmp_path: Path) -> None:
    from tests.admission.cluster import Cluster, pod, refused

    def review(_method: str, _path: str, body: bytes) -> Any:
        asked = json.loads(body)
        bad = any(one["image"] == "bad" for one in asked["spec"]["containers"])
        return as_json({**asked, "status": {"allowed": not bad, "reason": "no good" if bad else ""}})

    with Remote(authority, review) as remote:
        file = kubeconfig(tmp_path / "kubeconfig", remote.url, certificate_authority=authority.file)
        told = {"imagePolicy": {"kubeConfigFile": str(file), "retryBackoff": 1}}

        async def scenario(cluster: Cluster) -> None:
            initializer = cluster.backend.admission.initializer
            initializer.configuration["ImagePolicyWebhook"] = told
            plugin = ImagePolicyWebhook(initializer)
            store = cluster.store("pods")

            async def validate(obj: Object, user: Any) -> None:
                from apiserver_workers.registry.context import Context

                obj["metadata"].setdefault("annotations", {"x.image-policy.k8s.io/y": "z", "other": "1"})
                pending = plugin.validate(store.attributes("CREATE", Context(user, "ns", "p"), obj, None))
                assert pending is not None
                await pending

            from tests.admission.cluster import ADMIN

            for _ in range(2):
                await validate(pod(), ADMIN)
            assert len(remote.requests) == 1
            spec = remote.bodies[0]["spec"]
            assert spec == {
                "containers": [{"image": "i"}],
                "annotations": {"x.image-policy.k8s.io/y": "z"},
                "namespace": "ns",
            }
            error = await refused(validate(pod(container={"image": "bad"}), ADMIN))
            assert error.message.endswith("image policy webhook backend denied one or more images: no good")
            remote.answers = lambda *_: (404, {}, b"")
            await refused(validate(pod(container={"image": "other"}), ADMIN))
            await plugin.stop()

        in_cluster(scenario)


# ---- from outside


@pytest.mark.seed("S49")
@pytest.mark.e2e
def test_a_wrong_configuration_ends_the_start(tmp_path: Path) -> None:
    path = written(
        tmp_path / "config.yaml", {"name": "PodSecurity", "configuration": {**POD_SECURITY, "defaults": {"audit": "x"}}}
    )
    for flags, message in (
        ([f"--admission-control-config-file={path}"], 'couldn\'t init admission plugin "PodSecurity": defaults.audit'),
        (["--enable-admission-plugins=EventRateLimit"], 'couldn\'t init admission plugin "EventRateLimit": limits'),
        ([f"--admission-control-config-file={tmp_path}/none"], "none: No such file"),
    ):
        command = [*COMMAND, "start", f"--data-dir={tmp_path}/data", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert message in done.stderr, done.stderr


@pytest.mark.e2e
def test_plugins_of_a_server_do_what_the_file_says(tmp_path: Path, authority: Authority) -> None:
    clients = Authority(tmp_path / "clients")
    certificate, key = (base64.b64encode(file.read_bytes()).decode() for file in clients.pair("us"))
    users = [{"name": "*", "user": {"client-certificate-data": certificate, "client-key-data": key, "token": "t0ken"}}]
    (tmp_path / "users").write_text(yaml.safe_dump({"users": users}))
    webhooks = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(tmp_path / "users"),
    }
    pods = {**POD_SECURITY, "defaults": {"enforce": "baseline"}, "exemptions": {"namespaces": ["free"]}}
    path = written(
        tmp_path / "config.yaml",
        {"name": "ValidatingAdmissionWebhook", "configuration": webhooks},
        {"name": "PodSecurity", "configuration": pods},
    )
    flags = (
        "--advertise-address=192.0.2.10",
        f"--admission-control-config-file={path}",
        "--enable-admission-plugins=AlwaysPullImages,NamespaceAutoProvision,OwnerReferencesPermissionEnforcement",
        "--disable-admission-plugins=ServiceAccount",
    )
    with RunningServer(tmp_path / "server", *flags) as server, HookServer(authority, check=allow) as hooks:
        obj = configuration("hooks", hooks.hook("check"), mutating=False)
        kind = "validatingwebhookconfigurations"
        assert server.request("POST", f"/apis/admissionregistration.k8s.io/v1/{kind}", obj)[0] == 201
        spec = {"hostNetwork": True, "containers": [{"name": "c", "image": "i:1", "imagePullPolicy": "Never"}]}
        pod = {"metadata": {"name": "p"}, "spec": spec}
        code, body = server.request("POST", "/api/v1/namespaces/default/pods", pod)
        assert code == 403 and b'violates PodSecurity \\"baseline:latest\\"' in body
        code, body = server.request("POST", "/api/v1/namespaces/free/pods", pod)
        assert code == 201 and json.loads(body)["spec"]["containers"][0]["imagePullPolicy"] == "Always"
        assert server.request("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}})[0] == 201
        assert hooks.remote.requests[0][2]["authorization"] == "Bearer t0ken"
        assert "yet" not in server.output, server.output
