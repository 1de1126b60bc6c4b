"""What a caller may believe of each outcome."""

from typing import get_args

from canceld.contract.outcomes import (
    NAMES,
    SAFE,
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)


def test_every_outcome_has_a_name_of_its_own() -> None:
    assert set(NAMES) == set(get_args(Outcome))
    assert len(set(NAMES.values())) == len(NAMES)


def test_only_evidence_makes_an_order_gone() -> None:
    """An ack is a promise, a refusal, a rejection and silence are none: the order may rest."""
    assert set(SAFE) == {Canceled, Closed, NotOpen}
    assert not set(SAFE) & {Acked, Rejected, Unknown, Refused}
