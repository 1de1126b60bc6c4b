"""Seeds: the whole daemon through days on which everything goes wrong, each judged by the venues' own books."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .run import simulate

HOUSE = Path(__file__).parents[2]


SEEDS = range(1, 201)
BLOCK = 20
"""How many seeds are one test: each its own would cost as much in pytest as in itself."""


@pytest.mark.parametrize("first", SEEDS[::BLOCK])
def test_every_promise_holds_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, first + BLOCK):
        result = simulate(seed)
        assert not result.blamed, result.report()


def test_a_seed_is_the_same_run_in_every_process() -> None:
    command = [sys.executable, "-c", "from tests.simulation.run import simulate; print(simulate(5).digest)"]
    digests = {
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HOUSE)},
            cwd=HOUSE,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
