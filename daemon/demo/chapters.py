"""What goes wrong, chapter by chapter: each breaks something, has orders canceled, and is judged by the book."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..client.blocking import Client
from ..client.results import CancelAllResult, CancelResult
from ..contract.commands import OrderRef
from ..contract.ids import Venue
from ..contract.outcomes import NAMES, Refused
from .exchange import Exchange
from .story import Story, counted, slowest

PLENTY_MS: Final = 5_000
"""Deadline of the demo's commands: patience for a busy machine, never reached on an idle one."""

KILL_MS: Final = 10_000
SHORT_MS: Final = 700
"""Deadline where a venue that is down is to be told of, rather than waited for."""

UP_S: Final = 15.0
LOOK_S: Final = 0.02

DONE: Final = ("acked", "canceled", "closed")
NOT_KNOWN_DEAD: Final = ("unknown", "refused")


class Stage(NamedTuple):
    """Who takes part: the strategy asks on the command socket, the operator on the control socket."""

    story: Story
    exchange: Exchange
    strategy: Client
    operator: Client


Chapter = Callable[[Stage], bool]
"""Plays, and says whether everybody was told the truth."""


def await_up(strategy: Client, venue: Venue) -> bool:
    """Whether every connection to a venue is live, or becomes so in time."""
    return _await(lambda: strategy.status()["venues"][venue]["state"] == "up")


