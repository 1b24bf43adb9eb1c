import asyncio

import pytest
from apiserver_workers.storage import leases as leases_module
from apiserver_workers.storage.leases import LeaseManager


class Grants:
    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        await asyncio.sleep(0)
        self.seconds.append(seconds)
        return len(self.seconds)


async def test_objects_of_one_window_share_a_lease_that_outlives_them():
    grants = Grants()
    leases = LeaseManager(grants)
    assert set(await asyncio.gather(*(leases.lease_for(3600) for _ in range(50)))) == {1}
    assert grants.seconds == [3660]


async def test_a_ttl_that_the_lease_does_not_fit_gets_its_own():
    grants = Grants()
    leases = LeaseManager(grants)
    assert [await leases.lease_for(ttl) for ttl in (3600, 3700, 10)] == [1, 2, 3]
    assert grants.seconds == [3660, 3760, 10]


async def test_the_window_moves_on():
    grants = Grants()
    leases = LeaseManager(grants)
    assert [await leases.lease_for(20), await leases.lease_for(20)] == [1, 1]
    await asyncio.sleep(1.1)
    assert await leases.lease_for(20) == 2


async def test_the_window_is_no_longer_than_asked_for():
    grants = Grants()
    leases = LeaseManager(grants, reuse=2)
    await leases.lease_for(3600)
    assert grants.seconds == [3602]


async def test_a_lease_takes_a_limited_number_of_objects(monkeypatch):
    monkeypatch.setattr(leases_module, "MAX_OBJECTS", 2)
    leases = LeaseManager(Grants())
    assert [await leases.lease_for(60) for _ in range(5)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(("forgotten", "next_lease"), [(1, 2), (7, 1)])
async def test_a_lost_lease_is_not_handed_out_again(forgotten, next_lease):
    leases = LeaseManager(Grants())
    await leases.lease_for(60)
    leases.forget(forgotten)
    assert await leases.lease_for(60) == next_lease
