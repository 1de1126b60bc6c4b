"""Nonces: strictly increasing over crashes, clock steps, lost files and dead disks."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.engine.nonces import (
    BLOCK_NS,
    DRAWS_AHEAD,
    MARGIN_NS,
    NONCE_LIMIT,
    Nonces,
    format_mark,
    parse_mark,
)
from canceld.panic.door import NONCE_JUMPS
from canceld.panic.state_files import NONCE_GROWTH

NOW_NS = 1_763_600_000 * 10**9
SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS


class Disk:
    """The state file of a machine that crashes: only what was made durable is read back."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def start(self, now_ns: int) -> Nonces:
        nonces = Nonces(parse_mark(self.content), now_ns)
        self.serve(nonces)
        return nonces

    def serve(self, nonces: Nonces) -> None:
        mark = nonces.mark_to_store()
        if mark is not None:
            self.content = format_mark(mark)
            nonces.stored(mark)


def test_nonces_follow_the_clock_while_the_mark_is_renewed() -> None:
    disk = Disk()
    disk.content = format_mark(NOW_NS - HOUR_NS)
    nonces = disk.start(NOW_NS)
    for step in range(1, 1000):
        now_ns = NOW_NS + step * SECOND_NS
        assert nonces.draw(now_ns) == now_ns
        disk.serve(nonces)


def test_nonces_of_one_instant_count_up() -> None:
    nonces = Disk().start(NOW_NS)
    drawn = [nonces.draw(NOW_NS) for _ in range(5)]
    assert drawn == list(range(drawn[0], drawn[0] + 5))


def test_first_mark_is_wanted_before_the_first_draw() -> None:
    nonces = Nonces(NOW_NS, NOW_NS)
    mark = nonces.mark_to_store()
    assert mark == NOW_NS + BLOCK_NS
    assert nonces.mark_to_store() == mark, "asked again before it is stored, it is wanted still"
    nonces.stored(mark)
    assert nonces.mark_to_store() is None


