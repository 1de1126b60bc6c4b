"""Prime WebSocket: cancels and subscriptions to frames, frames to evidence.

Prime answers no cancel: what became of it shows on the order streams, which carry the subscription's request id and not
the cancel's. So each cancel bears an id of its own that says whose it is, and nothing has to be remembered here.
Source of all shapes: Prime WebSocket pages "Order Cancel Request", "Order", "Execution Report", "User", "Subscribe",
"Cancel", "Ping", "Hello".
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from ..contract.evidence import (
    CancelAck,
    CancelReject,
    Evidence,
    Fault,
    Hello,
    Irrelevant,
    Orders,
    OrderState,
    OrderTerms,
    Permissions,
    Pong,
    Unattributed,
    Unlisted,
    Unreadable,
)
from ..contract.ids import Reqid, Target
from ..contract.outcomes import ClosedState
from .faults import TEXT_CHARS, prime_error_fault_of, prime_fault_of
from .pieces import messages_in_pieces, under
from .spot_values import UNREADABLE, terms_of, why
from .values import NOTHING, decimal_text, error_text, instant_ns, order_id_of, reqid_of, text_of

TAG_CHARS: Final = 15
"""Hexadecimal digits in a process's tag: what a UUID holds besides its fixed bits and a request id."""

_TAG: Final = re.compile(r"[0-9a-f]{15}\Z")
_REQID: Final = re.compile(r"([0-9a-f]{3})-([0-9a-f]{12})\Z")
_UUID_CHARS: Final = 36
_LOW_BITS: Final = 48

_EPOCH: Final = datetime(1970, 1, 1)
_LIST: Final = under("data")
_to_json: Final = msgspec.json.Encoder().encode

_ENDS: Final[dict[str, ClosedState]] = {
    "Filled": "filled",
    "Canceled": "canceled",
    "Cancelled": "canceled",
    "Expired": "expired",
    # Of our three ends "expired" is the one that no cancel brings about.
    "DoneForDay": "expired",
    "Rejected": "expired",
}
"""The statuses after which nothing rests. Every other word is open, also one that we do not know."""

_CANCELED: Final = ("Canceled", "Cancelled")
_REFUSED: Final = ("CancelRejected", "ReplaceRejected")
_OF_NO_ORDER: Final = (*_REFUSED, "Rejected")
"""Reports of a refused request, and those that may be about no order at all: `OrderID` then reads NONE."""


class _Message(msgspec.Struct, gc=False):
    """The envelope. Any type is taken for each member and judged on its own: the pages are thin on types.

    `seqNum` is left out, since by the page's own word it is there for debugging.
    """

    type: Any = None
    reqid: Any = None
    initial: Any = None
    action: Any = None
    data: msgspec.Raw = NOTHING
    next: Any = None
    total_count: Any = None
    error: Any = None
    errorMessage: Any = None
    Error: Any = None
    success: Any = None
    session_id: Any = None


class _Row(msgspec.Struct, gc=False):
    """One order as the streams tell it."""

    OrderID: Any = None
    ClOrdID: Any = None
    OrigClOrdID: Any = None
    ExecType: Any = None
    OrdStatus: Any = None
    ExecID: Any = None
    Timestamp: Any = None
    SubmitTime: Any = None
    Symbol: Any = None
    Side: Any = None
    OrderQty: msgspec.Raw = NOTHING
    Price: msgspec.Raw = NOTHING
    CumQty: msgspec.Raw = NOTHING
    CxlRejReason: Any = None
    Text: Any = None


class _User(msgspec.Struct, gc=False):
    Permissions: list[str]


_decode: Final = msgspec.json.Decoder(_Message).decode
_decode_rows: Final = msgspec.json.Decoder(list[_Row]).decode
_decode_users: Final = msgspec.json.Decoder(list[_User]).decode


