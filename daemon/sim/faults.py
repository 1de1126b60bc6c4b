"""What goes wrong, when, and to whom: every injected fault is described, stored and matched here.

A fault is a map. Members every kind knows:

| member | meaning |
|---|---|
| `kind` | one of KINDS, below |
| `times` | how often it strikes; absent: until cleared |
| `for_s` | seconds until it lapses by itself |
| `session` | only the WebSocket connection of this number (0 = the first upgraded, over all routes) |
| `route` | only `spot_rest`, `spot_ws`, `spot_ws_v2`, `futures_rest`, `futures_feed`, `prime_ws` or `unified_ws` |
| `match` | only this operation, or this kind of news (next paragraph) |
| `skip` | lets so many go by before it strikes |
| `fraction` | strikes with this probability, drawn from the exchange's random source |

An operation is a REST method (`CancelOrder`, `cancelorder`), a v1 event, a v2 method (`cancel_order`) or a Prime type
(`OrderCancelRequest`). Faults on the frames of a subscription are matched with what those tell: `snapshot`, `placed`,
`traded`, `filled`, `canceled`, `expired`; on Prime `snapshot` or the report's `ExecType`.

Kinds that act on connections (`reset_sockets`, `close_code`, `half_open`, `garbage_frame`, `oversize_frame`,
`rate_notice`, `stray_refusal`) strike the live ones at once, unless `match` is given: then they strike the connection
on which that operation next arrives, `effect` telling whether before or after the operation took effect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

FAULT_LIMIT = 10_000

_EVERY_KIND = frozenset({"kind", "times", "for_s", "session", "route", "match", "skip", "fraction"})
_EFFECT: dict[str, object] = {"effect": "before"}

# kind → the members of its own, with their defaults. None: no default, and none needed.
KINDS: dict[str, dict[str, object]] = {
    # The connection.
    "refuse_connections": {},  # reset at accept
    "stall_accept": {},  # accepted, then nothing, for ever
    "stall_tls": {},  # the TLS handshake is never answered (on a plain stream: as stall_accept)
    "stall_handshake": {},  # the WebSocket upgrade is never answered
    "refuse_upgrade": {"status": 401, "location": None},  # it is answered by this HTTP status instead; 3xx redirects
    "reset_sockets": _EFFECT,  # RST where the stream has one, else an abrupt close
    "close_code": {"code": 1012, "reason": "", **_EFFECT},
    "half_open": {"both": False, **_EFFECT},  # nothing is written any more; with both, nothing is heeded either
    "garbage_frame": {"text": '{"event":', "raw_hex": None, **_EFFECT},  # raw_hex: bytes that are no frame at all
    "oversize_frame": {"size": 20 * 1024 * 1024, **_EFFECT},
    # The refusal of a subscribe that names neither a request nor a channel.
    "stray_refusal": {"error": "EService:Unavailable", **_EFFECT},
    "rate_notice": {"error": "Exceeded msg rate", **_EFFECT},  # an error of no request, in the dialect's own shape
    "no_heartbeat": {},
    # One WebSocket request.
    "stall_subscribe": {},  # a subscribe is never answered
    "delay": {"seconds": 0.0, "jitter_s": 0.0},  # of acks; what answers a Prime command are events
    "delay_events": {"seconds": 0.0},
    "delay_request": {"seconds": 0.0},  # heard now, carried out and answered later; others may overtake it
    "swallow_ack_before_effect": {},
    "swallow_ack_after_effect": {},
    "duplicate_ack": {},
    "shuffle_acks": {},
    "ack_error": {"error": "EService:Unavailable"},  # asked once per order, so `times` counts orders
    "token_error": {"error": "ESession:Invalid session"},
    # Answered as a request that could not be matched, and not carried out. named: whether that names the request.
    "unmatched": {"error": "EService:Unavailable", "named": True},
    "event_before_ack": {},
    "stale_reqid": {"reqid": 1, "instead": False},  # an ack for somebody else's request; instead of ours, or beside it
    "batch_partial": {"keep": 1},  # a batch cancel leaves its last `keep` orders resting (REST too)
    "count_beside": {},  # v2: a batch cancel tells `orders_cancelled` beside its result, and no `count` in it
    # What an order's state is called, where an answer or an event names it: `cancelStatus.status`, the feed's `reason`,
    # Prime's `OrdStatus`, `order_status` of the Unified WebSocket. effect: of a Futures cancel.
    "status_word": {"word": "Vanished", **_EFFECT},
    # One Prime cancel. linger: pending for so many seconds (absent: for ever), with a trade in between (a quantity, or
    # "all").
    "linger": {"seconds": None, "fill": None},
    # bears: whose ids the report has; nameless: OrderID NONE, as FIX has it. The order stays as it is.
    "cancel_rejected": {"reason": "BrokerOption", "text": "Broker option", "bears": "cancel", "nameless": False},
    # One frame of a subscription.
    "drop_event": {},
    "sequence_gap": {"by": 1},
    "split_snapshot": {"rows": 1, "next": None},  # Prime: so many rows in each `initial` message; next: the page tag
    "empty_initial": {},  # Prime: a stream without rows begins with an empty `initial` message, not with nothing
    "removal_shape": {"shape": "order"},  # Futures feed: a removal has the whole `order`, or only its `ids`
    # The venue.
    "invalid_session": _EFFECT,  # every WebSocket token dies
    "maintenance": {"cancel_only_s": 5.0, **_EFFECT},  # for for_s seconds, then cancel_only, then online
    "market_status": {"mode": "online", **_EFFECT},  # until the next one
    # A Spot REST cancel is accepted as pending, and carried out so many seconds later.
    "cancel_pending": {"seconds": 1.0},
    # One REST answer. effect: whether the operation is carried out ("after") or not ("before").
    "rest_status": {"status": 502, "body": None, "content_type": "text/html", **_EFFECT},
    "rest_html_200": _EFFECT,
    "rest_truncate": {},  # carried out; the announced body breaks off half-way
    "rest_close_before_answer": _EFFECT,
    "rest_redirect": {"location": "https://www.kraken.com/", "status": 302},
    "rest_delay": {"seconds": 0.0, "request": False},  # request: hold the request back, not the answer
    # form, on Futures: one of CHOICES; status: of HTTP, and of a body that tells one (absent: the form's usual one).
    "rest_error": {"error": "EService:Unavailable", "form": "plain", "status": None},
    "batch_missing": {"count": 1},  # Futures: batch elements carried out and left out of the answer
}

# Without `match` these strike what is live at injection and are spent.
AT_ONCE = (
    "reset_sockets",
    "close_code",
    "half_open",
    "garbage_frame",
    "oversize_frame",
    "rate_notice",
    "stray_refusal",
    "invalid_session",
    "maintenance",
    "market_status",
)
CHOICES: dict[str, tuple[str, ...]] = {
    "effect": ("before", "after"),
    "bears": ("cancel", "order"),
    "shape": ("order", "ids"),
    "form": ("plain", "list", "code", "sentence", "framework"),
}
MARKET_STATUSES = ("online", "post_only", "limit_only", "cancel_only", "maintenance")
# Faults in the way of every connection, the control door's own included.
BLOCKING = frozenset({"refuse_connections", "stall_accept", "stall_tls"})

_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,), "times": (int,), "for_s": (int, float), "session": (int,), "route": (str,), "match": (str,),
    "skip": (int,), "fraction": (int, float), "effect": (str,), "code": (int,), "reason": (str,), "both": (bool,),
    "text": (str,), "raw_hex": (str,), "request": (bool,), "size": (int,),
    "seconds": (int, float), "jitter_s": (int, float), "error": (str,),
    "reqid": (int,), "instead": (bool,), "keep": (int,), "mode": (str,), "by": (int,), "cancel_only_s": (int, float),
    "status": (int,), "body": (str,), "content_type": (str,), "location": (str,),
    "word": (str,), "fill": (str,), "bears": (str,), "nameless": (bool,), "rows": (int,), "next": (str,),
    "named": (bool,),
    "shape": (str,), "form": (str,), "count": (int,),
}  # fmt: skip


class BadFault(ValueError):
    """The map describes no fault; the text names the member."""


@dataclass(slots=True, eq=False)
class Fault:
    """One injected fault. left: strikes left, None for no limit. until_s: unix seconds. skip: so many go by first."""

    kind: str
    left: int | None
    until_s: float | None
    for_s: float | None
    session: int | None
    route: str | None
    match: str | None
    skip: int
    fraction: float
    details: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, member: str) -> Any:
        return self.details[member]

    @property
    def after_effect(self) -> bool:
        return bool(self.details.get("effect") == "after")


class Faults:
    """Every fault now in force.

    strike: called for those kinds that act on live connections or on the venue the moment they are injected.
    """

    def __init__(
        self, *, now: Callable[[], float], rng: random.Random, strike: Callable[[Fault], None] = lambda _: None
    ) -> None:
        self._now = now
        self._rng = rng
        self._strike = strike
        self._faults: list[Fault] = []
        self._lasting: list[Fault] = []  # struck already and still felt: half-open sockets

    def inject(self, fault: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Put one fault, or a list of them, in force. Raises BadFault, and injects none, when one cannot be read."""
        maps = [fault] if isinstance(fault, Mapping) else list(fault)
        faults = [self._read(one) for one in maps]
        if len(self._faults) + len(faults) > FAULT_LIMIT:
            raise BadFault(f"more than {FAULT_LIMIT} faults")
        for one in faults:
            if one.kind in AT_ONCE and one.match is None:
                self._strike(one)
            else:
                self._faults.append(one)

    def clear(self, kind: str | None = None) -> None:
        """Lift every fault, or every one of a kind. What already struck is not undone, but half-open sockets heal."""
        self._faults = [fault for fault in self._faults if kind not in (None, fault.kind)]
        self._lasting = [fault for fault in self._lasting if kind not in (None, fault.kind)]

    def last(self, fault: Fault) -> None:
        """A fault that struck goes on being felt until it is cleared or lapses; `lasts` tells whether it still is."""
        self._lasting = [one for one in self._lasting if not self._lapsed(one)]
        if fault not in self._lasting:
            self._lasting.append(fault)

    def lasts(self, fault: Fault) -> bool:
        """Whether a fault passed to `last` is still felt."""
        return fault in self._lasting and not self._lapsed(fault)

    def take(
        self, kind: str, *, route: str | None = None, session: int | None = None, operation: str | None = None
    ) -> Fault | None:
        """The first fault of this kind that applies here and now; one of its `times` is used up."""
        for fault in self._faults:
            if (
                fault.kind != kind
                or self._lapsed(fault)
                or (fault.session is not None and fault.session != session)
                or (fault.route is not None and fault.route != route)
                or (fault.match is not None and fault.match != operation)
                or (fault.fraction < 1 and self._rng.random() >= fault.fraction)
            ):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left == 0:
                    self._faults.remove(fault)
            return fault
        return None

    def _lapsed(self, fault: Fault) -> bool:
        return fault.until_s is not None and fault.until_s <= self._now()

    def _read(self, given: Mapping[str, Any]) -> Fault:
        kind = given.get("kind")
        if kind not in KINDS:
            raise BadFault(f"kind: unknown fault {kind!r}")
        for member, value in given.items():
            if member not in _EVERY_KIND and member not in KINDS[kind]:
                raise BadFault(f"{member}: not a member of {kind}")
            # bool is an int to isinstance; a fault that says "times": true is a mistake.
            if not isinstance(value, _TYPES[member]) or (isinstance(value, bool) and bool not in _TYPES[member]):
                raise BadFault(f"{member}: wrong type")
            if isinstance(value, (int, float)) and value < 0:
                raise BadFault(f"{member}: below zero")
        for member in given.keys() & CHOICES.keys():
            if given[member] not in CHOICES[member]:
                raise BadFault(f"{member}: none of {', '.join(CHOICES[member])}")
        if "fill" in given and not _is_amount(given["fill"]):
            raise BadFault("fill: neither all nor a quantity")
        if given.get("rows") == 0:
            raise BadFault("rows: 0 never ends")
        if given.get("mode", "online") not in MARKET_STATUSES:
            raise BadFault(f"mode: none of {', '.join(MARKET_STATUSES)}")
        if given.get("times") == 0:
            raise BadFault("times: 0 strikes nothing")
        if kind == "maintenance" and "for_s" not in given:
            raise BadFault("for_s: maintenance needs an end")
        for_s = given.get("for_s")
        return Fault(
            kind=kind,
            left=given.get("times"),
            until_s=None if for_s is None else self._now() + for_s,
            for_s=for_s,
            session=given.get("session"),
            route=given.get("route"),
            match=given.get("match"),
            skip=given.get("skip", 0),
            fraction=given.get("fraction", 1.0),
            details={member: given.get(member, default) for member, default in KINDS[kind].items()},
        )


def _is_amount(text: str) -> bool:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return text == "all"
    return amount.is_finite() and amount > 0
