"""What was spent of the venues' budgets, as the file holds it: nothing whole is lost, and nothing torn is believed."""

import pytest

from canceld.engine.spent import HEADER, RECORD_BYTES, SLOT_BYTES, SLOTS, BadSpent, Spent, read

NOW_NS = 1_800_000_000 * 10**9


def blank() -> bytearray:
    return bytearray(HEADER.ljust(RECORD_BYTES, b"\0"))


def test_a_new_file_tells_of_nothing() -> None:
    times, goes_on = read(bytes(blank()))
    assert not any(times.values())
    assert goes_on == 0


def test_what_was_noted_is_read_by_kind_and_gone_on_from() -> None:
    memory = blank()
    spent = Spent(memory)
    for step in range(3):
        spent.note("dial", NOW_NS + step)
    spent.note("bad nonce", NOW_NS + 3)
    times, goes_on = read(bytes(memory))
    assert times["dial"] == [NOW_NS, NOW_NS + 1, NOW_NS + 2]
    assert times["bad nonce"] == [NOW_NS + 3]
    assert goes_on == 4


def test_a_full_ring_keeps_the_latest() -> None:
    memory = blank()
    spent = Spent(memory)
    for step in range(SLOTS + 10):
        spent.note("dial", NOW_NS + step)
    times, goes_on = read(bytes(memory))
    assert times["dial"] == [NOW_NS + step for step in range(10, SLOTS + 10)]
    assert goes_on == 10


def test_a_torn_slot_is_lost_alone() -> None:
    memory = blank()
    spent = Spent(memory)
    spent.note("dial", NOW_NS)
    spent.note("dial", NOW_NS + 1)
    memory[len(HEADER) + SLOT_BYTES + 2] ^= 1
    assert read(bytes(memory))[0]["dial"] == [NOW_NS]


@pytest.mark.parametrize("content", [b"", HEADER, b"x" * RECORD_BYTES])
def test_another_file_is_named(content: bytes) -> None:
    with pytest.raises(BadSpent, match="no record of dials"):
        read(content)


def test_what_did_not_happen_is_taken_back_and_nothing_else() -> None:
    memory = blank()
    spent = Spent(memory)
    for step in range(SLOTS + 1):
        spent.note("dial", NOW_NS + step)
    spent.note("token", NOW_NS + SLOTS + 1)
    spent.take_back("dial")
    times, goes_on = read(bytes(memory))
    assert times["dial"] == [NOW_NS + step for step in range(2, SLOTS)]
    assert times["token"] == [NOW_NS + SLOTS + 1]
    assert goes_on == 2
    for step in range(SLOTS):
        spent.note("token", NOW_NS + step)
    spent.take_back("dial")
    assert len(read(bytes(memory))[0]["token"]) == SLOTS
    Spent(None).take_back("dial")


def test_without_memory_nothing_is_kept_and_nothing_breaks() -> None:
    Spent(None).note("dial", NOW_NS)
