"""ZeroMQ payload bytes to command, and reply to payload bytes. One payload frame is one command or one reply."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import UNSET

from .commands import (
    Cancel,
    CancelAll,
    CancelBatch,
    Command,
    Drill,
    KillScope,
    Lease,
    OrderRef,
    Ping,
    Rearm,
    Status,
    Strict,
    TimerRight,
    WhatRests,
    target_of,
)
from .hints import with_hint
from .ids import CommandID, Target, Venue, fault_of
from .kills import JSON_BEGINS, also_ignored, read_kill
from .outcomes import (
    NAMES,
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    RefusalReason,
    Refused,
    Rejected,
    Settlement,
    Unknown,
)
from .selectors import mended, scope_fault

Encoding: TypeAlias = Literal["msgpack", "json"]

COMMAND_BYTES: Final = 16 * 1024
"""Largest command. A cancel has about 150 bytes; what is larger is a mistake or an attack."""

BATCH_BYTES: Final = 128 * 1024
"""Largest cancel_batch: 500 orders of about 200 bytes, with room for JSON's spaces."""

SHOWN_LIMIT: Final = 500
"""Most order ids in one list of a reply: as many as a batch can name."""

MESSAGE_FRAMES: Final = 4
"""Most frames in one message. One payload and REQ's empty delimiter are used; the rest is for proxies that add one."""

NESTING: Final = "nested too deeply"

_from_json: Final = msgspec.json.Decoder(Strict)
_from_msgpack: Final = msgspec.msgpack.Decoder(Strict)
_loose_json: Final = msgspec.json.Decoder()
_loose_msgpack: Final = msgspec.msgpack.Decoder()
_to_json: Final = msgspec.json.Encoder()
_to_msgpack: Final = msgspec.msgpack.Encoder()

# Everything msgspec raises on hostile bytes: a bad document, a bad string inside it, and one nested too deeply.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Peek(msgspec.Struct, gc=False):
    """Two members of a payload, still encoded. All others are skipped and never made: 128 KiB of empty maps would be
    100,000 objects, and a few dozen milliseconds in which nobody else is served."""

    type: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()


_peek_json: Final = msgspec.json.Decoder(_Peek)
_peek_msgpack: Final = msgspec.msgpack.Decoder(_Peek)
_type_json: Final = msgspec.json.Decoder(str)
_type_msgpack: Final = msgspec.msgpack.Decoder(str)
_id_json: Final["msgspec.json.Decoder[str | int]"] = msgspec.json.Decoder(CommandID)
_id_msgpack: Final["msgspec.msgpack.Decoder[str | int]"] = msgspec.msgpack.Decoder(CommandID)


class Malformed(msgspec.Struct, frozen=True):
    """A payload that is no command: answered once, and forgotten. `id` is None where it could not be read."""

    id: CommandID | None
    reason: RefusalReason
    detail: str


def encoding_of(payload: bytes) -> Encoding:
    """JSON when it begins as JSON does: with `{`, or with `[`, `"` or white space, which no command does. Else msgpack.

    No map of msgpack begins with any of these: they are small whole numbers there.
    """
    return "json" if payload[:1] in JSON_BEGINS else "msgpack"


def decode_command(payload: bytes) -> Command | Malformed:
    """One payload frame to one command. Never raises on what a client sent.

    Every command is read strictly, and what remains may still be a kill, which is not.
    """
    if len(payload) > COMMAND_BYTES and (len(payload) > BATCH_BYTES or not _is_batch(payload)):
        size_fault = _size_fault(len(payload))
        kill = read_kill(payload)
        if kill is not None:
            return also_ignored(kill, size_fault)
        return Malformed(_readable_id(payload), "too_large", size_fault)
    try:
        command = _from_json.decode(payload) if payload[:1] in JSON_BEGINS else _from_msgpack.decode(payload)
    except _UNREADABLE as error:
        kill = read_kill(payload)
        if kill is not None:
            return kill
        if isinstance(error, RecursionError):
            return Malformed(None, "invalid", NESTING)
        return Malformed(_readable_id(payload), "invalid", mended(with_hint(str(error))))
    if type(command) is Cancel:
        target = target_of(command.order_id, command.cl_ord_id, command.userref)
        fault = _MANY_IDS if target is None else fault_of(command.venue, target)
        if fault is not None:
            return Malformed(command.id, "invalid", fault)
        if target is not None and target.kind == "userref" and command.venue != "spot":
            return Malformed(command.id, "unsupported", f"userref: {command.venue} orders have none")
        return command
    fault = _fault_in(command)
    return command if fault is None else Malformed(command.id, "invalid", fault)


