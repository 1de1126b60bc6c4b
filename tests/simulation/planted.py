"""`python -m tests.simulation.planted NAME`: one story with the mistake of that name planted. See mutants.py."""

import sys

import pytest

from .mutants import KILLED, MUTANTS, SURVIVED, plant


def main(name: str) -> int:
    """The exit status of the hunt; what found the mistake stands in the last line."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    plant(name)
    status = pytest.main(["-q", "-x", "-n", "0", "--no-header", "-p", "no:cacheprovider", *mutant.story.split()])
    if status == pytest.ExitCode.TESTS_FAILED:
        print(f"{mutant.story} failed")
        return KILLED
    return SURVIVED if status == pytest.ExitCode.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
