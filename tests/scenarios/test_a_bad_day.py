"""A bad day: everything above goes wrong at random, several things at once, while strategies trade on.

No single answer is foretold here. What must hold is what always holds: each command has one answer in time, no answer
contradicts the exchange's book at the moment it is given, and when the last trouble is over both sessions are back and
every order that rests can be taken off.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trio

from canceld.sim.rates import PRO, UNLIMITED

from .world import REST_HOST, WS_HOST, Stage, Staging, Strategy

DAY_S = 20.0
LAST_WORD_MS = 30_000

ERRORS = (
    "EService:Busy",
    "EService:Unavailable",
    "Exceeded msg rate",
    "EOrder:Rate limit exceeded",
    "EGeneral:Permission denied",
    "EGeneral:Invalid arguments:txid",
    "EAPI:Invalid nonce",
    "ESession:Invalid session",
    "a text that nobody has seen before",
)

Members = Mapping[str, Any]


def _some(rng: random.Random) -> Members:
    """Of what comes along, for a while, only some."""
    return {"fraction": rng.uniform(0.2, 1.0), "for_s": rng.uniform(0.1, 3.0)}


def _effect(rng: random.Random) -> Members:
    return {"effect": rng.choice(("before", "after"))}


CANCEL = {"match": "cancelOrder"}
REST = {"route": "spot_rest"}

FAULTS: dict[str, Callable[[random.Random], Members]] = {
    "refuse_connections": lambda rng: {"for_s": rng.uniform(0.1, 3.0)},
    "stall_accept": lambda rng: {"for_s": rng.uniform(0.1, 3.0)},
    "stall_handshake": lambda rng: {"for_s": rng.uniform(0.1, 3.0)},
    "stall_subscribe": lambda rng: {"for_s": rng.uniform(0.1, 3.0)},
    "reset_sockets": lambda rng: rng.choice(({"route": "spot_ws"}, CANCEL | {"times": 1} | _effect(rng))),
    "close_code": lambda rng: {"code": rng.choice((1000, 1001, 1011, 1012, 1013))},
    "half_open": lambda rng: {"session": rng.randrange(8), "both": rng.random() < 0.5},
    "garbage_frame": lambda rng: {},
    "invalid_session": lambda rng: {},
    "maintenance": lambda rng: {"for_s": rng.uniform(0.5, 4.0), "cancel_only_s": 1.0},
    "swallow_ack_before_effect": lambda rng: CANCEL | _some(rng),
    "swallow_ack_after_effect": lambda rng: CANCEL | _some(rng),
    "duplicate_ack": _some,
    "shuffle_acks": _some,
    "event_before_ack": _some,
    "delay": lambda rng: {"seconds": rng.uniform(0.0, 1.0), "jitter_s": rng.uniform(0.0, 2.0)} | _some(rng),
    "delay_events": lambda rng: {"seconds": rng.uniform(0.0, 2.0)} | _some(rng),
    "drop_event": _some,
    "sequence_gap": lambda rng: {"times": 1},
    "stale_reqid": lambda rng: {"reqid": rng.randrange(1, 99), "instead": rng.random() < 0.5} | CANCEL | _some(rng),
    "token_error": lambda rng: CANCEL | _some(rng),
    "ack_error": lambda rng: {"error": rng.choice(ERRORS)} | CANCEL | _some(rng),
    "batch_partial": lambda rng: {"keep": rng.choice((1, 2)), "for_s": 3.0} | REST,
    "rest_status": lambda rng: _effect(rng) | REST | _some(rng),
    "rest_html_200": lambda rng: _effect(rng) | REST | _some(rng),
    "rest_close_before_answer": lambda rng: _effect(rng) | REST | _some(rng),
    "rest_truncate": lambda rng: REST | _some(rng),
    "rest_delay": lambda rng: {"seconds": rng.uniform(0.1, 4.0), "request": rng.random() < 0.5} | REST | _some(rng),
    "rest_error": lambda rng: {"error": rng.choice(ERRORS)} | REST | _some(rng),
}


class Day:
    """One bad day. rng: what happens; the exchange and the daemon have sources of their own."""

    def __init__(self, world: Stage, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._placed: list[tuple[str, dict[str, Any]]] = []
        self._names = 0

    async def live_through(self, strategies: list[Strategy]) -> None:
        """Let trouble, market and strategies run until the evening."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._again_and_again, 1.0, self._trouble)
            nursery.start_soon(self._again_and_again, 8.0, self._market)
            for strategy in strategies:
                nursery.start_soon(self._again_and_again, 6.0, self._ask, strategy)
        self._world.clear()
        self._world.reconnect()

    async def _again_and_again(self, per_s: float, happen: Callable[..., None], *args: Any) -> None:
        while self._world.now_s < DAY_S:
            await self._world.passed(self._rng.expovariate(per_s))
            happen(*args)

    def _trouble(self) -> None:
        what = self._rng.choice([*FAULTS, "cut the line", "mend the line", "mend the line"])
        if what == "cut the line":
            self._world.cut_off(*self._rng.choice(((WS_HOST,), (REST_HOST,), (WS_HOST, REST_HOST))))
        elif what == "mend the line":
            self._world.reconnect()
        else:
            self._world.inject(what, **FAULTS[what](self._rng))

    def _market(self) -> None:
        rng = self._rng
        if rng.random() < 0.75:
            self._names += 1
            named = rng.choice(({}, {}, {"cl_ord_id": f"mm-{self._names}"}, {"userref": rng.randrange(1, 6)}))
            [order_id] = self._world.place(1, **named)
            self._placed.append((order_id, named))
        elif resting := self._world.resting:
            self._world.fill(rng.choice(resting), rng.choice((None, "0.3")))

    def _ask(self, strategy: Strategy) -> None:
        rng = self._rng
        if not self._placed:
            return
        how = {
            "deadline_ms": rng.choice((50, 300, 1000, 2000, 5000, 8000)),
            "until": rng.choice(("ack", "proof")),
            "encoding": rng.choice(("msgpack", "json")),
        }
        order_id, named = rng.choice(self._placed[-30:])
        match rng.randrange(20):
            case 0:
                strategy.ask("cancel_all", **how)
            case 1 | 2:
                some = rng.sample(self._placed, rng.randint(1, min(len(self._placed), 70)))
                strategy.ask("cancel_batch", orders=[{"order_id": order} for order, _ in some], **how)
            case 3 | 4:
                strategy.ask(userref=rng.randrange(1, 7), **how)
            case 5:
                strategy.ask(order_id=f"ONEVER-WASAN-{rng.randrange(1000):06d}", **how)
            case 6 | 7 | 8 if "cl_ord_id" in named:
                strategy.ask(cl_ord_id=named["cl_ord_id"], **how)
            case _:
                strategy.ask(order_id=order_id, **how)


@pytest.mark.parametrize("seed", range(1, 13))
async def test_every_answer_holds_and_everything_heals(autojump_clock: object, stage: Staging, seed: int) -> None:
    rng = random.Random(seed)
    async with stage(seed, tier=rng.choice((PRO, UNLIMITED))) as world:
        await Day(world, rng).live_through([world.strategy() for _ in range(3)])
        # The longest reconnect delay, and the time that a forgotten half-open socket needs to be found.
        await world.passed(40.0)
        await world.live()
        cleaner = world.strategy()
        for order_id in world.resting:
            cleaner.ask(order_id=order_id, deadline_ms=LAST_WORD_MS)
        await world.passed(LAST_WORD_MS / 1000)
        assert world.resting == []
