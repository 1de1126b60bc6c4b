"""Which line goes next, decided without a bus: what follows goes once, torn ones are left, missing ones are told."""

import random
from hashlib import sha256

import pytest

from canceld.engine.journal import ROOT, Chain, Link
from canceld.fleet.comparing import Comparison, Local
from canceld.fleet.shipping import ASTRAY_LIMIT, ASTRAY_NS, Shipped, Shipping, link_of

SECOND_NS = 10**9


def made(count: int) -> list[tuple[Shipped, str]]:
    """Lines of a record, each with the hash that it names."""
    chain, found, prev = Chain(ROOT, None, lambda encoded: encoded), [], ROOT.hash
    for k in range(count):
        raw = chain.lines([(k * SECOND_NS, 0, "decision", {"number": k})])[:-1]
        link = link_of(raw, sha256(raw).hexdigest())
        assert link == chain.link
        found.append((Shipped(link, raw, "00000001.jsonl", k + 1), prev))
        prev = link.hash
    return found


def fed(shipping: Shipping, lines: list[tuple[Shipped, str]], now_ns: int = 0) -> list[int]:
    for line, prev in lines:
        shipping.take(line, prev, now_ns)
    return [line.link.n for line in shipping.ready]


def test_what_follows_goes_once() -> None:
    lines = made(5)
    assert fed(Shipping(None), lines) == [1, 2, 3, 4, 5]
    assert fed(Shipping(lines[1][0].link), lines[2:]) == [3, 4, 5]


def test_no_line_is_sent_past_one_that_is_missing_before_that_is_told() -> None:
    lines = made(6)
    shipping = Shipping(lines[1][0].link)
    assert fed(shipping, lines[3:]) == []
    shipping.on_time(ASTRAY_NS - 1)
    assert (shipping.ready, shipping.breaks, shipping.astray) == ([], [], True)
    shipping.on_time(ASTRAY_NS)
    assert [line.link.n for line in shipping.ready] == [4, 5, 6]
    [told] = shipping.breaks
    assert (told.line, told.what) == (4, "line 4 does not follow line 2, the last that was shipped")


def test_lines_torn_by_a_crash_are_left_when_the_next_one_follows() -> None:
    lines, torn = made(4), made(9)[7:]
    shipping = Shipping(None)
    assert fed(shipping, [*lines[:2], *torn, *lines[2:]]) == [1, 2, 3, 4]
    shipping.on_time(10 * ASTRAY_NS)
    assert (shipping.breaks, shipping.astray) == ([], False)


def test_what_is_held_back_is_bounded() -> None:
    lines = made(ASTRAY_LIMIT + 2)
    shipping = Shipping(lines[0][0].link)
    assert len(fed(shipping, lines[2:])) == ASTRAY_LIMIT
    assert len(shipping.breaks) == 1


def compared(stream: list[Link], local: list[Link]) -> Comparison:
    found = Comparison()
    for link in stream:
        found.stream(*link)
    for place, link in enumerate(local, 1):
        found.local(Local(*link, "f", place))
    found.end()
    return found


@pytest.mark.parametrize("seed", range(20))
def test_of_two_records_each_difference_is_counted_and_no_other(seed: int) -> None:
    chance = random.Random(seed)
    links = [line.link for line, _ in made(60)]
    changed = chance.sample(range(10, 40), 3)
    gone = [n for n in chance.sample(range(10, 40), 3) if n not in changed]
    local = [Link(one.n, "ab" * 32) if one.n in changed else one for one in links if one.n not in gone]
    found = compared(links[:50], local)
    assert found.unshipped == 10
    assert found.same == 50 - len(changed) - len(gone)
    assert sum("changed" in fault for fault in found.faults) == len(changed)
    missing = [fault for fault in found.faults if "missing" in fault]
    assert all(any(f"lines {a}.." in fault for fault in missing) for a in gone if a - 1 not in gone)
    assert compared(links, links).wrong == 0


def test_what_was_put_in_later_and_what_is_older_than_the_stream_are_told_apart() -> None:
    links = [line.link for line, _ in made(9)]
    stream = [one for one in links[2:] if one.n != 6]
    found = compared(stream, links)
    assert found.earlier == 2
    assert found.faults == ["f:6: line 6 was never shipped, lines behind it were: put in later"]
