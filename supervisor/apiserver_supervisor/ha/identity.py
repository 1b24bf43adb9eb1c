"""Certificates and kubeconfigs that the servers of one control plane share: one authority for each purpose."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from apiserver_supervisor import kubeconfig
from apiserver_supervisor.certificates import ADMIN, Pair, Pki, Subject
from apiserver_supervisor.ha.plan import KUBECONFIG, Member, Plan, Server

ETCD_CLIENT = Subject("kube-apiserver-etcd-client", ("system:masters",))
SHARED = ("sa.key", *(f"{name}.{kind}" for name in ("ca", "client-ca", "front-proxy-ca") for kind in ("crt", "key")))
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def prepare(plan: Plan) -> None:
    """Make what is missing of the certificates and keys, and write the kubeconfigs.

    The servers make their own serving pairs, as servers do that find their authorities in their data folders.
    """
    pki = Pki(plan.pki)
    authority, clients = pki.authority("ca"), pki.authority("client-ca")
    pki.authority("front-proxy-ca")
    pki.service_account_key()
    admin = pki.leaf("admin", clients, ADMIN)
    for server in plan.servers:
        _share(pki.folder, server.folder / "data" / "pki")
        document = kubeconfig.document(server.name, server.url, authority.certificate, client=admin)
        kubeconfig.write(plan.folder / f"{server.name}.kubeconfig", document)
    kubeconfig.write(plan.folder / KUBECONFIG, _joined(plan, authority, admin))
    etcd = pki.authority("etcd-ca")
    pki.leaf("etcd-client", etcd, ETCD_CLIENT)
    for member in plan.etcd:
        # a member is its peers' client too, which see it come from 127.0.0.1
        pki.leaf(member.name, etcd, Subject(member.name, (), (member.address, "127.0.0.1"), BOTH))


def server_flags(plan: Plan, server: Server) -> tuple[str, ...]:
    """The flags of `start` for one server; the user's own come last."""
    return (
        f"--instance={server.name}",
        f"--run-dir={server.run_dir}",
        f"--data-dir={server.folder / 'data'}",
        f"--bind-address={server.address}",
        f"--secure-port={server.port}",
        f"--advertise-address={server.published}",
        f"--etcd-servers={','.join(member.url for member in plan.etcd)}",
        f"--etcd-cafile={plan.pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={plan.pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={plan.pki / 'etcd-client.key'}",
        *plan.flags,
    )


def member_flags(plan: Plan, member: Member) -> tuple[str, ...]:
    """etcd's flags for its certificates: nobody but the servers and the other members gets in."""
    pair = Pair(plan.pki / f"{member.name}.crt", plan.pki / f"{member.name}.key")
    return tuple(
        f"--{whose}{what}"
        for whose in ("", "peer-")
        for what in (
            f"cert-file={pair.certificate}",
            f"key-file={pair.key}",
            f"trusted-ca-file={plan.pki / 'etcd-ca.crt'}",
            "client-cert-auth",
        )
    )


def etcd_tls(plan: Plan) -> ssl.SSLContext:
    """TLS as a client of the etcd members."""
    context = ssl.create_default_context(cafile=str(plan.pki / "etcd-ca.crt"))
    context.load_cert_chain(plan.pki / "etcd-client.crt", plan.pki / "etcd-client.key")
    return context


def admin_tls(plan: Plan) -> ssl.SSLContext:
    """TLS as the administrator."""
    context = ssl.create_default_context(cafile=str(plan.pki / "ca.crt"))
    context.load_cert_chain(plan.pki / "admin.crt", plan.pki / "admin.key")
    return context


def _share(common: Path, own: Path) -> None:
    """Put the common authorities and keys where a server looks for its own."""
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in SHARED:
        link = own / name
        if not link.is_symlink():
            link.symlink_to(Path("..", "..", "..", common.name, name))


def _joined(plan: Plan, authority: Pair, admin: Pair) -> dict[str, Any]:
    """One kubeconfig with a context for each server, the first being the current one."""
    documents = [kubeconfig.document(s.name, s.url, authority.certificate, client=admin) for s in plan.servers]
    sections = ("clusters", "users", "contexts")
    return documents[0] | {
        section: [one for document in documents for one in document[section]] for section in sections
    }
