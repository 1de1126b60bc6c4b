"""Random books, births, fills, late and lost news, and random scopes: the exchange's own book judges every reply.

No order outside of a scope is touched, none inside is left behind a reply that says it is gone. Mistakes planted on
purpose are found by the same days: a prefix that matches too much, a side forgotten, an order born in the gap.
"""

import random
from typing import Any

import pytest
import trio
import trio.testing

from canceld.contract.ids import Venue
from canceld.contract.selectors import Selector
from canceld.engine.resting import Row
from canceld.engine.scope import Fit, ScopeAt
from canceld.engine.scoped import CancelThese, ScopedCancel
from canceld.sim.exchange import State
from canceld.sim.server import DEFAULT_ACCOUNT

from ..meaning import is_meant
from ..world import Stage
from .stages import DIALECTS, STRATEGIES, SYMBOLS, stage

OWN = {name: {"cl_ord_id_prefix": own.cl_ord_id_prefix, "userrefs": own.userrefs} for name, own in STRATEGIES.items()}
SEEDS = (1, 2, 3)


def draw_scope(rng: random.Random, venue: Venue) -> list[dict[str, Any]]:
    members: list[tuple[str, Any]] = [
        ("symbol", rng.choice(SYMBOLS[venue])),
        ("side", rng.choice(["buy", "sell"])),
        ("cl_ord_id_prefix", rng.choice(["mm1-", "mm2-", "arb-"])),
        ("strategy", rng.choice(sorted(STRATEGIES))),
        ("older_than_ms", rng.choice([1, 400])),
    ]
    return [dict(rng.sample(members, rng.randint(1, 2))) for _ in range(rng.randint(1, 2))]


async def live_a_day(world: Stage, seed: int) -> None:
    """Ends with every order that a cancel took being inside of a scope that was asked for."""
    rng = random.Random(seed)
    venue = world.venue
    strategy = world.strategy()
    placed: list[str] = []
    asked: list[tuple[list[dict[str, Any]], float]] = []
    for _ in range(40):
        what = rng.random()
        if what < 0.55:
            name = f"{rng.choice(['mm1-', 'mm2-', 'mm', 'arb-'])}{len(placed)}"
            fields: dict[str, Any] = {"cl_ord_id": name, "side": rng.choice(["buy", "sell"])}
            placed += world.place(1, pair=rng.choice(SYMBOLS[venue]), **fields)
        elif what < 0.65 and world.resting:
            world.fill(rng.choice(world.resting))
        elif what < 0.75:
            world.inject("delay_events", seconds=rng.choice([0.05, 0.3]), for_s=0.5)
        else:
            scope = draw_scope(rng, venue)
            asked.append((scope, world.clock.utc_ns() / 1e9))
            fields = {"scope": scope, "until": rng.choice(["ack", "proof"]), "deadline_ms": rng.choice([600, 5_000])}
            told = (await strategy.do("cancel_all", **fields))["venues"][venue]
            assert told["count"] == len(told["order_ids"]) == len(set(told["order_ids"]))
        await world.passed(rng.choice([0.0, 0.01, 0.1]))
    await world.passed(5)
    for order_id in placed:
        order = world.exchange.exchange.order(DEFAULT_ACCOUNT, venue, order_id)
        assert order is not None
        meant = any(is_meant(order, scope, OWN, at_s + 6) for scope, at_s in asked)
        assert order.state is not State.CANCELED or meant, f"{order_id} was cancelled and never meant"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_day(autojump_clock: object, dialect: str, seed: int) -> None:
    async with stage(dialect, seed) as world:
        await live_a_day(world, seed)


def _prefix_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    was = ScopeAt._name

    def name(self: ScopeAt, row: Row, name: str, *, whole: bool) -> Fit:
        return was(self, row, name if whole else name[:2], whole=whole)

    monkeypatch.setattr(ScopeAt, "_name", name)


def _side_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    was = ScopeAt._tests

    def tests(self: ScopeAt, selector: Any, row: Row, as_of: Any) -> Any:
        given = Selector(**{n: getattr(selector, n) for n in selector.__struct_fields__ if n != "side"})
        return was(self, given if self.venue == "futures" else selector, row, as_of)

    monkeypatch.setattr(ScopeAt, "_tests", tests)


def _gap_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def wants(self: ScopedCancel) -> bool:
        return False

    monkeypatch.setattr(ScopedCancel, "_wants_list", property(wants))
    # As if the stream's word that nothing fits were the venue's.
    monkeypatch.setattr(ScopedCancel, "_took_some", property(lambda self: True))
    was = ScopedCancel.__init__

    def init(self: ScopedCancel, *args: Any, **kwargs: Any) -> None:
        was(self, *args, **kwargs)
        # As if a list had borne it out.
        self._clean = self._patience.looks

    monkeypatch.setattr(ScopedCancel, "__init__", init)
    monkeypatch.setattr(ScopedCancel, "_cancel", _cancel_without_doubt)


def _cancel_without_doubt(self: ScopedCancel, targets: Any) -> None:
    if targets:
        self._orders.update(dict.fromkeys(targets))
        self.effects.append(CancelThese(tuple(targets)))


MISTAKES = {
    "a prefix that matches too much": (_prefix_too_short, "spot v1"),
    "a side forgotten on one venue": (_side_forgotten, "futures"),
    "an order born in the gap": (_gap_ignored, "spot v1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    plant, dialect = MISTAKES[mistake]
    plant(monkeypatch)

    async def day(seed: int) -> None:
        async with stage(dialect, seed) as world:
            await live_a_day(world, seed)

    for seed in range(1, 13):
        try:
            trio.run(day, seed, clock=trio.testing.MockClock(autojump_threshold=0))
        except BaseExceptionGroup as group:
            if group.subgroup(AssertionError) is not None:
                return
            raise
        except AssertionError:
            return
    pytest.fail("twelve days did not find it")
