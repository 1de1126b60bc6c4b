"""Whether an order is meant by a scope: sound whatever part of the truth was told, decided when all of it was."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.evidence import OrderState, OrderTerms
from canceld.contract.ids import Target, Venue
from canceld.contract.selectors import Selector
from canceld.engine.resting import Resting, Row
from canceld.engine.scope import Fit, Moment, Own, ScopeAt, age_ns

NOW = Moment(monotonic_ns=900_000_000_000, utc_ns=1_700_000_000_000_000_000)
BORN_S = 1_700_000_000 - 60
MM1 = Own("mm1-", frozenset({7, 8}))
STRATEGIES = {"mm-1": MM1, "arb": Own("arb-"), "refs": Own(None, frozenset({9}))}
TXID = "OQCLML-BW3P3-BUCMWZ"


def row(state: OrderState, seen_ns: int = NOW.monotonic_ns) -> Row:
    resting = Resting(10)
    resting.apply(state, seen_ns)
    told = resting.get(state.order_id)
    assert told is not None
    return told


def order(**changes: Any) -> Row:
    told: dict[str, Any] = {
        "order_id": TXID,
        "status": "open",
        "cl_ord_id": "mm1-7",
        "userref": 7,
        "symbol": "XBT/USD",
        "opened_s": float(BORN_S),
        "terms": OrderTerms("XBT/USD", "buy", "1", "100"),
    }
    return row(OrderState(**(told | changes)))


def fit(venue: Venue, told: Row, *scope: Selector) -> Fit:
    return ScopeAt(venue, scope, STRATEGIES).fit(told, NOW)


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        (Selector(venue="spot"), True),
        (Selector(venue="futures"), False),
        (Selector(order_id=TXID), True),
        (Selector(order_id=TXID, side="sell"), False),
        (Selector(cl_ord_id="mm1-7"), True),
        (Selector(cl_ord_id="mm1-77"), False),
        (Selector(cl_ord_id_prefix="mm1-"), True),
        (Selector(cl_ord_id_prefix="mm1-77"), False),
        (Selector(userref=7), True),
        (Selector(userref=8), False),
        (Selector(symbol="BTC/USD"), True),
        (Selector(symbol="XBTUSD"), True),
        (Selector(symbol="XBT/USDT"), False),
        (Selector(side="buy"), True),
        (Selector(side="sell"), False),
        (Selector(older_than_ms=60_000), True),
        (Selector(older_than_ms=60_001), False),
        (Selector(strategy="mm-1"), True),
        (Selector(strategy="arb"), False),
        (Selector(strategy="refs"), False),
        (Selector(strategy="mm-1", side="buy", symbol="XBT/USD", older_than_ms=1_000, venue="spot"), True),
        (Selector(strategy="mm-1", side="sell", symbol="XBT/USD", older_than_ms=1_000, venue="spot"), False),
    ],
)
def test_all_members_of_a_selector_must_fit(selector: Selector, meant: bool) -> None:
    assert fit("spot", order(), selector) is (Fit.YES if meant else Fit.NO)


def test_an_order_is_meant_when_one_selector_of_the_scope_fits() -> None:
    assert fit("spot", order(), Selector(side="sell"), Selector(userref=7)) is Fit.YES
    assert fit("spot", order(), Selector(side="sell"), Selector(userref=8)) is Fit.NO


def test_what_nobody_has_told_is_neither_yes_nor_no() -> None:
    """An order of which only its id is known: a stream began in the middle of its life."""
    bare = row(OrderState(TXID, "open"))
    for selector in (
        Selector(side="buy"),
        Selector(symbol="XBT/USD"),
        Selector(userref=7),
        Selector(cl_ord_id="mm1-7"),
        Selector(cl_ord_id_prefix="mm1-"),
        Selector(strategy="mm-1"),
        Selector(older_than_ms=1),
    ):
        assert fit("spot", bare, selector) is Fit.UNTOLD, selector
    assert fit("spot", bare, Selector(order_id=TXID)) is Fit.YES
    assert fit("spot", bare, Selector(order_id="OOTHER-AAAAA-AAAAAA", side="buy")) is Fit.NO
    assert fit("futures", bare, Selector(userref=7)) is Fit.NO


def test_an_order_that_was_described_whole_has_no_name_that_was_not_told() -> None:
    nameless = order(cl_ord_id=None, userref=None)
    for selector in (Selector(userref=7), Selector(cl_ord_id="a"), Selector(strategy="mm-1")):
        assert fit("spot", nameless, selector) is Fit.NO


def test_on_prime_every_order_has_a_client_order_id_told_or_not() -> None:
    """A report of a refused cancel names the cancel where the order's own name stood."""
    assert fit("prime", order(cl_ord_id=None), Selector(cl_ord_id_prefix="mm1-")) is Fit.UNTOLD


def test_an_order_is_at_least_as_old_as_what_was_heard_of_it() -> None:
    seen_ns = NOW.monotonic_ns - 5_000_000_000
    ageless = row(OrderState(TXID, "open"), seen_ns)
    assert ScopeAt("spot", [Selector(older_than_ms=5_000)], {}).fit(ageless, NOW) is Fit.YES
    assert ScopeAt("spot", [Selector(older_than_ms=5_001)], {}).fit(ageless, NOW) is Fit.UNTOLD


def test_a_clock_that_is_behind_the_venues_makes_no_order_old() -> None:
    born_later = order(opened_s=NOW.utc_ns / 1e9 + 3)
    assert age_ns(born_later, NOW) == 0
    assert fit("spot", born_later, Selector(older_than_ms=1)) is Fit.NO