_MANY_IDS: Final = "exactly one of order_id, cl_ord_id, userref is required"


def _fault_in(command: Strict) -> str | None:
    match command:
        case CancelBatch(venue=venue, orders=orders):
            return next(
                (f"orders[{n}].{fault}" for n, order in enumerate(orders) if (fault := _ref_fault(venue, order))), None
            )
        case Lease(ttl_ms=ttl_ms, scope=scope):
            if 0 < ttl_ms < 500:
                return "ttl_ms: expected 0 or 500..60000"
            # A lease may cover no order at all: it may stand for a kill alone.
            return scope_fault(scope) if scope else None
        case Rearm(confirm=None, force=True):
            return "force: goes with confirm"
        case CancelAll():
            return _all_fault(command)
        case KillScope(scope=scope):
            return scope_fault(scope, everything="a kill")
        case WhatRests(scope=scope) if scope is not None:
            return scope_fault(scope, everything="no scope at all")
        case Cancel() | WhatRests() | Drill() | Rearm() | TimerRight() | Status() | Ping():
            return None
        case other:
            assert_never(other)


def _all_fault(command: CancelAll) -> str | None:
    """Why a cancel_all cannot be taken. What is odd must not come to mean every order of the account."""
    scope = command.scope
    if scope is None:
        if command.strategy is not None and not command.everything:
            return "strategy: it names who asks and not what is meant; say scope, or everything: true"
        return None
    if command.everything:
        return "everything: contradicts scope; give one of the two"
    if (fault := scope_fault(scope)) is not None:
        return fault
    for number, selector in enumerate(scope):
        if command.venue is not None and selector.venue not in (None, command.venue):
            return f"scope[{number}].venue: {selector.venue} is not the command's venue {command.venue}; take one out"
    return None


def _ref_fault(venue: Venue, order: OrderRef) -> str | None:
    target = order.target
    if target is None:
        return _MANY_IDS
    if target.kind == "userref" and venue != "spot":
        return f"userref: {venue} orders have none"
    return fault_of(venue, target)


def _is_batch(payload: bytes) -> bool:
    try:
        if payload[:1] in JSON_BEGINS:
            return _type_json.decode(_peek_json.decode(payload).type) == "cancel_batch"
        return _type_msgpack.decode(_peek_msgpack.decode(payload).type) == "cancel_batch"
    except _UNREADABLE:
        return False


def _size_fault(size: int) -> str:
    return f"{size} bytes; a command has at most {COMMAND_BYTES}, a cancel_batch {BATCH_BYTES}"


def _readable_id(payload: bytes) -> CommandID | None:
    """The id of a payload that is no command, so that its sender can tell which one was refused."""
    if len(payload) > BATCH_BYTES:
        return None
    try:
        if payload[:1] in JSON_BEGINS:
            return _id_json.decode(_peek_json.decode(payload).id)
        return _id_msgpack.decode(_peek_msgpack.decode(payload).id)
    except _UNREADABLE:
        return None


def encode(reply: Mapping[str, Any], encoding: Encoding) -> bytes:
    """One reply map to one payload frame."""
    return _to_json.encode(reply) if encoding == "json" else _to_msgpack.encode(reply)


