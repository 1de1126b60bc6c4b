"""Reply maps read into what a strategy works with. No socket, no clock."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ..contract.frames import UnreadableReply, read_outcome
from ..contract.ids import CommandID, Target, Venue
from ..contract.outcomes import NAMES, SAFE, Outcome, Refused, Route, Unknown

ReplyMap: TypeAlias = dict[str, Any]


class CommandRefused(Exception):
    """The daemon refused a command that names no orders. Nothing was done; `reason` is the contract's word."""

    def __init__(self, reply: ReplyMap) -> None:
        self.reason = str(reply.get("reason"))
        self.detail = str(reply.get("detail"))
        self.reply = reply
        super().__init__(f"refused ({self.reason}): {self.detail}")


class CancelResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one cancel came to.

    Times are CLOCK_MONOTONIC nanoseconds of this machine, None when it did not happen: `received_ns` the daemon had the
    command, `sent_ns` the first byte went to the venue, `answered_ns` the venue's conclusive answer. `attempts` counts
    requests that may have left. `order_id` is the venue's id where it is known. `replayed` marks a stored answer to an
    id that was asked before. `reply` is the map as received; empty when the daemon never answered.

    Of a userref: `count` orders went, `order_ids` are theirs, 500 at most, and `more` how many are left out. `pending`:
    the venue accepted the cancel and calls it not final yet. `received_time`: when it took it in, in its words.
    """

    id: CommandID
    venue: Venue
    target: Target
    outcome: Outcome
    route: Route = "none"
    attempts: int = 0
    received_ns: int | None = None
    sent_ns: int | None = None
    answered_ns: int | None = None
    error: str | None = None
    order_id: str | None = None
    count: int | None = None
    order_ids: tuple[str, ...] = ()
    more: int = 0
    pending: bool = False
    received_time: str | None = None
    replayed: bool = False
    reply: ReplyMap = {}

    @property
    def name(self) -> str:
        """The outcome's word in the contract: `acked`, `canceled`, `unknown`, …"""
        return NAMES[type(self.outcome)]

    @property
    def gone(self) -> bool:
        """Nothing rests under this identifier. False for `acked`: the order is on its way out, not yet proved gone."""
        return isinstance(self.outcome, SAFE)


