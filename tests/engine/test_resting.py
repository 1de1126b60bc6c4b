"""Orders as the streams tell them: opened and ended by what the venue says, and an ended one stays ended."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import OrderState, OrderTerms
from canceld.engine.resting import FRESH_NS, Resting, Row

O1, O2 = "OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB"


def statuses(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [(row.order_id, row.status) for row in rows]


def apply(resting: Resting, state: OrderState, now_ns: int = 0) -> str | None:
    row = resting.apply(state, now_ns)
    return None if row is None else row.status


def test_an_order_opens_fills_in_its_fields_and_ends() -> None:
    resting = Resting(10)
    assert apply(resting, OrderState(O1, "open", opened_s=1.5, symbol="XBT/USD")) == "open"
    assert apply(resting, OrderState(O1, cl_ord_id="slot-1", userref=7, filled_qty="1")) is None
    assert len(resting) == 1
    assert resting.open_as("slot-1") == O1
    assert resting.open_under(7) == {O1}
    assert list(resting.open_ids()) == [O1]
    assert apply(resting, OrderState(O1, "canceled", filled_qty="2", reason="User requested"), 9) == "canceled"
    row = resting.get(O1)
    assert row is not None
    assert (row.filled_qty, row.reason, row.symbol, row.opened_s, row.touched_ns) == (
        "2",
        "User requested",
        "XBT/USD",
        1.5,
        9,
    )
    assert row.ended
    assert len(resting) == 0
    assert resting.open_as("slot-1") is None
    assert resting.open_under(7) == frozenset()


def test_what_the_first_full_record_says_of_an_orders_names_is_kept() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open", cl_ord_id="slot-1", userref=7))
    apply(resting, OrderState(O1, "open", cl_ord_id="slot-2", userref=8))
    assert resting.open_as("slot-1") == O1
    assert resting.open_as("slot-2") is None
    assert resting.open_under(8) == frozenset()


def test_a_second_streams_older_news_does_not_reopen_an_ended_order() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open"))
    apply(resting, OrderState(O1, "filled"))
    assert apply(resting, OrderState(O1, "open")) is None
    assert apply(resting, OrderState(O1)) is None
    assert apply(resting, OrderState(O1, "canceled")) is None
    assert statuses([row for row in [resting.get(O1)] if row]) == [(O1, "filled")]


def test_a_slower_streams_older_news_does_not_take_back_what_had_filled() -> None:
    resting = Resting(10)
    resting.apply(OrderState(O1, "open", filled_qty="0.00000000"), 1)
    resting.apply(OrderState(O1, filled_qty="0.30000000"), 2)
    resting.apply(OrderState(O1, "open", filled_qty="0.00000000"), 3)
    resting.apply(OrderState(O1, "canceled", filled_qty="0.3"), 4)
    resting.apply(OrderState(O1, "open", filled_qty="0.10000000"), 5)
    row = resting.get(O1)
    assert row is not None
    assert row.filled_qty == "0.30000000"


def test_the_slower_stream_does_not_take_back_what_has_filled() -> None:
    resting = Resting(10)
    for told, known in (("1.5", "1.5"), ("0.5", "1.5"), ("1.50", "1.5"), ("2", "2"), ("unreadable", "unreadable")):
        apply(resting, OrderState(O1, filled_qty=told))
        row = resting.get(O1)
        assert row is not None
        assert row.filled_qty == known


def test_an_order_first_heard_of_by_its_end_is_ended() -> None:
    resting = Resting(10)
    assert apply(resting, OrderState(O1, "expired", cl_ord_id="slot-1")) == "expired"
    assert len(resting) == 0
    bearer = resting.bearer("slot-1")
    assert bearer is not None
    assert bearer.order_id == O1


def test_an_order_first_heard_of_without_a_status_is_taken_for_open() -> None:
    resting = Resting(10)
    assert apply(resting, OrderState(O1, filled_qty="1")) == "open"


def test_a_snapshot_ends_nothing_while_another_stream_would_have_told() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open"))
    changed = resting.replace([OrderState(O2, "open")], FRESH_NS + 1, complete=False)
    assert statuses(changed) == [(O2, "open")]
    assert set(resting.open_ids()) == {O1, O2}


def test_an_order_missing_from_a_complete_snapshot_is_gone_unless_it_is_fresh() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open", cl_ord_id="slot-1", userref=7), 0)
    apply(resting, OrderState(O2, "open"), 5)
    changed = resting.replace([], FRESH_NS + 5, complete=True)
    assert statuses(changed) == [(O1, "gone")]
    assert set(resting.open_ids()) == {O2}
    row = resting.get(O1)
    assert row is not None
    assert not row.ended


def test_a_gone_order_may_still_be_told_its_end() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open"))
    resting.replace([], FRESH_NS + 1, complete=True)
    assert apply(resting, OrderState(O1, "canceled")) == "canceled"
    assert apply(resting, OrderState(O1, "open")) is None


def test_a_gone_order_comes_back_by_being_listed_and_by_a_fill_that_says_no_status() -> None:
    for state in (OrderState(O1, "open"), OrderState(O1, filled_qty="1")):
        resting = Resting(10)
        apply(resting, OrderState(O1, "open", cl_ord_id="slot-1", userref=7))
        resting.replace([], FRESH_NS + 1, complete=True)
        assert resting.open_under(7) == frozenset()
        assert apply(resting, state) == "open"
        assert resting.open_as("slot-1") == O1
        assert resting.open_under(7) == {O1}


def test_a_name_given_again_stands_for_the_newer_order() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open", cl_ord_id="slot-1"))
    apply(resting, OrderState(O2, "open", cl_ord_id="slot-1"))
    apply(resting, OrderState(O1, "filled"))
    assert resting.open_as("slot-1") == O2
    apply(resting, OrderState(O2, "filled"))
    bearer = resting.bearer("slot-1")
    assert bearer is not None
    assert bearer.order_id == O2


def test_ended_orders_are_remembered_up_to_a_limit_and_open_ones_always() -> None:
    resting = Resting(1)
    for n in range(5):
        apply(resting, OrderState(f"O-{n}", "open", cl_ord_id=f"slot-{n}"))
    assert len(resting) == 5
    for n in range(5):
        apply(resting, OrderState(f"O-{n}", "canceled"))
    assert resting.get("O-3") is None
    assert resting.bearer("slot-3") is None
    assert resting.bearer("slot-4") is not None
    assert resting.bearer("never") is None


def test_a_name_that_passed_on_outlives_its_earlier_bearer() -> None:
    resting = Resting(1)
    apply(resting, OrderState(O1, "canceled", cl_ord_id="slot-1"))
    apply(resting, OrderState(O2, "open", cl_ord_id="slot-1"))
    apply(resting, OrderState("O-other", "canceled"))
    assert resting.get(O1) is None
    assert resting.open_as("slot-1") == O2


STATES = st.builds(
    OrderState,
    order_id=st.sampled_from(["O-1", "O-2", "O-3"]),
    status=st.sampled_from(["open", "canceled", "filled", "expired", None]),
    cl_ord_id=st.sampled_from(["a", "b", None]),
    userref=st.sampled_from([7, 8, None]),
)


@given(st.lists(st.one_of(STATES, st.lists(STATES, max_size=3)), max_size=30))
def test_an_ended_order_never_reopens_and_the_indexes_agree(history: list[OrderState | list[OrderState]]) -> None:
    resting = Resting(100)
    ended: dict[str, str] = {}
    now_ns = 0
    for item in history:
        now_ns += FRESH_NS
        if isinstance(item, list):
            resting.replace(item, now_ns, complete=True)
        else:
            resting.apply(item, now_ns)
        for order_id, status in ended.items():
            row = resting.get(order_id)
            assert row is not None
            assert row.status == status
            assert order_id not in resting.open_ids()
        for order_id in ("O-1", "O-2", "O-3"):
            row = resting.get(order_id)
            if row is None:
                continue
            assert (row.status == "open") == (order_id in resting.open_ids())
            if row.ended:
                ended[order_id] = row.status
        for userref in (7, 8):
            expected = {i for i in resting.open_ids() if (r := resting.get(i)) is not None and r.userref == userref}
            assert resting.open_under(userref) == expected
        for name in ("a", "b"):
            bearer = resting.open_as(name)
            if bearer is not None:
                row = resting.get(bearer)
                assert row is not None
                assert (row.cl_ord_id, row.status) == (name, "open")


def test_what_comes_after_the_end_from_before_it_does_not_say_how_much_had_filled() -> None:
    """Futures tells of a full fill without its amount; the event of the placing comes late."""
    resting = Resting(10)
    resting.apply(OrderState(order_id="O", status="open"), 1)
    resting.apply(OrderState(order_id="O", status="filled"), 2)
    resting.apply(OrderState(order_id="O", status="open", filled_qty="0"), 3)
    row = resting.get("O")
    assert row is not None
    assert (row.status, row.filled_qty) == ("filled", None)


def test_what_was_ordered_is_kept_from_the_last_message_that_described_the_order() -> None:
    resting = Resting(10)
    apply(resting, OrderState(O1, "open"), 5)
    row = resting.get(O1)
    assert row is not None
    assert row.terms is None
    apply(resting, OrderState(O1, "open", terms=OrderTerms("XBT/USD", "buy", "2", "100")), 7)
    apply(resting, OrderState(O1, filled_qty="1"), 8)
    apply(resting, OrderState(O1, "open", terms=OrderTerms("XBT/USD", "buy", "3", "101")), 9)
    assert row.terms == OrderTerms("XBT/USD", "buy", "3", "101")
    assert (row.seen_ns, row.touched_ns) == (5, 9)
    assert list(resting.rows()) == [row]


def test_who_told_of_an_order_first_is_kept() -> None:
    resting = Resting(10)
    resting.apply(OrderState(O1, "open"), 0, by_list=True)
    resting.apply(OrderState(O1, "open"), 1)
    resting.apply(OrderState(O2, "open"), 1)
    resting.apply(OrderState(O2, "open"), 2, by_list=True)
    assert {row.order_id: row.by_list for row in resting.rows()} == {O1: True, O2: False}
