"""`canceld bench`: where the time of a cancel goes on this machine, stage by stage, as a strategy feels it.

Against the simulated exchange, with a daemon of its own in a scratch directory; or, with `--real`, through a daemon
that runs, with orders that cannot exist. One cancel at a time, through the client that strategies use.
"""

import argparse
import gc
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..client import Client, DaemonUnreachable
from ..client.blocking_events import Events
from ..client.results import CancelResult
from ..contract.ids import VENUES, Venue
from ..demo.exchange import Exchange
from ..demo.stand import NEEDS, StandFailed, await_serving, daemon_of, installed, simulated_kraken
from ..engine.nobody import txid_of_nobody, uuid_of_nobody
from .ask import CONNECT_TIMEOUT_MS, UsageFault, endpoint_of
from .bench_figures import Timed, durations, maps, rows
from .bench_picture import picture
from .exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from .output import complain, say, say_columns, say_json
from .usage import Parser

DEADLINE_MS: Final = 5_000

EVENT_S: Final = 2.0
"""The longest wait for the event that an order has ended; after that the cancel has no such figure."""

YOUNG_PER_PAIR: Final = 15
"""Orders that a pair gets: a venue counts cancels of young orders pair by pair, and that is not what is measured."""

KNOWN_S: Final = 30.0
LOOK_S: Final = 0.05

ENDED: Final = ("acked", "canceled", "closed")
"""How a cancel of a resting order ends."""

NOBODYS: Final = ("not_open",)
"""How a cancel of an order that cannot exist ends."""


class Bounds(NamedTuple):
    """How many cancels, and how far apart: the least, the most, and what is taken where nothing is said."""

    most: int
    number: int
    least_gap_ms: int
    gap_ms: int


SIMULATED: Final = Bounds(10_000, 1_000, 0, 5)
FUTURES: Final = Bounds(500, 100, 210, 250)
"""Of the simulated Futures, which takes five cancels a second as the real one does."""

REAL: Final = Bounds(500, 50, 500, 1_000)
"""Strategies need the same budget: twice a second is two fifths of what Futures allows, the least of all venues."""

GAP_LIMIT_MS: Final = 60_000


class _Measured(NamedTuple):
    """Every cancel; and of a real venue how long its sessions' pings took, as `status` tells it: µs since the daemon's
    start."""

    cancels: list[Timed]
    pings: dict[str, Any] | None = None


class _Stopped(Exception):
    """A cancel ended as none should here, or the orders did not come; the text is one line."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when every cancel ended as it should, 1 when one did not, 2 bad usage, 3 nobody answered."""
    asked = _parser().parse_args(argv)
    # A stop from outside unwinds like a Ctrl-C does, so that no process and no file is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _check(asked)
        measured = _real(asked) if asked.real else _simulated(asked)
        if asked.svg is not None:
            Path(asked.svg).write_text(picture(*_words(asked, measured.cancels), durations(measured.cancels)))
    except UsageFault as fault:
        complain(f"bench: {fault}")
        return USAGE
    except _Stopped as stopped:
        complain(f"bench: {stopped}")
        return NOT_DONE
    except (StandFailed, DaemonUnreachable) as error:
        complain(f"bench: {error}")
        return UNREACHABLE
    except OSError as error:
        complain(f"bench: {error.filename or 'the simulated exchange'}: {error.strerror or error}")
        return UNREACHABLE
    _tell(asked, measured)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="canceld bench",
        description="Measure where the time of a cancel goes on this machine, one cancel at a time.",
        epilog="`canceld help bench` says what the stages are",
    )
    parser.add_argument("venue", nargs="?", choices=VENUES, default="spot", metavar="VENUE", help="|".join(VENUES))
    parser.add_argument("--count", type=_number, metavar="N", help="cancels; default 1000, futures 100, real 50")
    parser.add_argument("--gap-ms", type=_number, metavar="MS", help="between them; default 5, futures 250, real 1000")
    parser.add_argument("--svg", metavar="FILE", help="draw the distributions; a file that is there is replaced")
    parser.add_argument("--json", action="store_true", help="print JSON, times in microseconds")
    parser.add_argument(
        "--real", action="store_true", help="through a running daemon at its own venue, with orders that cannot exist"
    )
    parser.add_argument("--symbol", help="with --real: of the orders; Prime needs it")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--endpoint", help="with --real: the daemon's socket, like ipc:///run/canceld/commands.sock")
    where.add_argument("--config", metavar="FILE", help="with --real: the daemon's configuration, to find its socket")
    return parser


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number")
    return int(text)


