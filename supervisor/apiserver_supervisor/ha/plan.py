"""What an HA control plane consists of: names, addresses and folders of its servers and etcd members. No processes here.

Everything lies in one folder. Addresses follow from the folder's path, so that they are the same at each start and several
control planes on one machine do not meet; what etcd must find again is written down in `plan.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

CLIENT_PORT, PEER_PORT = 2379, 2380
FIRST_MEMBER = 101  # the last number of the first member's address; the first server's is 1
PLAN, KUBECONFIG, LOGS = "plan.json", "kubeconfig", "logs"


class PlanError(Exception):
    """The folder holds something else; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """One whole server."""

    name: str
    address: str  # it serves there
    published: str  # what the endpoints of the kubernetes service say
    port: int
    folder: Path

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Member:
    """One etcd member."""

    name: str
    address: str
    folder: Path

    @property
    def url(self) -> str:
        return f"https://{self.address}:{CLIENT_PORT}"

    @property
    def peer_url(self) -> str:
        return f"https://{self.address}:{PEER_PORT}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole. `network` are the first three numbers of the loopback addresses, `published` of those that are published."""

    folder: Path
    replicas: int
    members: int
    port: int
    network: str
    published: str
    reachable: bool  # whether what is published leads to the servers
    flags: tuple[str, ...] = ()
    etcd_prefix: str = "/registry"

    @property
    def servers(self) -> list[Server]:
        serving = self.published if self.reachable else self.network
        return [
            Server(f"server-{n}", f"{serving}.{n}", f"{self.published}.{n}", self.port, self.folder / f"server-{n}")
            for n in range(1, self.replicas + 1)
        ]

    @property
    def etcd(self) -> list[Member]:
        return [
            Member(f"etcd-{n}", f"{self.network}.{FIRST_MEMBER + n - 1}", self.folder / f"etcd-{n}")
            for n in range(1, self.members + 1)
        ]

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    def write(self) -> None:
        """Keep what the next start must find as it is, and what other commands need."""
        facts = {name: value for name, value in dataclasses.asdict(self).items() if name != "folder"}
        (self.folder / PLAN).write_text(json.dumps(facts, indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> Plan | None:
        """The plan of a folder's latest start. Raises PlanError if the file is damaged."""
        try:
            facts = json.loads((folder / PLAN).read_text())
            return Plan(folder=folder, **facts | {"flags": tuple(facts["flags"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise PlanError(f"{folder / PLAN} is damaged ({error}): remove {folder} to begin anew") from None


def make(folder: Path, *, replicas: int, members: int, port: int, flags: tuple[str, ...], reachable: bool) -> Plan:
    """The plan of a start. Raises PlanError if the folder's etcd has another number of members."""
    before = Plan.read(folder)
    if before and before.members != members:
        raise PlanError(
            f"the etcd in {folder} has {before.members} members: "
            f"give --etcd-members {before.members}, or remove the folder to begin anew"
        )
    first, second = hashlib.sha256(str(folder).encode()).digest()[:2]
    network = before.network if before else f"127.{64 + first % 64}.{second}"
    # 198.18.0.0/15 is for test networks, 192.0.2.0/24 for documentation: neither is anybody's
    published = f"198.{18 + first % 2}.{second}" if reachable else "192.0.2"
    return Plan(folder, replicas, members, port, network, published, reachable, flags)
