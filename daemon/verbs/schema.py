"""JSON Schema of the messages between strategies and the daemon, for clients in other languages."""

from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from .. import __version__
from ..contract.commands import Command
from ..contract.ids import CommandID, Venue
from ..contract.outcomes import ClosedState, RefusalReason, RejectClass, Route
from ..contract.selectors import Selector, Side
from ..contract.version import CONTRACT

OutcomeName: TypeAlias = Literal["acked", "canceled", "closed", "not_open", "rejected", "unknown", "refused"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

IDENTIFIERS: Final = ("order_id", "cl_ord_id", "userref")


class Verdict(msgspec.Struct, kw_only=True):
    """What a cancel came to. Times are CLOCK_MONOTONIC nanoseconds; a member that did not happen is absent."""

    outcome: OutcomeName
    route: Route | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    cl_ord_id: str | UnsetType = UNSET
    userref: int | UnsetType = UNSET
    received_ns: int | UnsetType = UNSET
    sent_ns: int | UnsetType = UNSET
    answered_ns: int | UnsetType = UNSET
    error: str | UnsetType = UNSET
    filled_qty: str | UnsetType = UNSET
    pending: bool | UnsetType = UNSET
    received_time: str | UnsetType = UNSET
    count: int | UnsetType = UNSET
    order_ids: tuple[str, ...] | UnsetType = UNSET
    more: int | UnsetType = UNSET
    unsure: tuple[str, ...] | UnsetType = UNSET
    more_unsure: int | UnsetType = UNSET
    state: ClosedState | UnsetType = UNSET
    cause: Literal["unconfirmed"] | UnsetType = UNSET
    reject_class: RejectClass | UnsetType = msgspec.field(name="class", default=UNSET)
    tried: tuple[Route, ...] | UnsetType = UNSET
    reason: RefusalReason | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    symbol: str | UnsetType = UNSET
    note: str | UnsetType = UNSET


class OutcomeReply(Verdict, tag_field="type", tag="outcome"):
    """Answers a cancel."""

    id: CommandID | None
    venue: Venue
    replayed: bool | UnsetType = UNSET


class _Reply(msgspec.Struct, kw_only=True, tag_field="type"):
    id: CommandID | None
    replayed: bool | UnsetType = UNSET


class RefusedReply(_Reply, tag="refused"):
    """Answers whatever is refused and is not a well-formed cancel. Nothing was done."""

    outcome: Literal["refused"]
    reason: RefusalReason
    detail: str


class BatchReply(_Reply, tag="batch"):
    """Answers a cancel_batch: one outcome per order, in the asked sequence."""

    outcomes: tuple[OutcomeReply, ...]


class VenueVerdict(Verdict):
    """One venue of a cancel_all. `residual` are the order ids that still rest."""

    residual: tuple[str, ...] | UnsetType = UNSET


class VenueDryRun(msgspec.Struct):
    """One venue of a dry run: what would be cancelled now, and of which orders that cannot be told."""

    count: int
    order_ids: tuple[str, ...]
    more: int | UnsetType = UNSET
    unsure: tuple[str, ...] | UnsetType = UNSET
    more_unsure: int | UnsetType = UNSET


class AllReply(_Reply, tag="all"):
    """Answers a cancel_all. With `dry_run` nothing was cancelled: its venues have no outcome, and read VenueDryRun."""

    venues: dict[Venue, VenueVerdict]
    dry_run: bool | UnsetType = UNSET


class RestingOrder(msgspec.Struct):
    """One open order. What nobody has told is absent. `unsure`: whether the scope means it cannot be told."""

    order_id: str
    source: Literal["stream", "list"]
    seen_ms: int
    cl_ord_id: str | UnsetType = UNSET
    userref: int | UnsetType = UNSET
    symbol: str | UnsetType = UNSET
    side: Side | UnsetType = UNSET
    quantity: str | UnsetType = UNSET
    filled_qty: str | UnsetType = UNSET
    price: str | UnsetType = UNSET
    age_ms: int | UnsetType = UNSET
    unsure: bool | UnsetType = UNSET


class VenueRests(msgspec.Struct):
    """What rests at one venue: this page's orders, how many there are in all, since when that is known and by whom."""

    orders: tuple[RestingOrder, ...]
    count: int
    unsure: int
    by: Literal["stream", "list", "none"]
    as_of: str | UnsetType = UNSET
    as_of_ns: int | UnsetType = UNSET
    error: str | UnsetType = UNSET


class RestsReply(_Reply, tag="rests"):
    """Answers a what_rests. `after` brings the next page; it is absent on the last one."""

    venues: dict[Venue, VenueRests]
    after: str | UnsetType = UNSET


class KilledVenue(msgspec.Struct):
    """One venue after a kill: only "flat" is verified empty."""

    state: Literal["flat", "residual", "unreachable"]
    canceled: int | UnsetType = UNSET
    order_ids: tuple[str, ...] | UnsetType = UNSET
    more: int | UnsetType = UNSET
    residual: tuple[str, ...] | UnsetType = UNSET
    unsure: tuple[str, ...] | UnsetType = UNSET


class KilledReply(_Reply, tag="killed"):
    """Answers a kill or a kill_scope, and then `scope` is what was latched; with `drill` a kill's rehearsal.

    `ignored` names what of a kill's message was not understood.
    """

    latched: bool
    venues: dict[Venue, KilledVenue]
    scope: tuple[Selector, ...] | UnsetType = UNSET
    drill: bool | UnsetType = UNSET
    ignored: list[str] | UnsetType = UNSET


class RearmReply(_Reply, tag="rearm"):
    """Answers a rearm: first the one-time code and what still rests, then that the switch is armed."""

    latched: bool
    code: str | UnsetType = UNSET
    expires_in_ms: int | UnsetType = UNSET
    residual: dict[Venue, tuple[str, ...]] | UnsetType = UNSET


class TimerRightReply(_Reply, tag="timer_right"):
    """Answers a timer_right with the newest token that was taken."""

    token: int


class LeaseReply(_Reply, tag="lease"):
    """Answers a lease; 0 ms once it is given back."""

    strategy: str
    expires_in_ms: int


class StatusReply(_Reply, tag="status"):
    """Answers a status. More members may follow."""

    version: str
    contract: int
    state: Literal["starting", "serving", "draining"]
    in_flight: int
    venues: dict[Venue, dict[str, Any]]
    kill: dict[str, Any]
    leases: tuple[dict[str, Any], ...]
    deadman: dict[str, Any]
    process: dict[str, Any]
    clock: dict[str, Any]
    alerts: tuple[dict[str, Any], ...]


class PongReply(_Reply, tag="pong"):
    """Answers a ping, with the daemon's CLOCK_MONOTONIC."""

    monotonic_ns: int


Reply: TypeAlias = (
    OutcomeReply
    | BatchReply
    | AllReply
    | RestsReply
    | KilledReply
    | RearmReply
    | TimerRightReply
    | LeaseReply
    | StatusReply
    | PongReply
    | RefusedReply
)


def wire_schema() -> dict[str, Any]:
    """The schema of every message; `#/$defs/command` and `#/$defs/reply` are its two directions."""
    (command, reply), parts = msgspec.json.schema_components((Command, Reply), ref_template="#/$defs/{name}")
    for name in ("Cancel", "OrderRef"):
        # The types cannot say it: exactly one identifier.
        parts[name]["oneOf"] = [{"required": [identifier]} for identifier in IDENTIFIERS]
    # What a kill should look like; it is taken whatever else it looks like.
    properties = parts["Kill"]["properties"]
    del properties["ignored"]
    properties["reason"] = {}
    return {
        "$schema": DIALECT,
        "title": f"canceld {__version__}: messages between strategies and the daemon, contract {CONTRACT}",
        "anyOf": [{"$ref": "#/$defs/command"}, {"$ref": "#/$defs/reply"}],
        "$defs": {"command": command, "reply": reply, **parts},
    }
