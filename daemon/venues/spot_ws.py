"""Spot WebSocket v1: cancels and subscriptions to frames, frames to evidence.

Nothing here remembers anything: which order an answer is about is the in-flight table's knowledge, because v1 tells
only the request id. Source of all shapes: Spot WebSocket v1 pages "Cancel Order", "Cancel All Orders", "Cancel All
Orders After", "Open Orders", "Ping", "System Status", "Subscription Status".
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias, assert_never, get_args

import msgspec

from ..contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Evidence,
    Fault,
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
from ..credentials import Secret
from .faults import fault_of
from .pieces import FIRST, evidence_in_pieces
from .spot_values import UNREADABLE, Order, count_of, instant_s, mode_of, number_of, order_state, why
from .values import error_text, refusal_in, reqid_of, unplain

_CHANNEL: Final = "openOrders"
_EVERY_CHANNEL: Final = "*"
_to_json: Final = msgspec.json.Encoder().encode


def cancel_frame(token: Secret[str], reqid: Reqid, target: Target) -> bytes:
    """The request that cancels what `target` names: one order, or by userref every order that bears it.

    `target` has passed ids.fault_of and `token` spot_rest.decode_token: their characters need no escaping, which
    makes this a concatenation of under a microsecond. Only a cl_ord_id may hold quotes, so it goes through the encoder.
    It stands alone: the page calls txid required and does not say whether an empty or a foreign one may be beside it.
    Several ids in one request would be taken too, but acks name no order: an error among them could not be placed.
    """
    if target.kind == "cl_ord_id":
        head = f'{{"event":"cancelOrder","reqid":{reqid},"token":"{token.reveal()}","cl_ord_id":['
        return head.encode() + _to_json(target.value) + b"]}"
    return f'{{"event":"cancelOrder","reqid":{reqid},"token":"{token.reveal()}","txid":["{target.value}"]}}'.encode()


def cancel_all_frame(token: Secret[str], reqid: Reqid) -> bytes:
    """The request that cancels every order of the account."""
    return f'{{"event":"cancelAll","reqid":{reqid},"token":"{token.reveal()}"}}'.encode()


def timer_frame(token: Secret[str], reqid: Reqid, timeout_s: int) -> bytes:
    """The request that arms or renews the account's cancel-all timer (1..86399 s), or with 0 disarms it."""
    return (
        f'{{"event":"cancelAllOrdersAfter","reqid":{reqid},"timeout":{timeout_s},"token":"{token.reveal()}"}}'.encode()
    )


def subscribe_frame(token: Secret[str], reqid: Reqid) -> bytes:
    """The request for the order stream. It keeps the socket alive too: one without a private subscription is closed.

    `reqid` stands at the top level, as captures show it, although the page lists it inside `subscription`.
    """
    return (
        f'{{"event":"subscribe","reqid":{reqid},"subscription":'
        f'{{"name":"{_CHANNEL}","ratecounter":true,"token":"{token.reveal()}"}}}}'
    ).encode()


def unsubscribe_frame(token: Secret[str], reqid: Reqid) -> bytes:
    """The end of the order stream, which lets it be asked for anew, and with it the list of what is open."""
    return (
        f'{{"event":"unsubscribe","reqid":{reqid},"subscription":{{"name":"{_CHANNEL}","token":"{token.reveal()}"}}}}'
    ).encode()


def ping_frame(reqid: Reqid) -> bytes:
    """The application ping; its pong names the same reqid."""
    return f'{{"event":"ping","reqid":{reqid}}}'.encode()


# The venue's shapes. A field that decides (event, status) is strict and fails the decoding; the others take any type,
# because a reqid as text must make an ack that matches nothing rather than a frame that cannot be read.


class _Told(msgspec.Struct, gc=False):
    """What any answer may have. An error is an error under each of its names."""

    reqid: Any = None
    errorMessage: Any = None
    error: Any = None
    Error: Any = None


class _CancelOrderStatus(_Told, gc=False, tag_field="event", tag="cancelOrderStatus", kw_only=True):
    status: Literal["ok", "error"]
    txid: Any = None


class _CancelAllStatus(_Told, gc=False, tag_field="event", tag="cancelAllStatus", kw_only=True):
    status: Literal["ok", "error"]
    reqId: Any = None
    count: Any = None


class _TimerStatus(_Told, gc=False, tag_field="event", tag="cancelAllOrdersAfterStatus", kw_only=True):
    status: Literal["ok", "error"]
    triggerTime: Any = None


class _SubscriptionStatus(_Told, gc=False, tag_field="event", tag="subscriptionStatus", kw_only=True):
    status: Literal["subscribed", "ok", "unsubscribed", "error"]
    channelName: Any = None
    subscription: Any = None


class _SystemStatus(msgspec.Struct, gc=False, tag_field="event", tag="systemStatus"):
    status: str


class _Heartbeat(msgspec.Struct, gc=False, tag_field="event", tag="heartbeat"):
    pass


class _Pong(_Told, gc=False, tag_field="event", tag="pong"):
    pass


class _Error(_Told, gc=False, tag_field="event", tag="error"):
    pass


class _Stream(msgspec.Struct, gc=False):
    sequence: Any = None


_Event: TypeAlias = (
    _CancelOrderStatus
    | _CancelAllStatus
    | _TimerStatus
    | _SubscriptionStatus
    | _SystemStatus
    | _Heartbeat
    | _Pong
    | _Error
)
_ChannelData: TypeAlias = tuple[list[dict[str, Order]], str, _Stream]

_decode: Final = msgspec.json.Decoder(_Event | _ChannelData).decode
_decode_loosely: Final = msgspec.json.Decoder().decode
_EVENTS: Final = frozenset(event.__struct_config__.tag for event in get_args(_Event))


