"""Clock: the real one reads the right clocks, the virtual one follows trio's."""

import time

import pytest
import trio
import trio.testing

from canceld.transport.clock import NS_PER_S, Clock, VirtualClock, rfc3339


def test_monotonic_is_the_clock_that_clients_stamp_with() -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    read = Clock().monotonic_ns()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before <= read <= after


def test_boottime_never_lags_behind_monotonic() -> None:
    clock = Clock()
    monotonic = clock.monotonic_ns()
    assert clock.boottime_ns() >= monotonic


def test_utc_is_wall_time() -> None:
    before = time.time_ns()
    read = Clock().utc_ns()
    assert before <= read <= time.time_ns()


async def test_virtual_clock_moves_only_with_trio(autojump_clock: trio.testing.MockClock) -> None:
    clock = VirtualClock(monotonic_start_ns=5, utc_start_ns=7)
    assert (clock.monotonic_ns(), clock.utc_ns()) == (5, 7)
    await trio.sleep(1.5)
    assert (clock.monotonic_ns(), clock.utc_ns()) == (5 + 1_500_000_000, 7 + 1_500_000_000)


async def test_virtual_clock_made_later_agrees_with_an_earlier_one(autojump_clock: trio.testing.MockClock) -> None:
    first = VirtualClock()
    await trio.sleep(3600.25)
    second = VirtualClock()
    assert first.monotonic_ns() == second.monotonic_ns()
    assert first.utc_ns() == second.utc_ns()


async def test_wall_clock_steps_leave_the_monotonic_clock_alone(autojump_clock: trio.testing.MockClock) -> None:
    clock = VirtualClock()
    monotonic, utc = clock.monotonic_ns(), clock.utc_ns()
    clock.step_utc(-3600 * NS_PER_S)
    assert clock.monotonic_ns() == monotonic
    assert clock.utc_ns() == utc - 3600 * NS_PER_S


async def test_suspend_shows_as_the_difference_of_two_clocks(autojump_clock: trio.testing.MockClock) -> None:
    clock = VirtualClock()
    gap_before = clock.boottime_ns() - clock.monotonic_ns()
    clock.suspend(10 * NS_PER_S)
    assert clock.boottime_ns() - clock.monotonic_ns() - gap_before == 10 * NS_PER_S


@pytest.mark.parametrize(
    ("utc_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_rfc3339_always_has_microseconds_and_never_rounds_up(utc_ns: int, text: str) -> None:
    assert rfc3339(utc_ns) == text
