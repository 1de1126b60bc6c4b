"""Every call that a client offers, written once: what it asks for, the bytes that leave, and how the reply is read.

The flavours make their methods of these with `blocking.asks` and `async_core.asks`: same names, same arguments, and
what the request came to instead of the request.
"""

import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

from ..contract.commands import BATCH_LIMIT, NO_REASON, LeaseScope, OrderRef, Until, target_of
from ..contract.frames import BATCH_BYTES
from ..contract.ids import CommandID, Target, Venue
from ..contract.selectors import Selector
from ..contract.texts import REASON_BYTES, cleaned
from .requests import DEADLINE_MS, KILL_DEADLINE_MS, MARGIN_MS, NS_PER_MS, Request, Requests
from .results import (
    Asked,
    CancelAllResult,
    CancelResult,
    KillResult,
    LeaseResult,
    Pong,
    RearmResult,
    ReplyMap,
    RestsResult,
    read_all,
    read_batch,
    read_cancel,
    read_killed,
    read_lease,
    read_pong,
    read_rearm,
    read_rests,
    read_status,
    unanswered,
)

T = TypeVar("T")

DRILL_REASON_BYTES: Final = 512
"""Longest reason that a strictly read command may bring."""

_encode: Final = msgspec.msgpack.Encoder().encode


