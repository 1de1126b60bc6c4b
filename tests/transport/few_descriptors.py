"""`python -m tests.transport.few_descriptors CASE`: what the doors do while hardly anything can be opened."""

import errno
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from .test_zeromq import Clients, dealer, open_bus, receive, until


@contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """Let this process open so few more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def newcomers(room: Path, clients: Clients, *, close: bool = False) -> None:
    """Newcomers are turned away, and who is in already is served."""
    told: list[bool] = []
    endpoint = f"ipc://{room}/s"
    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        known = dealer(clients, endpoint)
        known.send(b"here")
        await receive(router)
        nursery.start_soon(bus.guard, told.append, print)
        with few_descriptors(10):
            await until(lambda: told == [True])
            with socket.socket(socket.AF_UNIX) as newcomer:
                assert newcomer.connect_ex(str(room / "s")) == errno.ENOENT
            known.send(b"still here")
            assert (await receive(router)).frames == [b"still here"]
            if close:
                router.close()
        await until(lambda: told == [True, False])
        assert os.listdir(room) == ([] if close else ["s"])
        nursery.cancel_scope.cancel()


async def closed_meanwhile(room: Path, clients: Clients) -> None:
    """A router that is closed while its door is shut does not have it opened again."""
    await newcomers(room, clients, close=True)


async def operators_door(room: Path, clients: Clients) -> None:
    """A crowd at the door of the strategies is not to keep out whoever comes to kill."""
    told: list[bool] = []
    async with open_bus() as bus, trio.open_nursery() as nursery:
        bus.router(f"ipc://{room}/s", mode=0o660)
        control = bus.router(f"ipc://{room}/s-last", mode=0o600, closes_last=True)
        with few_descriptors(10):
            nursery.start_soon(bus.guard, told.append, print)
            await until(lambda: told == [True])
            assert not (room / "s").exists()
            operator = dealer(clients, f"ipc://{room}/s-last")
            operator.send(b"kill")
            assert (await receive(control)).frames == [b"kill"]
        await until(lambda: sorted(os.listdir(room)) == ["s", "s-last"])
        assert told == [True, False]
        nursery.cancel_scope.cancel()


CASES: dict[str, Callable[[Path, Clients], Awaitable[None]]] = {
    case.__name__: case for case in (newcomers, closed_meanwhile, operators_door)
}


def main(name: str) -> None:
    """Run one case."""
    clients = Clients()
    with tempfile.TemporaryDirectory(prefix="cd") as room:
        trio.run(CASES[name], Path(room), clients)
    clients.close()


if __name__ == "__main__":
    main(sys.argv[1])
