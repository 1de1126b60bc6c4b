"""What rests, in pages: every open order that fits is on exactly one, with what was told of it."""

from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import OrderState, OrderTerms
from canceld.contract.ids import Venue
from canceld.contract.selectors import Selector
from canceld.engine.resting import Resting
from canceld.engine.rests import Cursor, format_cursor, page, parse_cursor
from canceld.engine.scope import Moment, ScopeAt

NOW = Moment(10_000_000_000, 1_700_000_000_000_000_000)
VENUES: tuple[Venue, ...] = ("spot", "prime", "futures")


def book(*states: OrderState) -> Resting:
    resting = Resting(10)
    for state in states:
        resting.apply(state, 9_000_000_000)
    return resting


def test_an_order_is_shown_with_what_was_told_of_it_and_nothing_else() -> None:
    terms = OrderTerms("XBT/USD", "buy", "2.0", "100.0")
    whole = OrderState("A-1", "open", "mm1-7", 7, "XBT/USD", 1_699_999_998.5, "0.5", terms=terms)
    shown = page({"spot": book(whole, OrderState("A-2", "open"))}, None, None, NOW)
    assert shown.orders["spot"] == [
        {
            "order_id": "A-1",
            "cl_ord_id": "mm1-7",
            "userref": 7,
            "symbol": "XBT/USD",
            "side": "buy",
            "quantity": "2.0",
            "filled_qty": "0.5",
            "price": "100.0",
            "age_ms": 1_500,
            "seen_ms": 1_000,
            "source": "stream",
        },
        {"order_id": "A-2", "seen_ms": 1_000, "source": "stream"},
    ]
    assert (shown.counts, shown.after) == ({"spot": 2}, None)


def test_an_order_that_may_fit_is_shown_as_unsure() -> None:
    scope = ScopeAt("spot", [Selector(side="buy")], {})
    sell = OrderState("A-2", "open", terms=OrderTerms("XBT/USD", "sell", "1"))
    shown = page({"spot": book(OrderState("A-1", "open"), sell)}, {"spot": scope}, None, NOW)
    assert [order["order_id"] for order in shown.orders["spot"]] == ["A-1"]
    assert shown.orders["spot"][0]["unsure"] is True
    assert (shown.counts["spot"], shown.unsure["spot"]) == (0, 1)


@given(st.lists(st.tuples(st.sampled_from(VENUES), st.integers(0, 99)), max_size=60), st.integers(1, 20))
def test_every_open_order_is_on_exactly_one_page(placed: list[tuple[Venue, int]], limit: int) -> None:
    books = {venue: Resting(10) for venue in VENUES}
    for venue, number in placed:
        books[venue].apply(OrderState(f"A-{number}", "open"), 0)
    seen: list[tuple[str, str]] = []
    after: Cursor | None = None
    for _ in range(100):
        shown = page(books, None, after, NOW, limit)
        fresh = [(venue, str(order["order_id"])) for venue, orders in shown.orders.items() for order in orders]
        assert len(fresh) <= limit
        seen += fresh
        if shown.after is None:
            break
        after = parse_cursor(format_cursor(shown.after))
        assert after == shown.after
    assert sorted(seen) == sorted({(venue, f"A-{number}") for venue, number in placed})
    assert sum(shown.counts.values()) == len(seen)


@given(st.text(max_size=20))
def test_a_cursor_is_what_a_page_gave_or_nothing(text: str) -> None:
    cursor = parse_cursor(text)
    assert cursor is None or format_cursor(cursor) == text
