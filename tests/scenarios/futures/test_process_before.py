"""A cancel carries its deadline, so that one that lay around on its way is not carried out when nobody waits any more.

The deadline is told by the venue's own clock, learnt from its answers: the wall clock of this machine may be an hour
off and does no harm. Before the venue's clock is known no deadline is sent.
"""

import random
from datetime import datetime

import pytest

from canceld.sim.rates import UNLIMITED
from canceld.sim.server import SimulatedKraken

from ..judge import Judge
from ..world import SEEDS, Stage
from .stages import stage

HOUR_NS = 3_600_000_000_000


class _VenueClock:
    """The venue's clock, which ours differs from."""

    def __init__(self, world: Stage, ahead_ns: int) -> None:
        self._clock = world.clock
        self._ahead_ns = ahead_ns

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def utc_ns(self) -> int:
        return self._clock.utc_ns() + self._ahead_ns


def _let_the_venue_be_ahead(world: Stage, ahead_ns: int) -> None:
    clock = _VenueClock(world, ahead_ns)
    world.exchange = SimulatedKraken(now=lambda: clock.utc_ns() / 1e9, rng=random.Random(1), tier=UNLIMITED)
    world.judge = Judge(world.exchange, clock)  # type: ignore[arg-type]


def _left_s(world: Stage, place: int = -1) -> float:
    """How long after its arrival the venue was to carry a cancel out."""
    received = world.received("cancelorder")[place]
    assert isinstance(received.body, dict)
    return datetime.fromisoformat(received.body["processBefore"]).timestamp() - received.at_s


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ahead_ns", [-HOUR_NS, 0, HOUR_NS], ids=["behind", "alike", "ahead"])
@pytest.mark.parametrize("deadline_ms", [100, 2000])
async def test_the_deadline_is_told_by_the_venues_clock(
    autojump_clock: object, seed: int, ahead_ns: int, deadline_ms: int
) -> None:
    async with stage(seed, before=lambda world: _let_the_venue_be_ahead(world, ahead_ns)) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        reply = await strategy.cancel(order_id=order_id, deadline_ms=deadline_ms)
        assert (reply["outcome"], reply["attempts"]) == ("canceled", 1)
        assert _left_s(world) == pytest.approx(deadline_ms / 1000 + 0.25, abs=0.01)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_wall_clock_that_is_set_while_we_run_changes_nothing(autojump_clock: object, seed: int) -> None:
    """Setting it would set the simulated venue's too, so it is the venue that stays behind here."""
    async with stage(seed, before=lambda world: _let_the_venue_be_ahead(world, HOUR_NS)) as world:
        strategy = world.strategy()
        orders = await world.place_seen(3)
        for order_id in orders:
            reply = await strategy.cancel(order_id=order_id)
            assert reply["outcome"] == "canceled"
            await world.passed(11.0)
            assert _left_s(world) == pytest.approx(2.25, abs=0.01)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_deadline_is_sent_before_the_venues_clock_is_known(autojump_clock: object, seed: int) -> None:
    def hush(world: Stage) -> None:
        world.inject("rest_delay", match="openorders", seconds=600.0)

    async with stage(seed, before=hush) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        assert (await strategy.cancel(order_id=first))["outcome"] == "canceled"
        assert "processBefore" not in world.frames("cancelorder")[0]
        assert (await strategy.cancel(order_id=second))["outcome"] == "canceled"
        assert "processBefore" in world.frames("cancelorder")[1]
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_slow_answer_does_not_make_the_venues_clock_seem_late(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        first, second = await world.place_seen(2)
        world.inject("rest_delay", match="cancelorder", seconds=2.0, times=1)
        reply = await strategy.cancel(order_id=first)
        assert reply["outcome"] == "canceled"
        await world.passed(2.1)
        reply = await strategy.cancel(order_id=second, deadline_ms=500)
        assert reply["outcome"] == "canceled"
        assert _left_s(world) == pytest.approx(0.75, abs=0.05)
        assert world.resting == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_that_lay_around_too_long_is_not_carried_out(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order_id] = await world.place_seen(1)
        world.inject("rest_delay", route="futures_rest", seconds=4.0, request=True)
        reply = await strategy.cancel(order_id=order_id)
        assert reply["outcome"] == "unknown"
        await world.passed(6.0)
        # The order was never canceled behind the strategy's back.
        assert world.resting == [order_id]
