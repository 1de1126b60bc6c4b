"""Signals: operating system signals become values, one by one."""

import os
import signal

import pytest
import trio
import trio.testing

from canceld.transport import early
from canceld.transport.signals import MemorySignals, Signal, open_signals


@pytest.mark.parametrize("expected", list(Signal))
async def test_each_signal_arrives_as_its_value(expected: Signal) -> None:
    with trio.fail_after(5):
        async with open_signals() as signals:
            os.kill(os.getpid(), expected.value)
            assert await signals.receive() is expected


async def test_handlers_are_given_back_at_the_end() -> None:
    before = {member: signal.getsignal(member.value) for member in Signal}
    async with open_signals():
        assert all(signal.getsignal(member.value) is not before[member] for member in Signal)
    assert {member: signal.getsignal(member.value) for member in Signal} == before


async def test_a_signal_that_nobody_read_is_raised_again_at_the_end() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        async with open_signals():
            os.kill(os.getpid(), signal.SIGUSR1)
            await trio.testing.wait_all_tasks_blocked()
            assert seen == []
        assert seen == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_every_signal_that_is_heeded_is_taken_early() -> None:
    assert set(early.NUMBERS) == {member.value for member in Signal}


async def test_what_was_kept_is_told_first_and_kept_again_where_nobody_reads_it() -> None:
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
        early.keep(number)
    async with open_signals() as signals:
        assert await signals.receive() is Signal.HANGUP
    assert early.kept() == [signal.SIGUSR1, signal.SIGTERM]
    assert early.kept() == []


async def test_memory_signals_arrive_in_order_and_equal_ones_once(autojump_clock: trio.testing.MockClock) -> None:
    signals = MemorySignals()
    signals.raise_now(Signal.HANGUP)
    signals.raise_now(Signal.TERMINATE)
    signals.raise_now(Signal.HANGUP)
    assert [await signals.receive(), await signals.receive()] == [Signal.HANGUP, Signal.TERMINATE]
    with trio.move_on_after(1) as scope:
        await signals.receive()
    assert scope.cancelled_caught


async def test_memory_signals_wake_a_waiting_task(autojump_clock: trio.testing.MockClock) -> None:
    signals = MemorySignals()
    got: list[Signal] = []

    async def wait() -> None:
        got.append(await signals.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        signals.raise_now(Signal.USER1)
    assert got == [Signal.USER1]
