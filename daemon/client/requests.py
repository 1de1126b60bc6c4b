"""Commands built, ids made, replies matched: the part of a client that both flavours share. No socket, no clock."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from ..contract.commands import BATCH_LIMIT, LeaseScope, OrderRef, Until, target_of
from ..contract.frames import BATCH_BYTES, UnreadableReply, decode_reply
from ..contract.ids import CommandID, Target, Venue
from .results import (
    Asked,
    CancelAllResult,
    CancelResult,
    CommandRefused,
    KillResult,
    LeaseResult,
    Pong,
    RearmResult,
    ReplyMap,
    read_all,
    read_batch,
    read_cancel,
    read_killed,
    read_lease,
    read_pong,
    read_rearm,
    read_status,
    unanswered,
)

COMMANDS_ENDPOINT: Final = "ipc:///run/canceld/commands.sock"
"""Where strategies find the daemon unless its configuration says otherwise."""

CONTROL_ENDPOINT: Final = "ipc:///run/canceld/control.sock"
"""Where operators find it: the only socket that re-arms."""

DEADLINE_MS: Final = 2000
"""The daemon's own default. It is always sent, so that both sides measure one deadline."""

KILL_DEADLINE_MS: Final = 10_000
"""The daemon's default for a kill: time to verify that every venue is flat."""

MARGIN_MS: Final = 250
"""Waited past the deadline. The daemon promises its reply within 50 ms of it; the rest is for a machine under load."""

IN_FLIGHT_LIMIT: Final = 10_000
"""Most commands one client may wait for: as many as the daemon works on at once."""

UNANSWERED_LIMIT: Final = 4096
"""Most ids remembered as given up on; past it the oldest is forgotten."""

NS_PER_MS: Final = 1_000_000

T = TypeVar("T")

_encode: Final = msgspec.msgpack.Encoder().encode


class DaemonUnreachable(Exception):
    """The daemon did not answer in time. It says nothing about the order: **treat it as live**.

    Asking again with the same `id` and the same arguments is safe: a daemon that did receive the first asking gives
    its stored answer, or joins the cancel that is in flight, and sends nothing twice.

    id: of the command; None where several were asked at once.
    sent: False when the command never left this process, since no daemon was connected. True: its fate is unknown.
    """

    def __init__(self, endpoint: str, id: CommandID | None, *, sent: bool, unreadable: int = 0) -> None:
        what = "the commands" if id is None else f"command {id!r}"
        if sent:
            text = f"no answer from {endpoint}: what became of {what} is unknown; asking again with the same id is safe"
        else:
            text = f"no daemon at {endpoint}: {what} never left this process"
        if unreadable:
            text += f" ({unreadable} unreadable answers)"
        super().__init__(text)
        self.endpoint = endpoint
        self.id = id
        self.sent = sent


class Request(Generic[T]):
    """One command from its building to its answer.

    give_up_ns: CLOCK_MONOTONIC; the deadline plus the margin.
    asked_before: an earlier asking with this id was given up on.
    repeatable: it may be sent again by itself when the connection was lost. Never a userref: it may be in use again
    for new orders by then, and a daemon that was restarted would not know that it had been sent.
    """

    __slots__ = (
        "_read",
        "_refusal",
        "_result",
        "asked_before",
        "give_up_ns",
        "id",
        "on_answer",
        "payload",
        "repeatable",
        "sendings",
    )

    def __init__(
        self,
        id: CommandID,
        payload: bytes,
        give_up_ns: int,
        read: Callable[["Request[T]", ReplyMap], T],
        *,
        repeatable: bool,
        asked_before: bool,
    ) -> None:
        self.id = id
        self.payload = payload
        self.give_up_ns = give_up_ns
        self.repeatable = repeatable
        self.asked_before = asked_before
        self.sendings = 0
        self.on_answer: Callable[[], object] | None = None
        self._read = read
        self._result: T | None = None
        self._refusal: CommandRefused | None = None

    @property
    def answered(self) -> bool:
        """Whether its reply is here, be it a refusal."""
        return self._result is not None or self._refusal is not None

    @property
    def sent(self) -> bool:
        """Whether the daemon may have it, from this asking or an earlier one with its id."""
        return self.asked_before or self.sendings > 0

    @property
    def repeated(self) -> bool:
        """Whether it was sent more than once, over all askings with its id."""
        return self.sendings + self.asked_before > 1

    def answer(self, reply: ReplyMap) -> None:
        """Take its reply; raises UnreadableReply and stays unanswered."""
        try:
            self._result = self._read(self, reply)
        except CommandRefused as refusal:
            self._refusal = refusal
        if self.on_answer is not None:
            self.on_answer()

    def result(self) -> T:
        """What it came to, once answered; raises CommandRefused."""
        if self._refusal is not None:
            raise self._refusal
        assert self._result is not None
        return self._result


