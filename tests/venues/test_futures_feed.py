"""Futures feed: how it is asked for, and what its removals do and do not prove."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import (
    Challenge,
    Evidence,
    Fault,
    Heartbeat,
    Hello,
    Irrelevant,
    Orders,
    OrderState,
    OrderTerms,
    Pong,
    Subscribed,
    SubscriptionLost,
    Unattributed,
    Unlisted,
    Unreadable,
)
from canceld.credentials import Keys, Secret
from canceld.venues.futures_feed import challenge_frame, decode, heartbeat_frame, ping_frame, subscribe_frame
from canceld.venues.signing import decode_spot_secret
from tests.frames import futures_feed as frames

from .mutations import mutants, says_no_more

# Kraken's published example. Source: Futures WebSockets guide.
SECRET = "7zxMEF5p/Z8l2p2U7Ghv6x14Af+Fx+92tPgUdVQ748FOIrEoT9bgT+bTRfXc5pz8na+hL/QdrCVG7bh9KpT0eMTm"
CHALLENGE = "c100b894-1729-464d-ace1-52dbce11db42"
SIGNED = "4JEpF3ix66GA2B+ooK128Ift4XQVtc137N9yeg4Kqsn9PI0Kpzbysl9M1IeCEdjg0zl00wkVqcsnG4bmnlMb3A=="
KEYS = Keys(Secret("the-public-key"), Secret(decode_spot_secret(SECRET)))
ORDER_ID = "59302619-41d2-4f0b-941f-7e7914760ad3"


# ------------------------------------------------------------------ requests


def test_requests_are_the_documented_ones() -> None:
    assert json.loads(challenge_frame(KEYS)) == {"event": "challenge", "api_key": "the-public-key"}
    assert json.loads(subscribe_frame(KEYS, CHALLENGE)) == {
        "event": "subscribe",
        "feed": "open_orders_verbose",
        "api_key": "the-public-key",
        "original_challenge": CHALLENGE,
        "signed_challenge": SIGNED,
    }
    assert json.loads(heartbeat_frame()) == {"event": "subscribe", "feed": "heartbeat"}
    assert json.loads(ping_frame()) == {"event": "ping"}


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("frame", "evidence"),
    [
        (frames.INFO, Hello()),
        (frames.CHALLENGE, Challenge("226aee50-88fc-4618-a42a-34f7709570b2")),
        (frames.SUBSCRIBED, Subscribed(None)),
        (frames.SUBSCRIBED_TO_HEARTBEAT, Irrelevant()),
        (frames.SUBSCRIBED_FAILED, SubscriptionLost(None, Fault.UNLISTED, "subscribed_failed", named=True)),
        (frames.INVALID_FEED, Unattributed(Fault.INVALID, "Invalid feed")),
        (frames.JSON_ERROR, Unattributed(Fault.INVALID, "Json Error")),
        (frames.REFUSED, SubscriptionLost(None, Fault.CREDENTIALS, "Failed to subscribe to authenticated feed")),
        (frames.HARMLESS, Irrelevant()),
        (frames.BAD_MESSAGE, Unattributed(Fault.INVALID, "Bad websocket message")),
        (frames.PONG, Pong(None)),
        (frames.HEARTBEAT, Heartbeat()),
        (frames.NOTICE, Irrelevant()),
        (
            frames.SNAPSHOT,
            Orders(
                (
                    OrderState(
                        "723ba95f-13b7-418b-8fcf-ab7ba6620555",
                        "open",
                        symbol="PI_XBTUSD",
                        opened_s=1612275024.153,
                        filled_qty="0",
                        terms=OrderTerms("PI_XBTUSD", "sell", "1000", "34900"),
                    ),
                    OrderState(
                        "7a2f793e-26f3-4987-a938-56d296a11560",
                        "open",
                        "s7-000042",
                        symbol="PI_XBTUSD",
                        opened_s=1612275024.153,
                        filled_qty="0.10",
                        terms=OrderTerms("PI_XBTUSD", "sell", "1000.10", "34900"),
                    ),
                ),
                snapshot=True,
            ),
        ),
        (
            frames.PLACED,
            Orders(
                (
                    OrderState(
                        ORDER_ID,
                        "open",
                        symbol="PI_XBTUSD",
                        opened_s=1567702877.41,
                        filled_qty="0.0",
                        terms=OrderTerms("PI_XBTUSD", "sell", "304.0", "10640.0"),
                    ),
                ),
                snapshot=False,
            ),
        ),
        (
            frames.CANCELED,
            Orders(
                (
                    OrderState(
                        "660c6b23-8007-48c1-a7c9-4893f4572e8c", "canceled", "s7-000043", reason="cancelled_by_user"
                    ),
                ),
                snapshot=False,
            ),
        ),
        (
            frames.FILLED,
            Orders(
                (
                    OrderState(
                        "a182cf4f-9e2b-4bd1-8b0c-9e0d9bbdd5b1",
                        "filled",
                        symbol="PI_XBTUSD",
                        opened_s=1567597581.495,
                        filled_qty="0.0001",
                        reason="full_fill",
                        terms=OrderTerms("PI_XBTUSD", "buy", "0.0001"),
                    ),
                ),
                snapshot=False,
            ),
        ),
        (frames.TRIGGERED, Unlisted(("723ba95f-13b7-418b-8fcf-ab7ba6620555",), "stop_order_triggered")),
        (frames.NO_CHANGE, Irrelevant()),
    ],
)
def test_documented_message_is_read_as_what_it_is(frame: str, evidence: Evidence) -> None:
    assert decode(frame) == evidence
    assert decode(frame.encode()) == evidence


@pytest.mark.parametrize("frame", frames.EVERY)
def test_key_and_signature_are_in_no_repr(frame: str) -> None:
    shown = repr(decode(frame))
    assert "the-public-key" not in shown
    assert "the-signature" not in shown


def delta(**members: Any) -> Evidence:
    return decode(json.dumps({"feed": "open_orders_verbose", "order_id": ORDER_ID, **members}))


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("cancelled_by_user", "canceled"),
        ("full_fill", "filled"),
        ("dead_man_switch", "canceled"),
        ("cancelled_by_admin", "canceled"),
        ("liquidation", "canceled"),
        ("not_enough_margin", "canceled"),
        ("market_inactive", "canceled"),
        ("contract_expired", "expired"),
        ("ioc_order_failed_because_it_would_not_be_executed", "expired"),
        ("post_order_failed_because_it_would_filled", "expired"),
        ("post_order_failed_because_it_would_be_filled", "expired"),
        ("would_execute_self", "expired"),
        ("would_not_reduce_position", "expired"),
    ],
)
def test_removal_for_a_known_reason_is_an_end_in_either_shape(reason: str, status: Any) -> None:
    ended = Orders((OrderState(ORDER_ID, status, reason=reason),), snapshot=False)
    assert delta(is_cancel=True, reason=reason) == ended
    inside = {"order_id": ORDER_ID}
    assert delta(order_id=None, order=inside, is_cancel=True, reason=reason) == ended
    assert delta(order=inside, is_cancel=True, reason=reason) == ended


@pytest.mark.parametrize(
    "reason",
    [
        "stop_order_triggered",
        "limit_order_from_stop",
        "new_placed_order_by_user",
        "partial_fill",
        "something_new",
        "Cancelled_By_User",
        "",
        None,
        7,
        ["full_fill"],
    ],
)
def test_removal_for_any_other_reason_is_an_absence_and_no_end(reason: object) -> None:
    evidence = delta(is_cancel=True, reason=reason)
    assert isinstance(evidence, Unlisted)
    assert evidence.order_ids == (ORDER_ID,)


@pytest.mark.parametrize("reason", ["partial_fill", "limit_order_from_stop", "cancelled_by_user", "full_fill", None])
def test_what_was_not_removed_rests_whatever_the_reason(reason: object) -> None:
    assert delta(is_cancel=False, reason=reason) == Orders((OrderState(ORDER_ID, "open"),), snapshot=False)


@pytest.mark.parametrize("is_cancel", [None, 0, 1, "true", [True]])
def test_change_that_does_not_say_whether_the_order_was_removed_is_unreadable(is_cancel: object) -> None:
    assert isinstance(delta(is_cancel=is_cancel, reason="cancelled_by_user"), Unreadable)


@pytest.mark.parametrize(
    "members",
    [
        {"order_id": None},
        {"order_id": "4711"},
        {"order_id": 7},
        {"order": {"order_id": "723ba95f-13b7-418b-8fcf-ab7ba6620555"}},
        {"order": {"order_id": "4711"}},
        {"order": [], "order_id": None},
        {"order": "x"},
    ],
)
def test_change_of_no_single_order_is_unreadable(members: dict[str, Any]) -> None:
    assert isinstance(delta(**{"is_cancel": True, "reason": "full_fill", **members}), Unreadable)


@pytest.mark.parametrize("orders", [None, {}, 7, [None], [{}], [{"order_id": "4711"}], [{"order_id": ORDER_ID}, {}]])
def test_snapshot_with_a_damaged_row_is_no_snapshot(orders: object) -> None:
    frame = json.dumps({"feed": "open_orders_snapshot", "orders": orders})
    assert isinstance(decode(frame), Unreadable)


def test_account_without_orders_has_an_empty_snapshot() -> None:
    for feed in ("open_orders_snapshot", "open_orders_verbose_snapshot"):
        assert decode(f'{{"feed":"{feed}","orders":[]}}') == Orders((), snapshot=True)


@pytest.mark.parametrize("text", ["", " ", "two words", "x" * 129, "line\n", "é"])
def test_challenge_of_an_odd_form_is_not_signed(text: str) -> None:
    assert isinstance(decode(json.dumps({"event": "challenge", "message": text})), Unreadable)
    assert isinstance(decode('{"event":"challenge"}'), Unreadable)


def test_feed_can_end_in_its_own_words() -> None:
    ended = '{"event":"unsubscribed","feed":"open_orders"}'
    assert decode(ended) == SubscriptionLost(None, Fault.UNLISTED, "unsubscribed", named=True)
    assert decode(ended.replace("open_orders", "fills")) == Irrelevant()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"event":7}',
        '{"feed":7}',
        '{"order_id":"59302619-41d2","is_cancel":true,"reason":"full_fill"}',
        frames.CANCELED[:-1],
        frames.CANCELED + "x",
        "[" * 100_000,
        '{"feed":"open_orders","order":' + "[" * 100_000,
        "\ud800",
        b"\xff\xfe",
        b'{"feed":"heartbeat\xff"}',
        b'{"feed":"open_orders_snapshot","orders":[{"order_id":"59302619-41d2","instrument":"\xff"}]}',
        "<html>",
    ],
)
def test_what_is_no_message_is_unreadable(frame: str | bytes) -> None:
    evidence = decode(frame)
    assert isinstance(evidence, Unreadable)
    assert len(evidence.why) <= 200


@pytest.mark.parametrize("name", ["error", "Error", "errorMessage"])
@pytest.mark.parametrize("more", [{}, {"event": "something new"}, {"event": "challenge"}, {"feed": "heartbeat"}])
def test_error_in_any_other_message_is_one(name: str, more: dict[str, str]) -> None:
    evidence = decode(json.dumps({name: "apiLimitExceeded", **more}))
    assert evidence == Unattributed(Fault.ROUTE_BUSY, "apiLimitExceeded")


def test_error_beside_an_order_does_not_hide_it() -> None:
    told = {"feed": "open_orders", "order_id": ORDER_ID, "is_cancel": True, "reason": "cancelled_by_user", "error": "x"}
    assert isinstance(decode(json.dumps(told)), Orders)


@given(st.binary() | st.text())
def test_any_bytes_are_evidence_of_nothing(frame: bytes | str) -> None:
    assert isinstance(decode(frame), Unreadable | Irrelevant)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    ["open_orders", "open_orders_snapshot", "challenge", "alert", "subscribed", "full_fill", ORDER_ID, True, False]
)
TOP = ("event", "feed", "message", "orders", "order", "order_id", "cli_ord_id", "is_cancel", "reason")


@given(st.dictionaries(st.sampled_from(TOP), WORDS | ANYTHING | st.just({"order_id": ORDER_ID})))
def test_any_members_are_evidence_and_an_end_is_earned(message: dict[str, Any]) -> None:
    evidence = decode(json.dumps(message))
    if isinstance(evidence, Orders):
        for state in evidence.orders:
            assert state.status == "open" or (message["is_cancel"] is True and message["reason"] == "full_fill")


SILENT = Unreadable | Unattributed | Irrelevant | Unlisted | Heartbeat
"""Evidence that ends no order and confirms nothing."""


@pytest.mark.parametrize("frame", frames.EVERY)
def test_damaged_message_never_says_more_than_the_whole_one(frame: str) -> None:
    # Written again, because the mutants' decimals are.
    whole = decode(json.dumps(json.loads(frame)))
    for what, mutant in mutants(frame):
        evidence = decode(json.dumps(mutant))
        assert _claims_no_more(evidence, whole), f"{what}: {evidence} instead of {whole}"


def _claims_no_more(evidence: Evidence, whole: Evidence) -> bool:
    match evidence, whole:
        case _ if isinstance(evidence, SILENT) or evidence == whole:
            return True
        case Orders(), Irrelevant():
            # The reason that nothing has changed was lost: the order is then said to rest, which it does.
            return all(state.status == "open" for state in evidence.orders) and not evidence.snapshot
        case SubscriptionLost(), SubscriptionLost():
            return True
        case Orders(), Orders():
            return evidence.snapshot is whole.snapshot and all(
                says_no_more(getattr(mine, field), getattr(theirs, field))
                for mine, theirs in zip(evidence.orders, whole.orders, strict=True)
                for field in mine.__struct_fields__
            )
        case _:
            return False