class Prime:
    """The dialect as one process speaks it: its `tag` is in the id of every cancel that it sends."""

    def __init__(self, tag: str) -> None:
        """tag: TAG_CHARS random hexadecimal digits, in lower case. Raises ValueError for anything else."""
        if not _TAG.match(tag):
            raise ValueError(f"the tag is not {TAG_CHARS} hexadecimal digits in lower case")
        # Version 4, variant 10: a venue that checks the form of a UUID finds a random one.
        self._head = f"{tag[:8]}-{tag[8:12]}-4{tag[12:]}-a"

    # ---------------------------------------------------------------- ids of cancels

    def cl_ord_id_of(self, reqid: Reqid) -> str:
        """The ClOrdID of the cancel `reqid`: UUID-shaped, and unique as long as the tag is and no reqid comes twice."""
        return f"{self._head}{reqid >> _LOW_BITS:03x}-{reqid & (1 << _LOW_BITS) - 1:012x}"

    def reqid_of(self, text: object) -> Reqid | None:
        """Which cancel of this process bears the ClOrdID `text`; None when none does. Upper case is the same UUID."""
        if not isinstance(text, str) or len(text) != _UUID_CHARS:
            return None
        plain = text.lower()
        match = _REQID.match(plain, len(self._head))
        if match is None or not plain.startswith(self._head):
            return None
        return reqid_of(int(match[1], 16) << _LOW_BITS | int(match[2], 16))

    # ---------------------------------------------------------------- requests

    def cancel_frame(self, reqid: Reqid, target: Target, symbol: str, utc_ns: int) -> bytes:
        """The request that cancels one order. utc_ns: Unix nanoseconds, now.

        One order per message: the page shows a list of one and does not say what a longer one does. Exactly one id of
        the order: both together are not described. Ids of orders have passed ids.fault_of and need no escaping, client
        ids and symbols may hold quotes.
        """
        assert target.kind in ("order_id", "cl_ord_id"), f"no Prime cancel by {target.kind}"
        field = "OrderID" if target.kind == "order_id" else "OrigClOrdID"
        head = f'{{"reqid":{reqid},"type":"OrderCancelRequest","data":[{{"Symbol":'.encode()
        names = f',"ClOrdID":"{self.cl_ord_id_of(reqid)}","{field}":'.encode()
        tail = f',"TransactTime":"{_timestamp(utc_ns)}"}}]}}'.encode()
        return head + _to_json(symbol) + names + _to_json(target.value) + tail

    def user_frame(self, reqid: Reqid) -> bytes:
        """The subscription that tells what the key may do."""
        return _subscription(reqid, '"name":"User"')

    def orders_frame(self, reqid: Reqid, submitted_after_ns: int | None = None) -> bytes:
        """The subscription to the state of every order that was submitted after a time (Unix nanoseconds).

        The time is the order's birth and not the event's: resumed from the last thing heard, the stream would hide
        every older order that still rests. None leaves the filter out; how far back that goes is not published.
        """
        return _subscription(reqid, f'"name":"Order"{_since(submitted_after_ns)}')

    def reports_frame(self, reqid: Reqid, published_from_ns: int | None = None) -> bytes:
        """The subscription to order events that were published at or after a time (Unix nanoseconds)."""
        return _subscription(reqid, f'"name":"ExecutionReport"{_since(published_from_ns)}')

    def query_frame(self, reqid: Reqid, order_id: str, submitted_after_ns: int | None = None) -> bytes:
        """The subscription to one order's state: the only way to ask for it. To be ended with unsubscribe_frame.

        submitted_after_ns: as in orders_frame; it has to lie before the order's birth for the order to be told of.
        """
        return _subscription(reqid, f'"name":"Order","OrderID":"{order_id}"{_since(submitted_after_ns)}')

    def unsubscribe_frame(self, reqid: Reqid) -> bytes:
        """End the subscription `reqid`. Prime calls this "cancel"; it cancels no order, and success is silent."""
        return f'{{"reqid":{reqid},"type":"cancel"}}'.encode()

    def ping_frame(self, reqid: Reqid, utc_ns: int) -> bytes:
        """The application ping. `data` must hold an object: without one it is answered with an error."""
        return f'{{"reqid":{reqid},"type":"Ping","ts":"{_timestamp(utc_ns)}","data":[{{}}]}}'.encode()

    # ---------------------------------------------------------------- answers

    def pieces(self, frame: str | bytes) -> Iterator[Evidence | None] | None:
        """A long list piece by piece, as pieces.py tells; None for any other message, which `decode` reads."""
        return messages_in_pieces(frame, _LIST, self.decode)

    def decode(self, frame: str | bytes) -> tuple[Evidence, ...]:
        """One text frame to what it says: never nothing, and several things when an order's row answers a cancel too.

        Never raises on venue data. An ack or a refusal is told only from a row that bears the id of a cancel of ours,
        never by the message's reqid, which is the subscription's. The other stream tells the same event again, under
        the same event_id: whoever takes the evidence in has to know it for a repetition. An error with a reqid comes as
        CancelReject: if no cancel bears that reqid, a subscription does, and that one was refused.
        """
        try:
            message = _decode(frame)
        except UNREADABLE as error:
            return (Unreadable(why(error)),)
        told = message.error or message.errorMessage or message.Error
        match message.type:
            case _ if (told or message.success is False) and not bytes(message.data):
                return (_error(message, told),)
            case "ExecutionReport" | "Order":
                return self._told(message)
            case "Pong":
                return (Pong(reqid_of(message.reqid)),)
            case "hello":
                return (Hello(text_of(message.session_id)),)
            case "User":
                return (_permissions(message.data),)
            case "error":
                return (_error(message, told),)
            case str():
                return (Irrelevant(),)
            case _:
                return (Unreadable("a message without a type"),)

    def _told(self, message: _Message) -> tuple[Evidence, ...]:
        try:
            rows = _decode_rows(message.data)
        except UNREADABLE as error:
            return (Unreadable(why(error)),)
        states: list[OrderState] = []
        acks: list[Evidence] = []
        afterwards: list[Evidence] = []
        for row in rows:
            state = self._state(row)
            if state is not None:
                states.append(state)
            elif row.ExecType not in _OF_NO_ORDER:
                return (Unreadable("an order whose id is no order id"),)
            answer = self._answer(row, state)
            # An order's end is the better news; an ack before it would have the caller told the lesser.
            if type(answer) is CancelAck and state is not None and state.status == "open":
                acks.append(answer)
            elif answer is not None:
                afterwards.append(answer)
        if message.action == "Remove":
            # What it means for an order is not published. Whether it ended is told by the other stream, or asked for.
            return (Unlisted(tuple(state.order_id for state in states)),)
        orders = Orders(
            tuple(states),
            snapshot=False,
            reqid=reqid_of(message.reqid),
            initial=message.initial is True,
            truncated=bool(message.next),
            total=message.total_count if type(message.total_count) is int else None,
        )
        return (*acks, orders, *afterwards)

    def _state(self, row: _Row) -> OrderState | None:
        """What a row says of its order; None when it is about none.

        A refused request for an unknown order has the status Rejected by FIX's rules, with or without an id: that is
        not how an order ended.
        """
        order_id, status = order_id_of(row.OrderID), row.OrdStatus
        if order_id is None or (row.ExecType in _REFUSED and status == "Rejected"):
            return None
        end = _ENDS.get(status) if isinstance(status, str) else None
        submitted_ns = instant_ns(row.SubmitTime)
        return OrderState(
            order_id,
            end if end is not None else "open" if isinstance(status, str) else None,
            self._own_name(row),
            symbol=text_of(row.Symbol),
            opened_s=None if submitted_ns is None else submitted_ns / 1e9,
            filled_qty=decimal_text(row.CumQty),
            reason=text_of(row.Text) if end is not None and row.ExecType not in _REFUSED else None,
            event_id=text_of(row.ExecID),
            event_ns=instant_ns(row.Timestamp),
            terms=None if row.ExecType in _OF_NO_ORDER else _terms(row),
        )

    def _own_name(self, row: _Row) -> str | None:
        """The client's own id of the order: ClOrdID until a request on the order takes that place, then OrigClOrdID.

        Never an id of a cancel of ours, and nothing from a refusal: in which field that has the id of the refused
        request can be read both ways.
        """
        if row.ExecType in _REFUSED:
            return None
        for name in (row.OrigClOrdID, row.ClOrdID):
            if name and self.reqid_of(name) is None:
                return text_of(name)
        return None

    def _answer(self, row: _Row, state: OrderState | None) -> CancelAck | CancelReject | None:
        """What a row says to a cancel of ours, if it does."""
        reqid = self.reqid_of(row.ClOrdID)
        if row.ExecType == "CancelRejected":
            reqid = reqid or self.reqid_of(row.OrigClOrdID)
            if reqid is None:
                return None
            fault, words = _refusal(row)
            return CancelReject(reqid, fault, words, event_id=text_of(row.ExecID), order_id=order_id_of(row.OrderID))
        if reqid is None or state is None:
            return None
        if row.ExecType == "PendingCancel" or (row.ExecType in _CANCELED and state.status == "canceled"):
            return CancelAck(reqid, state.order_id, state.cl_ord_id, event_id=state.event_id)
        return None


