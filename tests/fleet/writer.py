"""Writes a record as the daemon does, so many lines in all, and goes on where it was killed.

python -m tests.fleet.writer STATE LINES
"""

import sys
from functools import partial
from itertools import count, islice

import trio

from canceld.tasks.journal import Journal
from canceld.transport.clock import Clock
from canceld.transport.disk import Directory

BURST = 400


class _Quiet:
    def alert(self, severity: str, what: str, do: str) -> None:
        print(severity, what, do, file=sys.stderr)

    def clear(self, what: str) -> None:
        pass


async def write(state: str, lines: int) -> None:
    journal = Journal(Directory(state), Clock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(journal.run, _Quiet()))
        numbers = count()
        while journal.status()["lines"] < lines:
            # No more than the record takes: what was noted and is lost with the process is no matter of shipping.
            for number in islice(numbers, BURST):
                journal.note("decision", venue="spot", order_id=f"OABCDE-{number:05d}-FGHIJK", why="a line of a test")
            await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    await journal.close()


if __name__ == "__main__":
    trio.run(write, sys.argv[1], int(sys.argv[2]))
