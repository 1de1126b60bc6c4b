"""Scopes on the command line: what is a selector, and what is said of anything else."""

import argparse

import pytest

from canceld.contract import selectors
from canceld.contract.selectors import Selector
from canceld.verbs.scopes import NAMES, selector


def test_the_members_are_the_contracts() -> None:
    assert selectors.NAMES == NAMES


def test_one_argument_is_one_selector() -> None:
    assert selector("symbol=XBT/USD,side=buy") == Selector(symbol="XBT/USD", side="buy")
    assert selector("venue=spot,userref=-7") == Selector(venue="spot", userref=-7)
    assert selector("older-than-ms=5000,strategy=mm-1") == Selector(older_than_ms=5000, strategy="mm-1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected MEMBER=VALUE"),
        ("pair=XBT/USD", "expected MEMBER=VALUE"),
        ("symbol", "expected MEMBER=VALUE"),
        ("side=up", "Invalid enum value"),
        ("userref=seven", "no whole number"),
        ("userref=0", "other than 0"),
        ("side=buy,side=sell", "given twice"),
        ("venue=futures,userref=7", "say venue: spot"),
    ],
)
def test_what_is_no_selector_is_refused_with_the_mend(text: str, why: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=why):
        selector(text)
