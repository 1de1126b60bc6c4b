"""WebSocket v2: cancels and subscriptions to frames, frames to evidence, for Spot and for the Unified WebSocket.

Both speak the same dialect; the Unified one wants to be told in each request which asset class is meant. As in v1 a
refusal names no order, so a frame carries one order; unlike v1 an ack names its order, and how long the venue took.
Source of all shapes: Spot WebSocket v2 and Unified WebSocket pages "Cancel Order", "Batch Cancel", "Cancel All",
"Cancel All Orders After", "Executions", "Status", "Heartbeat", "Ping"; krakenfx/kraken-api-sdk where they are silent.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from ..contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Evidence,
    Heartbeat,
    Irrelevant,
    ModeChanged,
    Orders,
    OrderState,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
    Unreadable,
)
from ..contract.ids import Reqid, Target
from ..contract.outcomes import ClosedState
from ..credentials import Secret
from .faults import fault_of, unified_fault_of
from .pieces import evidence_in_pieces, under
from .spot_values import (
    UNREADABLE,
    count_of,
    instant_s,
    is_legible,
    mode_of,
    number_of,
    terms_of,
    why,
)
from .values import NOTHING, decimal_text, elapsed_ns, error_text, order_id_of, reqid_of, text_of, unplain

BATCH_FLOOR: Final = 2
BATCH_LIMIT: Final = 50
"""Fewest and most ids in a batch. Source: "Batch Cancel"."""

_CHANNEL: Final = "executions"
_LIST: Final = under("data")
_to_json: Final = msgspec.json.Encoder().encode

_STATUS: Final[dict[str, Literal["open"] | ClosedState]] = {
    "pending_new": "open",
    "new": "open",
    "partially_filled": "open",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
}
"""What an order_status says, and, where a row has none, the exec_types that bear the same names. No other ends one."""

_BIRTHS: Final = ("pending_new", "new")


class _Message(msgspec.Struct, gc=False):
    """An answer (`method`) or channel data (`channel`). Each member is judged on its own, where it is used."""

    method: Any = None
    req_id: Any = None
    success: Any = None
    error: Any = None
    errorMessage: Any = None
    Error: Any = None
    result: Any = None
    orders_cancelled: Any = None
    time_in: Any = None
    time_out: Any = None
    channel: Any = None
    type: Any = None
    data: msgspec.Raw = NOTHING
    sequence: Any = None


class _Execution(msgspec.Struct, gc=False):
    """One row of the executions channel. `cancel_reason` is the earlier name of `reason`."""

    order_id: Any = None
    cl_ord_id: Any = None
    order_userref: Any = None
    exec_type: Any = None
    order_status: Any = None
    cum_qty: msgspec.Raw = NOTHING
    order_qty: msgspec.Raw = NOTHING
    limit_price: msgspec.Raw = NOTHING
    symbol: Any = None
    side: Any = None
    reason: Any = None
    cancel_reason: Any = None
    timestamp: Any = None


class _System(msgspec.Struct, gc=False):
    system: str


_decode: Final = msgspec.json.Decoder(_Message).decode
_decode_executions: Final = msgspec.json.Decoder(list[_Execution]).decode
_decode_status: Final = msgspec.json.Decoder(list[_System]).decode


class V2:
    """The dialect for one socket: `asset_class` None for Spot, where it is never sent, else what goes into requests."""

    def __init__(self, asset_class: Literal["spot", "derivatives"] | None = None) -> None:
        self.asset_class = asset_class
        self._asset = "" if asset_class is None else f'"asset_class":"{asset_class}",'
        self._fault_of = fault_of if asset_class is None else unified_fault_of

    # ---------------------------------------------------------------- requests

    def cancel_frame(self, token: Secret[str], reqid: Reqid, target: Target) -> bytes:
        """The request that cancels what `target` names: one order, or by userref every order that bears it.

        Ids and token need no escaping, as in v1; only a cl_ord_id may hold quotes. Derivatives have no userref.
        """
        if target.kind == "order_id":
            named = f'"order_id":["{target.value}"]'
        elif target.kind == "cl_ord_id":
            named = f'"cl_ord_id":[{_to_json(target.value).decode()}]'
        else:
            assert target.kind == "userref" and self.asset_class != "derivatives", f"no cancel by {target.kind}"  # noqa: PT018
            named = f'"order_userref":[{target.value}]'
        return self._request("cancel_order", f"{named},", token, reqid)

    def batch_frame(self, token: Secret[str], reqid: Reqid, order_ids: Sequence[str]) -> bytes:
        """One request for BATCH_FLOOR..BATCH_LIMIT different orders. Answered by a number: whose is not told."""
        assert BATCH_FLOOR <= len(order_ids) <= BATCH_LIMIT, f"{len(order_ids)} ids in one batch"
        ids = '","'.join(order_ids)
        return self._request("batch_cancel", f'"orders":["{ids}"],', token, reqid)

    def cancel_all_frame(self, token: Secret[str], reqid: Reqid) -> bytes:
        """The request that cancels every order of the account (of the asset class)."""
        return self._request("cancel_all", "", token, reqid)

    def timer_frame(self, token: Secret[str], reqid: Reqid, timeout_s: int) -> bytes:
        """The request that arms or renews the account's cancel-all timer (1..86399 s), or with 0 disarms it.

        Two on the way at once can overtake each other: the next one may go when this one is answered.
        """
        return self._request("cancel_all_orders_after", f'"timeout":{timeout_s},', token, reqid)

    def subscribe_frame(self, token: Secret[str], reqid: Reqid) -> bytes:
        """The request for the order stream. Every option is said, because the page contradicts itself on defaults."""
        options = '"snap_orders":true,"snap_trades":false,"order_status":true,"ratecounter":true,'
        return self._request("subscribe", f'"channel":"{_CHANNEL}",{options}', token, reqid)

    def unsubscribe_frame(self, token: Secret[str], reqid: Reqid) -> bytes:
        """The end of the order stream, which lets it be asked for anew, and with it the list of what is open."""
        return self._request("unsubscribe", f'"channel":"{_CHANNEL}",', token, reqid)

    def ping_frame(self, reqid: Reqid) -> bytes:
        """The application ping; its pong names the same reqid."""
        return f'{{"method":"ping","req_id":{reqid}}}'.encode()

    def _request(self, method: str, params: str, token: Secret[str], reqid: Reqid) -> bytes:
        return (
            f'{{"method":"{method}","params":{{{self._asset}{params}"token":"{token.reveal()}"}},"req_id":{reqid}}}'
        ).encode()

    # ---------------------------------------------------------------- answers

    def pieces(self, frame: str | bytes) -> Iterator[Evidence | None] | None:
        """A long list piece by piece, as pieces.py tells; None for any other message, which `decode` reads."""
        return evidence_in_pieces(frame, _LIST, self.decode)

    def decode(self, frame: str | bytes) -> Evidence:
        """One text frame to one piece of evidence.

        Never raises on venue data. A success is an ack only when it is plainly true, names its request and has no error
        beside it. An answer that is plainly neither success nor refusal counts as failed, as in the venue's own SDK,
        but never as "not open": the request may have been carried out. Whatever else has an error refuses as well.
        """
        try:
            message = _decode(frame)
        except UNREADABLE as error:
            return Unreadable(why(error))
        method = message.method
        words = message.error or message.errorMessage or message.Error
        # The acks come first: between them and the waiting strategy stands this function.
        if method == "cancel_order":
            reqid = reqid_of(message.req_id)
            if message.success is True and reqid is not None and not words:
                return _ack(reqid, message)
            return self._no_ack(reqid, message, words)
        return self._told(message, words) if method is None else self._answer(message, words)

    def _answer(self, message: _Message, error: object) -> Evidence:
        reqid = reqid_of(message.req_id)
        accepted = message.success is True and reqid is not None and not error
        match message.method:
            case "subscribe" | "unsubscribe":
                return self._subscription(reqid, accepted, message, error)
            case "cancel_all" | "batch_cancel" if accepted and reqid is not None:
                return CancelAllAck(reqid, _count(message))
            case "cancel_all_orders_after" if accepted and reqid is not None:
                return _timer(reqid, _member(message.result, "triggerTime"))
            case "cancel_all" | "batch_cancel" | "cancel_all_orders_after":
                return self._no_ack(reqid, message, error)
            case _ if error or message.success is False:
                # `error` is what the venue calls a request that it could not match; any other word refuses as well.
                return self._refusal(reqid, message, error)
            case "pong":
                return Pong(reqid)
            case str():
                return Irrelevant()
            case _:
                return Unreadable("a method that is no text")

    def _no_ack(self, reqid: Reqid | None, message: _Message, error: object) -> Evidence:
        if message.success is True:
            return Unreadable("success beside an error" if error else "success that names no request of ours")
        return self._refusal(reqid, message, error)

    def _refusal(self, reqid: Reqid | None, message: _Message, error: object) -> Evidence:
        text = error_text(error)
        fault = self._fault_of(text)
        if message.success is not False:
            fault = unplain(fault)
        if reqid is None:
            return Unattributed(fault, text)
        return CancelReject(reqid, fault, text, elapsed_ns(message.time_in, message.time_out))

    def _subscription(self, reqid: Reqid | None, accepted: bool, message: _Message, error: object) -> Evidence:
        channel, text = _member(message.result, "channel"), error_text(error)
        if channel not in (None, _CHANNEL):
            return Irrelevant()
        if message.method == "unsubscribe" or message.success is not True:
            words = text or ("unsubscribed" if message.method == "unsubscribe" else "no success")
            return SubscriptionLost(reqid, self._fault_of(text), words, named=channel is not None)
        if not accepted:
            return Unreadable("subscribed beside an error, or to nobody's request")
        return Subscribed(reqid, number_of(_member(message.result, "maxratecount")))

    def _told(self, message: _Message, error: object) -> Evidence:
        match message.channel:
            case _ if (error or message.success is False) and not bytes(message.data):
                # An error of which the venue does not say to what. With a req_id it is still that request's refusal.
                return self._refusal(reqid_of(message.req_id), message, error)
            case "executions":
                return _orders(message)
            case "heartbeat":
                return Heartbeat()
            case "status":
                return self._mode(message.data)
            case str():
                return Irrelevant()
            case _:
                return Unreadable("neither an answer nor channel data")

    def _mode(self, data: msgspec.Raw) -> Evidence:
        if self.asset_class is not None:
            # The engines differ and the frame does not say whose mode this is: no cancel may be held back for it.
            return Irrelevant()
        try:
            systems = _decode_status(data)
        except UNREADABLE as error:
            return Unreadable(why(error))
        return ModeChanged(mode_of(systems[-1].system)) if systems else Unreadable("a status without its system")


SPOT: Final = V2()
"""Spot's own WebSocket v2."""

