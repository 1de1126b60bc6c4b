"""The book by itself: pure, on a clock the test moves."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from decimal import Decimal

import pytest

from canceld.sim.exchange import Change, DuplicateClientID, Exchange, State, What

ACCOUNT = "alice"


@dataclass
class Clock:
    unix_s: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.unix_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> Exchange:
    return Exchange(now=clock, rng=random.Random(1))


def test_spot_ids_look_like_krakens(book: Exchange) -> None:
    ids = {book.place(ACCOUNT, "spot", symbol="XBT/USD").order_id for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"O[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}", txid) for txid in ids)


def test_other_venues_use_uuids(book: Exchange) -> None:
    order = book.place(ACCOUNT, "futures", symbol="PF_XBTUSD")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", order.order_id)


def test_one_seed_gives_one_sequence_of_ids(clock: Clock) -> None:
    first, second = (Exchange(now=clock, rng=random.Random(9)) for _ in range(2))
    assert [first.place(ACCOUNT, "spot", symbol="X").order_id for _ in range(5)] == [
        second.place(ACCOUNT, "spot", symbol="X").order_id for _ in range(5)
    ]


def test_a_client_id_is_unique_among_open_orders_only(book: Exchange) -> None:
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD", cl_ord_id="a")
    with pytest.raises(DuplicateClientID):
        book.place(ACCOUNT, "spot", symbol="XBT/USD", cl_ord_id="a")
    book.place("bob", "spot", symbol="XBT/USD", cl_ord_id="a")
    book.place(ACCOUNT, "futures", symbol="PF_XBTUSD", cl_ord_id="a")
    book.cancel(order, "User requested")
    again = book.place(ACCOUNT, "spot", symbol="XBT/USD", cl_ord_id="a")
    assert book.open_by_client_id(ACCOUNT, "spot", "a") is again


def test_a_userref_names_every_order_that_bears_it(book: Exchange) -> None:
    orders = [book.place(ACCOUNT, "spot", symbol="XBT/USD", userref=ref) for ref in (7, 8, 7)]
    assert book.open_by_userref(ACCOUNT, "spot", 7) == [orders[0], orders[2]]


def test_another_accounts_order_is_nobodys(book: Exchange) -> None:
    order = book.place("bob", "spot", symbol="XBT/USD")
    assert book.open_order(ACCOUNT, "spot", order.order_id) is None
    assert book.order(ACCOUNT, "spot", order.order_id) is None


def test_an_order_ends_once(book: Exchange) -> None:
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD")
    book.cancel(order, "User requested")
    with pytest.raises(AssertionError):
        book.cancel(order, "User requested")


def test_a_partial_fill_keeps_the_order_open(book: Exchange) -> None:
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD", quantity=Decimal(2), price=Decimal(100))
    book.fill(order, Decimal("0.5"))
    assert order.state is State.OPEN
    assert (order.filled, order.cost, order.average_price) == (Decimal("0.5"), Decimal(50), Decimal(100))
    book.fill(order)
    assert order.state is State.FILLED
    assert book.open_orders() == []
    assert book.order(ACCOUNT, "spot", order.order_id) is order


def test_listeners_hear_their_account_and_venue_in_order(book: Exchange) -> None:
    heard: list[Change] = []
    forget = book.listen(ACCOUNT, "spot", heard.append)
    book.place("bob", "spot", symbol="XBT/USD")
    book.place(ACCOUNT, "futures", symbol="PF_XBTUSD")
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD")
    book.fill(order)
    assert [change.what for change in heard] == [What.PLACED, What.TRADED, What.FILLED]
    forget()
    book.place(ACCOUNT, "spot", symbol="XBT/USD")
    assert len(heard) == 3


def test_who_listens_to_every_account_is_told_first(book: Exchange) -> None:
    heard: list[str] = []
    book.listen(ACCOUNT, "prime", lambda change: heard.append("one"))
    forget = book.listen(None, "prime", lambda change: heard.append("every"))
    book.place("bob", "prime", symbol="BTC-USD")
    book.place(ACCOUNT, "prime", symbol="BTC-USD")
    assert heard == ["every", "every", "one"]
    forget()
    book.place("bob", "prime", symbol="BTC-USD")
    assert len(heard) == 3


def test_cancel_all_can_be_narrowed_to_a_symbol(book: Exchange) -> None:
    kept = book.place(ACCOUNT, "futures", symbol="PF_ETHUSD")
    doomed = [book.place(ACCOUNT, "futures", symbol="PF_XBTUSD") for _ in range(2)]
    assert book.cancel_all(ACCOUNT, "futures", "test", "PF_XBTUSD") == doomed
    assert book.open_orders() == [kept]


def test_an_order_expires_when_its_time_has_come(book: Exchange, clock: Clock) -> None:
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD", expires_s=clock() + 10)
    book.advance()
    assert order.state is State.OPEN
    assert book.next_due_s() == clock() + 10
    clock.unix_s += 10
    book.advance()
    assert order.state is State.EXPIRED
    assert book.next_due_s() is None


def test_the_countdown_cancels_one_accounts_orders_at_one_venue_once(book: Exchange, clock: Clock) -> None:
    doomed = book.place(ACCOUNT, "spot", symbol="XBT/USD")
    spared = [book.place("bob", "spot", symbol="XBT/USD"), book.place(ACCOUNT, "futures", symbol="PF_XBTUSD")]
    book.arm(ACCOUNT, "spot", 60)
    clock.unix_s += 59
    book.arm(ACCOUNT, "spot", 60)  # extended
    clock.unix_s += 59
    book.advance()
    assert doomed.state is State.OPEN
    clock.unix_s += 1
    book.advance()
    assert doomed.state is State.CANCELED
    assert book.open_orders() == spared
    late = book.place(ACCOUNT, "spot", symbol="XBT/USD")
    clock.unix_s += 1000
    book.advance()
    assert late.state is State.OPEN


def test_zero_disarms_the_countdown(book: Exchange, clock: Clock) -> None:
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD")
    book.arm(ACCOUNT, "spot", 60)
    assert book.arm(ACCOUNT, "spot", 0) is None
    clock.unix_s += 1000
    book.advance()
    assert order.state is State.OPEN


def test_an_armed_countdown_fires_when_the_engine_comes_back(book: Exchange, clock: Clock) -> None:
    order = book.place(ACCOUNT, "spot", symbol="XBT/USD")
    book.arm(ACCOUNT, "spot", 60)
    book.freeze("spot")
    clock.unix_s += 100
    book.advance()
    assert order.state is State.OPEN
    book.thaw("spot")
    assert order.state is State.CANCELED
