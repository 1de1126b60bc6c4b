"""The pool of REST connections: none that is open may be forgotten, whatever happens while another one is dialled."""

import pytest
import trio

from canceld.settings import Address
from canceld.tasks.rest_pool import Pool
from canceld.transport.clock import VirtualClock
from canceld.transport.entropy import SeededEntropy
from canceld.transport.https import HttpConnection
from canceld.transport.memory.disk import MemoryDirectory
from canceld.transport.memory.wire import memory_wire_pair
from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.wire import Wire
from canceld.transport.world import World


async def test_a_connection_discarded_during_a_dial_does_not_lose_the_one_that_is_dialled(
    autojump_clock: object,
) -> None:
    wires: list[Wire] = []

    async def dial(host: str, port: int) -> Wire:
        await trio.sleep(0.1)
        ours, _ = memory_wire_pair()
        wires.append(ours)
        return ours

    async def use(connection: HttpConnection) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    world = World(VirtualClock(), SeededEntropy(1), dial, MemoryBus(), MemoryDirectory)
    pool = Pool(Address(True, "venue.test", 443, "/"), world)
    async with trio.open_nursery() as nursery:
        refused = await pool.take()
        nursery.start_soon(pool.keep_warm, use, lambda: 1000.0)
        await trio.sleep(0.05)
        pool.discard(refused)
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    await pool.close()
    assert len(wires) > 1
    for wire in wires:
        with pytest.raises(trio.ClosedResourceError):
            wire.write_now(b"x")
