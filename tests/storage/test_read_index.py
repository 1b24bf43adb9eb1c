import asyncio

import pytest
from apiserver_workers.storage.interface import Unavailable
from apiserver_workers.storage.read_index import ReadIndex


async def test_a_call_during_a_probe_waits_for_the_next():
    gates = [asyncio.Event(), asyncio.Event()]
    revisions = iter((1, 2))

    async def read():
        revision = next(revisions)
        await gates[revision - 1].wait()
        return revision

    index = ReadIndex(read)
    early = [asyncio.create_task(index.current()) for _ in range(3)]
    await asyncio.sleep(0.01)
    late = [asyncio.create_task(index.current()) for _ in range(3)]
    await asyncio.sleep(0.01)
    late[0].cancel()
    gates[0].set()
    assert await asyncio.gather(*early) == [1, 1, 1]
    gates[1].set()
    assert await asyncio.gather(*late[1:]) == [2, 2]


async def test_all_that_share_a_failed_probe_hear_of_it_and_the_next_is_new():
    answers = [Unavailable("no leader"), 5]

    async def read():
        await asyncio.sleep(0)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    index = ReadIndex(read)
    results = await asyncio.gather(index.current(), index.current(), return_exceptions=True)
    assert [str(result) for result in results] == ["no leader", "no leader"]
    with pytest.raises(Unavailable):
        raise results[0]
    assert await index.current() == 5
