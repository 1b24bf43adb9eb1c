"""`ha status`: what the parts say of themselves, put together. Every question is asked at the same time."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from apiserver_supervisor.control import ControlError, NotRunning, request
from apiserver_supervisor.ha import members
from apiserver_supervisor.ha.identity import admin_tls
from apiserver_supervisor.ha.plan import Plan, Server
from apiserver_supervisor.tree import node, render

TIMEOUT = 2.0
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"


def gather(plan: Plan) -> dict[str, Any]:
    """Everything, as `-o json` prints it. Raises NotRunning if no control plane runs there."""
    own = request(plan.folder, "status")
    tls, prefix = admin_tls(plan), "/" + plan.etcd_prefix.strip("/")
    with ThreadPoolExecutor(2 * (plan.replicas + plan.members) + 2) as pool:
        leases = pool.submit(members.master_leases, plan, prefix, TIMEOUT)
        serving = pool.map(lambda server: _serves(server, tls), plan.servers)
        trees = pool.map(lambda server: _tree(server.run_dir), plan.servers)
        etcd = pool.map(lambda member: members.describe(plan, member, TIMEOUT), plan.etcd)
        ready = dict(zip([server.name for server in plan.servers], serving, strict=True))
        asked = next((server for server in plan.servers if ready[server.name]), None)
        listed = _listed(asked, tls) if asked else None
        held = leases.result()
        servers = [
            {
                "name": server.name,
                "url": server.url,
                "published": server.published,
                **own["parts"].get(server.name, {"state": "not started"}),
                "ready": ready[server.name],
                "leaseSeconds": (held or {}).get(server.published),
                "listed": None if listed is None else server.published in listed,
                "tree": tree,
            }
            for server, tree in zip(plan.servers, trees, strict=True)
        ]
        found = [
            {"name": member.name, "url": member.url, **own["parts"].get(member.name, {"state": "not started"}), **facts}
            for member, facts in zip(plan.etcd, etcd, strict=True)
        ]
    return {
        "folder": str(plan.folder),
        "state": own["state"],
        "pid": own["pid"],
        "ready": own["state"] == "ready" and all(ready.values()) and all(one["healthy"] for one in found),
        "reachable": plan.reachable,
        "servers": servers,
        "etcd": found,
        "endpoints": listed,
        "endpointsAskedOf": asked.name if asked else None,
        "leases": held,
    }


def text(found: dict[str, Any]) -> str:
    """The same for people."""
    servers = [
        (
            one["name"],
            one["url"],
            one["published"],
            one["state"],
            _yes(one["ready"]),
            "-" if one["leaseSeconds"] is None else f"{one['leaseSeconds']} s",
            _yes(one["listed"]),
            str(one.get("restarts", 0)),
        )
        for one in found["servers"]
    ]
    etcd = [
        (
            one["name"],
            one["url"],
            one["state"],
            _yes(one["healthy"]),
            _yes(one.get("leader")),
            f"{one['dbSize'] / 1048576:.1f} MB" if "dbSize" in one else "-",
            str(one.get("restarts", 0)),
        )
        for one in found["etcd"]
    ]
    heads = (
        ("SERVER", "URL", "PUBLISHED", "STATE", "READY", "LEASE", "LISTED", "RESTARTS"),
        ("ETCD", "URL", "STATE", "HEALTHY", "LEADER", "DB SIZE", "RESTARTS"),
    )
    return "\n".join(
        (
            f"{found['folder']}: {found['state']}\n",
            _table((heads[0], *servers)),
            f"\n{_endpoints(found)}\n",
            _table((heads[1], *etcd)),
            "",
            render(_processes(found)),
        )
    )


def _endpoints(found: dict[str, Any]) -> str:
    if found["endpoints"] is None:
        return "endpoints of default/kubernetes: unknown, no server is ready"
    owners = {one["published"]: one for one in found["servers"]}
    listed = [f"{ip} ({_who(owners.get(ip))})" for ip in found["endpoints"]]
    where = "" if found["reachable"] else "; these addresses are for show, the servers are at their URLs"
    return f"endpoints of default/kubernetes, says {found['endpointsAskedOf']}: {', '.join(listed) or 'none'}{where}"


def _who(owner: dict[str, Any] | None) -> str:
    if owner is None:
        return "none of ours"
    return f"{owner['name']}, {'serves' if owner['ready'] else 'does not serve'}"


def _processes(found: dict[str, Any]) -> dict[str, Any]:
    etcd = [node(one["name"], one.get("pid") or 0, one.get("restarts", 0)) for one in found["etcd"]]
    servers = [
        {**(one["tree"] or node("", one.get("pid") or 0, 0)), "role": one["name"], "restarts": one.get("restarts", 0)}
        for one in found["servers"]
    ]
    return node("ha", found["pid"], 0, [*etcd, *servers])


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _yes(said: bool | None) -> str:
    return "-" if said is None else "yes" if said else "no"


def _tree(run_dir: Path) -> Any:
    try:
        return request(run_dir, "status", timeout=TIMEOUT)["tree"]
    except (NotRunning, ControlError):
        return None


def _serves(server: Server, tls: ssl.SSLContext) -> bool:
    return _get(server, tls, "/readyz", lambda status, _: status == 200) is True


def _listed(server: Server, tls: ssl.SSLContext) -> list[str] | None:
    """The addresses in the endpoints of the kubernetes service, in their order; None if the server does not tell."""

    def read(status: int, body: bytes) -> list[str] | None:
        if status == 404:
            return []
        subsets = json.loads(body).get("subsets") or [] if status == 200 else None
        return None if subsets is None else [one["ip"] for subset in subsets for one in subset.get("addresses") or ()]

    return _get(server, tls, ENDPOINTS, read)


def _get(server: Server, tls: ssl.SSLContext, path: str, read: Callable[[int, bytes], Any]) -> Any:
    connection = http.client.HTTPSConnection(server.address, server.port, timeout=TIMEOUT, context=tls)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return read(answer.status, answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
