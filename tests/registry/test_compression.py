"""Large answers are compressed for clients that take gzip."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.server.endpoints.compression import THRESHOLD, accepts_gzip

from tests.registry.api import CONFIG_MAPS, Answer, Api, running
from tests.storage.etcd_process import EtcdProcess

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
TABLE = f"{JSON};as=Table;g=meta.k8s.io;v=v1"
LARGE = {"k": "x" * THRESHOLD}


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("deflate,  gzip ", True),
        ("gzip;q=0", False),
        ("gzip;q=1", False),
        ("x-gzip", False),
        ("identity", False),
        ("*", False),
        ("", False),
    ],
)
def test_who_accepts_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def is_compressed(answer: Answer) -> bool:
    headers = dict(answer.headers)
    assert (headers.get("Content-Encoding") == "gzip") == (headers.get("Vary") == "Accept-Encoding")
    return "Content-Encoding" in headers


async def both(api: Api, path: str, **options: Any) -> tuple[bool, bytes, bytes]:
    """Whether the answer is compressed; it, unpacked; and the plain answer."""
    plain = await api.call("GET", path, **options)
    packed = await api.call("GET", path, encoding="gzip", **options)
    assert packed.content_type == plain.content_type
    found = is_compressed(packed)
    return found, gzip.decompress(packed.body) if found else packed.body, plain.body


@pytest.mark.parametrize("accept", ["", YAML, PROTOBUF, f"{TABLE}"])
async def test_lists_and_objects_in_every_form(etcd: EtcdProcess, root: str, accept: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data=LARGE)
        include = {"includeObject": "Object"} if accept == TABLE else {}
        for path in (CONFIG_MAPS, f"{CONFIG_MAPS}/a", "/api/v1/configmaps"):
            found, unpacked, plain = await both(api, path, accept=accept, **include)
            assert found
            assert unpacked == plain


async def test_very_large_lists_are_compressed_off_the_loop(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        for number in range(3):
            await api.create(f"c{number}", data={"k": str(number) * 900_000})
        found, unpacked, plain = await both(api, CONFIG_MAPS)
        assert found
        assert unpacked == plain


async def test_answers_to_writes_too(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        body = {"metadata": {"name": "a"}, "data": LARGE}
        created = await api.call("POST", CONFIG_MAPS, body, encoding="gzip")
        assert (created.status, is_compressed(created)) == (201, True)


async def test_what_is_small_is_not(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data={"k": "x"})
        exactly = THRESHOLD - len((await api.call("GET", f"{CONFIG_MAPS}/a")).body) + 1
        for length, expected in [(exactly, False), (exactly + 1, True)]:
            await api.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "x" * length}})
            answer = await api.call("GET", f"{CONFIG_MAPS}/a", encoding="gzip")
            assert is_compressed(answer) is expected
        assert not is_compressed(await api.call("GET", f"{CONFIG_MAPS}/none", encoding="gzip"))


@pytest.mark.parametrize("encoding", ["gzip;q=0", "deflate", ""])
async def test_who_does_not_take_gzip_does_not_get_it(etcd: EtcdProcess, root: str, encoding: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data=LARGE)
        assert not is_compressed(await api.call("GET", CONFIG_MAPS, encoding=encoding))


async def test_a_watch_is_never_compressed(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data=LARGE)
        answer = await api.call("GET", CONFIG_MAPS, encoding="gzip", watch="1", timeoutSeconds=1)
        assert answer.body.startswith(b'{"type":"ADDED"')
        assert not is_compressed(answer)


async def test_the_gate_turns_it_off(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data=LARGE)
        feature_gates.use({"APIResponseCompression": False})
        try:
            assert not is_compressed(await api.call("GET", CONFIG_MAPS, encoding="gzip"))
        finally:
            feature_gates.use({})