UNIFIED: Final = V2("derivatives")
"""The Unified WebSocket, for derivatives: it serves nothing else yet."""


def _ack(reqid: Reqid, message: _Message) -> CancelAck:
    order_id, cl_ord_id = _member(message.result, "order_id"), _member(message.result, "cl_ord_id")
    return CancelAck(
        reqid,
        order_id if isinstance(order_id, str) else None,
        cl_ord_id if isinstance(cl_ord_id, str) else None,
        elapsed_ns(message.time_in, message.time_out),
    )


def _count(message: _Message) -> int | None:
    """How many orders were canceled; None where no number tells it, or two that disagree.

    The page has `count` in the result; captured in May 2024 was `orders_cancelled` beside it (kraken-async-rs).
    """
    told = {count_of(number) for number in (_member(message.result, "count"), message.orders_cancelled)} - {None}
    return told.pop() if len(told) == 1 else None


def _timer(reqid: Reqid, trigger: object) -> Evidence:
    if trigger == "0":
        return TimerAck(reqid, None)
    trigger_s = instant_s(trigger)
    return Unreadable("a timer ack without its time") if trigger_s is None else TimerAck(reqid, trigger_s)


def _orders(message: _Message) -> Evidence:
    if message.type not in ("snapshot", "update"):
        return Unreadable("executions that are neither snapshot nor update")
    try:
        rows = _decode_executions(message.data)
    except UNREADABLE as error:
        return Unreadable(why(error))
    states = _states(rows)
    if isinstance(states, Unreadable):
        return states
    return Orders(tuple(states), message.type == "snapshot", _sequence(message))