def test_a_uuid_is_the_same_in_either_case() -> None:
    told = order(order_id="59302619-41d2-4f0b-941f-7e7914760ad3", symbol="PF_XBTUSD")
    assert fit("futures", told, Selector(order_id="59302619-41D2-4F0B-941F-7E7914760AD3")) is Fit.YES


def test_a_scope_says_which_symbols_it_means_whole_and_what_it_names_alone() -> None:
    scope = ScopeAt(
        "futures",
        [
            Selector(symbol="PF_XBTUSD"),
            Selector(venue="futures", symbol="PF_ETHUSD"),
            Selector(venue="futures", symbol="pf_xbtusd"),
            Selector(symbol="PF_SOLUSD", side="buy"),
            Selector(venue="spot", symbol="XBT/USD"),
            Selector(order_id="a-1"),
            Selector(cl_ord_id="x"),
            Selector(order_id="a-2", side="buy"),
        ],
        {},
    )
    assert scope.markets == ("PF_XBTUSD", "PF_ETHUSD")
    assert scope.named == (Target("order_id", "a-1"), Target("cl_ord_id", "x"))
    assert not scope.empty
    assert ScopeAt("prime", [Selector(venue="spot")], {}).empty


# ---------------------------------------------------------------- whatever is written, whatever was told

NAMES = st.sampled_from([None, "mm1-7", "mm1-", "arb-1", "mm2-7", "x"])
SYMBOLS = st.sampled_from(["XBT/USD", "BTC/USD", "XBTUSD", "ETH/USD", "PF_XBTUSD", "pf_xbtusd"])
SIDES = st.sampled_from(["buy", "sell"])
selectors = st.builds(
    Selector,
    venue=st.none() | st.sampled_from(["spot", "prime", "futures"]),
    order_id=st.none() | st.none() | st.sampled_from([TXID, TXID.lower(), "a-1"]),
    cl_ord_id=st.none() | NAMES,
    userref=st.none() | st.integers(6, 10),
    cl_ord_id_prefix=st.none() | st.sampled_from(["mm1-", "mm", "a"]),
    symbol=st.none() | SYMBOLS,
    side=st.none() | SIDES,
    older_than_ms=st.none() | st.sampled_from([1, 5_000, 60_000, 60_001]),
    strategy=st.none() | st.sampled_from(sorted(STRATEGIES)),
)
orders = st.fixed_dictionaries(
    {
        "cl_ord_id": NAMES,
        "userref": st.none() | st.integers(6, 10),
        "symbol": SYMBOLS,
        "side": SIDES,
        "age_s": st.sampled_from([0, 5, 60, 61]),
    }
)


def really_meant(venue: Venue, truth: dict[str, Any], scope: Sequence[Selector]) -> bool:
    """The scope's meaning written once more, from the contract's words alone."""
    same = [{"XBT/USD", "BTC/USD", "XBTUSD"}, {"ETH/USD"}] if venue == "spot" else []

    def one(selector: Selector) -> bool:
        name = truth["cl_ord_id"] or ""
        userref = truth["userref"] if venue == "spot" else None
        wants: list[bool] = [selector.venue in (None, venue)]
        if selector.order_id is not None:
            wants.append(selector.order_id.upper() == TXID)
        if selector.cl_ord_id is not None:
            wants.append(name == selector.cl_ord_id)
        if selector.userref is not None:
            wants.append(userref == selector.userref)
        if selector.cl_ord_id_prefix is not None:
            wants.append(name.startswith(selector.cl_ord_id_prefix))
        if selector.symbol is not None:
            pair = {truth["symbol"].upper(), selector.symbol.upper()}
            wants.append(len(pair) == 1 or any(pair <= spellings for spellings in same))
        if selector.side is not None:
            wants.append(truth["side"] == selector.side)
        if selector.older_than_ms is not None:
            wants.append(truth["age_s"] * 1000 >= selector.older_than_ms)
        if selector.strategy is not None:
            own = STRATEGIES[selector.strategy]
            by_name = own.cl_ord_id_prefix is not None and name.startswith(own.cl_ord_id_prefix)
            wants.append(by_name or userref in own.userrefs)
        return all(wants)

    return any(map(one, scope))


@given(
    st.sampled_from(["spot", "prime", "futures"]),
    orders,
    st.lists(selectors, min_size=1, max_size=4),
    st.sets(st.sampled_from(["cl_ord_id", "userref", "symbol", "opened_s", "terms"])),
)
def test_whatever_was_told_no_order_outside_is_meant_and_none_inside_is_let_go(
    venue: Venue, truth: dict[str, Any], scope: list[Selector], hidden: set[str]
) -> None:
    if venue == "prime" and truth["cl_ord_id"] is None:
        truth = truth | {"cl_ord_id": "p"}
    told: dict[str, Any] = {
        "cl_ord_id": truth["cl_ord_id"],
        "userref": truth["userref"],
        "symbol": truth["symbol"],
        "opened_s": NOW.utc_ns / 1e9 - truth["age_s"],
        "terms": OrderTerms(truth["symbol"], truth["side"], str(Decimal(1))),
    }
    if "terms" not in hidden:
        # What describes an order whole gives its names.
        hidden -= {"cl_ord_id", "userref"} if venue != "prime" else {"userref"}
    known = {name: value for name, value in told.items() if name not in hidden}
    told_row = row(OrderState(TXID, "open", **known), NOW.monotonic_ns)

    said = ScopeAt(venue, scope, STRATEGIES).fit(told_row, NOW)
    meant = really_meant(venue, truth, scope)

    if said is Fit.YES:
        assert meant
    if said is Fit.NO:
        assert not meant
    if not hidden:
        assert said is (Fit.YES if meant else Fit.NO)
