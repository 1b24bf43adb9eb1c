"""Certificate requests: who may approve and sign, and what may not be asked for."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.admission.cluster import ALICE, NODE, Cluster, refused
from tests.auth.remote import Authority
from tests.running import eventually

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
RBAC = "rbac.authorization.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"


def request(signer: str, *, common: str = "x", organization: str = "o") -> dict[str, Any]:
    subject = [
        x509.NameAttribute(NameOID.COMMON_NAME, common),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    pem = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)
    usages = ["client auth", "digital signature"]
    spec = {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": usages}
    return {"metadata": {"name": "r"}, "spec": spec}


def approved(live: dict[str, Any]) -> dict[str, Any]:
    condition = {"type": "Approved", "status": "True", "reason": "r"}
    return {**live, "status": {**live.get("status", {}), "conditions": [condition]}}


def test_approving_needs_leave_of_the_signer(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create(REQUESTS, request("example.com/s"))
        error = await refused(cluster.update(REQUESTS, "r", approved, user=ALICE, subresource="approval"))
        assert 'user not permitted to approve requests with signerName "example.com/s"' in error.message
        rule = {"verbs": ["approve"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"]}
        role = {"metadata": {"name": "approver"}, "rules": [{**rule, "resourceNames": ["example.com/*"]}]}
        await cluster.create(f"clusterroles.{RBAC}", role)
        subjects = [{"kind": "User", "name": "alice", "apiGroup": RBAC}]
        reference = {"kind": "ClusterRole", "name": "approver", "apiGroup": RBAC}
        binding = {"metadata": {"name": "approver"}, "subjects": subjects, "roleRef": reference}
        await cluster.create(f"clusterrolebindings.{RBAC}", binding)
        authorizer = cluster.backend.admission.initializer.authorizer
        await eventually(lambda: authorizer.rules_for(ALICE, "").rules, what="the authorizer learns of the binding")
        changed = await cluster.update(REQUESTS, "r", approved, user=ALICE, subresource="approval")
        assert changed["status"]["conditions"][0]["type"] == "Approved"

    in_cluster(scenario)


def test_signing_needs_leave_of_the_signer(in_cluster, tmp_path):
    signed = base64.b64encode(Authority(tmp_path).file.read_bytes()).decode()

    async def scenario(cluster: Cluster) -> None:
        await cluster.create(REQUESTS, request("example.com/s"))
        error = await refused(
            cluster.update(
                REQUESTS,
                "r",
                lambda live: {**live, "status": {"certificate": signed}},
                user=ALICE,
                subresource="status",
            ),
            403,
        )
        assert 'user not permitted to sign requests with signerName "example.com/s"' in error.message

    in_cluster(scenario)


def test_nobody_asks_to_be_a_master(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        error = await refused(cluster.create(REQUESTS, request(CLIENT, organization="system:masters")))
        assert f"use of {CLIENT} signer with system:masters group is not allowed" in error.message
        assert await cluster.create(REQUESTS, request(CLIENT))

    in_cluster(scenario)


def test_a_node_asks_only_for_itself(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        error = await refused(cluster.create(REQUESTS, request(KUBELET, common="system:node:n2"), user=NODE))
        assert "can only create a node CSR with CN=system:node:n1" in error.message
        assert await cluster.create(REQUESTS, request(KUBELET, common="system:node:n1"), user=NODE)

    in_cluster(scenario)