class VenueSweep(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel-all came to on one venue. `residual`: order ids that still rest; `count` None when not told.

    order_ids: those that were cancelled, 500 at most; `more` how many are left out. unsure: orders of which nobody
    could tell whether they were meant; they were left alone. outcome: Unknown of a dry run, after which all rests.
    """

    outcome: Outcome
    count: int | None = None
    residual: tuple[str, ...] = ()
    error: str | None = None
    order_ids: tuple[str, ...] = ()
    more: int = 0
    unsure: tuple[str, ...] = ()


class CancelAllResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel-all came to, per venue."""

    id: CommandID
    venues: dict[Venue, VenueSweep]
    replayed: bool = False
    reply: ReplyMap = {}


class VenueRests(msgspec.Struct, frozen=True, kw_only=True):
    """What rests at one venue: this page's `orders`, and how many there are in all.

    by: "stream", "list" or "none", which is who tells; `as_of` since when it is known. `error`: why it is not fresh.
    """

    orders: tuple[ReplyMap, ...]
    count: int
    unsure: int = 0
    by: str = "none"
    as_of: str | None = None
    error: str | None = None


class RestsResult(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what rests, per venue. after: what brings the next page; None on the last one."""

    id: CommandID
    venues: dict[Venue, VenueRests]
    after: str | None = None
    reply: ReplyMap = {}


class KilledVenue(msgspec.Struct, frozen=True, kw_only=True):
    """One venue after a kill: `state` is "flat", "residual" or "unreachable"; only "flat" is verified empty."""

    state: str
    canceled: int | None = None
    residual: tuple[str, ...] = ()


class KillResult(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch after a kill. While `latched` the daemon goes on sweeping, also where a venue is not flat yet.

    drilled: of a drill, whether every way did what a kill needs of it; None of a kill. A drill leaves `latched` alone.
    ignored: what of the message the daemon did not understand, and killed all the same.
    """

    id: CommandID
    latched: bool
    venues: dict[Venue, KilledVenue]
    drilled: bool | None = None
    ignored: tuple[str, ...] = ()
    replayed: bool = False
    reply: ReplyMap = {}


class RearmResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step of re-arming: a one-time `code` and what still rests, or, with the code given back, `latched` False."""

    id: CommandID
    latched: bool
    code: str | None = None
    expires_in_ms: int | None = None
    residual: dict[Venue, tuple[str, ...]] = {}
    reply: ReplyMap = {}


class LeaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's lease as the daemon holds it; 0 ms once it is given back."""

    id: CommandID
    strategy: str
    expires_in_ms: int
    reply: ReplyMap = {}


class Pong(NamedTuple):
    """The daemon's CLOCK_MONOTONIC when it answered: the same clock as this machine's own."""

    monotonic_ns: int


class Asked(NamedTuple):
    """What a reply to one cancel, or to one place of a batch, is an answer to.

    repeated: the command was sent more than once, so a fresh refusal speaks of the last sending only.
    """

    id: CommandID
    venue: Venue
    target: Target
    repeated: bool


def read_cancel(asked: Asked, reply: ReplyMap) -> CancelResult:
    """An `outcome` or `refused` map; raises UnreadableReply."""
    outcome = _outcome(reply)
    error = reply.get("error")
    if isinstance(outcome, Refused) and asked.repeated and not reply.get("replayed"):
        # `refused` promises that no byte left the machine, but a daemon that was restarted in between can only speak
        # for this sending: what the first one came to nobody knows.
        error = f"asked twice; the second was refused ({outcome.reason}): {outcome.detail}"
        outcome = Unknown(())
    return CancelResult(
        id=asked.id,
        venue=asked.venue,
        target=asked.target,
        outcome=outcome,
        route=reply.get("route", "none"),
        attempts=reply.get("attempts", 0),
        received_ns=reply.get("received_ns"),
        sent_ns=reply.get("sent_ns"),
        answered_ns=reply.get("answered_ns"),
        error=error,
        order_id=reply.get("order_id"),
        count=reply.get("count"),
        order_ids=_ids(reply.get("order_ids")),
        more=int(reply.get("more", 0)),
        pending=reply.get("pending") is True,
        received_time=reply.get("received_time"),
        replayed=bool(reply.get("replayed", False)),
        reply=reply,
    )


def unanswered(asked: Asked) -> CancelResult:
    """The result of a cancel that the daemon never answered: the order must be treated as live."""
    return CancelResult(
        id=asked.id, venue=asked.venue, target=asked.target, outcome=Unknown(()), error="no answer from the daemon"
    )


def read_batch(asked: Sequence[Asked], reply: ReplyMap) -> list[CancelResult]:
    """A `batch` map to one result per order in the asked sequence; a refusal of the batch is one of each order."""
    if reply.get("outcome") == "refused":
        return [read_cancel(one, reply) for one in asked]
    outcomes = reply.get("outcomes")
    if not isinstance(outcomes, list) or len(outcomes) != len(asked):
        raise UnreadableReply(f"a batch of {len(asked)} was not answered by as many outcomes")
    replayed = bool(reply.get("replayed", False))
    return [
        read_cancel(one, {**_map(outcome), "replayed": replayed}) for one, outcome in zip(asked, outcomes, strict=True)
    ]


def read_all(id: CommandID, reply: ReplyMap) -> CancelAllResult:
    """An `all` map; raises UnreadableReply, CommandRefused."""
    venues = _venues(reply, "all")
    return CancelAllResult(
        id=id,
        venues={venue: _sweep(part) for venue, part in venues.items()},
        replayed=bool(reply.get("replayed", False)),
        reply=reply,
    )


def read_rests(id: CommandID, reply: ReplyMap) -> RestsResult:
    """A `rests` map; raises UnreadableReply, CommandRefused."""
    after = reply.get("after")
    return RestsResult(
        id=id,
        venues={
            venue: VenueRests(
                orders=tuple(map(_map, part.get("orders") or ())),
                count=int(part.get("count", 0)),
                unsure=int(part.get("unsure", 0)),
                by=str(part.get("by", "none")),
                as_of=part.get("as_of"),
                error=part.get("error"),
            )
            for venue, part in _venues(reply, "rests").items()
        },
        after=None if after is None else str(after),
        reply=reply,
    )


def _sweep(part: ReplyMap) -> VenueSweep:
    try:
        outcome = _outcome(part)
    except UnreadableReply:
        # One venue that cannot be read must not take away what is known of the others; unknown claims nothing.
        outcome = Unknown(())
    return VenueSweep(
        outcome=outcome,
        count=part.get("count"),
        residual=_ids(part.get("residual")),
        error=part.get("error"),
        order_ids=_ids(part.get("order_ids")),
        more=int(part.get("more", 0)),
        unsure=_ids(part.get("unsure")),
    )


def _ignored(notes: Any) -> tuple[str, ...]:
    # Nothing in it may keep anybody from what the kill came to.
    return tuple(map(str, notes)) if isinstance(notes, list | tuple) else ()


def read_killed(id: CommandID, reply: ReplyMap) -> KillResult:
    """A `killed` map; raises UnreadableReply, CommandRefused."""
    venues = _venues(reply, "killed")
    return KillResult(
        id=id,
        latched=reply.get("latched") is True,
        drilled=reply.get("good") is True if reply.get("drill") is True else None,
        ignored=_ignored(reply.get("ignored")),
        venues={
            venue: KilledVenue(
                state=str(part.get("state", "unreachable")),
                canceled=part.get("canceled"),
                residual=_ids(part.get("residual")),
            )
            for venue, part in venues.items()
        },
        replayed=bool(reply.get("replayed", False)),
        reply=reply,
    )


def read_rearm(id: CommandID, reply: ReplyMap) -> RearmResult:
    """A `rearm` map; raises UnreadableReply, CommandRefused."""
    _expect(reply, "rearm")
    residual = _map(reply.get("residual") or {})
    return RearmResult(
        id=id,
        # Only a plain false re-arms: a reply that does not say is read as still latched.
        latched=reply.get("latched") is not False,
        code=reply.get("code"),
        expires_in_ms=reply.get("expires_in_ms"),
        residual={venue: _ids(ids) for venue, ids in residual.items()},
        reply=reply,
    )


def read_lease(id: CommandID, reply: ReplyMap) -> LeaseResult:
    """A `lease` map; raises UnreadableReply, CommandRefused."""
    _expect(reply, "lease")
    expires_in_ms = reply.get("expires_in_ms")
    if not isinstance(expires_in_ms, int):
        raise UnreadableReply("a lease without expires_in_ms")
    return LeaseResult(id=id, strategy=str(reply.get("strategy", "")), expires_in_ms=expires_in_ms, reply=reply)


def read_status(reply: ReplyMap) -> ReplyMap:
    """A `status` map, as it came: more members may follow, so it is not pressed into a struct."""
    _expect(reply, "status")
    return reply


def read_pong(reply: ReplyMap) -> Pong:
    """A `pong` map; raises UnreadableReply, CommandRefused."""
    _expect(reply, "pong")
    monotonic_ns = reply.get("monotonic_ns")
    if not isinstance(monotonic_ns, int):
        raise UnreadableReply("a pong without monotonic_ns")
    return Pong(monotonic_ns)


def _expect(reply: ReplyMap, kind: str) -> None:
    if reply.get("outcome") == "refused":
        raise CommandRefused(reply)
    if reply["type"] != kind:
        raise UnreadableReply(f"expected a reply of type {kind}, got {reply['type']}")


def _venues(reply: ReplyMap, kind: str) -> dict[Venue, ReplyMap]:
    _expect(reply, kind)
    return {venue: _map(part) for venue, part in _map(reply.get("venues")).items()}


def _ids(residual: object) -> tuple[str, ...]:
    if residual is None:
        return ()
    if not isinstance(residual, list | tuple):
        raise UnreadableReply("what should be a list of order ids is none")
    return tuple(map(str, residual))


def _outcome(message: ReplyMap) -> Outcome:
    if not isinstance(message.get("tried", ()), list | tuple):
        raise UnreadableReply("tried is not a list of routes")
    return read_outcome(message)


def _map(value: object) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise UnreadableReply("a map was expected")
    return value