def outcome_map(id: CommandID | None, received_ns: int | None, settlement: Settlement) -> dict[str, Any]:
    """The `outcome` message of contract section 4; members that did not happen are left out."""
    outcome = settlement.outcome
    message: dict[str, Any] = {
        "type": "outcome",
        "id": id,
        "venue": settlement.venue,
        "outcome": NAMES[type(outcome)],
        "route": settlement.route,
        "attempts": settlement.attempts,
        settlement.target.kind: settlement.target.value,
    }
    if settlement.order_id is not None:
        message["order_id"] = settlement.order_id
    if received_ns is not None:
        message["received_ns"] = received_ns
    if settlement.sent_ns is not None:
        message["sent_ns"] = settlement.sent_ns
    if settlement.answered_ns is not None:
        message["answered_ns"] = settlement.answered_ns
    if settlement.error is not None:
        message["error"] = settlement.error
    _tell_orders(message, settlement)
    if settlement.symbol is not None:
        message["symbol"] = settlement.symbol
        message["note"] = f"symbol: the order is of {settlement.symbol}, which went in place of the one given"
    if settlement.pending:
        message["pending"] = True
    if settlement.received_time is not None:
        message["received_time"] = settlement.received_time
    match outcome:
        case Canceled(filled_qty=filled_qty):
            if filled_qty is not None:
                message["filled_qty"] = filled_qty
        case Closed(state=state, filled_qty=filled_qty, cause=cause):
            if state is not None:
                message["state"] = state
            if filled_qty is not None:
                message["filled_qty"] = filled_qty
            if cause is not None:
                message["cause"] = cause
        case Rejected(reject_class=reject_class):
            message["class"] = reject_class
        case Unknown(tried=tried):
            message["tried"] = tried
        case Refused(reason=reason, detail=detail):
            message["reason"] = reason
            message["detail"] = detail
        case Acked() | NotOpen():
            pass
        case other:
            assert_never(other)
    return message


def _tell_orders(message: dict[str, Any], settlement: Settlement) -> None:
    """Which orders went, where a command may mean several; long lists are cut, and how much is missing is told."""
    if settlement.filled_qty is not None:
        message["filled_qty"] = settlement.filled_qty
    if settlement.order_ids is not None:
        if settlement.count is not None:
            message["count"] = settlement.count
        message |= shown_ids("order_ids", "more", settlement.order_ids)
    if settlement.unsure:
        message |= shown_ids("unsure", "more_unsure", settlement.unsure)


def shown_ids(name: str, more: str, order_ids: Sequence[str]) -> dict[str, Any]:
    """Order ids for a reply: SHOWN_LIMIT at most, and then how many are left out."""
    left = len(order_ids) - SHOWN_LIMIT
    return {name: order_ids[:SHOWN_LIMIT]} | ({more: left} if left > 0 else {})


def refusal_map(id: CommandID | None, reason: RefusalReason, detail: str) -> dict[str, Any]:
    """The refusal of whatever is not a well-formed cancel."""
    return {"type": "refused", "id": id, "outcome": "refused", "reason": reason, "detail": detail}


class UnreadableReply(Exception):
    """A reply that does not follow the contract."""


def decode_reply(payload: bytes) -> dict[str, Any]:
    """One payload frame from the daemon to a map; raises UnreadableReply."""
    try:
        reply = _loose_json.decode(payload) if payload[:1] == b"{" else _loose_msgpack.decode(payload)
    except _UNREADABLE as error:
        raise UnreadableReply(str(error)) from None
    if not isinstance(reply, dict) or not isinstance(reply.get("type"), str):
        raise UnreadableReply("a reply is a map with a `type`")
    return reply


def read_outcome(message: Mapping[str, Any]) -> Outcome:
    """The outcome in an `outcome` or `refused` message; raises UnreadableReply."""
    try:
        match message["outcome"]:
            case "acked":
                return Acked()
            case "canceled":
                return Canceled(message.get("filled_qty"))
            case "closed":
                return Closed(message.get("state"), message.get("filled_qty"), message.get("cause"))
            case "not_open":
                return NotOpen()
            case "rejected":
                return Rejected(message["class"])
            case "unknown":
                return Unknown(tuple(message["tried"]))
            case "refused":
                return Refused(message["reason"], message["detail"])
            case other:
                raise UnreadableReply(f"outcome {other!r} is not in the contract")
    except KeyError as missing:
        raise UnreadableReply(f"an outcome lacks {missing}") from None


def read_target(message: Mapping[str, Any]) -> Target | None:
    """The identifier an outcome message names, preferring the one a client may have used."""
    for kind in ("userref", "cl_ord_id", "order_id"):
        if kind in message:
            return Target(kind, message[kind])
    return None


def same_command(first: Command, second: Command) -> bool:
    """Whether two commands with one id are the same request: all fields but `sent_ns`, the time of sending."""
    return type(first) is type(second) and untimed(first) == untimed(second)


def untimed(command: Command) -> Command:
    """A command without its time of sending."""
    return command if command.sent_ns is UNSET else msgspec.structs.replace(command, sent_ns=UNSET)