def _terms(row: _Row) -> OrderTerms | None:
    side = row.Side.lower() if isinstance(row.Side, str) else None
    return terms_of(row.Symbol, side, decimal_text(row.OrderQty), decimal_text(row.Price))


def _refusal(row: _Row) -> tuple[Fault, str]:
    """Why a cancel was refused, by the reason's number or word; by free text where that tells nothing.

    But beside a reason that we do not know no free text is believed that the order is unknown.
    """
    reason = str(row.CxlRejReason) if type(row.CxlRejReason) is int else error_text(row.CxlRejReason)
    text = error_text(row.Text)
    fault = prime_fault_of(reason)
    if fault is Fault.UNLISTED:
        worded = prime_fault_of(text)
        fault = fault if reason and worded is Fault.NOT_OPEN else worded
    words = ": ".join(part for part in (reason, text) if part) or "CancelRejected"
    return fault, words[:TEXT_CHARS]


def _error(message: _Message, error: object) -> Evidence:
    told = error if isinstance(error, dict) else {"msg": error}
    code = told.get("code")
    text = error_text(told.get("msg")) or (f"error {code}"[:TEXT_CHARS] if isinstance(code, int | str) else "error")
    fault = prime_error_fault_of(text)
    reqid = reqid_of(message.reqid)
    if reqid is None:
        return Unattributed(fault, text)
    # The venue turned this very request away without making an order event of it: it was malformed, whatever the words.
    return CancelReject(reqid, Fault.INVALID if fault is Fault.UNLISTED else fault, text)


def _permissions(data: msgspec.Raw) -> Evidence:
    """What every user of the answer may do: of several nobody says which one we are."""
    try:
        users = _decode_users(data)
    except UNREADABLE as error:
        return Unreadable(why(error))
    if not users:
        return Unreadable("a User message without a user")
    shared = set.intersection(*(set(user.Permissions) for user in users))
    return Permissions(tuple(name for name in users[0].Permissions if name in shared))


def _subscription(reqid: Reqid, stream: str) -> bytes:
    return f'{{"reqid":{reqid},"type":"subscribe","streams":[{{{stream}}}]}}'.encode()


def _since(utc_ns: int | None) -> str:
    return "" if utc_ns is None else f',"StartDate":"{_timestamp(utc_ns)}"'


def _timestamp(utc_ns: int) -> str:
    """ISO 8601 with six fractional digits and Z, the one form that the pages show."""
    return f"{(_EPOCH + timedelta(microseconds=utc_ns // 1000)).isoformat(timespec='microseconds')}Z"
