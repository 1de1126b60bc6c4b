"""Exactly one reply to each command: at once, when its outcome is there, or again for who asks again.

What a command owes is counted in `in_flight`, and the daemon does not stop before all of it is paid.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import structlog
import trio

from ..contract.frames import Encoding, encode, refusal_map
from ..contract.outcomes import NAMES, Settlement
from ..engine.intents import SLOT_LIMIT, Intents
from ..engine.replays import Remembered, Replays
from ..settings import IN_FLIGHT_LIMIT
from ..transport.clock import Clock
from .events import Events
from .outbox import Outbox, Outlet
from .shares import Shares
from .telemetry import Histogram, Ledger
from .tickets import Asked

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_WORTH_A_LINE: Final = frozenset({"unknown", "rejected", "refused"})
"""Outcomes that leave an order resting, or may: they are logged. The others are on the event socket."""

_LINE: Final = ("id", "venue", "order_id", "cl_ord_id", "userref", "outcome", "route", "attempts", "error", "reason")


CROWD_OVER_S: Final = 0.02
"""With no further reply of a crowd for so long the last one has gone."""

TELL_PAUSE_S: Final = 0.002
TELL_SLICE: Final = 32
"""Replies of a crowd that are told of at once, a millisecond of it, and the pause behind: others go on meanwhile."""

SLOTS_TO_SPARE: Final = SLOT_LIMIT - IN_FLIGHT_LIMIT
"""So many replies may keep their place in the record of what is in flight until they are told of: a process that dies
before has left no other word of them."""


class Told(NamedTuple):
    """What is to be told of a reply that was sent. took_ns: from the receipt of its command."""

    reply: Mapping[str, Any]
    outcomes: Sequence[Mapping[str, Any]]
    took_ns: int


class Replies:
    """Every reply of the daemon passes here, and then the outbox."""

    def __init__(self, outbox: Outbox, intents: Intents, clock: Clock, events: Events) -> None:
        """intents: the record in which an answered command is no longer to stand."""
        self.in_flight = 0
        """Commands that were admitted and have no reply yet."""
        self.refusals = 0
        self.replayed = 0
        self.replays: Replays[Asked] = Replays()
        self.shares = Shares()
        self.answer_times = Histogram()
        self.ledger = Ledger()
        self._outbox = outbox
        self._intents = intents
        self._clock = clock
        self._events = events
        self._untold: dict[Asked, Told] = {}
        self._some_untold = trio.Event()
        # Whether there is somebody to tell later what is not told at once.
        self._tells = False
        # While somebody waits for the last reply.
        self._emptied: trio.Event | None = None

    async def all_given(self) -> None:
        """Return when the last command in flight is answered. New ones put it off: refuse them first."""
        while self.in_flight or self._untold:
            self._emptied = trio.Event()
            await self._emptied.wait()

    # ---------------------------------------------------------------- without a wait

    def at_once(self, asked: Asked, reply: Mapping[str, Any]) -> None:
        """Reply to a command that is not in flight."""
        self._outbox.send(asked.outlet, asked.identity, asked.enveloped, encode(reply, asked.encoding), asked)

    def refuse(
        self, outlet: Outlet, identity: bytes, enveloped: bool, encoding: Encoding, refusal: Mapping[str, Any]
    ) -> None:
        """Refuse what is no command."""
        self.refusals += 1
        self._outbox.send(outlet, identity, enveloped, encode(refusal, encoding))

    # ---------------------------------------------------------------- the same id again

    def known(self, asked: Asked, now_ns: int) -> Remembered[Asked] | None:
        """What the id of a command stands for already; None when it is free."""
        key = asked.key
        if key is None:
            return None
        known = self.replays.find(key, now_ns)
        if self._untold and known is not None and known.waiter in self._untold:
            # It was replied to, and is only not remembered yet.
            self._tell_now(known.waiter)
            known = self.replays.find(key, now_ns)
        return known

    def repeat(self, asked: Asked, known: Remembered[Asked]) -> None:
        """The same id again: the stored reply, or a place beside the command in flight; for another command a no."""
        if not known.is_for(asked.command):
            detail = "id: taken by another command less than 15 minutes ago"
            self.at_once(asked, refusal_map(asked.command.id, "id_reused", detail))
            return
        self.replayed += 1
        if known.reply is not None:
            self.at_once(asked, {**known.reply, "replayed": True})
            return
        assert known.waiter is not None
        known.waiter.join(asked)

    # ---------------------------------------------------------------- in flight

    def owe(self, asked: Asked, now_ns: int) -> None:
        """A command is in flight from now on: `settle` is to be called for it, once. Its id is taken."""
        key = asked.key
        if key is not None:
            self.replays.remember(key, asked, asked.command, now_ns)
        self.in_flight += 1

    def owe_unremembered(self, asked: Asked) -> None:
        """The same where the id stands for another command and goes on doing so."""
        self.in_flight += 1

    def settle(
        self,
        asked: Asked,
        reply: Mapping[str, Any],
        outcomes: Sequence[Mapping[str, Any]],
        payload: bytes | None = None,
    ) -> None:
        """Give a command in flight its one reply, and remember it; then tell the event socket its outcomes.

        payload: the reply, where it was encoded ahead: then it is one of a crowd, whose replies all go first.
        """
        self.give(asked, encode(reply, asked.encoding) if payload is None else payload)
        self.given(asked, reply, outcomes, hurried=payload is not None)

    def give(self, asked: Asked, payload: bytes) -> None:
        """The half of `settle` that its client waits for."""
        self._outbox.send(asked.outlet, asked.identity, asked.enveloped, payload, asked)

    def given(
        self,
        asked: Asked,
        reply: Mapping[str, Any],
        outcomes: Sequence[Mapping[str, Any]],
        *,
        hurried: bool = False,
    ) -> None:
        """The other half, in the same step."""
        hurried = hurried and self._tells
        if asked.slots and not (hurried and len(self._untold) < SLOTS_TO_SPARE):
            self._intents.settle(asked.slots)
            asked.slots = ()
        self.in_flight -= 1
        if asked.holder is not None:
            self.shares.give_back(asked.holder)
        if asked.joined is not None:
            for place in asked.joined:
                again = encode({**reply, "replayed": True}, place.encoding)
                self._outbox.send(place.outlet, place.identity, place.enveloped, again)
        told = Told(reply, outcomes, self._clock.monotonic_ns() - asked.received_ns)
        if hurried:
            self._untold[asked] = told
            self._some_untold.set()
        else:
            self._tell(asked, told)

    def _tell(self, asked: Asked, told: Told) -> None:
        """Remember a reply that was sent, count it, and tell its outcomes."""
        reply, outcomes, took_ns = told
        if asked.slots:
            self._intents.settle(asked.slots)
        # No byte left for a refused one, so asking again with the same id is a fresh try.
        key = asked.key
        if key is not None:
            self.replays.settle(key, asked, None if reply.get("outcome") == "refused" else reply)
        self.answer_times.record(took_ns)
        for outcome in outcomes:
            self.ledger.record(outcome["venue"], outcome["outcome"], outcome.get("route", "none"), took_ns)
            self._events.outcome(outcome, asked.command.strategy)
            if outcome["outcome"] in _WORTH_A_LINE:
                self._log(outcome)
        if self._emptied is not None and not self.in_flight and not self._untold:
            self._emptied.set()

    def _tell_now(self, asked: Asked) -> None:
        self._tell(asked, self._untold.pop(asked))

    async def tell_on(self) -> None:
        """Tell of replies that went ahead of their telling, once no more of them follow; at its end all are told."""
        self._tells = True
        try:
            while True:
                if not self._untold:
                    self._some_untold = trio.Event()
                    await self._some_untold.wait()
                untold = 0
                while untold < len(self._untold):
                    untold = len(self._untold)
                    await trio.sleep(CROWD_OVER_S)
                while self._untold and len(self._untold) <= untold:
                    for asked in list(islice(self._untold, TELL_SLICE)):
                        self._tell_now(asked)
                    untold = len(self._untold)
                    await trio.sleep(TELL_PAUSE_S)
        finally:
            self._tells = False
            for asked in list(self._untold):
                self._tell_now(asked)

    def late(self, asked: Asked, settlement: Settlement) -> None:
        """Tell the event socket what the venue said after the reply."""
        if asked in self._untold:
            self._tell_now(asked)
        self._events.late(asked.command.id, asked.received_ns, settlement)
        log.info("late answer", id=asked.command.id, venue=settlement.venue, outcome=NAMES[type(settlement.outcome)])

    def _log(self, outcome: Mapping[str, Any]) -> None:
        if outcome["outcome"] == "unknown":
            what = f"{outcome['venue']} cancels end as unknown"
            self._events.alert("warning", what, "treat them as live; status tells which routes are down")
        log.warning("answered", **{name: outcome[name] for name in _LINE if name in outcome})
