"""The members of the etcd cluster: how one is started, and what it says of itself.

A member is asked over etcd's HTTP gateway, because gRPC does not stand a process that forks.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from typing import Any

from apiserver_supervisor.etcd import Etcd
from apiserver_supervisor.ha.identity import etcd_tls, member_flags
from apiserver_supervisor.ha.plan import CLIENT_PORT, Member, Plan
from apiserver_supervisor.processes import fork

# as on a laptop: members answer at once, but all of them and the servers share a few cores
FLAGS = (
    "--heartbeat-interval=50",
    "--election-timeout=500",
    "--quota-backend-bytes=8589934592",
    "--logger=zap",
    "--log-outputs=stderr",
    "--log-level=warn",
)


class MemberProcess:
    """How to run one member."""

    def __init__(self, plan: Plan, member: Member, binary: Etcd, log: str) -> None:
        self.member, self._binary, self._log = member, binary.binary, log
        self._flags = (
            f"--name={member.name}",
            f"--data-dir={member.folder}",
            f"--listen-client-urls={member.url}",
            f"--advertise-client-urls={member.url}",
            f"--listen-peer-urls={member.peer_url}",
            f"--initial-advertise-peer-urls={member.peer_url}",
            "--initial-cluster=" + ",".join(f"{one.name}={one.peer_url}" for one in plan.etcd),
            *member_flags(plan, member),
            *FLAGS,
        )

    def start(self) -> int:
        """Fork etcd; its pid."""
        self.member.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return fork(self._exec, log=self._log)

    def _exec(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        os.execve(self._binary, ["etcd", *self._flags], environment)


def healthy(plan: Plan, member: Member, timeout: float = 0.5) -> bool:
    """Whether a member serves, which it can only when the cluster has a leader."""
    try:
        return _ask(etcd_tls(plan), member, "GET", "/health", None, timeout).get("health") == "true"
    except (OSError, http.client.HTTPException, ValueError):
        return False


def describe(plan: Plan, member: Member, timeout: float = 2.0) -> dict[str, Any]:
    """{"healthy", "leader", "version", "dbSize", "revision"}; only {"healthy": False} if it does not answer."""
    try:
        tls = etcd_tls(plan)
        found = _ask(tls, member, "POST", "/v3/maintenance/status", {}, timeout)
        serves = _ask(tls, member, "GET", "/health", None, timeout).get("health") == "true"
    except (OSError, http.client.HTTPException, ValueError):
        return {"healthy": False}
    return {
        "healthy": serves,
        "leader": found.get("leader") == found["header"]["member_id"],
        "version": found.get("version", ""),
        "dbSize": int(found.get("dbSize", 0)),
        "revision": int(found["header"].get("revision", 0)),
    }


def master_leases(plan: Plan, prefix: str, timeout: float = 2.0) -> dict[str, int] | None:
    """Seconds that each server's lease has left, by published address; None if no member answers."""
    first, tls = f"{prefix}/masterleases/".encode(), etcd_tls(plan)
    asked = {"key": _text(first), "range_end": _text(first[:-1] + b"0"), "keys_only": True}
    for member in plan.etcd:
        try:
            found = _ask(tls, member, "POST", "/v3/kv/range", asked, timeout).get("kvs") or []
            leases = {base64.b64decode(one["key"]).decode().rpartition("/")[2]: one.get("lease", "0") for one in found}
            return {ip: _time_left(tls, member, lease, timeout) for ip, lease in leases.items()}
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            continue
    return None


def _time_left(tls: ssl.SSLContext, member: Member, lease: str, timeout: float) -> int:
    return int(_ask(tls, member, "POST", "/v3/lease/timetolive", {"ID": lease}, timeout).get("TTL", 0))


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _ask(tls: ssl.SSLContext, member: Member, method: str, path: str, body: Any, timeout: float) -> dict[str, Any]:
    connection = http.client.HTTPSConnection(member.address, CLIENT_PORT, timeout=timeout, context=tls)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if not isinstance(answer, dict) or "error" in answer:
        raise ValueError(answer)
    return answer
