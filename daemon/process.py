"""The process of `canceld run`: reads the files, opens the world, runs the daemon and gives the exit status."""

import os
import signal
import sys
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Final

import trio

from .app import Daemon, StartFailed
from .credentials import BadCredentials, Credentials, Secret, load
from .logs import configure
from .settings import BadSettings, Settings, read
from .tasks.trigger_file import TRIGGER_FILE
from .transport import early
from .transport.claims import claim
from .transport.clock import Clock
from .transport.collector import Collector
from .transport.descriptors import count_descriptors
from .transport.disk import Directory, DiskFailed
from .transport.entropy import Entropy
from .transport.logsink import LogSink, journald_reads
from .transport.network import Network
from .transport.notify import Notifier
from .transport.origins import origin_of, this_host
from .transport.scribe import ChildScribe
from .transport.secrecy import keep_memory_private
from .transport.signals import Signal, open_signals
from .transport.tls import client_context
from .transport.world import World
from .transport.zeromq import Bus

LOG_CLOSE_S: Final = 1.0
"""How long the last log lines may take to leave."""


def real_world(settings: Settings) -> World:
    """The machine's own clock, network, sockets and files. Raises BadSettings."""
    network = Network()
    try:
        context = client_context(settings.tls.ca_file or None)
    except OSError as error:
        raise BadSettings(f"tls.ca_file: {settings.tls.ca_file}: {error.strerror or error}") from None
    return World(
        clock=Clock(),
        entropy=Entropy(),
        dial=partial(network.dial, tls=context),
        bus=Bus(),
        directory=Directory,
        descriptors=count_descriptors,
        claim=claim,
        origin=origin_of,
        host=this_host,
        scribe=lambda directory: ChildScribe("canceld.scribe", [os.path.abspath(directory)]),
        real_time=True,
        collector=Collector(),
    )


def main(path: str) -> int:
    """`canceld run`: until stopped. Exit status 0 after a clean stop, 2 when it cannot start."""
    try:
        return _run(path)
    finally:
        if signal.SIGUSR1 in early.kept():
            _hand_on_kill(path)


def _run(path: str) -> int:
    environ = os.environ
    keep_memory_private()
    try:
        settings = read(path)
        credentials = load(settings, environ)
        world = real_world(settings)
        _refuse_secrets_in(environ, credentials)
    except (BadSettings, BadCredentials) as error:
        return _cannot_start(error)
    # Lines leave through a thread of their own: a journal that stalls must not stall a cancel.
    sink = LogSink(sys.stderr.fileno())
    logs = configure(
        settings.log.level,
        settings.log.format,
        sink.write,
        world.clock,
        _secrets(credentials),
        priorities=journald_reads(sys.stderr.fileno(), environ),
    )

    def reload() -> Credentials:
        fresh = read(path)
        found = load(fresh, environ)
        logs.set_level(fresh.log.level)
        for secret in _secrets(found):
            logs.conceal(secret)
        return found

    def spare_the_collector() -> None:
        """A collection walks all that it may find unused: 4 to 10 ms for what the libraries brought along."""
        if world.collector is not None:
            world.collector.take_over()

    async def run() -> None:
        async with open_signals() as signals:
            killed = Signal.USER1.value in signals.first
            daemon = Daemon(settings, credentials, world, killed=killed, conceal=logs.conceal, censor=logs.blotted)
            await daemon.serve(signals, Notifier(environ), ready=spare_the_collector, reload=reload)

    try:
        trio.run(run)
    except StartFailed as error:
        return _cannot_start(error)
    finally:
        logs.close()
        sink.close(LOG_CLOSE_S)
    return 0


def _hand_on_kill(path: str) -> None:
    """SIGUSR1 came and no daemon was there to heed it, or one that was about to end: the next start is to."""
    try:
        state = read(path).state.dir
        Directory(state).replace_now(TRIGGER_FILE, b"SIGUSR1 while no daemon could heed it")
    except (BadSettings, DiskFailed) as error:
        told = f"nothing was latched ({error}); orders rest: run canceld panic --config {path}"
    else:
        told = f"it waits in {state}/{TRIGGER_FILE} for the next start; orders rest: run canceld panic --config {path}"
    print(f"canceld: SIGUSR1 asked for a kill and no daemon heeded it: {told}", file=sys.stderr)


def _refuse_secrets_in(environ: Mapping[str, str], credentials: Credentials) -> None:
    """The environment is read by whoever may look at the process, and goes to its children. Raises BadCredentials."""
    spelled = set[str]()
    for secret in _secrets(credentials):
        plain = secret.reveal()
        # As the venue gives it, which for some is base64 of what it is kept as.
        spelled |= {plain} if isinstance(plain, str) else {plain.decode("latin-1"), b64encode(plain).decode()}
    for name, value in environ.items():
        if any(one in value for one in spelled):
            raise BadCredentials(f"the environment variable {name} holds a key or secret; take it out")


def _secrets(credentials: Credentials) -> list[Secret[str] | Secret[bytes]]:
    return [secret for keys in credentials.all_keys() for secret in (keys.key, keys.secret)]


def _cannot_start(error: Exception) -> int:
    print(f"canceld: {error}", file=sys.stderr)
    return 2
