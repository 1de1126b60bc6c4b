"""An agent that died before its memory was on the disk comes back while a kill stands, which it must pull at once."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from canceld.fleet.follower import Follower, Memory, Rearm, Standing
from canceld.fleet.local_switch import LocalSwitch
from canceld.fleet.place import Place
from canceld.fleet.troubles import Troubles
from canceld.settings import Gateway, Settings, State
from tests.fleet.control import Control
from tests.fleet.desk import until

KILL = Standing("fleet", "k2", "test", "ann")


def _settings(control: Control) -> Settings:
    return Settings(gateway=Gateway(control=control.endpoint), state=State(dir=str(control.state)))


def _silently(_: str) -> None:
    pass


def _play(home: Path, story: Callable[[Control, Follower, LocalSwitch], None]) -> Follower:
    """Pull a switch that the agent has not looked at yet, and that was pulled and re-armed once before."""

    async def played() -> Follower:
        (home / "h1").mkdir()
        control = Control(home / "h1")
        serving = asyncio.create_task(control.run())
        follower = Follower(Place("desk", "h1", "main"), Memory(standing=[KILL], start="1"))
        switch = LocalSwitch(_settings(control), follower, Troubles(_silently), lambda: None)
        switch.acting = True
        story(control, follower, switch)
        looking = asyncio.create_task(switch.run())
        await until(lambda: switch._client is not None, "it is connected")
        await switch.pull("fleet: fleet by ann: test")
        for task in (looking, serving):
            task.cancel()
        await asyncio.gather(looking, serving, return_exceptions=True)
        assert control.latched
        return follower

    return asyncio.run(played())


def test_what_it_pulls_is_its_own_though_it_remembers_too_little(tmp_path: Path) -> None:
    """The pull of the last kill is not in its memory. The new one is the fleet's, and ends with the fleet's kill."""

    def forgot(control: Control, follower: Follower, switch: LocalSwitch) -> None:
        control.pulls = 1

    follower = _play(tmp_path, forgot)
    assert (follower.memory.pulled, follower.memory.others, follower.memory.pulls) == (True, False, 2)
    follower.memory.standing.clear()
    follower._act(time.monotonic_ns() + 10**10)
    assert Rearm in {type(effect) for effect in follower.effects}


def test_what_a_hand_has_pulled_before_is_left_to_a_hand(tmp_path: Path) -> None:
    def by_hand(control: Control, follower: Follower, switch: LocalSwitch) -> None:
        control.pull("somebody's reason", "uid 1000")

    follower = _play(tmp_path, by_hand)
    assert follower.memory.others
    follower.memory.standing.clear()
    follower._act(time.monotonic_ns() + 10**10)
    assert Rearm not in {type(effect) for effect in follower.effects}
