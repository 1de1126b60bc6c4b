"""Planted mistakes: five with each commit, and all of them in a release run."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from .mutants import MUTANTS, QUICK, Mutant, hunt


def _name(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_each_has_its_place_in_the_source(mutant: Mutant) -> None:
    spec = find_spec(mutant.module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    assert source.count(mutant.right) == 1
    compile(source.replace(mutant.right, mutant.wrong), mutant.module, "exec")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.name in QUICK], ids=_name)
def test_it_is_found(mutant: Mutant, tell: Callable[[str], None]) -> None:
    found = hunt(mutant)
    tell(f"{mutant.name}: {found or 'SURVIVED'}")
    assert found is not None, f"{mutant.name}: lives through every seed"
