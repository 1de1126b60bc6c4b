"""Who gave a command is looked up behind it: nothing waits for that, and a flood of them is no reason to keep more."""

from typing import Any

import pytest
import trio
import trio.testing

from canceld.tasks.events import Events
from canceld.tasks.origins import WAITING_LIMIT, Origins
from canceld.transport.clock import VirtualClock
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.messages import Peer
from canceld.transport.origins import Origin
from tests.scenarios.world import EVENTS


class Record:
    """What was noted."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def note(self, kind: str, /, **fields: Any) -> None:
        self.lines.append({"kind": kind, **fields})


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
async def events(record: Record) -> Events:
    return Events(MemoryBus().publisher(EVENTS, mode=0o660), VirtualClock(), record.note)


async def test_what_is_found_is_recorded_beside_what_the_socket_told(record: Record, events: Events) -> None:
    async def find(uid: int, pid: int) -> Origin | None:
        return Origin("canceld kill", "session-3.scope", 1000) if pid == 42 else None

    origins = Origins(find, events)
    origins.look_up("kill", "k1", Peer(uid=0, pid=42))
    origins.look_up("drill", 2, Peer(uid=0, pid=43))
    origins.look_up("lease", 3, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(origins.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    told = {"command": "canceld kill", "unit": "session-3.scope", "login_uid": 1000}
    assert record.lines == [{"kind": "who", "of": "kill", "id": "k1", "uid": 0, "pid": 42, **told}]


async def test_a_flood_is_not_kept(record: Record, events: Events) -> None:
    found = 0

    async def find(uid: int, pid: int) -> Origin | None:
        nonlocal found
        found += 1
        return None

    origins = Origins(find, events)
    for number in range(WAITING_LIMIT + 10):
        origins.look_up("lease", number, Peer(uid=0, pid=42))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(origins.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert found == WAITING_LIMIT
