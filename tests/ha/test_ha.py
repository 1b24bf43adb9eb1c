"""`apiserver-supervisor ha`: a control plane whose parts are killed, paused and restarted while clients go on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.e2e.kubectl import FOUND, needs_kubectl
from tests.ha.control_plane import RunningControlPlane
from tests.running import COMMAND, wait_for
from tests.supervisor.test_master import alive

pytestmark = pytest.mark.e2e
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SETTLED = 90  # three servers start on two cores, and others may be at work on them


def listed(control_plane: RunningControlPlane) -> list[str]:
    """The names of the servers that are in the endpoints."""
    return [one["name"] for one in control_plane.status()["servers"] if one["listed"]]


def create(control_plane: RunningControlPlane, server: str, name: str, timeout: float = 10) -> int:
    made = {"metadata": {"name": name}}
    return control_plane.servers[server].request("POST", CONFIGMAPS, made, timeout=timeout)[0]


def all_well(control_plane: RunningControlPlane) -> bool:
    found = control_plane.status()
    return found["ready"] and all(one["listed"] for one in found["servers"])


@pytest.mark.seed("S92")
def test_status_shows_servers_leases_endpoints_and_etcd(control_plane: RunningControlPlane) -> None:
    wait_for(lambda: all_well(control_plane), SETTLED)
    found = control_plane.status()
    published = [one["published"] for one in found["servers"]]
    assert found["endpoints"] == published and set(found["leases"]) == set(published)
    assert all(0 < one["leaseSeconds"] <= 15 for one in found["servers"])
    assert all(one["healthy"] for one in found["etcd"])
    assert [one["leader"] for one in found["etcd"]].count(True) == 1
    assert len(set(control_plane.pids())) >= 1 + 3 + 3 * 8 and all(map(alive, control_plane.pids()))
    text = control_plane.command("status").stdout
    assert all(name in text for name in (*control_plane.servers, "etcd-3", "core worker", "(server-2, serves)"))


@needs_kubectl
def test_one_kubeconfig_has_a_context_for_each_server_and_each_server_its_own(
    control_plane: RunningControlPlane,
) -> None:
    joined = yaml.safe_load(control_plane.kubeconfig.read_text())
    assert [context["name"] for context in joined["contexts"]] == ["server-1", "server-2", "server-3"]
    assert joined["current-context"] == "server-1"
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600
    for name, server in control_plane.servers.items():
        of_all = (f"--kubeconfig={control_plane.kubeconfig}", f"--context={name}")
        for flags in (of_all, (f"--kubeconfig={server.kubeconfig}",)):
            command = [str(FOUND), *flags, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]
            assert subprocess.run(command, capture_output=True, text=True).stdout == server.url
            done = subprocess.run([str(FOUND), *flags, "get", "namespace", "kube-system"], capture_output=True)
            assert done.returncode == 0, done.stderr


@needs_kubectl
@pytest.mark.seed("S92", "S94")
def test_one_server_is_killed_and_one_hangs_while_a_watch_through_the_third_goes_on(
    control_plane: RunningControlPlane,
) -> None:
    wait_for(lambda: all_well(control_plane), SETTLED)
    command = [str(FOUND), f"--kubeconfig={control_plane.kubeconfig}", "--context=server-2"]
    watch = subprocess.Popen([*command, "get", "configmaps", "-w", "-o", "name"], stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    try:
        assert create(control_plane, "server-1", "before") == 201
        victims = [control_plane.server(1)["tree"]["pid"], *_children(control_plane, 1)]
        control_plane.command("kill", "1")
        control_plane.command("pause", "server-3")
        wait_for(lambda: not any(map(alive, victims)), 3, "all its processes end with it")
        assert create(control_plane, "server-2", "meanwhile") == 201
        states = [one["state"] for one in control_plane.status()["servers"]]
        assert states == ["killed", "running", "paused"]
        assert control_plane.command("status", check=False).returncode == 2
        wait_for(lambda: listed(control_plane) == ["server-2"], 40, "both are off the endpoints")
        control_plane.command("resume", "3")
        control_plane.command("restart", "1")
        assert create(control_plane, "server-3", "after-3") == 201
        assert create(control_plane, "server-1", "after-1") == 201
        seen = [watch.stdout.readline().strip() for _ in range(4)]
        assert seen == [f"configmap/{name}" for name in ("before", "meanwhile", "after-3", "after-1")]
        assert watch.poll() is None
        wait_for(lambda: all_well(control_plane), SETTLED, "all are listed again")
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


def _children(control_plane: RunningControlPlane, number: int) -> list[int]:
    return [child["pid"] for child in control_plane.server(number)["tree"]["children"]]


def test_etcd_members_die_one_after_the_other_and_no_server_loses_its_lease(control_plane: RunningControlPlane) -> None:
    wait_for(lambda: all_well(control_plane), SETTLED)
    begun = time.monotonic()
    leader = control_plane.leader()
    control_plane.command("kill", leader)
    for number, name in enumerate(control_plane.servers):
        assert _eventually_created(control_plane, name, f"without-the-leader-{number}")
    other = wait_for(control_plane.leader, 30, "another leads")
    assert other != leader
    control_plane.command("restart", leader)
    follower = next(name for name in ("etcd-1", "etcd-2", "etcd-3") if name not in (leader, other))
    wait_for(lambda: all(one["healthy"] for one in control_plane.status()["etcd"]), 30)
    control_plane.command("pause", follower)
    assert _eventually_created(control_plane, "server-2", "while-a-member-hangs")
    while time.monotonic() < begun + 20:
        found = control_plane.status()
        assert found["leases"] is None or all((one["leaseSeconds"] or 0) > 0 for one in found["servers"])
        time.sleep(1)
    assert len(listed(control_plane)) == 3
    control_plane.command("resume", follower)
    wait_for(lambda: all_well(control_plane), SETTLED)


def _eventually_created(control_plane: RunningControlPlane, server: str, name: str) -> bool:
    """A write whose outcome was not known may have happened."""
    deadline = time.monotonic() + 40
    while create(control_plane, server, name, timeout=40) not in (201, 409):
        assert time.monotonic() < deadline
    return True


def test_a_server_that_dies_by_itself_comes_back_by_itself(control_plane: RunningControlPlane) -> None:
    before = control_plane.server(2)
    os.kill(before["tree"]["pid"], signal.SIGKILL)
    wait_for(lambda: control_plane.server(2)["restarts"] == before["restarts"] + 1, 30)
    wait_for(lambda: all_well(control_plane), SETTLED, "it is ready and listed again")
    assert control_plane.server(2)["lastExit"] == -signal.SIGKILL


def test_commands_say_what_makes_no_sense(control_plane: RunningControlPlane) -> None:
    for arguments, message in (
        (("kill", "9"), 'there is no "9", but etcd-1'),
        (("resume", "1"), "server-1 is not paused"),
    ):
        refused = control_plane.command(*arguments, check=False)
        assert refused.returncode == 1 and message in refused.stderr
    second = subprocess.run(
        [*COMMAND, "ha", "start", f"--dir={control_plane.folder}", "--etcd-members=3"], capture_output=True, text=True
    )
    assert second.returncode == 1 and "in use by another master" in second.stderr
    wrong = subprocess.run([*COMMAND, "ha", "start", f"--dir={control_plane.folder}"], capture_output=True, text=True)
    assert wrong.returncode == 1 and "has 3 members: give --etcd-members 3" in wrong.stderr


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--secure-port=1", "--secure-port is each server's own"), ("--sekure-port=1", "unknown flag: --sekure-port")],
)
def test_bad_flags_start_nothing(tmp_path: Path, flag: str, message: str) -> None:
    folder = tmp_path / "d"
    done = subprocess.run([*COMMAND, "ha", "start", f"--dir={folder}", "--", flag], capture_output=True, text=True)
    assert done.returncode == 1 and message in done.stderr and not folder.exists()


def test_commands_without_a_control_plane_say_so(tmp_path: Path) -> None:
    for name in ("status", "stop"):
        done = subprocess.run([*COMMAND, "ha", name, f"--dir={tmp_path}"], capture_output=True, text=True)
        assert done.returncode == 1 and "no control plane runs in" in done.stderr


def test_nothing_survives_a_killed_control_plane_and_the_next_one_serves_the_same_data() -> None:
    with RunningControlPlane("--replicas=2", "--addresses=loopback", "--", "--v=1") as small:
        assert "lead nowhere" in small.output
        assert create(small, "server-1", "kept") == 201
        wait_for(lambda: small.status()["endpoints"] == ["192.0.2.1", "192.0.2.2"], 40)
        assert "are for show" in small.command("status").stdout
        pids = small.pids()
        small.process.kill()
        small.process.wait()
        wait_for(lambda: not any(map(alive, pids)), 5, "all processes end")
        small.start()
        assert small.servers["server-2"].request("GET", f"{CONFIGMAPS}/kept")[0] == 200
        pids = small.pids()
        small.command("stop")
        assert small.process.wait(5) == 0
        assert not any(map(alive, pids))
        assert small.output.splitlines()[-3:] == ["stopping servers", "stopping etcd", "stopped"]
        assert not os.listdir(small.folder / "server-1" / "run" / "workers")