def _check(asked: argparse.Namespace) -> None:
    """Complete what was not said. Raises UsageFault, before anything is started."""
    bounds = REAL if asked.real else FUTURES if asked.venue == "futures" else SIMULATED
    asked.count = bounds.number if asked.count is None else asked.count
    asked.gap_ms = bounds.gap_ms if asked.gap_ms is None else asked.gap_ms
    where = "a real venue" if asked.real else "the simulated exchange"
    if not 1 <= asked.count <= bounds.most:
        raise UsageFault(f"--count {asked.count}: expected 1..{bounds.most} at {where}")
    if not bounds.least_gap_ms <= asked.gap_ms <= GAP_LIMIT_MS:
        raise UsageFault(f"--gap-ms {asked.gap_ms}: expected {bounds.least_gap_ms}..{GAP_LIMIT_MS} at {where}")
    for option in ("endpoint", "config", "symbol"):
        if getattr(asked, option) is not None and not asked.real:
            raise UsageFault(f"--{option} is for --real; without it the daemon is one of the bench's own")
    if asked.svg is not None:
        file = Path(asked.svg)
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise UsageFault(f"--svg {asked.svg}: no such place, or not ours to write to")
    if not asked.real and not installed():
        raise UsageFault(NEEDS)


def _simulated(asked: argparse.Namespace) -> _Measured:
    """Cancels of orders that rest at an exchange of our own."""
    with tempfile.TemporaryDirectory(prefix="canceld-bench-") as place:
        home = Path(place)
        with (
            simulated_kraken(home) as told,
            daemon_of(home, told) as daemon,
            Client(f"ipc://{home}/commands.sock", strategy="canceld-bench") as client,
        ):
            await_serving(client, daemon, home)
            exchange = Exchange(told)
            order_ids = _placed(exchange, client, asked.venue, asked.count)
            with client.events([f"order.{asked.venue}"]) as events:
                measured = _one_at_a_time(client, events, asked, order_ids, ENDED)
            arrived = _arrivals(exchange, set(order_ids))
    return _Measured([one._replace(arrived_ns=arrived.get(one.order_id)) for one in measured])


def _real(asked: argparse.Namespace) -> _Measured:
    """Cancels of orders that cannot exist, by the operator's own daemon and at its own venue."""
    with Client(
        endpoint_of(asked, "commands"), connect_timeout_ms=CONNECT_TIMEOUT_MS, strategy="canceld-bench"
    ) as client:
        order_ids = [_nobodys(asked.venue) for _ in range(asked.count)]
        measured = _one_at_a_time(client, None, asked, order_ids, NOBODYS)
        return _Measured(measured, client.status()["venues"][asked.venue]["round_trips"])


def _nobodys(venue: Venue) -> str:
    return txid_of_nobody("CBENCH", os.urandom(11)) if venue == "spot" else uuid_of_nobody(os.urandom(16))


def _placed(exchange: Exchange, client: Client, venue: Venue, count: int) -> list[str]:
    """Orders on the book, of which the daemon has heard. Raises _Stopped."""
    order_ids: list[str] = []
    while len(order_ids) < count:
        pair = {"pair": f"B{len(order_ids) // YOUNG_PER_PAIR}/USD"} if venue == "spot" else {}
        order_ids += exchange.place(min(YOUNG_PER_PAIR, count - len(order_ids)), venue, **pair)
    give_up = time.monotonic() + KNOWN_S
    while client.status()["venues"][venue]["open_orders"] < count:
        if time.monotonic() > give_up:
            raise _Stopped(f"the daemon did not hear of all {count} orders within {KNOWN_S:.0f} s")
        time.sleep(LOOK_S)
    return order_ids


