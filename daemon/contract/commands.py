"""The commands a client can send. All but the kill are decoded strictly: an unknown field or a wrong type is a refusal
that names it."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from .ids import CommandID, Target, Venue
from .selectors import Selector

Until: TypeAlias = Literal["ack", "proof"]
"""When a cancel is answered: at the venue's acceptance, or at the evidence that the order left the book."""

DeadlineMs: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=60_000)]
Label: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
MonotonicNs: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Reason: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=128)]

BATCH_LIMIT = 500
"""Most orders in one cancel_batch."""

NO_REASON = "no reason was given"
"""The reason of a kill that brings none."""


class OrderRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order inside a batch or a lease: exactly one of the three identifiers."""

    order_id: Text | None = None
    cl_ord_id: Text | None = None
    userref: int | None = None
    symbol: Label | None = None

    @property
    def target(self) -> Target | None:
        """The one identifier given, or None when there is not exactly one."""
        return target_of(self.order_id, self.cl_ord_id, self.userref)


class _Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", gc=False):
    id: CommandID
    # Left out, or a number: null is what JSON makes of a NaN, and no deadline that anybody meant.
    deadline_ms: DeadlineMs | UnsetType = UNSET
    strategy: Label | None = None
    sent_ns: MonotonicNs | UnsetType = UNSET


class Cancel(_Command, frozen=True, tag="cancel", gc=False):
    """Cancel one order. Answered with an outcome. urgent: by every independent way at once; the first answer holds."""

    venue: Venue
    order_id: Text | None = None
    cl_ord_id: Text | None = None
    userref: int | None = None
    symbol: Label | None = None
    until: Until = "ack"
    # Not false where it is left out: the record of a cancel tells what its client wrote.
    urgent: bool | None = None

    @property
    def target(self) -> Target | None:
        """The one identifier given, or None when there is not exactly one."""
        return target_of(self.order_id, self.cl_ord_id, self.userref)


class CancelBatch(_Command, frozen=True, tag="cancel_batch"):
    """Cancel 1..500 orders of one venue. Answered with one outcome per order, in the asked sequence."""

    venue: Venue
    orders: Annotated[tuple[OrderRef, ...], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]
    until: Until = "ack"


class CancelAll(_Command, frozen=True, tag="cancel_all"):
    """Cancel what a scope means, or everything open, on one venue or on every enabled one.

    `everything` is needed where `strategy` is given without `scope`: that label names who asks, and never what is
    meant. With `dry_run` nothing is cancelled, and the reply tells what would be.
    """

    venue: Venue | None = None
    until: Until = "ack"
    scope: tuple[Selector, ...] | None = None
    everything: bool = False
    dry_run: bool = False


class WhatRests(_Command, frozen=True, tag="what_rests"):
    """Ask which orders are open, as the book has it or (`fresh`) after a look at every venue. `after`: of the page
    before, where there are more."""

    scope: tuple[Selector, ...] | None = None
    fresh: bool = False
    after: Text | None = None


class KillScope(_Command, frozen=True, tag="kill_scope"):
    """Cancel what a scope means, now and until the switch is re-armed: what appears in it is cancelled on sight."""

    reason: Reason
    scope: tuple[Selector, ...]
    dry_run: bool = False


class Kill(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="kill", omit_defaults=True):
    """Pull the kill switch; with `drill`, walk its whole path with orders that cannot exist and pull nothing.

    Never decoded strictly: kills.py takes what it understands of a message, and `ignored` names the rest.
    """

    id: CommandID | None = None
    deadline_ms: DeadlineMs | UnsetType = UNSET
    strategy: Label | None = None
    sent_ns: MonotonicNs | UnsetType = UNSET
    reason: str = NO_REASON
    venues: Annotated[tuple[Venue, ...], msgspec.Meta(min_length=1)] | None = None
    drill: bool = False
    ignored: tuple[str, ...] = ()


class Drill(_Command, frozen=True, tag="drill"):
    """Walk the whole path of a kill with orders that cannot exist, and pull nothing. Answered with `killed`."""

    reason: Reason
    venues: Annotated[tuple[Venue, ...], msgspec.Meta(min_length=1)] | None = None


class Rearm(_Command, frozen=True, tag="rearm"):
    """Re-arm the kill switch: without `confirm` ask for the one-time code, with it re-arm. Control socket only."""

    confirm: Label | None = None
    reason: Reason | None = None
    force: bool = False


class TimerRight(_Command, frozen=True, tag="timer_right"):
    """A fleet's agent says whether this daemon may renew the account's dead man's timers. Control socket only.

    token: of the agent's claim; an older one than was seen is refused. for_ms: how long the right holds, from `sent_ns`
    on where it is given; 0 for none. off: nobody keeps the timers now, so switch them off before they fire.
    """

    token: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    for_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)]
    off: bool = False


LeaseScope = Selector
"""What a lease covers is said as every scope is."""


class Lease(_Command, frozen=True, tag="lease"):
    """Take, renew or (ttl_ms 0) give back a strategy's lease."""

    strategy: Label
    ttl_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)]
    on_expiry: Literal["cancel", "kill"] = "cancel"
    scope: tuple[Selector, ...] = ()


class Status(_Command, frozen=True, tag="status"):
    """Ask how the daemon is."""

    detail: bool = False


class Ping(_Command, frozen=True, tag="ping"):
    """Ask whether the daemon answers."""


Strict: TypeAlias = (
    Cancel | CancelBatch | CancelAll | WhatRests | KillScope | Drill | Rearm | TimerRight | Lease | Status | Ping
)
"""Commands that are decoded strictly: all but the kill, which no misspelling may stop."""

Command: TypeAlias = Strict | Kill


def target_of(order_id: str | None, cl_ord_id: str | None, userref: int | None) -> Target | None:
    """The one identifier that is not None, or None when there is not exactly one."""
    if order_id is not None:
        return Target("order_id", order_id) if cl_ord_id is None and userref is None else None
    if cl_ord_id is not None:
        return Target("cl_ord_id", cl_ord_id) if userref is None else None
    return None if userref is None else Target("userref", userref)
