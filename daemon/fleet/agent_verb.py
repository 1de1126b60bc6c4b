"""`canceld agent`, as the command line calls it."""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from ..settings import BadSettings
from ..verbs.exit_status import DONE, UNREACHABLE, USAGE
from ..verbs.output import complain
from .agent import Agent
from .door import DoorFailed
from .settings import FleetSettings, read_fleet, read_secret
from .signing import Signer


def run(asked: argparse.Namespace) -> int:
    """Until it is stopped, or (`--before-start`) until the daemon may start."""
    try:
        settings, seed = with_seed(asked.config)
        signer = Signer(seed, settings.fleet.hosts, "hosts")
        if signer.name != settings.host:
            raise BadSettings(f"{asked.config}: fleet.signing: the key of {signer.name}; this host is {settings.host}")
    except BadSettings as bad:
        complain(str(bad))
        return USAGE
    try:
        return asyncio.run(_live(Agent(settings, signer), before_start=asked.before_start))
    except DoorFailed as failed:
        complain(str(failed))
        return UNREACHABLE


def with_seed(config: str) -> tuple[FleetSettings, str]:
    """The settings in this file, and the seed that fleet.signing names. Raises BadSettings."""
    by_systemd = os.environ.get("CREDENTIALS_DIRECTORY")
    settings = read_fleet(config, by_systemd)
    if not settings.fleet.signing:
        raise BadSettings(f"{config}: fleet.signing: needed, the seed that orders and reports are signed with")
    directory = settings.daemon.credentials.dir or by_systemd or str(Path(config).parent / "credentials")
    return settings, read_secret(directory, settings.fleet.signing, by_systemd is not None)


async def _live(agent: Agent, *, before_start: bool) -> int:
    if before_start:
        await agent.before_start()
        return DONE
    life = asyncio.ensure_future(agent.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        pass
    except ExceptionGroup as group:
        # A task that failed ends the agent: its manager starts it again, with what it remembers.
        raise group.exceptions[0] from None
    return DONE