class Requests:
    """Every command of one client that waits for its reply. One owner, no threads.

    prefix: unique over all clients of the daemon, so that ids never meet; at most 40 characters.
    """

    def __init__(
        self, prefix: str, *, deadline_ms: int = DEADLINE_MS, margin_ms: int = MARGIN_MS, strategy: str | None = None
    ) -> None:
        self.waiting: dict[CommandID, Request[Any]] = {}
        self.unreadable = 0
        self.unmatched = 0
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._deadline_ms = deadline_ms
        self._margin_ms = margin_ms
        self._strategy = strategy
        # Ids whose answer was not awaited to the end, oldest first: asked again, a refusal does not clear the first.
        self._unanswered: dict[CommandID, None] = {}

    def admit(self, requests: Sequence[Request[Any]]) -> None:
        """Wait for their replies from now on, until `give_up`. Raises ValueError; then none of them is admitted."""
        if len(self.waiting) + len(requests) > IN_FLIGHT_LIMIT:
            raise ValueError(f"a client waits for at most {IN_FLIGHT_LIMIT} replies at once")
        for request in requests:
            if request.id in self.waiting:
                raise ValueError(f"id: {request.id!r} is being waited for already")
        self.waiting.update((request.id, request) for request in requests)

    def take(self, payload: bytes) -> None:
        """One frame from the daemon to the request it answers.

        An answer that cannot be read is no answer: it is counted, and its command waits on. An answer nobody waits for
        (its caller gave up, or had it already) is counted and dropped; asking again with its id brings it back.
        """
        try:
            reply = decode_reply(payload)
            id = reply.get("id")
            request = self.waiting.get(id) if isinstance(id, str | int) else None
            if request is None:
                self.unmatched += 1
                return
            request.answer(reply)
        except UnreadableReply:
            self.unreadable += 1
            return
        del self.waiting[request.id]

    def lost(self) -> list[Request[Any]]:
        """After a lost connection: what must be sent once more, since a daemon that was restarted knows nothing of it.

        The same bytes go out again, with the first `sent_ns`: the deadline still runs from the first asking, and a
        daemon that comes back later than that refuses them as expired.
        """
        return [request for request in self.waiting.values() if request.repeatable and request.sendings > 0]

    def give_up(self, request: Request[Any]) -> None:
        """Wait no longer for it."""
        if self.waiting.get(request.id) is request:
            del self.waiting[request.id]
        if request.answered:
            self._unanswered.pop(request.id, None)
        elif request.sent:
            self._unanswered[request.id] = None
            if len(self._unanswered) > UNANSWERED_LIMIT:
                del self._unanswered[next(iter(self._unanswered))]

    def cancel(
        self,
        now_ns: int,
        venue: Venue,
        order: OrderRef,
        *,
        until: Until,
        id: CommandID | None,
        deadline_ms: int | None,
        strategy: str | None,
    ) -> Request[CancelResult]:
        """A `cancel`."""
        target = _target(order)
        return self._build(
            now_ns,
            "cancel",
            {"venue": venue, **_order_map(order), "until": until},
            lambda request, reply: read_cancel(Asked(request.id, venue, target, request.repeated), reply),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
            repeatable=target.kind != "userref",
        )

    def cancel_many(
        self,
        now_ns: int,
        venue: Venue,
        orders: Sequence[OrderRef],
        *,
        until: Until,
        deadline_ms: int | None,
        strategy: str | None,
    ) -> list[Request[CancelResult]]:
        """One `cancel` per order."""
        return [
            self.cancel(now_ns, venue, order, until=until, id=None, deadline_ms=deadline_ms, strategy=strategy)
            for order in orders
        ]

    def cancel_batch(
        self,
        now_ns: int,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until,
        id: CommandID | None,
        deadline_ms: int | None,
        strategy: str | None,
    ) -> Request[list[CancelResult]]:
        """A `cancel_batch`."""
        orders = tuple(orders)
        if not 1 <= len(orders) <= BATCH_LIMIT:
            raise ValueError(f"orders: a batch has 1..{BATCH_LIMIT} orders, not {len(orders)}")
        targets = [_target(order) for order in orders]
        return self._build(
            now_ns,
            "cancel_batch",
            {"venue": venue, "orders": [_order_map(order) for order in orders], "until": until},
            lambda request, reply: read_batch(
                [Asked(request.id, venue, target, request.repeated) for target in targets], reply
            ),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
            repeatable=all(target.kind != "userref" for target in targets),
        )

    def cancel_all(
        self,
        now_ns: int,
        venue: Venue | None,
        *,
        until: Until,
        id: CommandID | None,
        deadline_ms: int | None,
        strategy: str | None,
    ) -> Request[CancelAllResult]:
        """A `cancel_all`."""
        return self._build(
            now_ns,
            "cancel_all",
            {"venue": venue, "until": until},
            lambda request, reply: read_all(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
        )

    def kill(
        self,
        now_ns: int,
        reason: str,
        *,
        venues: Sequence[Venue] | None,
        drill: bool = False,
        id: CommandID | None,
        deadline_ms: int,
    ) -> Request[KillResult]:
        """A `kill`, or its drill."""
        return self._build(
            now_ns,
            "kill",
            {"reason": reason, "venues": venues, "drill": drill or None},
            lambda request, reply: read_killed(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
        )

    def rearm(
        self,
        now_ns: int,
        *,
        confirm: str | None,
        reason: str | None,
        force: bool,
        id: CommandID | None,
        deadline_ms: int | None,
    ) -> Request[RearmResult]:
        """A `rearm`."""
        return self._build(
            now_ns,
            "rearm",
            {"confirm": confirm, "reason": reason, "force": force or None},
            lambda request, reply: read_rearm(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
        )

    def lease(
        self,
        now_ns: int,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"],
        scope: Iterable[LeaseScope],
        id: CommandID | None,
        deadline_ms: int | None,
    ) -> Request[LeaseResult]:
        """A `lease`."""
        return self._build(
            now_ns,
            "lease",
            {"ttl_ms": ttl_ms, "on_expiry": on_expiry, "scope": [_present(msgspec.structs.asdict(s)) for s in scope]},
            lambda request, reply: read_lease(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
        )

    def status(self, now_ns: int, *, detail: bool, deadline_ms: int | None) -> Request[ReplyMap]:
        """A `status`."""
        return self._build(
            now_ns,
            "status",
            {"detail": detail or None},
            lambda _, reply: read_status(reply),
            id=None,
            deadline_ms=deadline_ms,
        )

    def ping(self, now_ns: int, *, deadline_ms: int | None) -> Request[Pong]:
        """A `ping`."""
        return self._build(now_ns, "ping", {}, lambda _, reply: read_pong(reply), id=None, deadline_ms=deadline_ms)

    def _build(
        self,
        now_ns: int,
        type: str,
        fields: dict[str, Any],
        read: Callable[[Request[T], ReplyMap], T],
        *,
        id: CommandID | None,
        deadline_ms: int | None,
        strategy: str | None = None,
        repeatable: bool = True,
    ) -> Request[T]:
        if id is None:
            id = f"{self._prefix}-{next(self._numbers)}"
        if deadline_ms is None:
            deadline_ms = self._deadline_ms
        payload = _encode(
            _present(
                {
                    "type": type,
                    "id": id,
                    **fields,
                    "deadline_ms": deadline_ms,
                    "strategy": strategy if strategy is not None else self._strategy,
                    # The deadline runs from here. A command that ZeroMQ held back while the daemon was away reaches
                    # it too late by this very clock and is refused as expired: it cannot cancel an order minutes
                    # after its caller was told that the daemon is unreachable.
                    "sent_ns": now_ns,
                }
            )
        )
        if len(payload) > BATCH_BYTES:
            # The daemon could not even read the id of such a command to refuse it.
            raise ValueError(f"a command has at most {BATCH_BYTES} bytes, not {len(payload)}")
        return Request(
            id,
            payload,
            now_ns + (deadline_ms + self._margin_ms) * NS_PER_MS,
            read,
            repeatable=repeatable,
            asked_before=id in self._unanswered,
        )


def results_of(
    venue: Venue, orders: Sequence[OrderRef], requests: Sequence[Request[CancelResult]]
) -> list[CancelResult]:
    """The results of cancels asked side by side; one that was not answered is an Unknown with an empty `reply`."""
    return [
        request.result() if request.answered else unanswered(Asked(request.id, venue, _target(order), request.repeated))
        for order, request in zip(orders, requests, strict=True)
    ]


def _target(order: OrderRef) -> Target:
    target = target_of(order.order_id, order.cl_ord_id, order.userref)
    if target is None:
        raise ValueError("exactly one of order_id, cl_ord_id, userref is required")
    return target


def _order_map(order: OrderRef) -> dict[str, Any]:
    return _present(
        {
            "order_id": order.order_id,
            "cl_ord_id": order.cl_ord_id,
            "userref": order.userref,
            "symbol": order.symbol,
        }
    )


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
