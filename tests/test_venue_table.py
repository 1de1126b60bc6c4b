"""The table of what each venue offers: whole, and with a source beside each cell."""

import io
import tokenize
from pathlib import Path

from canceld import venue_table
from canceld.contract.ids import VENUES
from canceld.engine.policy import Policy
from canceld.venue_table import TRAITS, Traits


def test_every_venue_has_every_trait() -> None:
    assert tuple(TRAITS) == VENUES
    for venue in VENUES:
        assert list(TRAITS[venue]) == list(Traits.__annotations__), venue


def test_the_table_decides_all_of_a_policy_but_its_patience() -> None:
    patience = {"hedge_ns", "overtake_ns", "late_ns", "late_limit"}
    assert set(Policy._fields) == patience | set(Traits.__annotations__)


def test_each_cell_names_its_source() -> None:
    text = Path(venue_table.__file__).read_text()
    sources = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    cells = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if any(line.strip().startswith(f'"{trait}":') for trait in Traits.__annotations__)
    ]
    assert len(cells) == len(VENUES) * len(Traits.__annotations__)
    for number, line in cells:
        assert sources.get(number), line
