"""WebSocket v2, Spot's and the Unified one: the frames we send, and what each message may and may not tell us."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import (
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
    OrderTerms,
    Pong,
    Subscribed,
    SubscriptionLost,
    TimerAck,
    Unattributed,
    Unreadable,
)
from canceld.contract.ids import REQID_LIMIT, Reqid, Target
from canceld.credentials import Secret
from canceld.venues.spot_ws_v2 import BATCH_LIMIT, SPOT, UNIFIED, V2
from tests.frames import spot_ws_v2 as frames

from .mutations import mutants, says_no_more

TOKEN = Secret("0" * 40)
TXID = "OM5CRX-N2HAL-GFGWE9"
UUID = "7d3c1f52-0b7e-4a55-9c1e-2f60d1a4b8c3"
VENUE_NS = 8_980_000

BOTH = pytest.mark.parametrize("dialect", [SPOT, UNIFIED], ids=["spot", "unified"])


# ------------------------------------------------------------------ requests


def test_cancel_is_the_documented_request() -> None:
    frame = SPOT.cancel_frame(TOKEN, Reqid(123456789), Target("order_id", TXID))
    assert json.loads(frame) == json.loads(frames.CANCEL_REQUEST)


def test_unified_cancel_names_the_asset_class() -> None:
    assert UNIFIED.cancel_frame(TOKEN, Reqid(41), Target("order_id", UUID)) == (
        b'{"method":"cancel_order","params":{"asset_class":"derivatives",'
        b'"order_id":["7d3c1f52-0b7e-4a55-9c1e-2f60d1a4b8c3"],'
        b'"token":"0000000000000000000000000000000000000000"},"req_id":41}'
    )


@BOTH
@pytest.mark.parametrize("cl_ord_id", ["6d1b345e-2821-40e2-ad83-4ecb18a06876", 'a "quoted" \\ one', "{[0]}"])
def test_cancel_by_client_id_carries_it_alone_and_escaped(dialect: V2, cl_ord_id: str) -> None:
    params = json.loads(dialect.cancel_frame(TOKEN, Reqid(7), Target("cl_ord_id", cl_ord_id)))["params"]
    params.pop("asset_class", None)
    assert params == {"cl_ord_id": [cl_ord_id], "token": TOKEN.reveal()}


def test_userref_goes_as_a_number_and_never_to_derivatives() -> None:
    params = json.loads(SPOT.cancel_frame(TOKEN, Reqid(7), Target("userref", -5)))["params"]
    assert params == {"order_userref": [-5], "token": TOKEN.reveal()}
    with pytest.raises(AssertionError):
        UNIFIED.cancel_frame(TOKEN, Reqid(7), Target("userref", -5))


EXECUTIONS = {
    "channel": "executions",
    "snap_orders": True,
    "snap_trades": False,
    "order_status": True,
    "ratecounter": True,
}


@pytest.mark.parametrize(
    ("dialect", "extra"), [(SPOT, {}), (UNIFIED, {"asset_class": "derivatives"})], ids=["spot", "unified"]
)
def test_other_requests_are_the_documented_ones(dialect: V2, extra: dict[str, str]) -> None:
    def request(method: str, req_id: int, **params: Any) -> dict[str, Any]:
        return {"method": method, "params": {**extra, **params, "token": TOKEN.reveal()}, "req_id": req_id}

    assert json.loads(dialect.batch_frame(TOKEN, Reqid(42), [UUID, TXID])) == request(
        "batch_cancel", 42, orders=[UUID, TXID]
    )
    assert json.loads(dialect.cancel_all_frame(TOKEN, Reqid(43))) == request("cancel_all", 43)
    assert json.loads(dialect.timer_frame(TOKEN, Reqid(44), 60)) == request("cancel_all_orders_after", 44, timeout=60)
    assert json.loads(dialect.subscribe_frame(TOKEN, Reqid(1))) == request("subscribe", 1, **EXECUTIONS)
    assert json.loads(dialect.ping_frame(Reqid(9))) == {"method": "ping", "req_id": 9}


@pytest.mark.parametrize("count", [0, 1, BATCH_LIMIT + 1])
def test_batch_outside_of_its_bounds_is_a_bug(count: int) -> None:
    with pytest.raises(AssertionError):
        SPOT.batch_frame(TOKEN, Reqid(1), [TXID] * count)


# ------------------------------------------------------------------ answers


@BOTH
@pytest.mark.parametrize(
    ("frame", "evidence"),
    [
        (frames.ACK, CancelAck(Reqid(123456789), "OLUMT4-UTEGU-ZYM7E9", venue_ns=VENUE_NS)),
        (frames.NAMED_ACK, CancelAck(Reqid(9), None, "s7-000042", venue_ns=0)),
        (frames.REJECT, CancelReject(Reqid(8), Fault.NOT_OPEN, "EOrder:Invalid order", venue_ns=VENUE_NS)),
        (frames.DEAD_TOKEN, SubscriptionLost(Reqid(42), Fault.STALE_TOKEN, "ESession:Invalid session")),
        (frames.BATCH_ACK, CancelAllAck(Reqid(42), 2)),
        (frames.CANCEL_ALL_ACK, CancelAllAck(Reqid(43), 1)),
        (frames.TIMER_ENABLED, TimerAck(Reqid(44), 1695311469.0)),
        (frames.TIMER_DISABLED, TimerAck(Reqid(45), None)),
        (frames.SUBSCRIBED, Subscribed(Reqid(1), 180.0)),
        (frames.PONG, Pong(Reqid(101))),
        (frames.HEARTBEAT, Heartbeat()),
        (frames.TICKER, Irrelevant()),
        (frames.NAMELESS_ERROR, Unattributed(Fault.ROUTE_BUSY, "Exceeded msg rate")),
        (
            frames.SNAPSHOT,
            Orders(
                (
                    OrderState(
                        "OK4GJX-KSTLS-7DZZO5",
                        "open",
                        userref=3,
                        symbol="BTC/USD",
                        opened_s=1695378785.70995,
                        filled_qty="0.00100000",
                        terms=OrderTerms("BTC/USD", "sell", "0.005", "26500.0"),
                    ),
                ),
                snapshot=True,
                sequence=1,
            ),
        ),
        (
            frames.OPENED,
            Orders(
                (OrderState("OK4GJX-KSTLS-7DZZO5", "open", opened_s=1695378785.709982),), snapshot=False, sequence=8
            ),
        ),
        (
            frames.TRADE,
            Orders(
                (OrderState("OK4GJX-KSTLS-7DZZO5", "filled", userref=3, symbol="BTC/USD", filled_qty="5e-3"),),
                snapshot=False,
                sequence=9,
            ),
        ),
        (
            frames.CANCELED,
            Orders(
                (OrderState(UUID, "canceled", "s7-000042", filled_qty="0.1", reason="User requested"),),
                snapshot=False,
                sequence=10,
            ),
        ),
    ],
)
def test_documented_message_is_read_as_what_it_is(dialect: V2, frame: str, evidence: Evidence) -> None:
    assert dialect.decode(frame) == evidence
    assert dialect.decode(frame.encode()) == evidence


def test_mode_is_spots_own_and_holds_back_no_derivative() -> None:
    assert SPOT.decode(frames.STATUS) == ModeChanged("online")
    assert SPOT.decode(frames.STATUS.replace("online", "maintenance")) == ModeChanged("maintenance")
    assert SPOT.decode(frames.STATUS.replace("online", "auction")) == ModeChanged("unknown")
    assert UNIFIED.decode(frames.STATUS.replace("online", "maintenance")) == Irrelevant()


@pytest.mark.parametrize("data", ["[]", "[{}]", "null", "{}", '[{"system":7}]'])
def test_status_without_a_system_is_unreadable(data: str) -> None:
    assert isinstance(SPOT.decode(f'{{"channel":"status","type":"update","data":{data}}}'), Unreadable)


def test_words_of_derivatives_are_known_on_the_unified_socket_alone() -> None:
    refused = '{"method":"cancel_order","req_id":7,"success":false,"error":"notFound"}'
    assert UNIFIED.decode(refused) == CancelReject(Reqid(7), Fault.NOT_OPEN, "notFound")
    assert SPOT.decode(refused) == CancelReject(Reqid(7), Fault.UNLISTED, "notFound")


METHODS = ("cancel_order", "batch_cancel", "cancel_all", "cancel_all_orders_after")


def answer(method: str, **members: Any) -> Evidence:
    result = {"order_id": TXID, "count": 1, "triggerTime": "0"}
    return SPOT.decode(json.dumps({"method": method, "req_id": 7, "result": result, "success": True, **members}))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reqid", [0, -7, REQID_LIMIT + 1, 2**64 + 7, True, 7.0, "7", None, [7]])
def test_only_a_plain_integer_names_a_request(method: str, reqid: object) -> None:
    assert isinstance(answer(method, req_id=reqid), Unreadable)
    refused = answer(method, req_id=reqid, success=False, error="EOrder:Unknown order")
    assert refused == Unattributed(Fault.NOT_OPEN, "EOrder:Unknown order")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("success", [None, "true", 1, [True], {}])
def test_what_is_plainly_neither_counts_as_failed_but_not_as_not_open(method: str, success: object) -> None:
    assert answer(method, success=success) == CancelReject(Reqid(7), Fault.UNLISTED, "")
    refused = answer(method, success=success, error="EOrder:Unknown order")
    assert refused == CancelReject(Reqid(7), Fault.UNLISTED, "EOrder:Unknown order")


@pytest.mark.parametrize("method", [*METHODS, "subscribe"])
@pytest.mark.parametrize("error", ["EOrder:Unknown order", "x", 1, ["x"]])
def test_success_beside_an_error_is_no_ack(method: str, error: object) -> None:
    assert isinstance(answer(method, error=error), Unreadable)


def test_error_without_words_still_refuses_its_request() -> None:
    for error in (None, "", ["EOrder:Unknown order"]):
        assert answer("cancel_order", success=False, error=error) == CancelReject(Reqid(7), Fault.UNLISTED, "")


def test_endless_error_is_cut() -> None:
    evidence = answer("cancel_order", success=False, error="x" * 1_000_000)
    assert isinstance(evidence, CancelReject)
    assert len(evidence.error) == 512


@pytest.mark.parametrize("result", [None, {}, [], "ok", {"order_id": 7}, {"order_id": [TXID]}])
def test_ack_that_names_no_order_is_an_ack_of_its_request(result: object) -> None:
    assert answer("cancel_order", result=result) == CancelAck(Reqid(7))


@pytest.mark.parametrize(("count", "told"), [(3, 3), ("3", 3), (0, 0), (-1, None), (True, None), (1.5, None)])
def test_count_is_told_or_unknown_never_guessed(count: object, told: int | None) -> None:
    for method in ("cancel_all", "batch_cancel"):
        assert answer(method, result={"count": count}) == CancelAllAck(Reqid(7), told)


@pytest.mark.parametrize(
    ("inside", "beside", "told"),
    [(None, 3, 3), (3, None, 3), (3, 3, 3), (0, 0, 0), (3, 2, None), (2, 3, None), (None, None, None), (True, 2, 2)],
)
def test_count_may_stand_in_the_result_or_beside_it(inside: object, beside: object, told: int | None) -> None:
    result = {"count": inside} if inside is not None else {}
    for method in ("cancel_all", "batch_cancel"):
        assert answer(method, result=result, orders_cancelled=beside) == CancelAllAck(Reqid(7), told)
    frame = '{"method":"batch_cancel","orders_cancelled":2,"req_id":7,"success":true,"time_in":"","time_out":""}'
    assert SPOT.decode(frame) == CancelAllAck(Reqid(7), 2)


@pytest.mark.parametrize("trigger", ["soon", None, 0, "2020-12-21T09:38:09", ""])
def test_timer_without_a_readable_time_is_not_believed_off(trigger: object) -> None:
    assert isinstance(answer("cancel_all_orders_after", result={"triggerTime": trigger}), Unreadable)


@pytest.mark.parametrize(
    ("time_in", "time_out"),
    [(None, "2023-09-21T14:36:57Z"), ("2023-09-21T14:36:58Z", "2023-09-21T14:36:57Z"), (1, 2), ("now", "then")],
)
def test_venues_share_is_told_only_where_it_is_one(time_in: object, time_out: object) -> None:
    assert answer("cancel_order", time_in=time_in, time_out=time_out) == CancelAck(Reqid(7), TXID)


def test_subscription_can_end_in_several_ways() -> None:
    refused = {"method": "subscribe", "success": False, "error": "EService:Unavailable"}
    assert SPOT.decode(json.dumps(refused)) == SubscriptionLost(None, Fault.UNAVAILABLE, "EService:Unavailable")
    assert SPOT.decode('{"method":"subscribe","req_id":1}') == SubscriptionLost(Reqid(1), Fault.UNLISTED, "no success")
    ended = '{"method":"unsubscribe","req_id":1,"success":true,"result":{"channel":"executions"}}'
    assert SPOT.decode(ended) == SubscriptionLost(Reqid(1), Fault.UNLISTED, "unsubscribed", named=True)
    assert SPOT.decode(ended.replace("executions", "balances")) == Irrelevant()


def test_confirmation_of_another_channel_is_not_ours() -> None:
    assert SPOT.decode(frames.SUBSCRIBED.replace('"executions"', '"balances"')) == Irrelevant()
    assert isinstance(SPOT.decode(frames.SUBSCRIBED.replace('"req_id":1', '"req_id":null')), Unreadable)


def test_error_of_no_method_refuses_the_request_that_it_names() -> None:
    frame = '{"error":"Exceeded msg rate","success":false,"req_id":42}'
    assert SPOT.decode(frame) == CancelReject(Reqid(42), Fault.ROUTE_BUSY, "Exceeded msg rate")


@BOTH
def test_request_that_could_not_be_matched_is_refused_like_any_other(dialect: V2) -> None:
    told = {"method": "error", "error": "EOrder:Unknown order", "success": False}
    named = json.dumps({**told, "req_id": 42})
    assert dialect.decode(named) == CancelReject(Reqid(42), Fault.NOT_OPEN, "EOrder:Unknown order")
    assert dialect.decode(json.dumps(told)) == Unattributed(Fault.NOT_OPEN, "EOrder:Unknown order")


@BOTH
@pytest.mark.parametrize("name", ["error", "Error", "errorMessage"])
@pytest.mark.parametrize(
    "more", [{}, {"method": "new"}, {"method": "pong"}, {"method": 7}, {"channel": "heartbeat"}, {"channel": "level3"}]
)
def test_error_in_any_other_message_refuses_the_request_that_it_names(
    dialect: V2, name: str, more: dict[str, object]
) -> None:
    told = {name: "Exceeded msg rate", **more}
    assert dialect.decode(json.dumps(told)) == Unattributed(Fault.ROUTE_BUSY, "Exceeded msg rate")
    named = json.dumps({**told, "req_id": 42})
    assert dialect.decode(named) == CancelReject(Reqid(42), Fault.ROUTE_BUSY, "Exceeded msg rate")


def test_no_success_is_a_refusal_also_without_words() -> None:
    assert SPOT.decode('{"method":"something new","success":false,"req_id":7}') == CancelReject(
        Reqid(7), Fault.UNLISTED, ""
    )


def test_error_beside_rows_does_not_hide_them() -> None:
    evidence = executions({"order_id": TXID, "order_status": "canceled"}, error="EService:Busy")
    assert isinstance(evidence, Orders)


@pytest.mark.parametrize("name", ["Error", "errorMessage"])
@pytest.mark.parametrize("method", [*METHODS, "subscribe"])
def test_success_beside_an_error_of_another_name_is_no_ack(method: str, name: str) -> None:
    assert isinstance(answer(method, **{name: "Exceeded msg rate"}), Unreadable)


def executions(*rows: Any, **message: Any) -> Evidence:
    told = {"channel": "executions", "type": "update", "sequence": 5, "data": rows, **message}
    return SPOT.decode(json.dumps(told))


@pytest.mark.parametrize(
    ("order_status", "exec_type", "status"),
    [
        ("pending_new", None, "open"),
        ("new", "canceled", "open"),
        ("partially_filled", "trade", "open"),
        ("filled", "trade", "filled"),
        ("canceled", "new", "canceled"),
        ("expired", None, "expired"),
        (None, "pending_new", "open"),
        (None, "new", "open"),
        (None, "filled", "filled"),
        (None, "canceled", "canceled"),
        (None, "expired", "expired"),
        (None, "trade", None),
        (None, "iceberg_refill", None),
        (None, "amended", None),
        (None, "restated", None),
        (None, "status", None),
        (None, None, None),
        ("cancelled", "canceled", None),
        ("something new", "canceled", None),
        ("", "canceled", None),
        (["canceled"], "canceled", None),
        (None, {"canceled": 1}, None),
    ],
)
def test_status_decides_and_the_event_only_where_there_is_none(
    order_status: object, exec_type: object, status: str | None
) -> None:
    evidence = executions({"order_id": TXID, "order_status": order_status, "exec_type": exec_type})
    assert evidence == Orders((OrderState(TXID, status),), snapshot=False, sequence=5)  # type: ignore[arg-type]


def test_time_of_a_later_event_is_not_the_orders_birth() -> None:
    for exec_type in ("trade", "canceled", "amended", "restated", None):
        evidence = executions({"order_id": TXID, "exec_type": exec_type, "timestamp": "2023-09-22T10:33:05Z"})
        assert isinstance(evidence, Orders)
        assert evidence.orders[0].opened_s is None


@pytest.mark.parametrize("quantity", ["0.10000000", "1e-8", "0", "12345678901234567890.12345678901"])
def test_filled_quantity_keeps_its_decimals(quantity: str) -> None:
    frame = '{"channel":"executions","type":"update","data":[{"order_id":"O-A","cum_qty":%s}]}'
    for spelled in (quantity, f'"{quantity}"'):
        assert SPOT.decode(frame % spelled) == Orders((OrderState("O-A", filled_qty=quantity),), snapshot=False)


def test_account_without_orders_has_an_empty_snapshot() -> None:
    assert executions(type="snapshot", sequence=1) == Orders((), snapshot=True, sequence=1)


@pytest.mark.parametrize("kind", [None, "", "Snapshot", 1, ["snapshot"]])
def test_rows_that_are_neither_snapshot_nor_update_are_unreadable(kind: object) -> None:
    assert isinstance(executions({"order_id": TXID}, type=kind), Unreadable)


@pytest.mark.parametrize("sequence", [None, 1.0, True, "1"])
def test_sequence_that_is_no_integer_is_none(sequence: object) -> None:
    assert executions(sequence=sequence) == Orders((), snapshot=False)


@pytest.mark.parametrize("row", [None, {}, "x", 7, {"order_id": None}, {"order_id": "4711"}, {"order_id": 'O"-B'}])
def test_snapshot_with_a_damaged_row_is_no_snapshot(row: object) -> None:
    assert isinstance(executions({"order_id": TXID}, row, type="snapshot"), Unreadable)


@pytest.mark.parametrize("data", [None, {}, 7, "x"])
def test_executions_without_a_list_are_unreadable(data: object) -> None:
    assert isinstance(executions(data=data, type="snapshot"), Unreadable)


def test_snapshot_of_thousands_of_orders_is_read_whole() -> None:
    evidence = executions(*({"order_id": f"O{n:05}-ABCDE-FGHIJK"} for n in range(5_000)), type="snapshot")
    assert isinstance(evidence, Orders)
    assert len(evidence.orders) == 5_000


@pytest.mark.parametrize(
    "frame",
    [
        '{"method":"add_order","success":true,"req_id":7,"result":{"order_id":"OAAAAA-BBBBB-CCCCCC"}}',
        '{"method":"something new","success":true,"req_id":7}',
        '{"channel":"balances","type":"snapshot","data":[]}',
    ],
)
def test_what_others_asked_for_is_irrelevant(frame: str) -> None:
    assert SPOT.decode(frame) == Irrelevant()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "7",
        "[]",
        "{}",
        '{"method":7,"success":true,"req_id":7}',
        '{"channel":7}',
        '{"success":true,"req_id":7,"result":{"order_id":"O-A"}}',
        frames.ACK[:-1],
        frames.SNAPSHOT[:-20],
        frames.PONG + frames.PONG,
        "[" * 100_000,
        '{"method":"cancel_order","result":' + "[" * 100_000,
        '{"channel":"executions","type":"update","data":' + "[" * 100_000,
        '{"method":"cancel_order","req_id":' + "9" * 5_000 + "}",
        "\ud800",
        b"\xff\xfe",
        b'{"channel":"heartbeat\xff"}',
        b'{"channel":"executions","type":"update","data":[{"order_id":"O-A","symbol":"\xff"}]}',
        "<html>",
    ],
)
def test_what_is_no_message_is_unreadable(frame: str | bytes) -> None:
    evidence = SPOT.decode(frame)
    assert isinstance(evidence, Unreadable)
    assert len(evidence.why) <= 200


@given(st.binary() | st.text())
def test_any_bytes_are_evidence_of_no_cancel(frame: bytes | str) -> None:
    assert isinstance(SPOT.decode(frame), Unreadable | Irrelevant)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TOP = ("req_id", "success", "error", "result", "time_in", "time_out", "channel", "type", "data", "sequence")
THINGS = st.sampled_from([7, True, False, "executions", "snapshot", "EOrder:Unknown order", {"count": 1}]) | ANYTHING
NAMES = st.sampled_from([*METHODS, "subscribe", "unsubscribe", "pong", None]) | ANYTHING


@given(st.sampled_from([SPOT, UNIFIED]), NAMES, st.dictionaries(st.sampled_from(TOP), THINGS))
def test_any_members_are_evidence_and_an_ack_is_earned(dialect: V2, method: object, more: dict[str, Any]) -> None:
    evidence = dialect.decode(json.dumps({**more, "method": method}))
    if isinstance(evidence, CancelAck | CancelAllAck | TimerAck):
        assert method in METHODS
        assert more["success"] is True
        assert type(more["req_id"]) is int
        assert evidence.reqid == more["req_id"]
        assert not more.get("error")
    if isinstance(evidence, CancelReject):
        assert evidence.reqid == more["req_id"]
        assert evidence.fault is not Fault.NOT_OPEN or more["success"] is False


@given(st.lists(st.dictionaries(st.text() | st.just("order_id"), ANYTHING, max_size=3), max_size=3) | ANYTHING)
def test_rows_of_any_shape_are_evidence(rows: Any) -> None:
    evidence = executions(data=rows)
    assert isinstance(evidence, Orders | Unreadable)
    if isinstance(evidence, Orders):
        assert len(evidence.orders) == len(rows)


SILENT = Unreadable | Unattributed | Irrelevant
"""Evidence on which nobody acts."""


@BOTH
@pytest.mark.parametrize("frame", frames.EVERY)
def test_damaged_message_never_says_more_than_the_whole_one(dialect: V2, frame: str) -> None:
    # Written again, because the mutants' decimals are.
    whole = dialect.decode(json.dumps(json.loads(frame)))
    for what, mutant in mutants(frame):
        evidence = dialect.decode(json.dumps(mutant))
        assert _claims_no_more(evidence, whole), f"{what}: {evidence} instead of {whole}"


def _claims_no_more(evidence: Evidence, whole: Evidence) -> bool:
    match evidence, whole:
        case _ if isinstance(evidence, SILENT) or evidence == whole:
            return True
        case CancelAck(reqid=reqid), CancelAck():
            mine, theirs = (evidence.order_id, evidence.cl_ord_id), (whole.order_id, whole.cl_ord_id)
            return reqid == whole.reqid and mine in (theirs, (None, None)) and evidence.venue_ns in (None, VENUE_NS, 0)
        case CancelReject(fault=fault), Pong():
            return fault is not Fault.NOT_OPEN
        case CancelReject(reqid=reqid, fault=fault), _:
            # Its words or its success lost: a failure of the same request of which nothing is known.
            return reqid == getattr(whole, "reqid", None) and fault in (Fault.UNLISTED, getattr(whole, "fault", None))
        case CancelAllAck(reqid=reqid, count=None), CancelAllAck():
            return reqid == whole.reqid
        case Subscribed(reqid=reqid, rate_ceiling=ceiling), Subscribed():
            return reqid == whole.reqid and ceiling in (whole.rate_ceiling, None)
        case (SubscriptionLost(), SubscriptionLost() | Subscribed()) | (Pong(reqid=None), Pong()):
            return True
        case Orders(), Orders():
            return _orders_claim_no_more(evidence, whole)
        case _:
            return False


def _orders_claim_no_more(evidence: Orders, whole: Orders) -> bool:
    if evidence.snapshot is not whole.snapshot or evidence.sequence not in (whole.sequence, None):
        return False
    return len(evidence.orders) == len(whole.orders) and all(
        says_no_more(mine, theirs)
        for order, original in zip(evidence.orders, whole.orders, strict=True)
        for mine, theirs in zip(_fields(order), _fields(original), strict=True)
    )


def _fields(state: OrderState) -> tuple[Any, ...]:
    return tuple(getattr(state, field) for field in state.__struct_fields__)
