"""When a held lease is renewed, when it counts as lost, and what gives it back."""

import pytest

from canceld.client.holding import Hold, ended_cleanly

MS = 1_000_000
START_NS = 5_000 * MS


def test_it_stands_for_one_ttl_from_the_asking_of_the_last_renewal() -> None:
    hold = Hold(900, None, START_NS)
    assert not hold.stands(START_NS)
    hold.renewed(START_NS)
    assert hold.every_ms == 300
    assert hold.stands(START_NS + 899 * MS)
    assert not hold.stands(START_NS + 900 * MS)


def test_without_a_pulse_it_is_always_renewed_and_with_one_only_while_it_beats() -> None:
    assert Hold(900, None, START_NS).wants_renewal(START_NS + 10**15)
    hold = Hold(900, 2000, START_NS)
    assert hold.wants_renewal(START_NS + 2000 * MS)
    assert not hold.wants_renewal(START_NS + 2001 * MS)
    hold.pulse(START_NS + 2001 * MS)
    assert hold.wants_renewal(START_NS + 4000 * MS)


@pytest.mark.parametrize(
    ("error", "clean"),
    [
        (None, True),
        (SystemExit(0), True),
        (SystemExit(), True),
        (SystemExit(1), False),
        (SystemExit("broken"), False),
        (KeyboardInterrupt(), False),
        (ValueError(), False),
    ],
)
def test_only_a_clean_end_gives_it_back(error: BaseException | None, clean: bool) -> None:
    assert ended_cleanly(error) is clean
