"""Policies from files: what a folder may hold, that they come first, count for policies too, and follow the files."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from apiserver_workers.admission import manifests
from apiserver_workers.admission.manifests import configured_folder, read_folder
from apiserver_workers.admission.metrics import MANIFEST_INFO, MANIFEST_RELOADS
from apiserver_workers.admission.policies import static
from apiserver_workers.admission.policies.mutating import MutatingAdmissionPolicy
from apiserver_workers.admission.policies.validating import ValidatingAdmissionPolicy
from apiserver_workers.apimachinery import feature_gates

from tests.admission.cluster import Cluster, refused, run
from tests.admission.policies.installed import config_map, outcome, rule, validating

API = "admissionregistration.k8s.io/v1"
PLUGIN = "ValidatingAdmissionPolicy"
GATE = "ManifestBasedAdmissionControlConfig"


@pytest.fixture(autouse=True)
def gate() -> Iterator[None]:
    feature_gates.use({GATE: True})
    yield
    feature_gates.use({})


def policy(name: str = "a.static.k8s.io", rules: list | None = None, *, message: str = "no", **spec) -> dict:
    validations = [{"expression": "false", "message": message}]
    made = {"matchConstraints": {"resourceRules": rules or [rule()]}, "validations": validations, **spec}
    return {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": made}


def binding(name: str = "a.static.k8s.io", policy_name: str = "a.static.k8s.io", **spec) -> dict:
    made = {"policyName": policy_name, "validationActions": ["Deny"], **spec}
    return {"apiVersion": API, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": made}


def write(folder: Path, *objects: object, name: str = "a.yaml") -> None:
    folder.joinpath(name).write_bytes(b"\n---\n".join(map(orjson.dumps, objects)))


def loaded(folder: Path) -> list[tuple[str, list[str]]]:
    hooks, _ = static.load(str(folder), ValidatingAdmissionPolicy.kinds)
    return [(policy.name, [binding.name for binding in bindings]) for policy, bindings in hooks]


def test_documents_lists_and_other_files(tmp_path):
    write(tmp_path, policy(), binding())
    items = [policy("b.static.k8s.io"), binding("b2.static.k8s.io", "b.static.k8s.io")]
    write(tmp_path, {"apiVersion": "v1", "kind": "List", "items": items}, name="b.json")
    typed = {"apiVersion": API, "kind": "ValidatingAdmissionPolicyBindingList", "items": [binding("c.static.k8s.io")]}
    write(tmp_path, typed, name="c.YML")
    write(tmp_path, {"kind": "Nonsense"}, name="d.txt")
    tmp_path.joinpath("e.yaml").write_text("")
    assert loaded(tmp_path) == [
        ("a.static.k8s.io", ["a.static.k8s.io", "c.static.k8s.io"]),
        ("b.static.k8s.io", ["b2.static.k8s.io"]),
    ]
    assert read_folder(str(tmp_path))[1].startswith("sha256:")


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([policy("a")], '"a" in file "{file}" must have a name ending with ".static.k8s.io"'),
        ([policy(""), binding()], 'resource in file "{file}" must have a name'),
        ([policy(), policy()], 'duplicate name "a.static.k8s.io" found in file "{file}" (previously seen in "{file}")'),
        ([binding()], 'binding "a.static.k8s.io" references policy "a.static.k8s.io" which does not exist'),
        (
            [policy(paramKind={"apiVersion": "v1", "kind": "ConfigMap"})],
            'ValidatingAdmissionPolicy "a.static.k8s.io": spec.paramKind is not supported for static manifests',
        ),
        (
            [policy(), binding(paramRef={"name": "x", "parameterNotFoundAction": "Deny"})],
            'binding "a.static.k8s.io": spec.paramRef is not supported for static manifests',
        ),
        ([policy(), binding(policy_name="b")], 'spec.policyName "b" must end with ".static.k8s.io"'),
        ([policy(validations=[{"expression": "1 +"}])], "spec.validations[0].expression: Invalid value"),
        ([policy(none=1)], 'strict decoding error: unknown field "spec.none"'),
        ([{"apiVersion": "v1", "kind": "ConfigMap"}], "unsupported resource type v1, Kind=ConfigMap"),
        (["text"], "unsupported resource type None, Kind=None"),
    ],
)
def test_what_a_folder_may_not_hold(tmp_path, objects, why):
    write(tmp_path, *objects)
    with pytest.raises(ValueError) as caught:
        loaded(tmp_path)
    expected = why.replace("{file}", str(tmp_path / "a.yaml"))
    if "must have a name" in expected and "ending" not in expected:
        assert "name" in str(caught.value)
    else:
        assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("relative", 'staticManifestsDir: Invalid value: "relative": must be an absolute file path'),
        ("/none/at/all", "unable to read: stat /none/at/all: no such file or directory"),
        (__file__, "must be a directory"),
    ],
)
def test_folders_that_are_none(folder, why):
    given = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "MutatingAdmissionPolicyConfiguration"}
    assert configured_folder(given, given["kind"]) == ""
    with pytest.raises(ValueError, match=why):
        MutatingAdmissionPolicy.configured({**given, "staticManifestsDir": folder})


def test_the_gate_must_be_on(tmp_path):
    feature_gates.use({})
    given = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ValidatingAdmissionPolicyConfiguration"}
    with pytest.raises(ValueError, match=f"staticManifestsDir requires the {GATE} feature gate to be enabled"):
        ValidatingAdmissionPolicy.configured({**given, "staticManifestsDir": str(tmp_path)})


def test_policies_of_files_are_in_force_from_the_start_and_follow_the_files(config, tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "CHECK_SECONDS", 0.05)
    folder = tmp_path / "manifests"
    folder.mkdir()
    write(folder, policy(message="from a file"), binding())

    async def scenario(cluster: Cluster) -> None:
        MANIFEST_RELOADS.values.clear()
        MANIFEST_INFO.values.clear()
        await asyncio.sleep(0)
        await validating(cluster, {"expression": "false", "message": "from the API"}, name="a")
        assert (await outcome(cluster, config_map())).endswith("denied request: from a file")
        write(folder, policy(message="changed"), binding())
        for _ in range(100):
            await asyncio.sleep(0.05)
            if (await outcome(cluster, config_map())).endswith("denied request: changed"):
                break
        else:
            pytest.fail("the files are not read again")
        folder.joinpath("a.yaml").write_text("no: policy")
        await asyncio.sleep(0.5)
        assert (await outcome(cluster, config_map())).endswith("denied request: changed")
        counted = {labels[0]: number for labels, number in MANIFEST_RELOADS.values.items() if labels[1] == PLUGIN}
        assert counted == {"success": 1, "failure": 1}
        assert sorted(MANIFEST_INFO.values.values()) == [0.0, 1.0]
        os.remove(folder / "a.yaml")
        for _ in range(100):
            await asyncio.sleep(0.05)
            if (await outcome(cluster, config_map())).endswith("denied request: from the API"):
                break
        else:
            pytest.fail("the policy of a file that is gone is still in force")

    asyncio.run(run(with_folder(config, folder), scenario))


def with_folder(config, folder: Path):
    told = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyConfiguration",
        "staticManifestsDir": str(folder),
    }
    return dataclasses.replace(config, admission_configuration=orjson.dumps({"ValidatingAdmissionPolicy": told}))


def test_policies_of_files_count_for_policies_of_the_api(config, tmp_path):
    folder = tmp_path / "manifests"
    folder.mkdir()
    rules = [rule(["*"], apiGroups=["admissionregistration.k8s.io"], resources=["*"])]
    kept = [{"expression": "object == null || object.metadata.name != 'bad'", "message": "not this name"}]
    write(folder, policy(rules=rules, validations=kept), binding())

    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, "true", name="good")
        error = await refused(validating(cluster, "true", name="bad"), 422)
        assert error.message.endswith("denied request: not this name")

    asyncio.run(run(with_folder(config, folder), scenario))
