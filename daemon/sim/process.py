"""The simulated exchange as a process: the only file here that touches clock, files, sockets and signals.

`canceld sim` ends up in `main`. It listens on loopback only, on one TLS port, with a certificate of its own making.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trustme

from .exchange import VENUES, Venue
from .rates import PRO, TIERS, Tier
from .server import DEFAULT_ACCOUNT, SimulatedKraken

HOST = "127.0.0.1"
HANDSHAKE_S = 10.0
CONNECTION_LIMIT = 1024
STOPPED_BY = (signal.SIGTERM, signal.SIGINT)

EXIT_OK = 0
EXIT_USAGE = 2


async def serve(
    port: int,
    directory: Path | None,
    *,
    tier: Tier = PRO,
    seed: int | None = None,
    started: Callable[[dict[str, Any]], None] = lambda _: None,
    task_status: trio.TaskStatus[dict[str, Any]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a simulated Kraken over TLS until canceled.

    port: 0 for any free one. directory: where ca.pem and credentials/ are written, or found from an earlier run;
    without it a private temporary one that is removed at the end. seed: of every identifier and fault drawn; drawn
    itself when absent.
    started, task_status: get the map of contract.md section 2 once the port listens. Raises OSError for a busy port.
    """
    venue = SimulatedKraken(now=time.time, rng=random.Random(seed), tier=tier)
    listeners = await trio.open_tcp_listeners(port, host=HOST)
    bound: int = listeners[0].socket.getsockname()[1]
    with _kept_in(directory) as home:
        context = _certify(home)
        for name, pair in _kept_credentials(home / "credentials").items():
            venue.keys.enrol(name, DEFAULT_ACCOUNT, **pair)
            venue.credentials[name] = pair
        _write_credentials(home / "credentials", venue.credentials)
        told = _where(bound, home, venue.credentials)
        open_now = 0

        async def handle(tcp: trio.SocketStream) -> None:
            nonlocal open_now
            if open_now >= CONNECTION_LIMIT:
                return await trio.aclose_forcefully(tcp)
            open_now += 1
            try:
                await _serve_tls(venue, context, tcp)
            finally:
                open_now -= 1

        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, handle, listeners)
            started(told)
            task_status.started(told)


def main(argv: Sequence[str]) -> int:
    """`canceld sim [--port N] [--dir D]`: print one JSON line when listening, serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="canceld sim", description="A simulated Kraken on one loopback TLS port.", allow_abbrev=False
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument(
        "--dir", type=Path, help="keep ca.pem and credentials/ here for later starts (default: new ones)"
    )
    parser.add_argument("--tier", choices=sorted(TIERS), default=PRO.name, help="Spot trading rate limits")
    parser.add_argument("--seed", type=int, help="of every identifier and fault that is drawn")
    asked = parser.parse_args(argv)
    if not 0 <= asked.port <= 65535:
        print(f"canceld sim: no such port: {asked.port}", file=sys.stderr)
        return EXIT_USAGE
    status = EXIT_OK
    try:
        trio.run(_until_stopped, asked.port, asked.dir, TIERS[asked.tier], asked.seed)
    except* OSError as group:
        # Start-up only: once it serves, trouble with one connection ends that connection.
        print(f"canceld sim: {_in_a_line(group, asked.port)}", file=sys.stderr)
        status = EXIT_USAGE
    return status


async def _until_stopped(port: int, directory: Path | None, tier: Tier, seed: int | None) -> None:
    # The signals are caught before the line is printed: whoever reads it may send one at once.
    with trio.open_signal_receiver(*STOPPED_BY) as signals:
        async with trio.open_nursery() as nursery:
            told = await nursery.start(partial(serve, port, directory, tier=tier, seed=seed))
            print(json.dumps(told), flush=True)
            async for _ in signals:
                nursery.cancel_scope.cancel()


async def _serve_tls(venue: SimulatedKraken, context: ssl.SSLContext, tcp: trio.SocketStream) -> None:
    try:
        if not await venue.before_tls(tcp):
            return await trio.aclose_forcefully(tcp)
        tls = trio.SSLStream(tcp, context, server_side=True, https_compatible=True)
        with trio.fail_after(HANDSHAKE_S):
            await tls.do_handshake()
    except (trio.BrokenResourceError, trio.TooSlowError):
        return await trio.aclose_forcefully(tcp)
    await venue.serve_stream(tls, faults_before_tls=False)
    return None


@contextmanager
def _kept_in(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield directory.resolve()
        return
    home = Path(tempfile.mkdtemp(prefix="canceld-sim-"))  # mode 0700
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _certify(home: Path) -> ssl.SSLContext:
    """The CA kept there, or a new one, and a server context with a certificate by it for localhost and 127.0.0.1.

    A daemon that was started against the last run goes on trusting this one.
    """
    ca_file, key_file = home / "ca.pem", home / "ca.key"
    try:
        authority = trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes())
    except (OSError, ValueError):
        authority = trustme.CA()
        _write_secret(key_file, authority.private_key_pem.bytes().decode("ascii"))
        authority.cert_pem.write_to_path(ca_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", HOST).configure_cert(context)
    return context


def _kept_credentials(directory: Path) -> dict[Venue, dict[str, str]]:
    """The pairs of an earlier run; a venue whose files are missing, empty or no text gets a new one."""
    kept: dict[Venue, dict[str, str]] = {}
    for venue in VENUES:
        try:
            pair = {part: (directory / f"{venue}.{part}").read_text("ascii").strip() for part in ("key", "secret")}
        except (OSError, ValueError):
            continue
        if all(pair.values()):
            kept[venue] = pair
    return kept


def _write_credentials(directory: Path, credentials: Mapping[Venue, dict[str, str]]) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    for venue, pair in credentials.items():
        for part, value in pair.items():
            _write_secret(directory / f"{venue}.{part}", value)


def _write_secret(path: Path, value: str) -> None:
    # Created with its mode: written first and tightened after, it could be read in between.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)
        file.write(value)


def _where(port: int, home: Path, credentials: Mapping[Venue, dict[str, str]]) -> dict[str, Any]:
    """What the started process tells the world. Source: contract.md section 2."""
    https, wss = f"https://{HOST}:{port}", f"wss://{HOST}:{port}"
    return {
        "spot_rest_url": https,
        "spot_ws_url": wss,
        "spot_ws_v2_url": f"{wss}/v2",
        "prime_ws_url": f"{wss}/ws/v1",
        "futures_rest_url": f"{https}/derivatives/api/v3",
        "futures_ws_url": f"{wss}/ws/v1",
        "uws_url": f"{wss}/v2/private",
        "control_url": https,
        "ca_file": str(home / "ca.pem"),
        "credentials_dir": str(home / "credentials"),
        "credentials": credentials,
    }


def _in_a_line(group: BaseExceptionGroup[OSError], port: int) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} is in use"
    return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