def _await(holds: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + UP_S
    while not (held := holds()) and time.monotonic() < give_up:
        time.sleep(LOOK_S)
    return held


def _cancel_each(on: Stage, venue: Venue, order_ids: Sequence[str]) -> list[CancelResult]:
    return on.strategy.cancel_many(venue, [OrderRef(order_id=one) for one in order_ids], deadline_ms=PLENTY_MS)


def _place_known(on: Stage, venue: Venue, count: int) -> list[str]:
    """Orders that canceld has heard of, as it has of any order that is more than a moment old."""
    order_ids = on.exchange.place(count, venue)
    _await(lambda: on.strategy.status()["venues"][venue]["open_orders"] >= on.exchange.resting(venue))
    return order_ids


def _close(on: Stage, what: str, venue: Venue, results: Sequence[CancelResult], expected: Sequence[str]) -> bool:
    """End a chapter of single cancels: lift what went wrong, look at the book, tell."""
    on.exchange.clear()
    resting = on.exchange.resting_after(venue, 0)
    names = Counter(result.name for result in results)
    routes = Counter(result.route for result in results)
    took = slowest(results)
    on.story.row(what, venue, str(len(results)), counted(names), counted(routes), took, resting)
    on.story.tell(f"  answers: {counted(names)}; slowest {took}; {resting} orders rest on the exchange")
    return resting == 0 and all(name in expected for name in names)


def _close_all(on: Stage, what: str, answer: CancelAllResult, venue: Venue, wanted: int) -> str:
    """Tell one venue's part of a cancel of everything; its outcome, or the empty string where the book disagrees."""
    sweep = answer.venues[venue]
    name = NAMES[type(sweep.outcome)]
    resting = on.exchange.resting_after(venue, wanted)
    route = answer.reply["venues"][venue].get("route", "none")
    told = f"{name} ({sweep.outcome.reason})" if isinstance(sweep.outcome, Refused) else name
    on.story.row(what, venue, "all", told, route, "-", resting)
    on.story.tell(f"  answer for {venue}: {told}; {resting} orders rest on the exchange")
    return name if resting == wanted else ""


# ---------------------------------------------------------------- Spot


def _plain(on: Stage) -> bool:
    on.story.tell("a strategy cancels ten orders, one after the other")
    results = [on.strategy.cancel("spot", order_id=one) for one in on.exchange.place(10, pair="XBT/USD")]
    return _close(on, "a quiet day", "spot", results, DONE)


def _proof(on: Stage) -> bool:
    on.story.tell('three more, until:"proof": answered when the order stream shows that the order is gone')
    order_ids = on.exchange.place(3, pair="XBT/USD")
    results = [on.strategy.cancel("spot", order_id=one, until="proof") for one in order_ids]
    return _close(on, 'until:"proof"', "spot", results, ("canceled",))


def _lost_ack(on: Stage) -> bool:
    on.story.tell("Kraken cancels but loses every acknowledgement; the order events come half a second late")
    order_ids = on.exchange.place(5, pair="ETH/USD")
    on.exchange.inject(
        {"kind": "swallow_ack_after_effect", "match": "cancelOrder"}, {"kind": "delay_events", "seconds": 0.5}
    )
    return _close(on, "acks lost after effect", "spot", _cancel_each(on, "spot", order_ids), DONE)


def _drop(on: Stage) -> bool:
    on.story.tell("fifty cancels are in flight when Kraken resets both sockets: REST takes over at once")
    order_ids = on.exchange.place(50, pair="SOL/USD")
    on.exchange.inject(
        {"kind": "swallow_ack_before_effect", "match": "cancelOrder", "times": 49},
        {"kind": "reset_sockets", "match": "cancelOrder", "times": 2},
    )
    return _close(on, "both sockets reset", "spot", _cancel_each(on, "spot", order_ids), DONE)


def _filled(on: Stage) -> bool:
    on.story.tell("an order fills in the very moment it is canceled: not an error, and not a success either")
    [order_id] = on.exchange.place(1)
    on.exchange.fill(order_id)
    return _close(on, "filled first", "spot", [on.strategy.cancel("spot", order_id=order_id)], ("closed",))


def _never_was(on: Stage) -> bool:
    on.story.tell("an order that never was: asked again for a while, as a cancel can overtake its order")
    results = [on.strategy.cancel("spot", order_id="ONEVER-WASXX-ATALLX", deadline_ms=PLENTY_MS)]
    return _close(on, "never existed", "spot", results, ("not_open",))


def _rest_only(on: Stage) -> bool:
    on.story.tell("the WebSockets stay away (every upgrade is refused): a burst of cancels goes by REST alone")
    on.exchange.inject(
        {"kind": "refuse_upgrade", "status": 503, "route": "spot_ws"}, {"kind": "reset_sockets", "route": "spot_ws"}
    )
    results = _cancel_each(on, "spot", on.exchange.place(20, pair="ADA/USD"))
    good = _close(on, "no WebSocket at all", "spot", results, DONE)
    on.story.tell("  Kraken takes WebSockets again, and canceld finds its way back")
    return good and await_up(on.strategy, "spot")


# ---------------------------------------------------------------- Prime and Futures


def _prime(on: Stage) -> bool:
    on.story.tell("Prime: ten cancels are in flight when their socket is reset. Prime's REST cannot cancel,")
    on.story.tell("  so the second connection asks for each again, under a new name")
    order_ids = _place_known(on, "prime", 10)
    on.exchange.inject({"kind": "reset_sockets", "match": "OrderCancelRequest", "times": 1})
    return _close(on, "its socket reset", "prime", _cancel_each(on, "prime", order_ids), DONE)


def _futures(on: Stage) -> bool:
    on.story.tell("Futures: five cancels by REST, whose answers name the order's state: proof at once;")
    on.story.tell("  the first answer is lost on its way, and canceld asks again")
    order_ids = _place_known(on, "futures", 5)
    on.exchange.inject(
        {"kind": "rest_close_before_answer", "match": "cancelorder", "effect": "after", "times": 1},
        {"kind": "delay_events", "seconds": 0.3, "route": "futures_feed"},
    )
    results = [on.strategy.cancel("futures", order_id=one, deadline_ms=PLENTY_MS) for one in order_ids]
    return _close(on, "a REST answer lost", "futures", results, ("canceled", "closed"))


# ---------------------------------------------------------------- every venue


def _everything(on: Stage) -> bool:
    on.story.tell("orders rest at all three venues, and Prime goes down. The strategy cancels everything:")
    on.story.tell("  one command, an answer for each venue, and the venue that is down holds up no other")
    for venue, count in _RESTING.items():
        _place_known(on, venue, count)
    on.exchange.inject(
        {"kind": "refuse_upgrade", "status": 503, "route": "prime_ws"}, {"kind": "reset_sockets", "route": "prime_ws"}
    )
    _await(lambda: on.strategy.status()["venues"]["prime"]["state"] == "down")
    what = "all, with Prime down"
    answer = on.strategy.cancel_all(everything=True, deadline_ms=SHORT_MS)
    good = [_close_all(on, what, answer, venue, 0) in DONE for venue in ("spot", "futures")]
    good.append(_close_all(on, what, answer, "prime", _RESTING["prime"]) in NOT_KNOWN_DEAD)
    on.exchange.clear()
    return all(good)


def _kill(on: Stage) -> bool:
    good = [await_up(on.strategy, "prime")]
    on.story.tell("Prime is back, its orders still rest. An operator pulls the kill switch: it is put on disk,")
    on.story.tell("  everything is canceled, and each venue is looked at until it is seen to be flat")
    asked_at = time.monotonic()
    killed = on.operator.kill("the demo wants everything gone", deadline_ms=KILL_MS)
    took = f"{(time.monotonic() - asked_at) * 1000:.1f} ms"
    for venue, end in killed.venues.items():
        resting = on.exchange.resting(venue)
        on.story.row("kill switch", venue, "all", end.state, "-", took, resting)
        on.story.tell(f"  answer for {venue}: {end.state}; {resting} orders rest on the exchange")
        good.append(end.state == "flat" and resting == 0)
    on.exchange.place(1)
    good.append(on.exchange.resting_after("spot", 0) == 0)
    on.story.tell("  latched: somebody placed another order, and it is gone again without a command")
    good.append(_await(lambda: all(end["state"] == "flat" for end in on.strategy.status()["kill"]["venues"].values())))
    code = on.operator.rearm().code
    good.append(not on.operator.rearm(confirm=code, reason="the demo is over").latched)
    on.story.tell(f"  re-armed, which takes two commands: the first was answered with the code {code}")
    return killed.latched and all(good)


_RESTING: Final[dict[Venue, int]] = {"spot": 40, "prime": 6, "futures": 6}

# Busy chapters trade a pair of their own: the venue counts young cancels per pair, and the tale is not about that.
CHAPTERS: Final[tuple[Chapter, ...]] = (
    _plain,
    _proof,
    _lost_ack,
    _drop,
    _filled,
    _never_was,
    _rest_only,
    _prime,
    _futures,
    _everything,
    _kill,
)
