"""The switch behind its two doors: whatever is sent, and in whatever sequence, only the code clears it."""

from typing import Any, Final

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.engine.latch import CODE_ALPHABET, CODE_CHARS
from canceld.tasks.latch_file import LATCH_FILE
from canceld.tasks.trigger_file import TRIGGER_FILE
from canceld.transport.memory.zeromq import MemoryDealer

from .door import Door

SEQUENCES: Final = 1_000
"""Random command sequences without the code. Source: reliability R3.2."""


class Doors(Door):
    """Gateway and switch as the daemon joins them; the switch runs."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery)
        self.switch = self.kill
        nursery.start_soon(self.switch.run)

    def tell(self, of: MemoryDealer, command: dict[str, Any]) -> None:
        of.send_nowait([msgspec.msgpack.encode(command)])


_wrong_code = st.text(CODE_ALPHABET, min_size=CODE_CHARS, max_size=CODE_CHARS)
_command = st.one_of(
    st.fixed_dictionaries({"type": st.just("rearm")}),
    st.fixed_dictionaries(
        {"type": st.just("rearm"), "confirm": _wrong_code | st.text(max_size=64)},
        optional={"force": st.booleans(), "reason": st.text(min_size=1, max_size=20)},
    ),
    st.fixed_dictionaries({"type": st.just("kill"), "reason": st.text(min_size=1, max_size=20)}),
    st.fixed_dictionaries({"type": st.sampled_from(["ping", "status", "cancel_all", "disarm", "arm"])}),
)
_step = st.one_of(
    st.tuples(st.just("strategy"), _command),
    st.tuples(st.just("operator"), _command),
    st.tuples(st.just("time"), st.sampled_from([0.05, 0.1, 0.3, 1.0, 1.0, 2.0, 2.0, 61.0])),
    st.tuples(st.just("trigger"), st.binary(max_size=40)),
    st.tuples(st.just("damage"), st.binary(max_size=40)),
)


@settings(max_examples=SEQUENCES, deadline=None)
@given(steps=st.lists(_step, max_size=10))
def test_no_sequence_without_the_code_clears_it(steps: list[tuple[str, Any]]) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            doors = Doors(nursery)
            doors.switch.pull("signal", "the beginning")
            await trio.sleep(1)
            for number, (who, what) in enumerate(steps):
                if who == "time":
                    await trio.sleep(what)
                elif who == "trigger":
                    doors.directory.replace_now(TRIGGER_FILE, what)
                elif who == "damage":
                    doors.directory.replace_now(LATCH_FILE, what)
                else:
                    doors.tell(doors.client if who == "strategy" else doors.operator, {**what, "id": number})
                await trio.sleep(0.01)
                assert doors.switch.latched
                assert doors.directory.exists(LATCH_FILE)
            nursery.cancel_scope.cancel()

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0.0))


async def test_nobody_is_told_that_it_is_cleared_before_its_file_is_gone(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    doors = Doors(nursery)
    doors.switch.pull("signal", "the beginning")
    await trio.sleep(1)
    doors.tell(doors.operator, {"type": "rearm", "id": 1})
    code = msgspec.msgpack.decode((await doors.operator.receive())[-1])["code"]
    doors.directory.faults.sync_s = 1.0
    doors.tell(doors.operator, {"type": "rearm", "id": 2, "confirm": code, "reason": "over"})
    await trio.sleep(0.5)
    assert doors.switch.latched
    assert doors.switch.status()["latched"] is True
    doors.tell(doors.operator, {"type": "rearm", "id": 3})
    refusal = msgspec.msgpack.decode((await doors.operator.receive())[-1])
    assert (refusal["id"], refusal["outcome"]) == (3, "refused")
    reply = msgspec.msgpack.decode((await doors.operator.receive())[-1])
    assert reply == {"type": "rearm", "id": 2, "latched": False}
    assert not doors.switch.latched


@pytest.mark.parametrize("reason", [b"", b"  \n", b"\xff\xfe", b"x" * 10_000])
async def test_whatever_the_trigger_file_holds_it_pulls(
    autojump_clock: object, nursery: trio.Nursery, reason: bytes
) -> None:
    doors = Doors(nursery)
    doors.directory.replace_now(TRIGGER_FILE, reason)
    await trio.sleep(0.2)
    assert doors.switch.latched
    assert doors.switch.status()["trigger"] == "file"
    assert not doors.directory.exists(TRIGGER_FILE)
