"""Health checks: texts, verbosity, exclusion, single checks, several servers."""

import asyncio

import pytest
from apiserver_workers.server.health import LIVE, READY, HealthChecks, crash_loops, parse_verbose
from apiserver_workers.server.http.messages import Request


def ask(checks, target):
    path, _, query = target.partition("?")
    response = asyncio.run(checks.handle(Request("GET", path, query, {})))
    return response.status, response.body.decode()


async def broken():
    raise RuntimeError("no luck")


async def fine():
    return ""


@pytest.fixture
def checks():
    checks = HealthChecks()
    checks.add("etcd", fine)
    checks.add("live-only", fine, kinds=LIVE)
    checks.add("shutdown", lambda: "", kinds=READY)
    checks.add_group(lambda: {"rbac": ""}, prefix="poststarthook/")
    return checks


def test_all_is_well(checks):
    assert ask(checks, "/healthz") == (200, "ok")
    assert ask(checks, "/livez") == (200, "ok")
    assert ask(checks, "/readyz/") == (200, "ok")


def test_verbose_lists_every_check_in_order(checks):
    expected = "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac ok\n[+]shutdown ok\nreadyz check passed\n"
    assert ask(checks, "/readyz?verbose") == (200, expected)


def test_a_failure_is_told_without_its_reason_and_may_be_excluded(checks):
    checks.add("broken", broken)
    status, text = ask(checks, "/livez")
    assert status == 500
    assert "[-]broken failed: reason withheld\n" in text
    assert text.endswith("livez check failed\n")
    assert "no luck" not in text
    assert ask(checks, "/livez?exclude=broken") == (200, "ok")
    assert "[+]broken excluded: ok\n" in ask(checks, "/livez?exclude=broken&verbose")[1]


def test_an_unknown_exclusion_is_warned_of(checks):
    assert (
        'warn: some health checks cannot be excluded: no matches for "x"\n'
        in ask(checks, "/livez?verbose&exclude=x")[1]
    )


def test_single_checks(checks):
    checks.add("broken", broken)
    assert ask(checks, "/livez/poststarthook/rbac") == (200, "ok")
    assert ask(checks, "/livez/broken") == (500, "internal server error: no luck\n")
    assert ask(checks, "/livez/shutdown") == (404, "404 page not found\n")


def test_a_hanging_check_fails(checks, monkeypatch):
    monkeypatch.setattr("apiserver_workers.server.health.CHECK_TIMEOUT", 0.05)
    checks.add("hangs", lambda: asyncio.sleep(10))
    assert ask(checks, "/livez/hangs") == (500, "internal server error: no answer within 2 s\n")


def test_checks_of_the_servers_behind_are_merged(checks):
    async def core(kind):
        return parse_verbose(f"[+]ping ok\n[-]etcd failed: reason withheld\n[+]core ok\n{kind} check failed\n")

    async def gone(kind):
        raise ConnectionError

    checks.add_remote("core-server", core)
    assert ask(checks, "/readyz/core") == (200, "ok")
    assert ask(checks, "/readyz/etcd")[0] == 500
    checks.add_remote("extensions-server", gone)
    assert "[-]extensions-server failed" in ask(checks, "/readyz")[1]


def test_a_crash_loop_is_a_check_of_readiness_while_it_lasts(checks, tmp_path):
    file = tmp_path / "crash-loops"
    checks.add_group(lambda: crash_loops(file), kinds=READY)
    assert "crash-loop" not in ask(checks, "/readyz?verbose")[1]
    file.write_text('{"core": "workers of core died 3 times in a row"}')
    status, text = ask(checks, "/readyz?verbose")
    assert status == 500 and "[-]crash-loop/core failed: reason withheld" in text
    assert ask(checks, "/livez")[0] == 200
    file.unlink()
    assert ask(checks, "/readyz")[0] == 200
