"""`canceld ship`: the record's lines elsewhere, each once, as they are written. A process of its own.

How far it got is asked of the sink, at the start and after whatever went wrong, so that a crash of either side neither
loses a line nor sends one twice.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from ..engine.journal import Link
from ..settings import BadSettings, read
from ..transport.disk import Directory, DiskFailed
from ..verbs.exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from ..verbs.output import complain, say, say_json
from .bus import Bus, BusFailed, connect
from .place import Place
from .record import DIRECTORY, Cut, Record
from .settings import FleetSettings, read_fleet
from .shipping import Shipping
from .sinks import FileSink, OutputSink, Sink, SinkFailed, StreamSink, stream_config, stream_of

LOOK_S: Final = 0.05
"""How often the record is looked at: the daemon writes as often."""

RETRY_S: Final = 1.0
BATCH_LINES: Final = 512
BATCH_BYTES: Final = 4 << 20
FORK_LIMIT: Final = 100_000
"""How many lines the sink is asked to look back for one that the record holds too."""

AGAIN_S: Final = 60.0
"""How often a trouble that lasts is told again."""


class Told:
    """Troubles, each told when it begins, each minute while it lasts, and when it is over."""

    def __init__(self, tell: Callable[[str], None] = complain) -> None:
        self._tell = tell
        self._text = ""
        self._at_s = 0.0

    def trouble(self, text: str) -> None:
        """Something keeps us from shipping."""
        now_s = time.monotonic()
        if text != self._text or now_s - self._at_s >= AGAIN_S:
            self._tell(text)
            self._text, self._at_s = text, now_s

    def once(self, text: str) -> None:
        """Something that has happened."""
        self._tell(text)

    def over(self) -> None:
        """Lines go again."""
        if self._text:
            self._tell("shipping goes on")
            self._text = ""


class Shipper:
    """One record and one sink."""

    def __init__(self, directory: Directory, sink: Sink, told: Told) -> None:
        self._record = Record(directory)
        self._sink = sink
        self._told = told
        self.shipped = 0

    async def run(self, *, once: bool = False) -> bool:
        """Ship until cancelled; once: to the present end, and tell whether all went."""
        while True:
            try:
                shipping = await self._begin()
                while True:
                    moved = await self._ship(shipping)
                    if once and not moved and not shipping.astray:
                        return True
                    await asyncio.sleep(LOOK_S)
            except Cut:
                # What it holds now is compared with what was shipped.
                pass
            except (SinkFailed, DiskFailed) as failed:
                self._told.trouble(str(failed))
                if once:
                    return False
            await asyncio.sleep(RETRY_S)

    async def _begin(self) -> Shipping:
        """Stand behind the last line that is in the sink."""
        last = await self._sink.last()
        if last is None:
            self._record.rewind()
        elif not self._record.seek(last):
            last = await self._common(last)
        return Shipping(last)

    async def _common(self, last: Link) -> Link | None:
        """The newest line that record and sink both have, the record standing behind it. The sink's last is not."""
        span = self._record.range()
        if span is None:
            raise SinkFailed(f"line {last.n} was shipped, and the record here is empty; who removed it?")
        least, most = span
        if least > last.n:
            self._told.once(f"lines {last.n + 1}..{least - 1} were removed here before they were shipped")
            self._record.rewind()
            return None
        here = self._record.links(max(least, last.n - FORK_LIMIT))
        looked = 0
        async for link in self._sink.before():
            looked += 1
            if link.hash in here.get(link.n, ()):
                lost = f"lines {link.n + 1}..{last.n} were shipped and are not in the record here"
                self._told.once(
                    f"{lost}: cut off, changed, or lost with the power; what it holds now is shipped behind"
                )
                self._record.seek(link)
                return link
            if looked >= FORK_LIMIT:
                break
        what = "none of the lines that were shipped is in the record here, which goes to line"
        self._told.once(f"line {last.n} was shipped, and {what} {most}: all that it holds is shipped behind")
        self._record.rewind()
        return None

    async def _ship(self, shipping: Shipping) -> bool:
        """What is there now. False at the end of it."""
        before = self.shipped
        for one in self._record.read_on():
            shipping.take(one.shipped, one.prev, time.monotonic_ns())
            if len(shipping.ready) >= BATCH_LINES:
                await self._put(shipping)
        shipping.on_time(time.monotonic_ns())
        await self._put(shipping)
        for wrong in shipping.breaks:
            self._told.once(f"{wrong.file}:{wrong.line}: {wrong.what}: changed, or lost; it is shipped as it is")
        shipping.breaks.clear()
        return self.shipped > before

    async def _put(self, shipping: Shipping) -> None:
        while shipping.ready:
            size, count = 0, 0
            for line in shipping.ready[:BATCH_LINES]:
                size += len(line.raw)
                count += 1
                if size >= BATCH_BYTES:
                    break
            await self._sink.put(shipping.ready[:count])
            del shipping.ready[:count]
            self.shipped += count
            self._told.over()


def place_of(settings: FleetSettings) -> Place:
    """Where this daemon stands in the fleet."""
    fleet = settings.fleet
    return Place(fleet.name, settings.host, fleet.account, fleet.groups, fleet.follow)


def run(asked: argparse.Namespace) -> int:
    """`canceld ship`: ships until it is stopped; with --once to the present end."""
    try:
        with contextlib.suppress(KeyboardInterrupt):
            return asyncio.run(_run(asked))
        return DONE
    except BadSettings as error:
        complain(error)
        return USAGE


async def _run(asked: argparse.Namespace) -> int:
    stopped = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopped.set)
    stop = asyncio.ensure_future(stopped.wait())
    told = Told()
    while True:
        try:
            async with _sink(asked, told) as (sink, root, made):
                if made:
                    say_json({"stream": made}) if asked.json else say(f"{made}: made; nothing in it can be deleted")
                    return DONE
                shipper = Shipper(Directory(Path(root) / DIRECTORY), sink, told)
                task = asyncio.ensure_future(shipper.run(once=asked.once))
                await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                    return DONE
                if asked.json:
                    say_json({"shipped": shipper.shipped, "ok": task.result()})
                elif asked.to != "-":
                    say(f"{shipper.shipped} lines shipped")
                return DONE if task.result() else NOT_DONE
        except BusFailed as error:
            told.trouble(str(error))
            if asked.once or asked.make:
                return UNREACHABLE
        done, _ = await asyncio.wait({stop}, timeout=RETRY_S)
        if done:
            return DONE


@contextlib.asynccontextmanager
async def _sink(asked: argparse.Namespace, told: Told) -> AsyncIterator[tuple[Sink, str, str]]:
    """The sink that was asked for, the state directory, and the stream that was made, if that was asked for."""
    if asked.to is not None:
        root = read(asked.config).state.dir
        if asked.to != "-":
            yield FileSink(Path(asked.to)), root, ""
        else:
            yield OutputSink(1, None if asked.position is None else Path(asked.position)), root, ""
        return
    settings = read_fleet(asked.config, os.environ.get("CREDENTIALS_DIRECTORY"))
    place = place_of(settings)

    def changed(bus: Bus, why: str | None) -> None:
        if why is not None:
            told.trouble(f"{bus.where}: {why}")

    async with connect(settings, f"canceld ship {place.host} {place.account}", on_change=changed) as bus:
        made = ""
        if asked.make:
            made = stream_of(place)
            await bus.make_stream(stream_config(place, settings.fleet.replicas, asked.max_bytes), "record")
        yield StreamSink(bus, place), settings.daemon.state.dir, made
