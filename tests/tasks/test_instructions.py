"""What a cancel takes, counted instead of timed: the figures move with the code and with nothing else."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import pytest

from canceld.tasks.events import Events
from canceld.tasks.keep_warm import FORGET_AFTER, Walk
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.leasing import Leasing
from canceld.tasks.scoping import Scoping
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.world import World
from tests.scenarios.world import EVENTS

WALKS: Final = FORGET_AFTER
"""The walk throws its memory away after so many, so that one round is like the next."""

PLAIN: Final = (3_680, 145)
LONG_WAY: Final = (4_720, 193)
"""Bytecodes and Python calls that a cancel takes now, by the straight line and by the long way (which was asked first
whether it is plain). A tenth more fails here: whoever needs it changes these, and says why."""

TENTH: Final = 1.1


async def _undialled(host: str, port: int) -> object:
    raise AssertionError("a walk dials nobody")


def _walk() -> Walk:
    bus, clock, entropy, directory = MemoryBus(), VirtualClock(), SeededEntropy(1), MemoryDirectory("/state")
    world = World(clock, entropy, _undialled, bus, MemoryDirectory)  # type: ignore[arg-type]
    events = Events(bus.publisher(EVENTS, mode=0o660), clock)
    scoping = Scoping({}, clock, {})
    kill = KillSwitch({}, directory, clock, entropy, events, scoping)
    return Walk(world, kill, Leasing({}, directory, clock, events, kill, scoping), scoping)


def _bytecodes(step: Callable[[], None]) -> int:
    """How many bytecodes a round executes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for _ in range(WALKS):
            step()
    finally:
        sys.settrace(before)
    return count


def _calls(step: Callable[[], None]) -> tuple[int, int]:
    """How many calls a round makes, of Python and of C."""
    counts = {"call": 0, "c_call": 0}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event in counts:
            counts[event] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        for _ in range(WALKS):
            step()
    finally:
        sys.setprofile(before)
    return counts["call"], counts["c_call"]


@pytest.mark.parametrize("way", ["straight line", "long way"])
async def test_what_a_cancel_takes_is_counted(autojump_clock: object, way: str, tell: Callable[[str], None]) -> None:
    """From the message to the frame and from the ack to the reply, without the sockets and the record."""
    walk = _walk()
    step, (bytecodes_now, calls_now) = (
        (walk.step, PLAIN) if way == "straight line" else (walk.step_long_way, LONG_WAY)
    )
    for _ in range(10 * WALKS):
        step()
    bytecodes = [_bytecodes(step) for _ in range(2)]
    python, c = _calls(step)
    told = f"{bytecodes[0] / WALKS:,.0f} bytecodes, {python / WALKS:.0f} Python calls, {c / WALKS:.0f} C calls"
    tell(f"one cancel by the {way}: {told}")
    assert walk.answered == 13 * WALKS
    assert abs(bytecodes[0] - bytecodes[1]) <= bytecodes[0] / 100, "the same work is counted alike"
    assert bytecodes[0] <= TENTH * bytecodes_now * WALKS, told
    assert python <= TENTH * calls_now * WALKS, told