def _sequence(message: _Message) -> int | None:
    return message.sequence if type(message.sequence) is int else None


def _states(rows: Iterable[_Execution]) -> list[OrderState] | Unreadable:
    states: list[OrderState] = []
    for row in rows:
        state = _state(row)
        # Skipping what is odd here would make a snapshot out of which an order is missing, that is, has ended.
        if state is None:
            return Unreadable("an order whose id is no order id")
        states.append(state)
    return states


def _state(row: _Execution) -> OrderState | None:
    """What one row says of its order; None without an order id.

    order_status is the state after the event and decides; a row without one is told by its event. A word that we do not
    know says nothing. The time of a birth is the order's own, other rows give that of their event.
    """
    order_id, userref = order_id_of(row.order_id), row.order_userref
    if order_id is None:
        return None
    word = row.exec_type if row.order_status is None else row.order_status
    return OrderState(
        order_id,
        _STATUS.get(word) if isinstance(word, str) else None,
        text_of(row.cl_ord_id),
        userref if type(userref) is int and userref != 0 else None,
        text_of(row.symbol),
        instant_s(row.timestamp) if row.exec_type in _BIRTHS else None,
        decimal_text(row.cum_qty),
        text_of(row.reason) or text_of(row.cancel_reason),
        # Births and snapshots alone tell what was ordered; a trade's row has symbol and side too, and perhaps no names.
        terms=terms_of(row.symbol, row.side, decimal_text(row.order_qty), decimal_text(row.limit_price))
        if is_legible(row.cl_ord_id) and type(userref) in (int, type(None))
        else None,
    )


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
