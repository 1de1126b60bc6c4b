"""Scopes as clients write them: what is taken, and what is refused by the member's path and the mend."""

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canceld.contract.selectors import (
    NAMES,
    OLDEST_MS,
    Selector,
    market_of,
    mended,
    scope_fault,
    selector_fault,
    strategies_fault,
)


def test_an_empty_scope_is_refused_with_the_way_to_say_everything() -> None:
    fault = scope_fault(())

    assert fault is not None
    assert fault.startswith("scope: empty")
    assert "everything: true" in fault


def test_an_empty_selector_would_mean_every_order_and_is_refused() -> None:
    fault = scope_fault((Selector(venue="spot"), Selector()))

    assert fault is not None
    assert fault.startswith("scope[1]: empty, which would mean every order")


@pytest.mark.parametrize(
    ("selector", "path", "mend"),
    [
        (Selector(order_id="no such id"), ".order_id", "groups joined by '-'"),
        (Selector(order_id="12345"), ".order_id", "groups joined by '-'"),
        (Selector(cl_ord_id=""), ".cl_ord_id", "1..100"),
        (Selector(venue="spot", cl_ord_id="x" * 37), ".cl_ord_id", "1..36 printable ASCII characters on spot"),
        (Selector(cl_ord_id="b-1", cl_ord_id_prefix="a-"), ".cl_ord_id", "take one of the two out"),
        (Selector(cl_ord_id_prefix=""), ".cl_ord_id_prefix", "name the prefix"),
        (Selector(cl_ord_id_prefix=" mm"), ".cl_ord_id_prefix", "no space"),
        (Selector(cl_ord_id_prefix="mm\n"), ".cl_ord_id_prefix", "printable"),
        (Selector(userref=0), ".userref", "other than 0"),
        (Selector(userref=2**31), ".userref", "32-bit"),
        (Selector(venue="futures", userref=7), ".userref", "say venue: spot"),
        (Selector(venue="prime", userref=7), ".userref", "say venue: spot"),
        (Selector(symbol=""), ".symbol", "1..64"),
        (Selector(symbol="XBT USD"), ".symbol", "printable"),
        (Selector(older_than_ms=0), ".older_than_ms", "leave it out"),
        (Selector(older_than_ms=OLDEST_MS + 1), ".older_than_ms", "ms"),
        (Selector(strategy=""), ".strategy", "1..64"),
    ],
)
def test_what_could_mean_nothing_or_too_much_is_refused_by_its_path(selector: Selector, path: str, mend: str) -> None:
    fault = scope_fault((selector,))

    assert fault is not None
    assert fault.startswith(f"scope[0]{path}: ")
    assert mend in fault


@pytest.mark.parametrize(
    "selector",
    [
        Selector(venue="spot"),
        Selector(symbol="XBT/USD", side="buy"),
        Selector(venue="spot", userref=-(2**31)),
        Selector(userref=7, symbol="BTC/USD"),
        Selector(cl_ord_id="mm1-7", cl_ord_id_prefix="mm1-"),
        Selector(venue="futures", cl_ord_id_prefix="x" * 100),
        Selector(older_than_ms=1),
        Selector(strategy="mm-1", venue="prime"),
        Selector(order_id="OQCLML-BW3P3-BUCMWZ", side="sell"),
    ],
)
def test_what_names_orders_is_taken(selector: Selector) -> None:
    assert scope_fault((selector,)) is None


def test_a_strategy_that_is_not_configured_is_refused_with_those_that_are() -> None:
    scope = (Selector(venue="spot"), Selector(strategy="mm-2"))

    fault = strategies_fault(scope, {"mm-1": None, "arb": None})

    assert fault is not None
    assert fault.startswith("scope[1].strategy: 'mm-2' is not configured")
    assert "mm-1, arb" in fault
    assert strategies_fault(scope, {"mm-2": None}) is None


def test_a_member_that_no_selector_has_is_refused_with_those_it_has() -> None:
    class Command(msgspec.Struct):
        scope: tuple[Selector, ...]

    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(b'{"scope":[{"venue":"spot"},{"pair":"XBT/USD"}]}', type=Command)

    fault = mended(str(refused.value))

    assert fault.startswith("scope[1].pair: no such member; a selector has venue, order_id,")
    assert mended("Expected `int`, got `str` - at `$.scope[0].userref`").endswith("$.scope[0].userref`")


@pytest.mark.parametrize(
    ("venue", "one", "other", "same"),
    [
        ("spot", "XBT/USD", "BTC/USD", True),
        ("spot", "XBTUSD", "BTC/USD", True),
        ("spot", "xbt/usd", "XBTUSD", True),
        ("spot", "ETH/XBT", "ETHBTC", True),
        ("spot", "XDG/USD", "DOGE/USD", True),
        ("spot", "XBT/USD", "XBT/USDT", False),
        ("spot", "XBT/USD", "XBT/EUR", False),
        ("futures", "PF_XBTUSD", "pf_xbtusd", True),
        ("futures", "PF_XBTUSD", "PI_XBTUSD", False),
        ("prime", "BTC-USD", "btc-usd", True),
        ("prime", "BTC-USD", "BTC-USDT", False),
    ],
)
def test_a_pair_is_the_same_in_each_of_its_spellings(venue: str, one: str, other: str, same: bool) -> None:
    assert (market_of(venue, one) == market_of(venue, other)) is same  # type: ignore[arg-type]


texts = st.text(st.characters(codec="utf-8"), max_size=130) | st.text(string.printable, max_size=40)
members = st.fixed_dictionaries(
    {},
    optional={
        "venue": st.sampled_from(["spot", "prime", "futures"]),
        "order_id": texts | st.just("OQCLML-BW3P3-BUCMWZ"),
        "cl_ord_id": texts,
        "userref": st.integers(-(2**33), 2**33),
        "cl_ord_id_prefix": texts,
        "symbol": texts,
        "side": st.sampled_from(["buy", "sell"]),
        "older_than_ms": st.integers(-5, 2**40),
        "strategy": texts,
    },
)


@given(members)
def test_whatever_is_written_is_taken_or_refused_by_a_member_it_has(written: dict[str, object]) -> None:
    selector = msgspec.convert(written, Selector)

    fault = selector_fault(selector)

    if fault is None:
        assert written, "every order would be meant"
    else:
        assert fault.startswith(": empty") or fault[1:].partition(":")[0] in written
        assert fault.isprintable()


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(NAMES), st.none() | st.integers() | texts, max_size=4))
def test_what_decodes_is_what_was_written(written: dict[str, object]) -> None:
    try:
        selector = msgspec.convert(written, Selector)
    except msgspec.ValidationError:
        return

    assert set(written) <= set(NAMES)
    given_members = {name: value for name, value in written.items() if value is not None}
    assert msgspec.to_builtins(selector) == given_members