def test_mark_is_renewed_at_half_so_that_draws_do_not_wait() -> None:
    disk = Disk()
    disk.content = format_mark(NOW_NS)
    nonces = disk.start(NOW_NS)
    nonces.draw(NOW_NS + BLOCK_NS // 2 - 1)
    assert nonces.mark_to_store() is None
    nonces.draw(NOW_NS + BLOCK_NS // 2 + 1)
    assert nonces.mark_to_store() is not None
    for now_ns in range(NOW_NS + BLOCK_NS // 2 + 2, NOW_NS + BLOCK_NS, SECOND_NS):
        nonces.draw(now_ns)
        assert nonces.covered


def test_draws_after_a_long_idle_time_stay_under_the_mark() -> None:
    disk = Disk()
    nonces = disk.start(NOW_NS)
    for _ in range(1000):
        nonces.draw(NOW_NS + 365 * 24 * HOUR_NS)
        assert nonces.covered


@pytest.mark.parametrize("before_mark_ns", [-2, -1, 0, 1, 2, DRAWS_AHEAD // 2, DRAWS_AHEAD])
def test_idle_time_that_ends_at_the_mark_leaves_room_under_it(before_mark_ns: int) -> None:
    disk = Disk()
    disk.content = format_mark(NOW_NS)
    nonces = disk.start(NOW_NS)
    for _ in range(1000):
        nonces.draw(NOW_NS + BLOCK_NS - before_mark_ns)
        assert nonces.covered


def test_clock_that_steps_back_an_hour_changes_nothing() -> None:
    disk = Disk()
    nonces = disk.start(NOW_NS)
    last = nonces.draw(NOW_NS)
    for step in range(100):
        nonce = nonces.draw(NOW_NS - HOUR_NS + step)
        assert nonce == last + 1
        assert nonces.covered
        last = nonce
    restarted = disk.start(NOW_NS - HOUR_NS)
    assert restarted.draw(NOW_NS - HOUR_NS) > last


def test_crash_loop_does_not_run_away_from_the_clock() -> None:
    disk = Disk()
    disk.content = format_mark(NOW_NS)
    last = 0
    for crash in range(1000):
        now_ns = NOW_NS + crash
        nonces = disk.start(now_ns)
        nonce = nonces.draw(now_ns)
        assert nonce > last
        last = nonce
    assert last < NOW_NS + BLOCK_NS + 1000 * DRAWS_AHEAD


def test_million_draws_over_a_thousand_crashes_and_clock_steps_strictly_increase() -> None:
    chance = random.Random(20_260_101)
    disk, clock_ns, last = Disk(), NOW_NS, 0
    for _crash in range(1000):
        clock_ns += chance.choice((0, 1, SECOND_NS, HOUR_NS, -HOUR_NS, -SECOND_NS))
        nonces = disk.start(clock_ns)
        for _draw in range(1000):
            clock_ns += chance.choice((0, 0, 1, 1000, SECOND_NS // 2))
            nonce = nonces.draw(clock_ns)
            assert nonce > last
            last = nonce
            if chance.random() < 0.01:
                disk.serve(nonces)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("draw"), st.integers(0, 100)),
        st.tuples(st.just("clock"), st.integers(-48 * HOUR_NS, 48 * HOUR_NS) | st.integers(-5, 5)),
        st.tuples(st.just("idle until the mark"), st.integers(-3, 3)),
        st.tuples(st.just("store"), st.just(0)),
        st.tuples(st.just("disk hangs"), st.just(0)),
        st.tuples(st.just("overtaken"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(OPERATIONS)
def test_whatever_happens_a_covered_key_never_repeats_a_nonce(operations: list[tuple[str, int]]) -> None:
    disk, clock_ns, last = Disk(), NOW_NS, 0
    nonces = disk.start(clock_ns)
    for operation, value in operations:
        match operation:
            case "draw":
                for _ in range(value):
                    nonce = nonces.draw(clock_ns)
                    assert nonce > last
                    assert nonces.covered
                    last = nonce
            case "clock":
                clock_ns = max(1, clock_ns + value)
            case "idle until the mark":
                mark = parse_mark(disk.content)
                assert mark is not None
                clock_ns = mark + value
            case "store":
                disk.serve(nonces)
            case "disk hangs":
                # The mark reached the disk and the word of it did not reach us.
                mark = nonces.mark_to_store()
                disk.content = disk.content if mark is None else format_mark(mark)
            case "overtaken":
                nonces.overtaken(clock_ns)
                disk.serve(nonces)
            case "crash":
                nonces = disk.start(clock_ns)


def test_dead_disk_stops_nothing_and_is_seen() -> None:
    nonces = Nonces(NOW_NS, NOW_NS)
    last = NOW_NS
    for step in range(1000):
        nonce = nonces.draw(NOW_NS + step * SECOND_NS)
        assert nonce > last
        assert not nonces.covered
        assert nonces.mark_to_store() is not None
        last = nonce
    mark = nonces.mark_to_store()
    assert mark is not None
    nonces.stored(mark)
    nonces.draw(NOW_NS + 1001 * SECOND_NS)
    assert nonces.covered


def test_older_mark_stored_late_takes_nothing_back() -> None:
    nonces = Nonces(NOW_NS, NOW_NS)
    nonces.stored(NOW_NS + BLOCK_NS)
    nonces.stored(NOW_NS + 5)
    nonces.draw(NOW_NS + 10)
    assert nonces.covered


def test_lost_file_starts_beyond_any_clock_that_was_off_by_hours() -> None:
    disk = Disk()
    last = disk.start(NOW_NS + 14 * HOUR_NS).draw(NOW_NS + 14 * HOUR_NS)
    assert last >= NOW_NS + MARGIN_NS
    disk.content = b"torn"
    followed = Disk()
    followed.content = format_mark(NOW_NS + 14 * HOUR_NS)
    last = followed.start(NOW_NS + 14 * HOUR_NS).draw(NOW_NS + 14 * HOUR_NS)
    assert disk.start(NOW_NS).draw(NOW_NS) > last


def test_jump_after_a_refusal_clears_what_panic_drew_from_the_same_file() -> None:
    disk = Disk()
    daemon = disk.start(NOW_NS)
    daemon.draw(NOW_NS)
    for _ in range(3):
        panic = disk.start(NOW_NS)
        used = [panic.draw(NOW_NS) for _ in range(20)][-1]
        assert daemon.draw(NOW_NS) < used, "this is what the venue refuses"
        daemon.overtaken(NOW_NS)
        assert daemon.draw(NOW_NS) > used
        disk.serve(daemon)


def test_panic_catches_up_with_a_daemon_that_has_jumped_before_within_a_round_or_two() -> None:
    """It begins at the mark on the disk, and the daemon may be minutes ahead of that."""
    disk = Disk()
    daemon = disk.start(NOW_NS)
    for _ in range(6):
        daemon.overtaken(NOW_NS)
    panic = Nonces(parse_mark(disk.content), NOW_NS, growth=NONCE_GROWTH)
    refused = 0
    while panic.draw(NOW_NS) < daemon.draw(NOW_NS):
        panic.overtaken(NOW_NS)
        refused += 1
    assert refused <= 2 * NONCE_JUMPS


def test_repeated_jumps_do_not_pile_up_the_margin() -> None:
    nonces = Disk().start(NOW_NS)
    for _ in range(1000):
        nonces.overtaken(NOW_NS)
    assert nonces.draw(NOW_NS) < NOW_NS + MARGIN_NS + 20 * 365 * 24 * HOUR_NS


def test_two_programs_that_are_both_taken_now_and_then_do_not_run_away() -> None:
    one, other = Disk().start(NOW_NS), Disk().start(NOW_NS)
    for _ in range(500):
        for mine, foreign in ((one, other), (other, one)):
            while mine.draw(NOW_NS) < foreign.draw(NOW_NS):
                mine.overtaken(NOW_NS)
            mine.taken()
    assert one.draw(NOW_NS) < NOW_NS + MARGIN_NS + 24 * HOUR_NS


def test_three_jumps_catch_up_with_ten_minutes() -> None:
    nonces = Disk().start(NOW_NS)
    ahead = NOW_NS + MARGIN_NS + 600 * SECOND_NS
    # The first is to above whoever found no mark, as the one that is ahead did.
    for _ in range(1 + 3):
        nonces.overtaken(NOW_NS)
    assert nonces.draw(NOW_NS) > ahead


def test_a_few_jumps_catch_up_with_processes_that_found_no_mark() -> None:
    """Each of three began a minute above the one before, on a disk that took nothing."""
    nonces = Disk().start(NOW_NS)
    for _ in range(8):
        nonces.overtaken(NOW_NS)
    assert nonces.draw(NOW_NS) > NOW_NS + MARGIN_NS + 3 * BLOCK_NS


@given(st.integers(0, NONCE_LIMIT))
def test_mark_survives_the_file(mark: int) -> None:
    assert parse_mark(format_mark(mark)) == mark


@given(st.none() | st.binary())
def test_any_content_is_a_mark_or_none(content: bytes | None) -> None:
    assert parse_mark(content) is None


@given(st.integers(0, NONCE_LIMIT), st.data())
def test_flipped_or_missing_byte_is_no_mark(mark: int, data: st.DataObject) -> None:
    content = bytearray(format_mark(mark))
    at = data.draw(st.integers(0, len(content) - 1))
    del_or_flip = data.draw(st.integers(0, 255))
    if del_or_flip == 0:
        del content[at]
    else:
        content[at] ^= del_or_flip
    assert parse_mark(bytes(content)) is None


@pytest.mark.parametrize("mark", [NONCE_LIMIT + 1, 10**20 - 1])
def test_mark_that_no_nonce_can_pass_is_no_mark(mark: int) -> None:
    assert parse_mark(format_mark(mark)) is None


@pytest.mark.parametrize("stored_ns", [None, -HOUR_NS, 30 * SECOND_NS, MARGIN_NS + 30 * SECOND_NS, 3 * MARGIN_NS])
def test_starts_on_a_disk_that_takes_no_mark_do_not_repeat_each_other(stored_ns: int | None) -> None:
    stored = None if stored_ns is None else NOW_NS + stored_ns
    drawn: list[int] = []
    for start in range(5):
        now_ns = NOW_NS + start * SECOND_NS
        nonces = Nonces(stored, now_ns)
        assert nonces.mark_to_store() is not None
        nonces.begin_unstored(now_ns)
        drawn += [nonces.draw(now_ns + call * SECOND_NS // 1000) for call in range(900)]
        assert not nonces.covered
    assert all(later > earlier for earlier, later in itertools.pairwise(drawn))
    # Once the disk takes it, the mark covers them as usual.
    mark = nonces.mark_to_store()
    assert mark is not None
    nonces.stored(mark)
    assert nonces.covered


def test_a_process_before_us_that_had_jumped_is_caught_up_with_in_a_few_refusals() -> None:
    before = Nonces(None, NOW_NS)
    for _ in range(10):
        before.overtaken(NOW_NS)
    highest = before.draw(NOW_NS)
    nonces = Nonces(None, NOW_NS)
    refusals = 0
    while nonces.draw(NOW_NS) <= highest:
        nonces.overtaken(NOW_NS)
        refusals += 1
    assert refusals <= 11


def test_a_mark_that_another_program_has_stored_is_gone_above_and_a_lower_one_changes_nothing() -> None:
    nonces = Nonces(NOW_NS, NOW_NS)
    theirs = NOW_NS + HOUR_NS
    nonces.adopt(theirs)
    drawn = nonces.draw(NOW_NS + SECOND_NS)
    assert drawn == theirs + 1
    mark = nonces.mark_to_store()
    assert mark is not None
    assert mark > drawn
    nonces.stored(mark)
    nonces.adopt(NOW_NS)
    assert nonces.draw(NOW_NS + 2 * SECOND_NS) == drawn + 1
    assert nonces.covered