class Commands:
    """Builds the commands of one client.

    requests: where they will wait for their replies. clock: CLOCK_MONOTONIC in ns.
    prefix: unique over all clients of the daemon, so that ids never meet; at most 40 characters.
    """

    def __init__(
        self,
        requests: Requests,
        clock: Callable[[], int],
        prefix: str,
        *,
        deadline_ms: int = DEADLINE_MS,
        margin_ms: int = MARGIN_MS,
        strategy: str | None = None,
    ) -> None:
        self._requests = requests
        self._clock = clock
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._deadline_ms = deadline_ms
        self._margin_ms = margin_ms
        self._strategy = strategy

    def cancel(
        self,
        venue: Venue,
        *,
        order_id: str | None = None,
        cl_ord_id: str | None = None,
        userref: int | None = None,
        symbol: str | None = None,
        until: Until = "ack",
        urgent: bool = False,
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> Request[CancelResult]:
        """Cancel one order, named by exactly one of its three identifiers.

        urgent: by every independent way at once; the first answer that settles it holds.
        until: "ack" answers at the venue's acceptance, "proof" at the evidence that the order left the book.
        id: made up when None; give the id of a DaemonUnreachable, with the same arguments, to ask again.
        Raises DaemonUnreachable, and ValueError for arguments that are no cancel.
        """
        order = OrderRef(order_id, cl_ord_id, userref, symbol)
        target = _target(order)
        return self._build(
            "cancel",
            {"venue": venue, **_order_map(order), "until": until, "urgent": urgent or None},
            lambda request, reply: read_cancel(Asked(request.id, venue, target, request.repeated), reply),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
            repeatable=target.kind != "userref",
        )

    def cancel_many(
        self,
        venue: Venue,
        orders: Sequence[OrderRef],
        *,
        until: Until = "ack",
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> list[Request[CancelResult]]:
        """One `cancel` per order."""
        return [
            self.cancel(venue, **msgspec.structs.asdict(order), until=until, deadline_ms=deadline_ms, strategy=strategy)
            for order in orders
        ]

    def cancel_batch(
        self,
        venue: Venue,
        orders: Iterable[OrderRef],
        *,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> Request[list[CancelResult]]:
        """Cancel 1..500 orders by one command; results in the sequence of `orders`. Raises as `cancel` does."""
        orders = tuple(orders)
        if not 1 <= len(orders) <= BATCH_LIMIT:
            raise ValueError(f"orders: a batch has 1..{BATCH_LIMIT} orders, not {len(orders)}")
        targets = [_target(order) for order in orders]
        return self._build(
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
        venue: Venue | None = None,
        *,
        scope: Iterable[Selector] | None = None,
        everything: bool = False,
        dry_run: bool = False,
        until: Until = "ack",
        id: CommandID | None = None,
        deadline_ms: int | None = None,
        strategy: str | None = None,
    ) -> Request[CancelAllResult]:
        """Cancel what a scope means, or everything open, on one venue or on every enabled one.

        A client with a `strategy` says which. dry_run: cancel nothing, and be told what would be. Raises
        DaemonUnreachable, CommandRefused, and ValueError for arguments that do not say what is meant.
        """
        selectors = None if scope is None else [msgspec.to_builtins(selector) for selector in scope]
        if selectors is None and not everything and (strategy or self._strategy) is not None:
            raise ValueError("cancel_all: say scope=[...], or everything=True; the strategy's name narrows nothing")
        return self._build(
            "cancel_all",
            {
                "venue": venue,
                "until": until,
                "scope": selectors,
                "everything": everything or None,
                "dry_run": dry_run or None,
            },
            lambda request, reply: read_all(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
        )

    def kill(
        self,
        reason: str | bytes = NO_REASON,
        *,
        venues: Sequence[Venue] | None = None,
        drill: bool = False,
        id: CommandID | None = None,
        deadline_ms: int = KILL_DEADLINE_MS,
    ) -> Request[KillResult]:
        """Pull the kill switch and wait until every venue is verified flat, or for the deadline.

        reason: any text or bytes; what cannot be shown is replaced, and 4 KiB are kept. drill: as `drill` does. The
        latch is durable before the reply, and sweeping goes on after it. Raises DaemonUnreachable, CommandRefused.
        """
        return self._build(
            "kill",
            {"reason": cleaned(reason, REASON_BYTES), "venues": venues, "drill": drill or None},
            lambda request, reply: read_killed(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
        )

    def drill(
        self,
        reason: str | bytes = "drill",
        *,
        venues: Sequence[Venue] | None = None,
        id: CommandID | None = None,
        deadline_ms: int = KILL_DEADLINE_MS,
    ) -> Request[KillResult]:
        """Walk the whole path of a kill with orders that cannot exist, and pull nothing.

        Read strictly by the daemon, so that no slip makes a kill of it. reason: 512 bytes of it are kept. Raises
        DaemonUnreachable, CommandRefused.
        """
        return self._build(
            "drill",
            {"reason": cleaned(reason, DRILL_REASON_BYTES) or "drill", "venues": venues},
            lambda request, reply: read_killed(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
        )

    def kill_scope(
        self,
        reason: str,
        scope: Iterable[Selector],
        *,
        dry_run: bool = False,
        id: CommandID | None = None,
        deadline_ms: int = KILL_DEADLINE_MS,
    ) -> Request[KillResult]:
        """Cancel what a scope means, now and until the switch is re-armed: what appears in it is cancelled on sight.

        Raises DaemonUnreachable, CommandRefused."""
        return self._build(
            "kill_scope",
            {"reason": reason, "scope": [msgspec.to_builtins(s) for s in scope], "dry_run": dry_run or None},
            lambda request, reply: read_killed(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
        )

    def what_rests(
        self,
        scope: Iterable[Selector] | None = None,
        *,
        fresh: bool = False,
        after: str | None = None,
        deadline_ms: int | None = None,
    ) -> Request[RestsResult]:
        """Which orders are open, 1,000 at a time; `after` of the result before brings the next ones.

        fresh: look at every venue first. Raises DaemonUnreachable, CommandRefused.
        """
        selectors = None if scope is None else [msgspec.to_builtins(selector) for selector in scope]
        return self._build(
            "what_rests",
            {"scope": selectors, "fresh": fresh or None, "after": after},
            lambda request, reply: read_rests(request.id, reply),
            deadline_ms=deadline_ms,
        )

    def rearm(
        self,
        *,
        confirm: str | None = None,
        reason: str | None = None,
        force: bool = False,
        id: CommandID | None = None,
        deadline_ms: int | None = None,
    ) -> Request[RearmResult]:
        """Re-arm the kill switch in two calls: the first brings the code for the second's `confirm`.

        Only on the control socket. Raises DaemonUnreachable, and CommandRefused while anything rests.
        """
        return self._build(
            "rearm",
            {"confirm": confirm, "reason": reason, "force": force or None},
            lambda request, reply: read_rearm(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
        )

    def timer_right(
        self, token: int, for_ms: int, sent_ns: int, *, off: bool = False, deadline_ms: int | None = None
    ) -> Request[ReplyMap]:
        """Tell the daemon, as its fleet's agent, whether it may renew the account's timers; see the command.

        sent_ns: CLOCK_MONOTONIC nanoseconds from which for_ms counts.
        Only on the control socket. Raises DaemonUnreachable, and CommandRefused for a token that is too old.
        """
        fields = {"token": token, "for_ms": for_ms, "off": off or None, "sent_ns": sent_ns}
        return self._build("timer_right", fields, lambda request, reply: reply, id=None, deadline_ms=deadline_ms)

    def lease(
        self,
        strategy: str,
        ttl_ms: int,
        *,
        on_expiry: Literal["cancel", "kill"] = "cancel",
        scope: Iterable[LeaseScope] = (),
        id: CommandID | None = None,
        deadline_ms: int | None = None,
    ) -> Request[LeaseResult]:
        """Take or renew a lease of 500..60000 ms, or give it back with 0. Raises DaemonUnreachable, CommandRefused."""
        return self._build(
            "lease",
            {"ttl_ms": ttl_ms, "on_expiry": on_expiry, "scope": [msgspec.to_builtins(s) for s in scope]},
            lambda request, reply: read_lease(request.id, reply),
            id=id,
            deadline_ms=deadline_ms,
            strategy=strategy,
        )

    def status(self, *, detail: bool = False, deadline_ms: int | None = None) -> Request[ReplyMap]:
        """How the daemon is: the contract's `status` map. Raises DaemonUnreachable."""
        return self._build(
            "status", {"detail": detail or None}, lambda _, reply: read_status(reply), deadline_ms=deadline_ms
        )

    def ping(self, *, deadline_ms: int | None = None) -> Request[Pong]:
        """Whether the daemon answers. Raises DaemonUnreachable."""
        return self._build("ping", {}, lambda _, reply: read_pong(reply), deadline_ms=deadline_ms)

    def _build(
        self,
        type: str,
        fields: dict[str, Any],
        read: Callable[[Request[T], ReplyMap], T],
        *,
        id: CommandID | None = None,
        deadline_ms: int | None,
        strategy: str | None = None,
        repeatable: bool = True,
    ) -> Request[T]:
        now_ns = self._clock()
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
            now_ns + deadline_ms * NS_PER_MS,
            now_ns + (deadline_ms + self._margin_ms) * NS_PER_MS,
            read,
            repeatable=repeatable,
            asked_before=self._requests.gave_up_on(id),
        )


def named_after(call: Any, build: Any) -> None:
    """Give a flavour's method the name, documentation and arguments of the command it is made of, for `help`."""
    call.__name__, call.__doc__ = build.__name__, build.__doc__
    (result,) = get_args(build.__annotations__["return"])
    call.__signature__ = inspect.signature(build).replace(return_annotation=result)


def results_of(
    venue: Venue, orders: Sequence[OrderRef], requests: Sequence[Request[CancelResult]]
) -> list[CancelResult]:
    """The results of cancels asked side by side; one that was not answered is an Unknown with an empty `reply`."""
    return [
        request.result() if request.answered else unanswered(Asked(request.id, venue, _target(order), request.repeated))
        for order, request in zip(orders, requests, strict=True)
    ]


def unanswered_order(id: CommandID, venue: Venue, order: OrderRef) -> CancelResult:
    """The result of a cancel that nobody answered."""
    return unanswered(Asked(id, venue, _target(order), repeated=False))


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
