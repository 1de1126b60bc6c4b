"""The operator re-arms, and the disk that holds the latch does not answer.

He is told in time that it did not work, the switch stays pulled, and what the disk makes of the request later does not
matter: the latch is written again behind it.
"""

from .stages import kill, operator, rearm, stage


async def test_the_operator_is_told_in_time_and_the_latch_holds(autojump_clock: object) -> None:
    async with stage() as world:
        killer = operator(world)
        assert (await kill(killer))["latched"] is True
        world.directory("/state").faults.hangs = True
        refusal = await rearm(killer)
        assert (refusal["outcome"], refusal["detail"]) == (
            "refused",
            "the latch file cannot be removed: the disk has not answered in time",
        )
        world.directory("/state").faults.hangs = False
        await world.passed(10.0)
        assert world.daemon is not None
        assert world.daemon.kill.latched
        assert world.daemon.kill.status()["durable"] is True
        assert world.directory("/state").exists("latch")
        assert (await rearm(killer))["latched"] is False
        assert not world.directory("/state").exists("latch")
