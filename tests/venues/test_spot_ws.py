"""Spot WebSocket v1: the frames we send, and what each message of the venue may and may not tell us."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
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
from canceld.venues.spot_ws import (
    cancel_all_frame,
    cancel_frame,
    decode,
    ping_frame,
    subscribe_frame,
    timer_frame,
)
from tests.frames import spot_ws as frames

from .mutations import mutants, says_no_more

TOKEN = Secret("1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw")
TXID = "OGTT3Y-C6I3P-XRI6HX"


def test_cancel_by_txid_has_the_documented_members_in_a_fixed_order() -> None:
    frame = cancel_frame(TOKEN, Reqid(7), Target("order_id", TXID))
    assert frame == (
        b'{"event":"cancelOrder","reqid":7,"token":"1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw",'
        b'"txid":["OGTT3Y-C6I3P-XRI6HX"]}'
    )


def test_cancel_by_userref_sends_the_number_as_text() -> None:
    frame = json.loads(cancel_frame(TOKEN, Reqid(7), Target("userref", -5)))
    assert frame["txid"] == ["-5"]


@pytest.mark.parametrize("cl_ord_id", ["6d1b345e-2821-40e2-ad83-4ecb18a06876", 'a "quoted" \\ one', "{[0]}"])
def test_cancel_by_client_id_carries_it_alone_and_escaped(cl_ord_id: str) -> None:
    frame = json.loads(cancel_frame(TOKEN, Reqid(7), Target("cl_ord_id", cl_ord_id)))
    assert frame == {"event": "cancelOrder", "reqid": 7, "token": TOKEN.reveal(), "cl_ord_id": [cl_ord_id]}


def test_cancel_is_the_documented_request_for_one_order() -> None:
    documented = json.loads(frames.CANCEL_REQUEST)
    first = documented["txid"][0]
    frame = json.loads(cancel_frame(Secret("0" * 40), Reqid(9), Target("order_id", first)))
    assert frame == {**documented, "reqid": 9, "txid": [first]}


def test_other_requests_are_the_documented_ones() -> None:
    assert json.loads(timer_frame(Secret("0" * 40), Reqid(1608543428050), 60)) == json.loads(frames.TIMER_REQUEST)
    assert json.loads(cancel_all_frame(TOKEN, Reqid(8))) == {
        "event": "cancelAll",
        "reqid": 8,
        "token": TOKEN.reveal(),
    }
    assert json.loads(subscribe_frame(TOKEN, Reqid(1))) == {
        "event": "subscribe",
        "reqid": 1,
        "subscription": {"name": "openOrders", "ratecounter": True, "token": TOKEN.reveal()},
    }
    assert json.loads(ping_frame(Reqid(42))) == {"event": "ping", "reqid": 42}


@pytest.mark.parametrize(
    ("frame", "evidence"),
    [
        (frames.ACK, CancelAck(Reqid(7))),
        (frames.REJECT, CancelReject(Reqid(7), Fault.NOT_OPEN, "EOrder:Unknown order")),
        (frames.CANCEL_ERROR, Unattributed(Fault.NOT_OPEN, "EOrder:Unknown order")),
        (frames.CANCEL_ALL_ACK, CancelAllAck(Reqid(8), 2)),
        (frames.TIMER_ENABLED, TimerAck(Reqid(1608543428050), 1608543489.0)),
        (frames.TIMER_DISABLED, TimerAck(Reqid(1608543428051), None)),
        (frames.SYSTEM_STATUS, ModeChanged("online")),
        (frames.SUBSCRIBED, Subscribed(Reqid(1), 125.0)),
        (frames.SUBSCRIBED_TO_TRADES, Irrelevant()),
        (frames.DEAD_TOKEN, SubscriptionLost(None, Fault.STALE_TOKEN, "ESession:Invalid session", named=True)),
        (frames.HEARTBEAT, Heartbeat()),
        (frames.PONG, Pong(Reqid(42))),
        (frames.MALFORMED, Unattributed(Fault.INVALID, "Malformed request")),
        (frames.MSG_RATE, CancelReject(Reqid(42), Fault.ROUTE_BUSY, "Exceeded msg rate")),
        (
            frames.SNAPSHOT,
            Orders(
                (
                    OrderState(
                        "OKJASZ-554YM-L7YMU7",
                        "open",
                        symbol="ATOM/USD",
                        opened_s=1700076648.883709,
                        filled_qty="0.00000000",
                        terms=OrderTerms("ATOM/USD", "buy", "5.00000000", "9.250000"),
                    ),
                ),
                snapshot=True,
                sequence=1,
            ),
        ),
        (
            frames.PENDING,
            Orders(
                (
                    OrderState(
                        "O7AIWV-HEBBH-COCEUU",
                        "open",
                        userref=4711,
                        symbol="SOL/USD",
                        opened_s=1700220661.98502,
                        filled_qty="0.00000000",
                        terms=OrderTerms("SOL/USD", "buy", "1.00000000"),
                    ),
                ),
                snapshot=False,
                sequence=2,
            ),
        ),
        (frames.OPENED, Orders((OrderState("O7AIWV-HEBBH-COCEUU", "open"),), snapshot=False, sequence=3)),
        (
            frames.CANCELED,
            Orders(
                (OrderState("O7AIWV-HEBBH-COCEUU", "canceled", filled_qty="0.00000000", reason="User requested"),),
                snapshot=False,
                sequence=4,
            ),
        ),
        (
            frames.FILL,
            Orders((OrderState("O7AIWV-HEBBH-COCEUU", filled_qty="0.40000000"),), snapshot=False, sequence=5),
        ),
        (frames.TRADES, Irrelevant()),
    ],
)
def test_documented_message_is_read_as_what_it_is(frame: str, evidence: Evidence) -> None:
    assert decode(frame) == evidence
    assert decode(frame.encode()) == evidence


@pytest.mark.parametrize("frame", [frames.CANCEL_RESPONSE, frames.CANCEL_ALL_RESPONSE])
def test_ok_that_names_no_request_settles_nothing(frame: str) -> None:
    assert isinstance(decode(frame), Unreadable)


@pytest.mark.parametrize("reqid", [0, -7, REQID_LIMIT + 1, 2**64 + 7, True, 7.0, 7.5, "7", None, [7], {"reqid": 7}])
def test_only_a_plain_integer_names_a_request(reqid: object) -> None:
    for event in ("cancelOrderStatus", "cancelAllStatus", "cancelAllOrdersAfterStatus"):
        told: dict[str, Any] = {"event": event, "status": "ok", "reqid": reqid, "count": 1, "triggerTime": "0"}
        assert isinstance(decode(json.dumps(told)), Unreadable)
        error = {"event": event, "status": "error", "reqid": reqid, "errorMessage": "EOrder:Unknown order"}
        assert decode(json.dumps(error)) == Unattributed(Fault.NOT_OPEN, "EOrder:Unknown order")
    assert decode(json.dumps({"event": "pong", "reqid": reqid})) == Pong(None)


def test_largest_reqid_comes_back_exactly() -> None:
    assert decode(frames.ACK.replace("7", str(REQID_LIMIT))) == CancelAck(Reqid(REQID_LIMIT))


@pytest.mark.parametrize("status", ['"OK"', '"okay"', '""', "null", "true", "1", '["ok"]', '"pending"'])
def test_any_other_status_is_no_ack(status: str) -> None:
    assert isinstance(decode(frames.ACK.replace('"ok"', status)), Unreadable)


@pytest.mark.parametrize("error", ['"EOrder:Unknown order"', '"x"', "1", '["x"]'])
def test_ok_beside_an_error_is_no_ack(error: str) -> None:
    for frame in (frames.ACK, frames.CANCEL_ALL_ACK, frames.TIMER_ENABLED, frames.SUBSCRIBED):
        told = json.loads(frame) | {"errorMessage": json.loads(error)}
        assert isinstance(decode(json.dumps(told)), Unreadable)


@pytest.mark.parametrize("nothing", ["", None])
def test_empty_error_beside_ok_is_no_error(nothing: str | None) -> None:
    assert decode(json.dumps(json.loads(frames.ACK) | {"errorMessage": nothing})) == CancelAck(Reqid(7))


@pytest.mark.parametrize(
    ("txid", "order_id"),
    [(TXID, TXID), ([TXID], TXID), ([TXID, "OTHER1-ABCDE-FGHIJK"], None), ([], None), (7, None), ({}, None)],
)
def test_order_id_echoed_in_an_ack_is_taken_when_it_is_one(txid: object, order_id: str | None) -> None:
    assert decode(json.dumps(json.loads(frames.ACK) | {"txid": txid})) == CancelAck(Reqid(7), order_id)


def test_error_without_words_still_refuses_its_request() -> None:
    assert decode('{"event":"cancelOrderStatus","reqid":7,"status":"error"}') == CancelReject(
        Reqid(7), Fault.UNLISTED, ""
    )


@pytest.mark.parametrize(("count", "told"), [('"3"', 3), ("0", 0), ("-1", None), ("true", None), ("1.5", None)])
def test_count_of_a_cancel_all_is_told_or_unknown_never_guessed(count: str, told: int | None) -> None:
    frame = f'{{"event":"cancelAllStatus","reqid":8,"status":"ok","count":{count}}}'
    assert decode(frame) == CancelAllAck(Reqid(8), told)


def test_cancel_all_may_spell_the_request_id_otherwise() -> None:
    assert decode('{"event":"cancelAllStatus","reqId":8,"status":"ok","count":1}') == CancelAllAck(Reqid(8), 1)
    assert isinstance(decode('{"event":"cancelOrderStatus","reqId":8,"status":"ok"}'), Unreadable)


@pytest.mark.parametrize("trigger", ['"soon"', "null", "0", '"2020-12-21T09:38:09"', '""'])
def test_timer_without_a_readable_time_is_not_believed_off(trigger: str) -> None:
    frame = f'{{"event":"cancelAllOrdersAfterStatus","reqid":8,"status":"ok","triggerTime":{trigger}}}'
    assert isinstance(decode(frame), Unreadable)


@pytest.mark.parametrize("status", ["cancel_only", "post_only", "limit_only", "maintenance"])
def test_trading_mode_is_passed_on(status: str) -> None:
    assert decode(frames.SYSTEM_STATUS.replace("online", status)) == ModeChanged(status)  # type: ignore[arg-type]


def test_new_trading_mode_is_unknown() -> None:
    assert decode(frames.SYSTEM_STATUS.replace("online", "auction")) == ModeChanged("unknown")


def test_subscription_can_end_in_several_words() -> None:
    ended = '{"channelName":"openOrders","event":"subscriptionStatus","status":"unsubscribed"}'
    assert decode(ended) == SubscriptionLost(None, Fault.UNLISTED, "unsubscribed", named=True)
    assert isinstance(decode(ended.replace("openOrders", "*")), SubscriptionLost)
    nameless = '{"event":"subscriptionStatus","status":"error","errorMessage":"EService:Unavailable","reqid":1}'
    assert decode(nameless) == SubscriptionLost(Reqid(1), Fault.UNAVAILABLE, "EService:Unavailable")


def test_subscription_of_another_channel_is_not_ours() -> None:
    other = frames.DEAD_TOKEN.replace("openOrders", "ownTrades")
    assert decode(other) == Irrelevant()


def test_confirmation_that_names_nothing_confirms_nothing() -> None:
    assert isinstance(decode('{"event":"subscriptionStatus","status":"subscribed"}'), Unreadable)
    assert isinstance(decode(frames.SUBSCRIBED.replace('"subscribed"', '"granted"')), Unreadable)


def test_several_orders_in_one_frame_all_count() -> None:
    frame = (
        '[[{"OAAAAA-BBBBB-CCCCCC":{"status":"closed","vol_exec":"1.0"}},{"ODDDDD-EEEEE-FFFFFF":{"status":"expired"},'
        '"OGGGGG-HHHHH-IIIIII":{"status":"open"}}],"openOrders",{"sequence":9}]'
    )
    evidence = decode(frame)
    assert isinstance(evidence, Orders)
    assert [(order.order_id, order.status) for order in evidence.orders] == [
        ("OAAAAA-BBBBB-CCCCCC", "filled"),
        ("ODDDDD-EEEEE-FFFFFF", "expired"),
        ("OGGGGG-HHHHH-IIIIII", "open"),
    ]


def test_account_without_orders_has_an_empty_snapshot() -> None:
    assert decode('[[],"openOrders",{"sequence":1}]') == Orders((), snapshot=True, sequence=1)


@pytest.mark.parametrize("sequence", ["null", "1.0", "true", '"1"'])
def test_sequence_that_is_no_integer_makes_no_snapshot(sequence: str) -> None:
    assert decode(f'[[],"openOrders",{{"sequence":{sequence}}}]') == Orders((), snapshot=False, sequence=None)


@pytest.mark.parametrize(
    "records",
    [
        "[{}]",
        "[null]",
        '[{"OAAAAA-BBBBB-CCCCCC":null}]',
        '[{"OAAAAA-BBBBB-CCCCCC":"open"}]',
        '[{"4711":{"status":"open"}}]',
        '[{"O\\"]}-BBBBB":{"status":"open"}}]',
        "{}",
    ],
)
def test_snapshot_with_a_damaged_record_is_no_snapshot(records: str) -> None:
    good = '{"ODDDDD-EEEEE-FFFFFF":{"status":"open"}}'
    assert isinstance(decode(f'[{records},"openOrders",{{"sequence":1}}]'), Unreadable)
    if records.startswith("["):
        assert isinstance(decode(f'[{records[:-1]},{good}],"openOrders",{{"sequence":1}}]'), Unreadable)


def test_snapshot_of_thousands_of_orders_is_read_whole() -> None:
    records = [{f"O{n:05}-ABCDE-FGHIJK": {"status": "open", "descr": {"pair": "XBT/USD"}}} for n in range(5_000)]
    evidence = decode(json.dumps([records, "openOrders", {"sequence": 1}]))
    assert isinstance(evidence, Orders)
    assert len(evidence.orders) == 5_000


@pytest.mark.parametrize(
    "frame",
    [
        '{"event":"addOrderStatus","status":"ok","reqid":7,"txid":"OAAAAA-BBBBB-CCCCCC"}',
        '{"event":"something new"}',
        '[42,{"a":["1","2"]},"ticker","XBT/USD"]',
        '[[],"ownTrades",{"sequence":1}]',
    ],
)
def test_what_others_asked_for_is_irrelevant(frame: str) -> None:
    assert decode(frame) == Irrelevant()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " ",
        "null",
        "7",
        '"cancelOrderStatus"',
        "{}",
        "[]",
        '{"event":7}',
        '{"event":null,"status":"ok","reqid":7}',
        '{"status":"ok","reqid":7}',
        frames.ACK[:-1],
        frames.SNAPSHOT[:-20],
        frames.ACK + frames.ACK,
        "[" * 100_000,
        '{"event":"cancelOrderStatus","x":' + "[" * 100_000,
        '{"event":"cancelOrderStatus","reqid":' + "9" * 5_000 + "}",
        "\ud800",
        b"\xff\xfe",
        b'{"event":"heartbeat\xff"}',
        "<html>",
    ],
)
def test_what_is_no_message_is_unreadable(frame: str | bytes) -> None:
    evidence = decode(frame)
    assert isinstance(evidence, Unreadable)
    assert len(evidence.why) <= 200


@pytest.mark.parametrize("name", ["Error", "error", "errorMessage"])
@pytest.mark.parametrize("more", [{}, {"event": "something new"}, {"event": "pong"}, {"event": "cancelOrderStatus"}])
def test_error_in_any_other_form_refuses_the_request_that_it_names(name: str, more: dict[str, str]) -> None:
    refused = json.dumps({name: "Exceeded msg rate", **more})
    assert decode(refused) == Unattributed(Fault.ROUTE_BUSY, "Exceeded msg rate")
    named = json.dumps({name: "Exceeded msg rate", "reqid": 7, **more})
    assert decode(named) == CancelReject(Reqid(7), Fault.ROUTE_BUSY, "Exceeded msg rate")


def test_only_the_documented_forms_say_that_an_order_is_not_open() -> None:
    odd = '{"Error":"EOrder:Unknown order","reqid":7}'
    assert decode(odd) == CancelReject(Reqid(7), Fault.UNLISTED, "EOrder:Unknown order")
    assert decode('{"event":"something new","reqid":7,"success":false}') == CancelReject(Reqid(7), Fault.UNLISTED, "")


@pytest.mark.parametrize("name", ["Error", "error"])
def test_ok_beside_an_error_of_another_name_is_no_ack(name: str) -> None:
    for frame in (frames.ACK, frames.CANCEL_ALL_ACK, frames.TIMER_ENABLED, frames.SUBSCRIBED):
        assert isinstance(decode(json.dumps(json.loads(frame) | {name: "Exceeded msg rate"})), Unreadable)


def test_endless_error_text_is_cut() -> None:
    evidence = decode(json.dumps({"event": "error", "reqid": 7, "errorMessage": "x" * 1_000_000}))
    assert isinstance(evidence, CancelReject)
    assert len(evidence.error) == 512


@given(st.binary() | st.text())
@example(b'{"event":"cancelOrderStatus","status":"ok","reqid":7}\x00')
def test_any_bytes_are_evidence_of_no_cancel(frame: bytes | str) -> None:
    assert isinstance(decode(frame), Unreadable | Irrelevant)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


MEMBERS = (
    "status",
    "reqid",
    "reqId",
    "errorMessage",
    "txid",
    "count",
    "triggerTime",
    "channelName",
    "subscription",
    "connectionID",
)


@given(
    st.fixed_dictionaries(
        {"event": st.sampled_from(sorted({json.loads(f)["event"] for f in frames.EVERY if f[0] == "{"}))},
        optional={
            name: JSON | st.sampled_from(["ok", "error", "subscribed", 7, "0", "openOrders"]) for name in MEMBERS
        },
    )
)
def test_event_with_any_members_is_evidence_and_an_ack_is_earned(message: dict[str, Any]) -> None:
    evidence = decode(json.dumps(message))
    if isinstance(evidence, CancelAck | CancelAllAck | TimerAck):
        named = message.get("reqid") if type(message.get("reqid")) is int else message.get("reqId")
        assert message["status"] == "ok"
        assert evidence.reqid == named
        assert not message.get("errorMessage")
        assert message["event"].startswith("cancel")
    if isinstance(evidence, CancelReject):
        assert message["event"] == "error" or message.get("status") == "error" or message["errorMessage"]


@given(st.lists(st.dictionaries(st.text() | st.just(TXID), JSON, max_size=3), max_size=3) | JSON, JSON)
def test_channel_data_of_any_shape_is_evidence(records: object, stream: object) -> None:
    evidence = decode(json.dumps([records, "openOrders", stream]))
    assert isinstance(evidence, Orders | Unreadable)
    if isinstance(evidence, Orders):
        assert isinstance(records, list)
        assert len(evidence.orders) == sum(len(record) for record in records)


SILENT = Unreadable | Unattributed | Irrelevant
"""Evidence on which nobody acts."""


@pytest.mark.parametrize("frame", frames.EVERY)
def test_damaged_message_never_says_more_than_the_whole_one(frame: str) -> None:
    whole = decode(frame)
    for what, mutant in mutants(frame):
        evidence = decode(json.dumps(mutant))
        assert _claims_no_more(evidence, whole), f"{what}: {evidence} instead of {whole}"


def _claims_no_more(evidence: Evidence, whole: Evidence) -> bool:
    match evidence, whole:
        case _ if isinstance(evidence, SILENT) or evidence == whole:
            return True
        case CancelReject(fault=fault, reqid=reqid), CancelReject():
            # Its own words lost or replaced by the mutant's: still a refusal of the same request, never "not open".
            return reqid == whole.reqid and fault in (Fault.UNLISTED, Fault.THROTTLED)
        case CancelAllAck(reqid=reqid, count=count), CancelAllAck():
            return reqid == whole.reqid and count is None
        case Subscribed(reqid=reqid, rate_ceiling=ceiling), Subscribed():
            return reqid in (whole.reqid, None) and ceiling in (whole.rate_ceiling, None)
        case SubscriptionLost(), SubscriptionLost():
            return True
        case CancelReject(fault=fault), Pong():
            return fault is not Fault.NOT_OPEN
        case Pong(reqid=None), Pong():
            return True
        case Orders(), Orders():
            return _orders_claim_no_more(evidence, whole)
        case _:
            return False


def _orders_claim_no_more(evidence: Orders, whole: Orders) -> bool:
    if evidence.snapshot and not whole.snapshot:
        return False
    if evidence.sequence not in (whole.sequence, None) or len(evidence.orders) != len(whole.orders):
        return False
    return all(
        says_no_more(mine, theirs)
        for order, original in zip(evidence.orders, whole.orders, strict=True)
        for mine, theirs in zip(msgspec.structs.astuple(order), msgspec.structs.astuple(original), strict=True)
    )