def decode(frame: str | bytes) -> Evidence:
    """One text frame to one piece of evidence.

    Never raises on venue data: what cannot be read is Unreadable, what does not concern cancels is Irrelevant. An ok
    is an ack only when it names its request and carries no error beside it.
    """
    try:
        message: _Event | _ChannelData = _decode(frame)
    except UNREADABLE as error:
        return _foreign(frame, error)
    # The acks come first: between them and the waiting strategy stands this function.
    if type(message) is _CancelOrderStatus:
        reqid, words = reqid_of(message.reqid), message.errorMessage or message.error or message.Error
        if message.status == "ok" and reqid is not None and not words:
            return CancelAck(reqid, None if message.txid is None else _echoed(message.txid))
        return _no_ack(message.status, reqid, words)
    return _orders(message) if isinstance(message, tuple) else _answer(message)


def _answer(message: _Event) -> Evidence:
    # Neither answers a request.
    if isinstance(message, _Heartbeat):
        return Heartbeat()
    if isinstance(message, _SystemStatus):
        return ModeChanged(mode_of(message.status))
    reqid, error = reqid_of(message.reqid), message.errorMessage or message.error or message.Error
    match message:
        case _Pong():
            return _no_ack("error", reqid, error) if error else Pong(reqid)
        case _SubscriptionStatus():
            return _subscription(message, error)
        case _CancelAllStatus(status=status):
            # One client was told `reqId` here. Source: ccxt, pro/kraken.
            reqid = reqid or reqid_of(message.reqId)
            if status == "ok" and reqid is not None and not error:
                return CancelAllAck(reqid, count_of(message.count))
            return _no_ack(status, reqid, error)
        case _TimerStatus(status=status):
            if status == "ok" and reqid is not None and not error:
                return _timer(reqid, message.triggerTime)
            return _no_ack(status, reqid, error)
        case _CancelOrderStatus(status=status):
            return _no_ack(status, reqid, error)
        case _Error():
            return _no_ack("error", reqid, error)
        case _:
            assert_never(message)


def _no_ack(status: str, reqid: Reqid | None, error: object) -> Evidence:
    if status == "ok":
        return Unreadable("ok beside an error" if error else "ok that names no request of ours")
    text = error_text(error)
    return _refusal(reqid, fault_of(text), text)


def _refusal(reqid: Reqid | None, fault: Fault, text: str) -> Evidence:
    return Unattributed(fault, text) if reqid is None else CancelReject(reqid, fault, text)


def _timer(reqid: Reqid, trigger: object) -> Evidence:
    if trigger == "0":
        return TimerAck(reqid, None)
    trigger_s = instant_s(trigger)
    return Unreadable("a timer ack without its time") if trigger_s is None else TimerAck(reqid, trigger_s)


def _subscription(message: _SubscriptionStatus, error: object) -> Evidence:
    details = message.subscription if isinstance(message.subscription, dict) else {}
    # A refusal may come without channelName. Source: knowm/XChange issue 3683.
    channel = details.get("name") or message.channelName
    if channel not in (None, _CHANNEL, _EVERY_CHANNEL):
        return Irrelevant()
    reqid, text = reqid_of(message.reqid), error_text(error)
    if message.status in ("unsubscribed", "error"):
        return SubscriptionLost(reqid, fault_of(text), text or message.status, named=channel is not None)
    if error:
        return Unreadable("subscribed beside an error")
    if channel is None and reqid is None:
        return Unreadable("subscribed that names neither channel nor request")
    return Subscribed(reqid, number_of(details.get("maxratecount")))


def pieces(frame: str | bytes) -> Iterator[Evidence | None] | None:
    """A long list piece by piece, as pieces.py tells; None for any other message, which `decode` reads."""
    return evidence_in_pieces(frame, FIRST, decode)


def _orders(message: _ChannelData) -> Evidence:
    records, channel, stream = message
    if channel != _CHANNEL:
        return Irrelevant()
    states = _states(records)
    if isinstance(states, Unreadable):
        return states
    sequence = stream.sequence if type(stream.sequence) is int else None
    return Orders(tuple(states), sequence == 1, sequence)


def _states(records: list[dict[str, Order]]) -> list[OrderState] | Unreadable:
    states: list[OrderState] = []
    for record in records:
        # Skipping what is odd here would make a snapshot out of which an order is missing, that is, has ended.
        if not record:
            return Unreadable("a record without an order id")
        for order_id, order in record.items():
            state = order_state(order_id, order, with_symbol=True)
            if state is None:
                return Unreadable("an order whose id is no order id")
            states.append(state)
    return states


def _foreign(frame: str | bytes, error: Exception) -> Evidence:
    """Tell a message that is not for us (an event or channel we do not follow) from a refusal and from a broken one.

    `{"Error": …}` was seen in the place of an answer. Source: bitrich-info/xchange-stream issue 502.
    """
    try:
        message = _decode_loosely(frame)
    except UNREADABLE:
        return Unreadable(why(error))
    match message:
        case dict() if (text := refusal_in(message)) is not None:
            return _refusal(reqid_of(message.get("reqid")), unplain(fault_of(text)), text)
        case {"event": str(event)} if event not in _EVENTS:
            return Irrelevant()
        case [_, *_, str(channel), _] if channel != _CHANNEL:
            return Irrelevant()
        case _:
            return Unreadable(why(error))


def _echoed(txid: object) -> str | None:
    """The order id in an ack of the kind that echoes it, as text or as a list of one; acks of today mostly do not."""
    if isinstance(txid, list) and len(txid) == 1:
        txid = txid[0]
    return txid if isinstance(txid, str) else None
