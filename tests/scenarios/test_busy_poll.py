"""A daemon that is to wait without sleeping runs in virtual time as any other: there nobody would ever get on."""

import msgspec

from .world import SETTINGS, stage


async def test_virtual_time_passes_all_the_same(autojump_clock: object) -> None:
    busy = msgspec.structs.replace(SETTINGS.gateway, busy_poll=True)
    async with stage(settings=msgspec.structs.replace(SETTINGS, gateway=busy)) as world:
        before = world.clock.monotonic_ns()
        await world.passed(60.0)
        assert world.clock.monotonic_ns() - before >= 60 * 10**9
