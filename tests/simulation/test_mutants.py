"""Planted mistakes: five at a time, others for each state of the daemon's source, and all of them in a release run."""

import pytest

from .mutants import HOUSE, MUTANTS, Mutant, hunt, some

PER_COMMIT = 5


def _name(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_each_has_its_place_in_the_source(mutant: Mutant) -> None:
    source = (HOUSE / mutant.module.replace(".", "/")).with_suffix(".py").read_text()
    assert source.count(mutant.right) == 1
    compile(source.replace(mutant.right, mutant.wrong), mutant.module, "exec")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", some(PER_COMMIT), ids=_name)
def test_it_is_found(mutant: Mutant) -> None:
    found = hunt(mutant)
    assert found is not None, f"{mutant.name}: lives through every seed"
