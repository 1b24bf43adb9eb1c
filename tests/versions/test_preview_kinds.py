"""Kinds that have no stable version in 1.36: their rules, columns and selectors."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from apiserver_workers.apimachinery import tables
from apiserver_workers.apimachinery.field_labels import selectable
from apiserver_workers.apimachinery.resources import ResourceInfo, resource
from apiserver_workers.apimachinery.selectors import parse_fields
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.versions.authority import a_minute_ago, certificate, trust_anchor

Object = dict[str, Any]


def info(name: str) -> ResourceInfo:
    """`group/version/resource`."""
    found = resource(*name.split("/"))
    assert found is not None
    return found


def created(name: str, obj: Object) -> list[str]:
    """The faults of a new object."""
    about = info(name)
    metadata = {"name": "x", **({"namespace": "default"} if about.namespaced else {}), **obj.get("metadata", {})}
    return [str(fault) for fault in validate_create(about, {**obj, "metadata": metadata})]


def updated(name: str, new: Object, old: Object, subresource: str = "") -> list[str]:
    """The faults of an update, each once."""
    metadata = {"name": "x", "namespace": "default", "resourceVersion": "1"}
    if not info(name).namespaced:
        del metadata["namespace"]
    faults = validate_update(info(name), {**new, "metadata": metadata}, {**old, "metadata": metadata}, subresource)
    return list(dict.fromkeys(str(fault) for fault in faults))


BUNDLES = "certificates.k8s.io/v1beta1/clustertrustbundles"


def bundle(text: str, signer: str = "") -> Object:
    return {"spec": {"signerName": signer, "trustBundle": text}}


def test_a_bundle_has_authorities_each_once() -> None:
    first, second = trust_anchor("a"), trust_anchor("b")
    assert created(BUNDLES, bundle(first + second)) == []
    path = 'spec.trustBundle: Invalid value: "<value omitted>":'
    assert created(BUNDLES, bundle("")) == [f"{path} at least one trust anchor must be provided"]
    assert created(BUNDLES, bundle(first + second + first)) == [f"{path} duplicate trust anchor (indices [0 2])"]
    leaf = certificate(ec.generate_private_key(ec.SECP256R1()))
    broken = first.replace("MII", "MIJ", 1)
    assert created(BUNDLES, bundle(first + leaf + broken)) == [
        f"{path} entry 1 does not have the CA bit set",
        f"{path} entry 2 does not parse as X.509",
    ]
    key = first.replace("CERTIFICATE", "EC PRIVATE KEY")
    assert created(BUNDLES, bundle(key)) == [f"{path} entry 0 has bad block type: EC PRIVATE KEY"]


def test_a_signers_bundles_begin_with_its_name() -> None:
    anchor = trust_anchor()
    signed = bundle(anchor, "example.com/signer")
    prefix = "ClusterTrustBundle for signerName example.com/signer must be named with prefix example.com:signer:"
    assert created(BUNDLES, signed) == [f'metadata.name: Invalid value: "x": {prefix}']
    assert created(BUNDLES, {**signed, "metadata": {"name": "example.com:signer:x"}}) == []
    assert created(BUNDLES, {**bundle(anchor), "metadata": {"name": "a:b"}}) == [
        'metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name'
    ]
    assert any("signerName" in fault for fault in updated(BUNDLES, bundle(anchor, "example.com/x"), bundle(anchor)))


REQUESTS = "certificates.k8s.io/v1beta1/podcertificaterequests"
UID = "6c7a5c0e-6a5a-4a5e-8a5e-000000000001"


def request(key: Any, proof: bytes, **spec: Any) -> Object:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "spec": {
            "signerName": "example.com/signer",
            "podName": "p",
            "podUID": UID,
            "serviceAccountName": "s",
            "serviceAccountUID": "u",
            "nodeName": "n",
            "nodeUID": "v",
            "maxExpirationSeconds": 86400,
            "pkixPublicKey": base64.b64encode(public).decode(),
            "proofOfPossession": base64.b64encode(proof).decode(),
            **spec,
        }
    }


def test_a_pods_request_is_signed_by_its_key() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    proof = curve.sign(UID.encode(), ec.ECDSA(hashes.SHA256()))
    assert created(REQUESTS, request(curve, proof)) == []
    edwards = ed25519.Ed25519PrivateKey.generate()
    assert created(REQUESTS, request(edwards, edwards.sign(UID.encode()))) == []
    big = rsa.generate_private_key(65537, 3072)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert created(REQUESTS, request(big, big.sign(UID.encode(), pss, hashes.SHA256()))) == []
    [fault] = created(REQUESTS, request(edwards, proof))
    assert fault.endswith("could not verify proof-of-possession signature")
    small = rsa.generate_private_key(65537, 2048)
    [fault] = created(REQUESTS, request(small, b""))
    assert "2048-bit modulus" in fault
    assert any("must be in the range [3600, 7862400]" in fault for fault in created(
        REQUESTS, request(curve, proof, maxExpirationSeconds=60)
    ))  # fmt: skip
    missing = created(REQUESTS, request(curve, proof, podUID="", nodeName="N"))
    assert [fault.partition(":")[0] for fault in missing][:2] == ["spec.podUID", "spec.nodeName"]


def test_a_pods_request_is_decided_once() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    asked = request(key, key.sign(UID.encode(), ec.ECDSA(hashes.SHA256())))
    start = a_minute_ago()

    def at(minutes: float) -> str:
        return (start + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def status(kind: str, **more: Any) -> Object:
        condition = {"type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": at(0)}
        return {**asked, "status": {"conditions": [condition], **more}}

    times = {"notBefore": at(0), "notAfter": at(24 * 60), "beginRefreshAt": at(60)}
    issued = status("Issued", certificateChain=certificate(key, start=start), **times)
    assert updated(REQUESTS, issued, asked, "status") == []
    assert updated(REQUESTS, status("Denied"), asked, "status") == []
    [fault] = updated(REQUESTS, status("Denied", notBefore=at(0)), asked, "status")
    assert "non-condition status fields must be empty" in fault
    [fault] = updated(REQUESTS, status("Denied"), issued, "status")
    assert "immutable after PodCertificateRequest is issued" in fault
    stranger = certificate(ec.generate_private_key(ec.SECP256R1()), start=start)
    [fault] = updated(REQUESTS, status("Issued", certificateChain=stranger, **times), asked, "status")
    assert fault.endswith("leaf certificate was not issued to the requested public key")
    late = {**times, "beginRefreshAt": at(24 * 60)}
    [fault] = updated(
        REQUESTS, status("Issued", certificateChain=certificate(key, start=start), **late), asked, "status"
    )
    assert fault.endswith("must be at least 10 minutes before status.notAfter")
    [fault] = updated(REQUESTS, {**asked, "status": {"notBefore": at(0)}}, asked, "status")
    assert "status is immutable unless transitioning" in fault
    assert any("may be at most one condition" in fault for fault in updated(
        REQUESTS, {**asked, "status": {"conditions": [*status("Denied")["status"]["conditions"],
                                                       *status("Failed")["status"]["conditions"]]}}, asked, "status"
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, ["spec.leaseName: Required value", "spec.binaryVersion: Required value", "spec.strategy: Required value"]),
        (
            {"leaseName": "l", "binaryVersion": "1.30.0", "emulationVersion": "1.31.0", "strategy": "example.com/s"},
            ['spec.binaryVersion: Invalid value: "1.30.0": must be greater than or equal to `emulationVersion`'],
        ),
        (
            {"leaseName": "l", "binaryVersion": "v1", "strategy": "OldestEmulationVersion"},
            [
                'spec.binaryVersion: Invalid value: "v1": must be a valid semantic version',
                "spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'",
            ],
        ),
        (
            {"leaseName": "l", "binaryVersion": "1.30.0", "strategy": "Mine"},
            ['spec.strategy.strategy: Unsupported value: "Mine": supported values: "OldestEmulationVersion"'],
        ),
    ],
)
def test_lease_candidates(spec: Object, faults: list[str]) -> None:
    assert created("coordination.k8s.io/v1beta1/leasecandidates", {"spec": spec}) == faults


@pytest.mark.parametrize(
    ("name", "obj", "faults"),
    [
        (
            "resource.k8s.io/v1alpha3/devicetaintrules",
            {"spec": {"deviceSelector": {"driver": "D!"}, "taint": {"key": "k"}}},
            ["spec.deviceSelector.driver", "spec.taint.effect"],
        ),
        ("resource.k8s.io/v1alpha3/resourcepoolstatusrequests", {"spec": {"limit": 0}}, ["spec.driver", "spec.limit"]),
        ("scheduling.k8s.io/v1alpha2/workloads", {"spec": {}}, ["spec.podGroupTemplates"]),
        (
            "scheduling.k8s.io/v1alpha2/workloads",
            {
                "spec": {
                    "controllerRef": {"kind": "", "name": "a/b"},
                    "podGroupTemplates": [
                        {"name": "a", "schedulingPolicy": {"basic": {}}},
                        {"name": "a", "schedulingPolicy": {"gang": {"minCount": 0}}},
                        {"name": "b", "schedulingPolicy": {}},
                    ],
                }
            },
            [
                "spec.controllerRef.kind",
                "spec.controllerRef.name",
                "spec.podGroupTemplates[1].schedulingPolicy.gang.minCount",
                "spec.podGroupTemplates[2].schedulingPolicy",
                "spec.podGroupTemplates[1]",
            ],
        ),
        (
            "scheduling.k8s.io/v1alpha2/podgroups",
            {"spec": {"schedulingPolicy": {"basic": {}, "gang": {"minCount": 2}}, "podGroupTemplateRef": {}}},
            ["spec.podGroupTemplateRef", "spec.schedulingPolicy"],
        ),
        ("storagemigration.k8s.io/v1beta1/storageversionmigrations", {"spec": {}}, ["spec.resource.resource"]),
        ("internal.apiserver.k8s.io/v1alpha1/storageversions", {"spec": {}}, ["metadata.name"]),
    ],
)
def test_faults_are_where_upstream_finds_them(name: str, obj: Object, faults: list[str]) -> None:
    assert [fault.partition(": ")[0] for fault in created(name, obj)] == faults


def test_a_migration_ends_once() -> None:
    name = "storagemigration.k8s.io/v1beta1/storageversionmigrations"
    spec = {"resource": {"group": "apps", "resource": "deployments"}}

    def at(*kinds: str, version: str = "7") -> Object:
        common = {"status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        return {
            "spec": spec,
            "status": {"resourceVersion": version, "conditions": [{"type": k, **common} for k in kinds]},
        }

    assert updated(name, at("Succeeded"), at("Running"), "status") == []
    assert len(updated(name, at("Succeeded", "Failed", "Running"), at(), "status")) == 3
    [fault] = updated(name, at(), at("Succeeded"), "status")
    assert "Success condition cannot be set to false once it is true" in fault
    [fault] = updated(name, at(version="8"), at(), "status")
    assert fault == 'status.resourceVersion: Invalid value: "8": cannot be updated'
    other = {"spec": {"resource": {"group": "batch", "resource": "jobs"}}}
    assert [fault.partition(":")[0] for fault in updated(name, other, at())] == ["group", "resource"]


def test_their_tables_have_upstreams_columns() -> None:
    bundles, candidates = info(BUNDLES), info("coordination.k8s.io/v1beta1/leasecandidates")
    versions = info("internal.apiserver.k8s.io/v1alpha1/storageversions")
    assert [column["name"] for column in tables.columns(bundles)] == ["Name", "SignerName"]
    metadata = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
    now = 1767225600 + 120
    spec = {"leaseName": "l", "binaryVersion": "1.36.0", "emulationVersion": "1.35.0"}
    [row] = tables.rows(candidates, [{"metadata": metadata, "spec": spec}], now) or []
    assert row["cells"] == ["x", "l", "1.36.0", "1.35.0", "2m"]
    servers = [{"apiServerID": f"s{n}", "encodingVersion": "v1"} for n in range(5)]
    [row] = tables.rows(versions, [{"metadata": metadata, "status": {"storageVersions": servers}}], now) or []
    assert row["cells"] == ["x", "<unset>", "s0=v1,s1=v1,s2=v1 + 2 more...", "2m"]


def test_kubelets_find_their_requests() -> None:
    labels = selectable(info(REQUESTS))
    selector = labels.convert(parse_fields("spec.nodeName=n,spec.signerName=example.com/s"))
    matches = labels.matcher(selector)
    assert matches({"metadata": {"name": "x"}, "spec": {"nodeName": "n", "signerName": "example.com/s"}})
    assert not matches({"metadata": {"name": "x"}, "spec": {"nodeName": "m", "signerName": "example.com/s"}})
