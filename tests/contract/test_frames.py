"""Bytes to commands and replies to bytes: what is taken, what is refused and by which name; and nothing raises."""

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.commands import (
    BATCH_LIMIT,
    Cancel,
    CancelAll,
    CancelBatch,
    Command,
    Drill,
    Kill,
    KillScope,
    Lease,
    LeaseScope,
    OrderRef,
    Ping,
    Rearm,
    Status,
    TimerRight,
    WhatRests,
)
from canceld.contract.frames import (
    BATCH_BYTES,
    COMMAND_BYTES,
    Encoding,
    Malformed,
    UnreadableReply,
    decode_command,
    decode_reply,
    encode,
    encoding_of,
    outcome_map,
    read_outcome,
    read_target,
    refusal_map,
    same_command,
)
from canceld.contract.ids import Target
from canceld.contract.outcomes import (
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Settlement,
    Unknown,
)
from canceld.contract.selectors import Selector

ENCODINGS: list[Encoding] = ["json", "msgpack"]

CANCEL = {"type": "cancel", "id": "c-1", "venue": "spot", "order_id": "OAAAAA-BBBBB-CCCCCC"}

COMMANDS: list[tuple[dict[str, Any], Command]] = [
    (CANCEL, Cancel(id="c-1", venue="spot", order_id="OAAAAA-BBBBB-CCCCCC")),
    (
        {
            "type": "cancel",
            "id": 0,
            "venue": "prime",
            "cl_ord_id": "my order",
            "symbol": "BTC-USD",
            "until": "proof",
            "deadline_ms": 60_000,
            "strategy": "mm",
            "sent_ns": 2**63 - 1,
        },
        Cancel(
            id=0,
            venue="prime",
            cl_ord_id="my order",
            symbol="BTC-USD",
            until="proof",
            deadline_ms=60_000,
            strategy="mm",
            sent_ns=2**63 - 1,
        ),
    ),
    (
        {"type": "cancel", "id": 2**63 - 1, "venue": "spot", "userref": -(2**31), "order_id": None},
        Cancel(id=2**63 - 1, venue="spot", userref=-(2**31)),
    ),
    (
        {"type": "cancel_batch", "id": "b", "venue": "spot", "orders": [{"order_id": "A-B"}, {"userref": 7}]},
        CancelBatch(id="b", venue="spot", orders=(OrderRef(order_id="A-B"), OrderRef(userref=7))),
    ),
    ({"type": "cancel_all", "id": "a"}, CancelAll(id="a")),
    ({"type": "cancel_all", "id": "a", "venue": "futures"}, CancelAll(id="a", venue="futures")),
    (
        {"type": "cancel_all", "id": "a", "strategy": "mm", "everything": True, "dry_run": True},
        CancelAll(id="a", strategy="mm", everything=True, dry_run=True),
    ),
    (
        {"type": "cancel_all", "id": "a", "strategy": "mm", "scope": [{"strategy": "mm", "side": "buy"}]},
        CancelAll(id="a", strategy="mm", scope=(Selector(strategy="mm", side="buy"),)),
    ),
    (
        {"type": "kill_scope", "id": "k", "reason": "r", "scope": [{"symbol": "XBT/USD"}]},
        KillScope(id="k", reason="r", scope=(Selector(symbol="XBT/USD"),)),
    ),
    (
        {"type": "what_rests", "id": "w", "fresh": True, "after": "spot/A-1"},
        WhatRests(id="w", fresh=True, after="spot/A-1"),
    ),
    ({"type": "kill", "id": "k", "reason": "why"}, Kill(id="k", reason="why")),
    (
        {"type": "kill", "id": "k", "reason": "why", "venues": ["spot", "prime"]},
        Kill(id="k", reason="why", venues=("spot", "prime")),
    ),
    ({"type": "drill", "id": "d", "reason": "weekly"}, Drill(id="d", reason="weekly")),
    ({"type": "rearm", "id": "r"}, Rearm(id="r")),
    (
        {"type": "timer_right", "id": "t", "token": 12, "for_ms": 0, "off": True},
        TimerRight(id="t", token=12, for_ms=0, off=True),
    ),
    (
        {"type": "rearm", "id": "r", "confirm": "K7", "reason": "mended", "force": True},
        Rearm(id="r", confirm="K7", reason="mended", force=True),
    ),
    (
        {
            "type": "lease",
            "id": "l",
            "strategy": "mm",
            "ttl_ms": 500,
            "on_expiry": "kill",
            "scope": [{"venue": "spot", "userref": 7}, {"venue": "prime"}],
        },
        Lease(
            id="l",
            strategy="mm",
            ttl_ms=500,
            on_expiry="kill",
            scope=(LeaseScope(venue="spot", userref=7), LeaseScope(venue="prime")),
        ),
    ),
    ({"type": "lease", "id": "l", "strategy": "mm", "ttl_ms": 0}, Lease(id="l", strategy="mm", ttl_ms=0)),
    ({"type": "status", "id": "s"}, Status(id="s")),
    ({"type": "status", "id": "s", "detail": True}, Status(id="s", detail=True)),
    ({"type": "ping", "id": "p"}, Ping(id="p")),
]


