"""Three hosts, a bus that is cut and healed, agents that die, orders that are put back, hands on the local switch."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from canceld.fleet import follower, timer_lease
from canceld.fleet.follower import Follower, Standing
from canceld.fleet.orders import Approval
from canceld.fleet.place import Place
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
