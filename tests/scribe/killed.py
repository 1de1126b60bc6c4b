"""`python -m tests.scribe.killed STATE NOTES`: notes so much, hands it on, and is killed before anybody answers."""

import os
import signal
import sys

import trio

from canceld.tasks.journal import Journal
from canceld.transport.clock import Clock
from canceld.transport.disk import Directory
from canceld.transport.scribe import ChildScribe


class _Nobody:
    def alert(self, severity: str, what: str, do: str) -> None:
        """Nobody is told."""

    def clear(self, what: str) -> None:
        """Nobody is told."""


async def main() -> None:
    state, count = sys.argv[1], int(sys.argv[2])
    scribe = ChildScribe("canceld.scribe", [state])
    journal = Journal(Directory(state), Clock(), scribe=scribe)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, _Nobody())
        while journal.status()["state"] != "written":  # noqa: ASYNC110 - the record owes nobody an event
            await trio.sleep(0.01)
        # It stands still, so that none of it is written before the kill.
        assert scribe.pid is not None
        os.kill(scribe.pid, signal.SIGSTOP)
        for number in range(count):
            journal.note("outcome", id=number)
        while journal._waiting:  # noqa: ASYNC110
            await trio.sleep(0.001)
        print(scribe.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    trio.run(main)