def packed(message: Any, encoding: Encoding) -> bytes:
    return json.dumps(message).encode() if encoding == "json" else bytes(msgspec.msgpack.encode(message))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("message", "command"), COMMANDS)
def test_every_command_is_read_in_either_encoding(
    message: dict[str, Any], command: Command, encoding: Encoding
) -> None:
    payload = packed(message, encoding)
    assert encoding_of(payload) == encoding
    assert decode_command(payload) == command


def cancel(**changed: Any) -> dict[str, Any]:
    return {**CANCEL, **changed}


REFUSED: list[tuple[dict[str, Any], str]] = [
    # who asks, and until when
    ({key: value for key, value in CANCEL.items() if key != "id"}, "id"),
    (cancel(id=""), "id"),
    (cancel(id="x" * 65), "id"),
    (cancel(id="ümlaut"), "id"),
    (cancel(id="\x1b[2J"), "id"),
    (cancel(id=-1), "id"),
    (cancel(id=1.0), "id"),
    (cancel(id=True), "id"),
    (cancel(id=None), "id"),
    (cancel(id=["c"]), "id"),
    (cancel(deadline_ms=0), "deadline_ms"),
    (cancel(deadline_ms=60_001), "deadline_ms"),
    (cancel(deadline_ms="500"), "deadline_ms"),
    (cancel(deadline_ms=500.0), "deadline_ms"),
    (cancel(strategy=""), "strategy"),
    (cancel(strategy="x" * 65), "strategy"),
    (cancel(strategy=7), "strategy"),
    (cancel(sent_ns=-1), "sent_ns"),
    (cancel(sent_ns="now"), "sent_ns"),
    # what is asked
    (cancel(type="Cancel"), "type"),
    (cancel(type=None), "type"),
    (cancel(type=1), "type"),
    ({key: value for key, value in CANCEL.items() if key != "type"}, "type"),
    (cancel(txid="A-B"), "txid"),
    (cancel(venue="kraken"), "venue"),
    (cancel(venue=None), "venue"),
    ({key: value for key, value in CANCEL.items() if key != "venue"}, "venue"),
    (cancel(until="filled"), "until"),
    (cancel(until=None), "until"),
    (cancel(deadline_ms=None), "deadline_ms"),
    (cancel(sent_ns=None), "sent_ns"),
    (cancel(symbol=""), "symbol"),
    # which order
    ({key: value for key, value in CANCEL.items() if key != "order_id"}, "order_id"),
    (cancel(cl_ord_id="x"), "exactly one of order_id, cl_ord_id, userref"),
    (cancel(userref=1), "exactly one of order_id, cl_ord_id, userref"),
    (cancel(order_id=""), "order_id"),
    (cancel(order_id="1234567"), "order_id"),
    (cancel(order_id='A-B"]}'), "order_id"),
    (cancel(order_id="A-B\n"), "order_id"),
    (cancel(order_id="A-" + "B" * 63), "order_id"),
    (cancel(order_id=12), "order_id"),
    (cancel(order_id=["A-B"]), "order_id"),
    (cancel(order_id=None, cl_ord_id=""), "cl_ord_id"),
    (cancel(order_id=None, cl_ord_id="x" * 37), "cl_ord_id"),
    (cancel(order_id=None, cl_ord_id=" x"), "cl_ord_id"),
    (cancel(order_id=None, cl_ord_id="x\x00"), "cl_ord_id"),
    (cancel(order_id=None, cl_ord_id=7), "cl_ord_id"),
    (cancel(order_id=None, userref=0), "userref"),
    (cancel(order_id=None, userref=2**31), "userref"),
    (cancel(order_id=None, userref=-(2**31) - 1), "userref"),
    (cancel(order_id=None, userref="7"), "userref"),
    (cancel(order_id=None, userref=7.0), "userref"),
    (cancel(order_id=None, userref=True), "userref"),
    # batches
    ({"type": "cancel_batch", "id": "b", "venue": "spot"}, "orders"),
    ({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": []}, "orders"),
    ({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": [{"userref": 1}] * (BATCH_LIMIT + 1)}, "orders"),
    ({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": ["A-B"]}, "orders"),
    ({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": [{"order_id": "A-B"}, {}]}, "orders[1]"),
    ({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": [{"userref": 0}]}, "orders[0].userref"),
    ({"type": "cancel_batch", "id": "b", "venue": "prime", "orders": [{"userref": 1}]}, "orders[0].userref"),
    ({"type": "cancel_batch", "id": "b", "venue": "spot", "orders": [{"order_id": "A-B", "venue": "spot"}]}, "venue"),
    # all, drill, rearm, lease
    ({"type": "cancel_all", "id": "a", "venue": "all"}, "venue"),
    ({"type": "cancel_all", "id": "a", "order_id": "A-B"}, "order_id"),
    ({"type": "cancel_all", "id": "a", "strategy": "mm-1"}, "say scope, or everything: true"),
    ({"type": "cancel_all", "id": "a", "strategy": "mm-1", "dry_run": True}, "say scope, or everything: true"),
    ({"type": "cancel_all", "id": "a", "scope": []}, "scope: empty"),
    ({"type": "cancel_all", "id": "a", "scope": [{"side": "buy"}, {}]}, "scope[1]: empty"),
    ({"type": "cancel_all", "id": "a", "scope": [{"side": "Buy"}]}, "scope[0].side"),
    ({"type": "cancel_all", "id": "a", "scope": [{"pair": "XBT/USD"}]}, "scope[0].pair: no such member"),
    ({"type": "cancel_all", "id": "a", "scope": {"side": "buy"}}, "scope"),
    ({"type": "cancel_all", "id": "a", "scope": [{"side": "buy"}], "everything": True}, "everything: contradicts"),
    ({"type": "cancel_all", "id": "a", "venue": "spot", "scope": [{"venue": "prime"}]}, "scope[0].venue: prime"),
    ({"type": "kill_scope", "id": "k", "reason": "r"}, "scope"),
    ({"type": "kill_scope", "id": "k", "reason": "r", "scope": []}, "scope: empty"),
    ({"type": "kill_scope", "id": "k", "scope": [{"side": "buy"}]}, "reason"),
    ({"type": "what_rests", "id": "w", "scope": []}, "scope: empty"),
    ({"type": "what_rests", "id": "w", "scope": [{"userref": 0}]}, "scope[0].userref"),
    ({"type": "drill", "id": "d"}, "reason"),
    ({"type": "drill", "id": "d", "reasn": "weekly"}, "reasn"),
    ({"type": "drill", "id": "d", "reason": ""}, "reason"),
    ({"type": "drill", "id": "d", "reason": "weekly", "drill": False}, "drill"),
    ({"type": "drill", "id": "d", "reason": "weekly", "venues": ["mars"]}, "venues"),
    ({"type": "dril", "id": "d", "reason": "weekly"}, "type"),
    ({"type": "rearm", "id": "r", "force": True}, "force"),
    ({"type": "rearm", "id": "r", "confirm": 7}, "confirm"),
    ({"type": "rearm", "id": "r", "confirm": "x", "force": 1}, "force"),
    ({"type": "lease", "id": "l", "ttl_ms": 500}, "strategy"),
    ({"type": "lease", "id": "l", "strategy": "mm"}, "ttl_ms"),
    ({"type": "lease", "id": "l", "strategy": "mm", "ttl_ms": 499}, "ttl_ms"),
    ({"type": "lease", "id": "l", "strategy": "mm", "ttl_ms": 60_001}, "ttl_ms"),
    ({"type": "lease", "id": "l", "strategy": "mm", "ttl_ms": 500, "on_expiry": "sell"}, "on_expiry"),
    ({"type": "lease", "id": "l", "strategy": "mm", "ttl_ms": 500, "scope": [{}]}, "scope[0]: empty"),
    (
        {"type": "lease", "id": "l", "strategy": "mm", "ttl_ms": 500, "scope": [{"venue": "spot", "userref": 0}]},
        "scope[0].userref",
    ),
    (
        {
            "type": "lease",
            "id": "l",
            "strategy": "mm",
            "ttl_ms": 500,
            "scope": [{"venue": "spot", "cl_ord_id": "b", "cl_ord_id_prefix": "a"}],
        },
        "scope[0].cl_ord_id: does not begin",
    ),
    ({"type": "status", "id": "s", "detail": "yes"}, "detail"),
    ({"type": "ping", "id": "p", "venue": "spot"}, "venue"),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("message", "named"), REFUSED)
def test_what_is_no_command_is_refused_with_its_field_and_its_id(
    message: dict[str, Any], named: str, encoding: Encoding
) -> None:
    told = decode_command(packed(message, encoding))
    assert isinstance(told, Malformed)
    assert told.reason == "invalid"
    assert named in told.detail
    readable = named != "id"
    assert told.id == (message["id"] if readable else None)


@pytest.mark.parametrize("venue", ["prime", "futures"])
def test_a_userref_outside_of_spot_is_unsupported(venue: str) -> None:
    told = decode_command(packed({"type": "cancel", "id": "c", "venue": venue, "userref": 7}, "json"))
    assert told == Malformed("c", "unsupported", f"userref: {venue} orders have none")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xc0",
        b"\xc1",
        b"\x80",
        b"\xff" * 100,
        b'{"type":"cancel","id":"c"',
        b'{"type":"cancel","id":"\xff"}',
        b'{"type":"ping","id":"p"} {"type":"ping","id":"q"}',
        b'\xef\xbb\xbf{"type":"ping","id":"p"}',
        b'{"a":' * 3000,
        b"\x91" * 5000,
        b"\x81\xa1a" * 5000,
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ],
)
def test_hostile_bytes_are_refused_without_an_id(payload: bytes) -> None:
    told = decode_command(payload)
    assert isinstance(told, Malformed)
    assert (told.id, told.reason) == (None, "invalid")
    assert told.detail


def padded(size: int, **fields: Any) -> bytes:
    bare = json.dumps(fields).encode()
    return bare[:-1] + b" " * (size - len(bare)) + b"}"


@pytest.mark.parametrize(
    "payload",
    [
        b"\x82\xa2id\xa1x\xa1a\xdd" + (120_000).to_bytes(4) + b"\x80" * 120_000,
        b"\x82\xa2id\xa1x\xa1a\xdd" + (120_000).to_bytes(4) + b"\x90" * 120_000,
        b'{"id":"x","a":[' + b"{}," * 40_000 + b"{}]}",
    ],
    ids=["maps", "arrays", "json"],
)
def test_a_refusal_costs_little_whatever_the_payload_would_unfold_to(payload: bytes) -> None:
    tracemalloc.start()
    try:
        told = decode_command(payload)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(told, Malformed)
    assert (told.id, told.reason) == ("x", "too_large")
    assert peak_bytes < len(payload)


def test_a_command_of_the_largest_size_is_taken_and_one_byte_more_is_too_large() -> None:
    assert isinstance(decode_command(padded(COMMAND_BYTES, **CANCEL)), Cancel)
    told = decode_command(padded(COMMAND_BYTES + 1, **CANCEL))
    assert isinstance(told, Malformed)
    assert (told.id, told.reason) == ("c-1", "too_large")


def test_only_a_batch_may_be_larger_and_not_without_end() -> None:
    batch = {"type": "cancel_batch", "id": "b", "venue": "spot", "orders": [{"order_id": "A-B"}]}
    assert isinstance(decode_command(padded(BATCH_BYTES, **batch)), CancelBatch)
    told = decode_command(padded(BATCH_BYTES + 1, **batch))
    assert isinstance(told, Malformed)
    assert told.reason == "too_large"


def test_the_largest_batch_of_the_longest_ids_fits() -> None:
    orders = [{"cl_ord_id": f"{n:0100}", "symbol": "X" * 20} for n in range(BATCH_LIMIT)]
    payload = packed({"type": "cancel_batch", "id": "x" * 64, "venue": "futures", "orders": orders}, "json")
    assert isinstance(decode_command(payload), CancelBatch)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_a_refusal(payload: bytes) -> None:
    told = decode_command(payload)
    assert isinstance(told, Malformed | Command)
    assert isinstance(decode_command(b"{" + payload), Malformed | Command)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES_OF_FIELDS = sorted({name for message, _ in COMMANDS for name in message})


@given(
    message=st.sampled_from([message for message, _ in COMMANDS]),
    changes=st.dictionaries(st.sampled_from(NAMES_OF_FIELDS), VALUES, max_size=3),
    dropped=st.sets(st.sampled_from(NAMES_OF_FIELDS), max_size=2),
)
def test_any_mutation_is_a_command_or_a_refusal_alike_in_both_encodings(
    message: dict[str, Any], changes: dict[str, Any], dropped: set[str]
) -> None:
    mutated = {name: value for name, value in {**message, **changes}.items() if name not in dropped}
    from_json = decode_command(packed(mutated, "json"))
    from_msgpack = decode_command(packed(mutated, "msgpack"))
    assert isinstance(from_json, Malformed | Command)
    assert isinstance(from_json, Malformed) == isinstance(from_msgpack, Malformed)
    if not isinstance(from_json, Malformed):
        assert from_json == from_msgpack


# -------------------------------------------------------------------- sameness


def test_the_same_command_is_the_same_whenever_it_was_sent() -> None:
    first = Cancel(id="c", venue="spot", order_id="A-B", sent_ns=1)
    assert same_command(first, Cancel(id="c", venue="spot", order_id="A-B", sent_ns=2))
    assert same_command(first, Cancel(id="c", venue="spot", order_id="A-B"))


@pytest.mark.parametrize(
    "other",
    [
        Cancel(id="c", venue="spot", order_id="A-C"),
        Cancel(id="c", venue="futures", order_id="A-B"),
        Cancel(id="c", venue="spot", order_id="A-B", until="proof"),
        Cancel(id="c", venue="spot", order_id="A-B", deadline_ms=1),
        CancelAll(id="c", venue="spot"),
        Ping(id="c"),
    ],
)
def test_another_command_is_another(other: Command) -> None:
    assert not same_command(Cancel(id="c", venue="spot", order_id="A-B"), other)


@pytest.mark.parametrize(("message", "command"), COMMANDS)
def test_the_encoding_makes_no_difference_to_sameness(message: dict[str, Any], command: Command) -> None:
    one, two = (decode_command(packed(message, encoding)) for encoding in ENCODINGS)
    assert not isinstance(one, Malformed)
    assert not isinstance(two, Malformed)
    assert same_command(one, two)
    assert same_command(one, command)


# -------------------------------------------------------------------- replies

OUTCOMES: list[Outcome] = [
    Acked(),
    Canceled(),
    Canceled("0.25"),
    Closed("filled", "1.0"),
    Closed("expired"),
    Closed("canceled"),
    Closed(None, cause="unconfirmed"),
    NotOpen(),
    *(Rejected(why) for why in ("auth", "permission", "throttled", "invalid", "unavailable")),
    Unknown(()),
    Unknown(("ws", "rest")),
    *(
        Refused(reason, "text")
        for reason in (
            "invalid",
            "too_large",
            "unsupported",
            "id_reused",
            "overloaded",
            "draining",
            "no_route",
            "expired",
        )
    ),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_an_outcome_survives_the_wire(outcome: Outcome, encoding: Encoding) -> None:
    settlement = Settlement(venue="spot", target=Target("cl_ord_id", "x"), outcome=outcome, route="rest", attempts=2)
    reply = decode_reply(encode(outcome_map("c", 5, settlement), encoding))
    assert read_outcome(reply) == outcome
    assert reply.items() >= {"type": "outcome", "id": "c", "venue": "spot", "route": "rest", "attempts": 2}.items()
    assert read_target(reply) == ("cl_ord_id", "x")


def test_times_that_did_not_happen_are_absent() -> None:
    settlement = Settlement(venue="spot", target=Target("userref", 7), outcome=Unknown(("ws",)), sent_ns=11)
    reply = outcome_map("c", 10, settlement)
    assert (reply["received_ns"], reply["sent_ns"]) == (10, 11)
    assert not {"answered_ns", "error", "order_id"} & set(reply)


def test_the_venues_id_is_told_beside_the_clients_name_of_the_order() -> None:
    settlement = Settlement(venue="spot", target=Target("userref", 7), outcome=NotOpen(), order_id="A-B", error="text")
    reply = outcome_map("c", None, settlement)
    assert (reply["userref"], reply["order_id"], reply["error"]) == (7, "A-B", "text")
    assert read_target(reply) == ("userref", 7)
    assert "received_ns" not in reply


def test_a_refusal_is_read_like_an_outcome() -> None:
    reply = decode_reply(encode(refusal_map(None, "draining", "stopping"), "msgpack"))
    assert reply["id"] is None
    assert read_outcome(reply) == Refused("draining", "stopping")
    assert read_target(reply) is None


@pytest.mark.parametrize(
    "message",
    [
        {"type": "outcome"},
        {"outcome": "acked!"},
        {"outcome": None},
        {"outcome": ["acked"]},
        {"outcome": "rejected"},
        {"outcome": "unknown"},
        {"outcome": "refused", "reason": "draining"},
    ],
)
def test_an_outcome_that_is_not_in_the_contract_is_not_guessed(message: dict[str, Any]) -> None:
    with pytest.raises(UnreadableReply):
        read_outcome(message)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xc1", b"{}", b'{"type":1}', b"\xff", b"\x91" * 5000])
def test_a_reply_that_is_none_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableReply):
        decode_reply(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_unreadable(payload: bytes) -> None:
    try:
        reply = decode_reply(payload)
    except UnreadableReply:
        return
    assert isinstance(reply["type"], str)


@pytest.mark.parametrize("payload", [b'["cancel"]', b"[]", b'"cancel"', b"  [1]", b"\n"])
def test_what_begins_as_json_is_answered_in_json(payload: bytes) -> None:
    assert isinstance(decode_command(payload), Malformed)
    assert encoding_of(payload) == "json"


def test_white_space_before_a_command_in_json_is_no_fault() -> None:
    assert isinstance(decode_command(b"\n " + packed(CANCEL, "json")), Cancel)


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"venue": "sport"}, "at `$.venue`: did you mean spot?; allowed are spot, prime, futures"),
        ({"venue": "kraken"}, "at `$.venue`: allowed are spot, prime, futures"),
        ({"until": "prof"}, "at `$.until`: did you mean proof?; allowed are ack, proof"),
        ({"type": "cancle"}, "did you mean cancel?; allowed are cancel, cancel_batch,"),
        ({"type": "drill", "reason": "x", "venues": ["sopt"]}, "did you mean spot?; allowed are spot, prime, futures"),
        ({"type": "lease", "on_expiry": "kil"}, "did you mean kill?; allowed are cancel, kill"),
        ({"type": "lease", "scope": [{"venue": "fut"}]}, "allowed are spot, prime, futures"),
        ({"venu": "spot"}, "unknown field `venu`: did you mean venue?"),
        ({"zzzz": 1}, "unknown field `zzzz`"),
        ({"venue": "spot" * 4_000}, "allowed are spot, prime, futures"),
    ],
)
def test_a_refusal_says_what_would_have_been_right(fields: dict[str, Any], hint: str) -> None:
    base = {**CANCEL, "strategy": "mm", "ttl_ms": 600} if fields.get("type") == "lease" else dict(CANCEL)
    if fields.get("type") in ("drill", "lease"):
        base = {key: base[key] for key in base if key in ("id", "strategy", "ttl_ms")}
    told = decode_command(packed({**base, **fields}, "json"))
    assert isinstance(told, Malformed)
    assert hint in told.detail
    if "zzzz" in fields:
        assert told.detail.endswith("`zzzz`")