def _one_at_a_time(
    client: Client, events: Events | None, asked: argparse.Namespace, order_ids: Sequence[str], expected: Sequence[str]
) -> list[Timed]:
    """One cancel after the other. Raises _Stopped at the first that does not end as expected, DaemonUnreachable."""
    measured = []
    # A collection of this process's garbage would be told as the daemon's.
    gc.disable()
    for number, order_id in enumerate(order_ids):
        if number:
            time.sleep(asked.gap_ms / 1e3)
        asked_ns = time.monotonic_ns()
        result = client.cancel(asked.venue, order_id=order_id, symbol=asked.symbol, deadline_ms=DEADLINE_MS)
        here_ns = time.monotonic_ns()
        if result.name not in expected:
            raise _Stopped(_why(number + 1, result))
        measured.append(
            Timed(
                *(order_id, result.name, asked_ns, result.received_ns, result.sent_ns, result.answered_ns, here_ns),
                ended_ns=None if events is None else _ended_ns(events, order_id),
            )
        )
    return measured


def _why(number: int, result: CancelResult) -> str:
    """What there is to say of a cancel that ended as none should here."""
    said = getattr(result.outcome, "detail", None) or result.error
    if result.name in ENDED:
        return f"cancel {number} of an order that cannot exist was answered {result.name}; nothing more is asked"
    return f"cancel {number} was answered {result.name}{f': {said}' if said else ''}; nothing more is asked"


def _ended_ns(events: Events, order_id: str) -> int | None:
    """When the daemon told that an order had ended; None where it did not in time."""
    give_up = time.monotonic() + EVENT_S
    while (left_s := give_up - time.monotonic()) > 0:
        event = events.next(max(int(left_s * 1000), 1))
        if event is not None and event.body.get("order_id") == order_id:
            return event.monotonic_ns
    return None


def _arrivals(exchange: Exchange, order_ids: set[str]) -> dict[str, int]:
    """When the exchange first had a request that names each order, on our clock: its own is the wall clock."""
    ahead_ns = time.time_ns() - time.monotonic_ns()
    found: dict[str, int] = {}
    for received in exchange.received():
        for text in _texts(received["body"]):
            if text in order_ids and text not in found:
                found[text] = int(received["at_s"] * 1e9) - ahead_ns
    return found


def _texts(body: Any) -> Iterator[str]:
    """Every text in a message."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, list | dict):
        for member in body.values() if isinstance(body, dict) else body:
            yield from _texts(member)


def _words(asked: argparse.Namespace, measured: Sequence[Timed]) -> tuple[str, str]:
    """A title and a note for people."""
    where = f"{asked.venue} itself, of orders that cannot exist" if asked.real else f"a simulated {asked.venue}"
    title = f"{len(measured):,} cancels at {where}, {asked.gap_ms} ms apart"
    outcomes = ", ".join(f"{count:,} {name}" for name, count in Counter(one.outcome for one in measured).most_common())
    python = ".".join(map(str, sys.version_info[:3]))
    return title, f"canceld bench: {outcomes}; {os.cpu_count()} cores, Python {python}"


def _tell(asked: argparse.Namespace, measured: _Measured) -> None:
    cancels, pings = measured
    found = durations(cancels)
    if asked.json:
        told = {
            "venue": asked.venue,
            "real": asked.real,
            "gap_ms": asked.gap_ms,
            "count": len(cancels),
            "outcomes": Counter(one.outcome for one in cancels),
            "svg": asked.svg,
            "stages": maps(found),
        }
        say_json(told if pings is None else {**told, "pings": pings})
        return
    for line in _words(asked, cancels):
        say(line)
    say("")
    say_columns(rows(found))
    if pings is not None:
        say("")
        say(
            f"pings of its sessions since the daemon's start: p50 {pings['p50_us']:.0f}, p99 {pings['p99_us']:.0f},"
            f" max {pings['max_us']:.0f} µs of {pings['count']}"
        )
    if asked.svg is not None:
        say("")
        say(f"{asked.svg}: the distributions")
