"""One venue's sweep: from the kill until the latch is cleared, everything that rests is cancelled, and looked for.

SWEEPING    rounds of cancels, at most a second apart, each followed by a look: the venue is asked what is open.
CONFIRMING  a look showed nothing: no cancels, only looks, until a second one in a row confirms it.
FLAT        confirmed: seldom looks, since orders can be placed by others at any time.

An order that appears, and a look that shows one, lead back to SWEEPING; so does a flat whose looks are no longer
answered. There is no end state: a sweep is thrown away when the kill switch is re-armed.

All methods are plain calls that take the time as an argument and leave what is to be done in `effects`; the caller
carries those out in the order in which they stand. What must never happen here: `flat` said of a venue where an order
rests that both looks could have shown; cancels held back because an answer is missing; cancels without a bound.
"""

import enum
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from ..contract.ids import Venue
from .effects import Alert
from .instants import FAR_NS, MS
from .lane import REST, Lane, route_of
from .sweep_orders import Believed, BelievedOrders

ROUND_PAUSES_MS: Final = (250, 500, 1000)
"""Pauses between rounds; the last one repeats for as long as it takes."""

LOOK_AFTER_NS: Final = 250 * MS
"""A round is followed by a look when its cancel-all is answered, and after this time at the latest."""

GAP_NS: Final = 100 * MS
"""Least time between two rounds, and between two looks, whatever asks for them: sessions that flap, or many kills."""

CONFIRM_NS: Final = 200 * MS
"""Between an empty look and the one that confirms it. Spot's OpenOrders may lack a just-placed order for a moment."""

LOOK_TIMEOUT_NS: Final = 5_000 * MS
"""A look that is not answered by then is given up. The REST lane itself gives up sooner."""

LOOK_RETRY_NS: Final = 1_000 * MS
"""When a look that failed while all was flat is repeated."""

THROTTLED_NS: Final = 3_000 * MS
"""How long looks pause when the venue throttles them. A look costs 1 or 2 points where as little as 0.33 a second
decays, and cancel-all draws on the same counter. Source: Spot REST "Rate limits" guide."""

FLAT_LOOK_NS: Final = 10_000 * MS
BLIND_LOOK_NS: Final = 5_000 * MS
"""Between looks while flat: with a session, whose order stream tells of new orders at once, and without any. The
first keeps within the slowest decay at 2 points a look, the second at 1."""

STALE_NS: Final = 20_000 * MS
"""A venue is flat no longer when no look begun in this time was answered: two looks while flat, one of them slow."""

REST_PAUSE_NS: Final = 5_000 * MS
"""How often REST repeats a cancel-all beside a session that answers: a point each, which looks need more."""

ALERT_NS: Final = 1_000 * MS
"""How long anything may be left before people hear of it."""

ALERT_EVERY_NS: Final = 60_000 * MS
"""How often they hear of it again."""

HELD_NS: Final = 10_000 * MS
"""How often a single cancel is tried while the venue turns cancel-alls away because it takes no cancels now, or wants
fewer calls, until one is taken. Each counts at the venue, and what they spend is missing when cancel-all would be taken
again: Futures has 500 points for ten seconds, of which ten of those take 250. Source: Futures "Rate limits" guide."""

SHOWN_LIMIT: Final = 100
"""Most ids in a report."""

NAMED_LIMIT: Final = 10
"""Most ids in an alert, which a person reads as one line."""

ERROR_CHARS: Final = 200
"""What is kept of an error for the report."""

State: TypeAlias = Literal["flat", "residual", "unreachable"]


class FireAll(NamedTuple):
    """Send the venue's cancel-all on this lane, past every queue; then `fired_answered` or `fired_failed`."""

    lane: Lane


class Walk(NamedTuple):
    """The venue has no cancel-all: cancel every order that is believed open."""


class CancelOne(NamedTuple):
    """Cancel this order."""

    order_id: str


