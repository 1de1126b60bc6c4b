"""`canceld journal --verify --against URL`: the record on this host beside what was shipped of it."""

import argparse
import asyncio
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

import nats.errors
import nats.js.errors

from ..engine.journal import files_among
from ..engine.journal_check import lines_of, record_in
from ..settings import BadSettings
from ..transport.disk import Directory, DiskFailed
from ..verbs import journal
from ..verbs.exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from ..verbs.output import complain, say, say_json
from .bus import Bus, BusFailed, connect
from .comparing import Comparison, Local
from .place import Place
from .record import DIRECTORY
from .settings import read_fleet
from .ship import place_of
from .shipping import link_of
from .sinks import stream_of, subject_of

LINE_S: Final = 10.0
"""How long one line of the stream is waited for."""

CONFIGURED: Final = "fleet"
"""Instead of a URL: the servers that [fleet] names."""


def run(asked: argparse.Namespace) -> int:
    """Verify the record by itself, then against the bus; 0 where both hold."""
    if not asked.verify:
        complain("--against compares what --verify looks at: give both")
        return USAGE
    try:
        settings = read_fleet(
            asked.config,
            os.environ.get("CREDENTIALS_DIRECTORY"),
            () if asked.against == CONFIGURED else (asked.against,),
        )
    except BadSettings as error:
        complain(error)
        return USAGE
    place = place_of(settings)
    comparison = Comparison()

    async def read() -> None:
        servers = () if asked.against == CONFIGURED else (asked.against,)
        async with connect(settings, f"canceld verify {place.host} {place.account}", servers=servers) as bus:
            await _read_stream(bus, place, comparison)

    try:
        asyncio.run(read())
        directory = Directory(Path(settings.daemon.state.dir) / DIRECTORY)
        _read_local(directory, comparison)
    except (BusFailed, DiskFailed) as error:
        complain(error)
        return UNREACHABLE
    comparison.end()
    _tell(asked, comparison, directory, stream_of(place))
    alone = journal.run(asked)
    return alone if alone != DONE else NOT_DONE if comparison.wrong else DONE


async def _read_stream(bus: Bus, place: Place, comparison: Comparison) -> None:
    """All that is in the stream by now. Raises BusFailed."""
    name = stream_of(place)
    info = await bus.stream_info(name)
    if info is None:
        raise BusFailed(f"{bus.where}: {name}: there is no such stream: nothing was shipped to it")
    first, last = int(info["state"]["first_seq"]), int(info["state"]["last_seq"])
    if not info["state"]["messages"]:
        return
    js = bus.client.jetstream()
    try:
        sub = await js.subscribe(subject_of(place), stream=name, ordered_consumer=True)
        sequence = first - 1
        while sequence < last:
            message = await sub.next_msg(timeout=LINE_S)
            sequence = message.metadata.sequence.stream
            link = link_of(message.data, sha256(message.data).hexdigest())
            if link is not None:
                comparison.stream(*link)
        await sub.unsubscribe()
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
        raise BusFailed(bus.refusal or f"{bus.where}: {name}: {error}") from None


def _read_local(directory: Directory, comparison: Comparison) -> None:
    for file in files_among(directory.names()):
        for number, line in enumerate(lines_of(directory.read_part_packed, file), 1):
            record = record_in(line.raw) if line.whole else None
            if record is not None:
                comparison.local(Local(record["n"], sha256(line.raw).hexdigest(), file, number))


def _tell(asked: argparse.Namespace, found: Comparison, directory: Directory, stream: str) -> None:
    if asked.json:
        told = {"same": found.same, "not_shipped": found.unshipped, "earlier": found.earlier, "wrong": found.wrong}
        say_json({"stream": stream, "ok": not found.wrong, **told, "faults": found.faults})
        return
    for fault in found.faults:
        say(f"{directory.root}: {fault}")
    verdict = "DIFFERS FROM" if found.wrong else "agrees with"
    behind = f", {found.unshipped} not shipped yet" if found.unshipped else ""
    say(f"the record {verdict} {stream}: {found.same} lines are the same, {found.wrong} are wrong{behind}")
