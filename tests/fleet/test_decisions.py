"""Three hosts, a bus that is cut and healed, agents that die, orders that are put back, hands on the local switch."""

import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from canceld.engine.journal import Link
from canceld.fleet import follower, timer_lease
from canceld.fleet.follower import Follower, Standing
from canceld.fleet.orders import Approval
from canceld.fleet.place import Place
from canceld.fleet.shipping import ASTRAY_NS, Shipped, Shipping
from tests.fleet.world import World

SEEDS: Final = 80
SECONDS: Final = 120


def test_no_account_is_unlatched_beside_a_kill_and_no_timer_has_two_owners(tell: Callable[[str], None]) -> None:
    """Kills reach every host within a second of its having the bus, nothing but two persons ends one, a hand's own kill
    is never re-armed by an agent, and the timer of an account has one owner at the most and one soon."""
    worlds = [World(seed).play(SECONDS) for seed in range(SEEDS)]
    wrong = [f"seed {seed}: {fault}" for seed, world in enumerate(worlds) for fault in world.faults[:1]]
    assert not wrong, "\n".join(wrong)
    ended = sum(world.approvals for world in worlds)
    assert ended > SEEDS, "kills were ended by two persons"
    tell(f"{SEEDS} fleets of three hosts for {SECONDS} s each: {ended} kills, each ended by two persons")


def _follows_everybody(place: Place, host: str, account: str) -> bool:
    return True


def _any_code(follower: Follower, standing: Standing) -> dict[str, Approval]:
    approvals = follower._approvals.items()
    return {who: one for (scope, who), one in approvals if (scope, one.kill) == (standing.scope, standing.kill)}


def _counts_by_person(follower: Follower, signer: str, counter: int) -> bool:
    counters, person = follower.memory.counters, signer.rpartition(".")[2]
    newer = counter > counters.get(person, -1)
    counters[person] = max(counter, counters.get(person, -1))
    return newer


MISTAKES: Final[dict[str, tuple[Any, str, Any]]] = {
    "follows its own stale key": (Place, "follows", _follows_everybody),
    "renews as a non-owner": (timer_lease, "MARGIN_NS", -10 * timer_lease.SECOND_NS),
    "takes a timer that another keeps": (timer_lease, "LEASE_NS", 3 * timer_lease.SECOND_NS),
    "one person re-arms a fleet": (follower, "PERSONS", 1),
    "re-arms what a hand has pulled": (Follower, "_may_rearm", property(lambda self: self.memory.pulled)),
    "re-arms whatever is latched": (Follower, "_may_rearm", True),
    "takes any code": (Follower, "_good_approvals", _any_code),
    "counts an operator's orders over all scopes": (Follower, "_counts", _counts_by_person),
}
"""What somebody might write instead, and the seeds find."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, wrong = MISTAKES[mistake]
    monkeypatch.setattr(place, name, wrong)
    assert any(World(seed).play(SECONDS).faults for seed in range(SEEDS))


def _shipped(seed: int) -> list[str]:
    """A record whose writer and shipper die at random, and of which lines are lost; what is wrong with what went."""
    rng, faults = random.Random(seed), list[str]()
    link, now_ns = Link(0, "root"), 0
    shipping, last = Shipping(None), None
    for step in range(200):
        now_ns += rng.randrange(ASTRAY_NS)
        new, prev = Link(link.n + 1, f"{link.n + 1}-{step}"), link.hash
        roll = rng.random()
        if roll < 0.1:
            # Torn by a crash, or ahead of what the disk has: nothing that follows names it.
            astray = Link(link.n + rng.randint(2, 4), f"torn-{step}")
            shipping.take(Shipped(astray, b"", "f", step), f"lost-{step}", now_ns)
            now_ns += rng.randrange(2) * ASTRAY_NS
        elif roll < 0.15:
            shipping = Shipping(last)
        elif roll < 0.2:
            # A line that is lost for good: what was written behind it names one that nobody has.
            link = new
            continue
        shipping.take(Shipped(new, b"", "f", step), prev, now_ns)
        link = new
        shipping.on_time(now_ns)
        told = {one.line for one in shipping.breaks}
        for one in shipping.ready:
            if last is not None and one.link.n != last.n + 1 and one.line not in told:
                faults.append(f"{one.link.n} went behind {last.n}, and nobody was told")
            last = one.link
        shipping.ready.clear()
        shipping.breaks.clear()
    return faults


def test_no_line_goes_past_a_gap_that_is_not_told() -> None:
    assert [fault for seed in range(SEEDS) for fault in _shipped(seed)] == []


def test_a_shipper_that_goes_past_a_gap_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def ahead(self: Shipping, link: Link, prev: str) -> bool:
        return self.last is None or link.n > self.last.n

    monkeypatch.setattr(Shipping, "_follows", ahead)
    assert any(_shipped(seed) for seed in range(SEEDS))