class Look(NamedTuple):
    """Ask for all open orders by whatever way is up; then `look_answered` or `look_failed` with this number."""

    number: int


class Flat(NamedTuple):
    """The venue has just been verified flat; the alert of this sweep is over."""


SweepEffect: TypeAlias = FireAll | Walk | CancelOne | Look | Flat | Alert


class _Phase(enum.Enum):
    SWEEPING = "sweeping"
    CONFIRMING = "confirming"
    FLAT = "flat"


class _Looking(NamedTuple):
    number: int
    begun_ns: int


class Sweep:
    """The sweep of one venue. `effects` is filled by every method and emptied by the caller.

    mass: the venue has a cancel-all; without one its orders are walked. rest: cancels and looks can go by REST.
    live: the sessions that are up and take cancels (not the Futures feed, which only tells), the active one first.
    known: the orders believed open, and when each was last heard of. Times are monotonic nanoseconds. The first cancels
    stand in `effects` once it is made.
    """

    def __init__(
        self, venue: Venue, *, mass: bool, rest: bool, live: Iterable[Lane], known: Mapping[str, int], now_ns: int
    ) -> None:
        self.venue = venue
        self.effects: list[SweepEffect] = []
        self._mass = mass
        self._rest = rest
        self._live: list[Lane] = list(live)
        self._phase = _Phase.SWEEPING
        self._orders = BelievedOrders(now_ns)
        # Rounds.
        self._rounds = 0
        self._pauses = 0
        self._round_ns = now_ns
        self._last_round_ns = now_ns - GAP_NS
        self._waiting: set[Lane] = set()
        self._answering: set[Lane] = set()
        self._accepted = False
        self._strikes = False
        self._rest_fired_ns = now_ns - REST_PAUSE_NS
        self._singles_ns = now_ns - HELD_NS
        self._turned_away = False
        # Looks.
        self._looking: _Looking | None = None
        self._begun = 0
        self._spoiled = 0
        self._empty = 0
        self._look_ns = FAR_NS
        self._last_look_ns = now_ns - GAP_NS
        self._paused_until_ns = now_ns
        self._seen_ns: int | None = None
        self._heard_ns: int | None = None
        # Reports.
        self._alert_ns = now_ns + ALERT_NS
        self._told = 0
        self._tried: dict[str, str] = {}
        self.fire(known, now_ns)

    # ---------------------------------------------------------------- what happened

    def fire(self, known: Mapping[str, int], now_ns: int) -> None:
        """The kill was pulled (again): cancel by every usable way at once, and verify anew. known: as at the start."""
        for order_id, told_ns in known.items():
            self._orders.believe(order_id, now_ns, told_ns)
        self._strikes = True
        self._resume(now_ns, now_ns)
        self.on_time(now_ns)

    def session_up(self, lane: Lane, now_ns: int) -> None:
        """A session is up: what was left is cancelled through it at once, and what came meanwhile is looked for."""
        if lane not in self._live:
            self._live.append(lane)
        self._forget(lane)
        self._tried.pop("ws", None)
        if self._phase is _Phase.SWEEPING:
            self._bring_round(now_ns)
        elif self._phase is _Phase.FLAT:
            # Not while confirming: the second look must not come sooner than CONFIRM_NS after the first.
            self._bring_look(now_ns)
        self.on_time(now_ns)

    def session_down(self, lane: Lane, now_ns: int) -> None:
        """A session is lost, and with it perhaps the cancel-all that it carried."""
        if lane in self._live:
            self._live.remove(lane)
            if lane in self._waiting:
                self._failed("ws", "the session was lost before its answer")
                self._bring_round(now_ns)
        self._forget(lane)
        self.on_time(now_ns)

    def fired_answered(self, lane: Lane, count: int | None, now_ns: int) -> None:
        """The venue accepted a cancel-all. count: how many orders it says it cancelled, where it says so."""
        self._heard_ns = now_ns
        self._accepted = True
        self._turned_away = False
        self._waiting.discard(lane)
        self._answering.add(lane)
        self._tried.pop(route_of(lane), None)
        self._told += count or 0
        if self._phase is _Phase.SWEEPING:
            self._bring_look(now_ns)
        self.on_time(now_ns)

    def fired_failed(self, lane: Lane, why: str, now_ns: int, *, turned_away: bool = False) -> None:
        """A cancel-all could not be sent, was refused, or has no verdict: the next round repeats it, elsewhere first.

        why: the venue's words, or what happened. turned_away: the venue takes no cancels now, or wants fewer calls.
        """
        self._accepted = False
        self._turned_away = turned_away
        self._forget(lane)
        self._failed(route_of(lane), why)
        self.on_time(now_ns)

    def look_answered(self, number: int, open_ids: Collection[str], now_ns: int) -> None:
        """What the venue says is open: all of it. A list known to be incomplete is a look that failed.

        The answer to a look that was given up is ignored: it is older than what has been sent since.
        """
        if self._looking is None or number != self._looking.number:
            return
        begun_ns, self._looking = self._looking.begun_ns, None
        self._seen_ns, self._heard_ns = begun_ns, now_ns
        self._tried.pop("look", None)
        sure_ns = self._orders.take_in(open_ids, begun_ns)
        if sure_ns is not None:
            # What is left was heard of too lately for this list to be sure to show it: the first that is sure tells.
            self._bring_look(sure_ns)
        if self._orders:
            self._resume(now_ns, now_ns if self._phase is not _Phase.SWEEPING else self._round_ns)
        else:
            # Only a look begun after the last cancel counts: before that, orders may have been under way together.
            self._empty = self._empty + 1 if number > self._spoiled else 0
            if self._empty < 2:
                self._phase = _Phase.CONFIRMING
                self._look_ns = now_ns + CONFIRM_NS
            else:
                if self._phase is not _Phase.FLAT:
                    self.effects.append(Flat())
                self._phase = _Phase.FLAT
                self._look_ns = now_ns + (FLAT_LOOK_NS if self._live else BLIND_LOOK_NS)
        self.on_time(now_ns)

    def look_failed(self, number: int, why: str, now_ns: int, *, throttled: bool = False) -> None:
        """A look has no answer that says what is open. throttled: because the venue wants fewer calls."""
        if self._looking is None or number != self._looking.number:
            return
        self._looking = None
        if throttled:
            self._paused_until_ns = now_ns + THROTTLED_NS
        self._missed(why, now_ns)
        self.on_time(now_ns)

    def opens(self, opens_ns: int, now_ns: int, *, looks: bool) -> None:
        """REST, which stays away, goes on then: a round, or for `looks` a look, is due at that moment at the latest."""
        if looks:
            self._bring_look(opens_ns)
        elif self._phase is _Phase.SWEEPING:
            self._bring_round(opens_ns)
        self.on_time(now_ns)

    def order_opened(self, order_id: str, now_ns: int) -> None:
        """An order appeared although the switch is latched: it is cancelled on sight, and looked for."""
        self._heard_ns = now_ns
        self._orders.believe(order_id, now_ns, now_ns)
        self._resume(now_ns, now_ns + LOOK_AFTER_NS)
        order = self._orders.get(order_id)
        if order is not None and not order.asked:
            self._cancel_one(order_id, order, now_ns)
        self.on_time(now_ns)

    def order_ended(self, order_id: str, *, canceled: bool, now_ns: int) -> None:
        """The order stream told that an order is off the book, and whether a cancel took it."""
        self._heard_ns = now_ns
        known = self._orders.ended(order_id, canceled=canceled)
        if known and not self._orders.named and self._phase is _Phase.SWEEPING:
            # That was the last one known: whether it was the last of all only a look tells.
            self._bring_look(now_ns)
        self.on_time(now_ns)

    def on_time(self, now_ns: int) -> None:
        """Do what has become due; to be called at `wake_ns`, and harmless at any other time."""
        if self._looking is None:
            if now_ns >= self._look_due_ns and not self._reachable:
                self._look_ns = FAR_NS
                self._missed("no session is up", now_ns)
        elif now_ns >= self._looking.begun_ns + LOOK_TIMEOUT_NS:
            self._looking = None
            self._missed("no answer", now_ns)
        if self._phase is _Phase.FLAT and now_ns >= self._stale_ns:
            self._resume(now_ns, now_ns)
        if self._phase is _Phase.SWEEPING and now_ns >= self._round_ns:
            self._round(now_ns)
        if self._looking is None and now_ns >= self._look_due_ns:
            self._look(now_ns)
        if self._phase is _Phase.SWEEPING and now_ns >= self._alert_ns:
            self._alert(now_ns)

    # ---------------------------------------------------------------- how it stands

    @property
    def wake_ns(self) -> int:
        """When `on_time` has something to do; never FAR_NS, since a sweep never ends by itself."""
        wake_ns = self._look_due_ns if self._looking is None else self._looking.begun_ns + LOOK_TIMEOUT_NS
        if self._phase is _Phase.FLAT:
            return min(wake_ns, self._stale_ns)
        if self._phase is _Phase.SWEEPING:
            return min(wake_ns, self._round_ns, self._alert_ns)
        return wake_ns

    @property
    def canceled(self) -> int:
        """How many orders were cancelled, at least.

        As the venue counts them, or as they went, whichever is more: both count the same orders, and neither all.
        What vanished between two looks may also have filled.
        """
        return max(self._told, self._orders.vanished)

    def state(self, now_ns: int) -> State:
        """`flat` once two looks in a row, begun after the last cancel, showed nothing, and nothing has come since.

        `residual` while something rests, or while a venue that answers is not verified yet (then perhaps without ids).
        `unreachable` when the venue does not say what rests, or has not said it yet; what was believed to rest stays in
        the report.
        """
        if self._phase is _Phase.FLAT:
            return "flat" if now_ns < self._stale_ns else "unreachable"
        heard_ns = self._heard_ns if self._orders.named else self._seen_ns
        return "unreachable" if heard_ns is None or now_ns - heard_ns >= STALE_NS else "residual"

    def status(self, now_ns: int) -> dict[str, Any]:
        """This venue in `killed` and in `status`: `residual` has at most SHOWN_LIMIT ids, `resting` is their number."""
        shown: dict[str, Any] = {
            "state": self.state(now_ns),
            "canceled": self.canceled,
            "residual": list(islice(self._orders, SHOWN_LIMIT)),
            "resting": len(self._orders),
            "rounds": self._rounds,
            "looks": self._begun,
        }
        if self._tried:
            shown["tried"] = dict(self._tried)
        return shown

    # ---------------------------------------------------------------- rounds

    @property
    def _reachable(self) -> bool:
        return self._rest or bool(self._live)

    def _resume(self, now_ns: int, round_ns: int) -> None:
        """Sweep (on), with a round at that time at the latest, and start the count of empty looks anew."""
        if self._phase is _Phase.FLAT:
            self._alert_ns = now_ns + ALERT_NS
        if self._phase is not _Phase.SWEEPING:
            # Something new: the pauses start from the shortest.
            self._phase = _Phase.SWEEPING
            self._pauses = 0
            self._round_ns = FAR_NS
        self._empty = 0
        self._bring_round(round_ns)

    def _bring_round(self, round_ns: int) -> None:
        self._round_ns = max(min(self._round_ns, round_ns), self._last_round_ns + GAP_NS)

    def _round(self, now_ns: int) -> None:
        """Cancel everything by the ways there are, then those orders singly that this has not helped with before."""
        self._last_round_ns = now_ns
        self._round_ns = now_ns + ROUND_PAUSES_MS[min(self._pauses, len(ROUND_PAUSES_MS) - 1)] * MS
        self._pauses += 1
        self._look_ns = min(self._look_ns, now_ns + LOOK_AFTER_NS)
        if not self._reachable:
            self._failed("ws", "no session is up")
            return
        self._rounds += 1
        # Something is sent: no look begun until now can be one of the two that show the venue flat.
        self._spoiled = self._begun
        if self._mass:
            self._fire_all(now_ns)
        else:
            self.effects.append(Walk())
        # The venue may turn away cancels of everything and take those of single orders: then those are enough.
        held = self._mass and self._turned_away and not self._orders.single_took
        self._orders.single_took = False
        if held and now_ns - self._singles_ns < HELD_NS:
            return
        for order_id, order in self._orders.items():
            wants = order.wants_single(now_ns, mass=self._mass, accepted=self._accepted)
            if wants and (not self._cancel_one(order_id, order, now_ns) or held):
                break

    def _fire_all(self, now_ns: int) -> None:
        """Cancel everything: after a pull on every way, else by a session, and by REST where none has answered."""
        # Whoever has not answered the round before is not counted on in this one.
        self._answering -= self._waiting
        free = [lane for lane in self._live if lane not in self._waiting]
        lanes = self._live if self._strikes else (free or self._live[self._rounds % max(len(self._live), 1) :])[:1]
        trusted = any(lane in self._answering for lane in lanes)
        ways = [*lanes]
        if self._rest and (self._strikes or not trusted or now_ns - self._rest_fired_ns >= REST_PAUSE_NS):
            self._rest_fired_ns = now_ns
            ways.append(REST)
        self._strikes = False
        self._waiting.update(ways)
        self.effects += map(FireAll, ways)

    def _cancel_one(self, order_id: str, order: Believed, now_ns: int) -> bool:
        """Cancel one order, unless this second's are spent."""
        if not self._orders.ask(order_id, order, now_ns):
            return False
        self._singles_ns = now_ns
        self._spoiled = self._begun
        self.effects.append(CancelOne(order_id))
        return True

    def _forget(self, lane: Lane) -> None:
        """Nothing that this lane owed us or has earned counts for its next session."""
        self._waiting.discard(lane)
        self._answering.discard(lane)

    # ---------------------------------------------------------------- looks

    @property
    def _look_due_ns(self) -> int:
        return max(self._look_ns, self._last_look_ns + GAP_NS, self._paused_until_ns)

    @property
    def _stale_ns(self) -> int:
        assert self._seen_ns is not None, "flat without a look"
        return self._seen_ns + STALE_NS

    def _bring_look(self, now_ns: int) -> None:
        self._look_ns = min(self._look_ns, now_ns)

    def _look(self, now_ns: int) -> None:
        self._last_look_ns = now_ns
        self._look_ns = FAR_NS
        self._begun += 1
        self._looking = _Looking(self._begun, now_ns)
        self.effects.append(Look(self._begun))

    def _missed(self, why: str, now_ns: int) -> None:
        """A look came to nothing: rounds bring the next one, and while all is flat it is repeated by itself."""
        self._failed("look", why)
        if self._phase is _Phase.CONFIRMING:
            self._resume(now_ns, now_ns)
        elif self._phase is _Phase.FLAT:
            self._look_ns = now_ns + LOOK_RETRY_NS

    # ---------------------------------------------------------------- reports

    def _failed(self, way: str, why: str) -> None:
        self._tried[way] = why[:ERROR_CHARS]

    def _alert(self, now_ns: int) -> None:
        self._alert_ns = now_ns + ALERT_EVERY_NS
        count = len(self._orders)
        named = ", ".join(islice(self._orders, NAMED_LIMIT)) + (", …" if count > NAMED_LIMIT else "")
        rest = f"resting, as far as is known: {count} ({named})" if count else "nobody can say what rests"
        tried = "".join(f"; {way}: {why}" for way, why in self._tried.items())
        do = f"{rest}{tried}; sweeping goes on: look at the venue's own pages and cancel there what is left"
        self.effects.append(Alert(f"{self.venue}: not flat after a kill", do))
