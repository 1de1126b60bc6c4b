"""A thousand days on which everything goes wrong, through the whole daemon, each judged by the venues' own books."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from canceld.engine.pursuits.said import Said

from .cells import HEARD, NEVER, RARE, table
from .run import simulate
from .tally import BEFORE_ANYTHING, Tally, run_block
from .troubles import ELSEWHERE, ROWS, TROUBLES
from .world import SimulatedWorld

HOUSE: Final = Path(__file__).parents[2]

SEEDS: Final = range(1, 1001)
CANCELS: Final = 300_000
FAULTS: Final = 20_000
"""What a commit is tried with at least. Source: the reliability goals of this project."""

CATALOGUE: Final = 38
"""Rows of the fault catalogue."""

BY_CLIENTS: Final = 34
"""The row that strategies bring about, and no trouble in the world around them."""

COMPARED: Final = 40
"""Seeds of which two processes must make the same."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Every seed of the gate, run once for all tests here."""
    tally = Tally()
    for result, cpu_s in run_block(SEEDS, brief=True):
        tally.add(result, cpu_s)
    return tally


def test_every_promise_holds_whatever_goes_wrong(tally: Tally, tell: Callable[[str], None]) -> None:
    tell(tally.line())
    assert not tally.failed, "\n".join(tally.failed[:5])


def test_enough_was_asked_and_enough_went_wrong(tally: Tally) -> None:
    assert tally.cancels >= CANCELS
    assert tally.faults >= FAULTS


def test_every_fault_met_the_daemon_in_every_state(tally: Tally) -> None:
    assert not tally.empty(), tally.table()


def test_every_state_of_a_pursuit_met_what_can_be_heard_in_it(tally: Tally, tell: Callable[[str], None]) -> None:
    for line in table(tally.cells).splitlines():
        tell(line)
    missed = {(said, heard) for said in Said for heard in HEARD if not tally.cells[said.name, heard]}
    assert NEVER.keys() <= missed <= NEVER.keys() | RARE


def test_every_row_of_the_fault_catalogue_has_its_place() -> None:
    assert sorted([*ROWS, *ELSEWHERE]) == list(range(1, CATALOGUE + 1))
    assert {trouble.row for trouble in TROUBLES} | BEFORE_ANYTHING | {BY_CLIENTS} == set(ROWS)
    for _, where in ELSEWHERE.values():
        assert (HOUSE / where).is_file(), where


def test_a_seed_is_the_same_run_in_every_process() -> None:
    def digests(hash_seed: str) -> list[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--digests", "--count", str(COMPARED)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HOUSE)},
            cwd=HOUSE,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()

    one, other = digests("1"), digests("2")
    assert len(one) == COMPARED
    assert one == other


@pytest.mark.parametrize("brief", [False, True])
def test_what_fails_tells_how_to_see_it_again(brief: bool) -> None:
    async def find_fault(world: SimulatedWorld) -> None:
        world.blame("something is wrong")

    told = simulate(3, brief=brief, beside=find_fault).report().splitlines()
    [replay] = [line.removeprefix("replay: python ") for line in told if line.startswith("replay: ")]
    again = subprocess.run(
        [sys.executable, *replay.split()],
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        cwd=HOUSE,
        check=True,
        capture_output=True,
        text=True,
    )
    digest = simulate(3, brief=brief, digested=True).digest
    assert again.stdout.splitlines()[-1] == f"seed 3 holds; digest {digest}"
