"""`canceld demo`: the real daemon and a simulated Kraken, and a strategy that cancels orders while things go wrong.

Three processes as in service: the exchange behind TLS, the daemon, and this one as the strategy over ZeroMQ. What rests
is always asked of the exchange's book. Needs no keys, no configuration and no network; leaves nothing behind.
"""

import argparse
import json
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from .client.blocking import Client
from .client.requests import DaemonUnreachable
from .client.results import CancelResult
from .contract.commands import OrderRef

START_S: Final = 15.0
STOP_S: Final = 10.0
CONTROL_S: Final = 5.0
PLENTY_MS: Final = 5_000
"""Deadline of the demo's commands: patience for a busy machine, never reached on an idle one."""

CONFIG: Final = """\
[gateway]
commands = "ipc://{home}/commands.sock"
control = "ipc://{home}/control.sock"
events = "ipc://{home}/events.sock"
[spot]
ws_url = "{spot_ws_url}"
rest_url = "{spot_rest_url}"
[state]
dir = "{home}"
[tls]
ca_file = "{ca_file}"
[credentials]
dir = "{credentials_dir}"
[log]
level = "info"
"""


class DemoFailed(Exception):
    """Something the demo needs did not happen; one line for people."""


class Exchange:
    """The simulated exchange's control door: puts orders on the book, injects faults, and tells what rests."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._url: str = told["control_url"]
        self._context = ssl.create_default_context(cafile=told["ca_file"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, method=method, data=content)
        with urllib.request.urlopen(request, context=self._context, timeout=CONTROL_S) as answer:
            return json.loads(answer.read())

    def place(self, count: int, **fields: Any) -> list[str]:
        """Put orders on the book; their ids."""
        return [self._ask("POST", "/sim/orders", fields)["order_id"] for _ in range(count)]

    def resting(self) -> int:
        """How many orders rest."""
        return len(self._ask("GET", "/sim/orders")["spot"])

    def inject(self, *faults: dict[str, Any]) -> None:
        """Make things go wrong."""
        self._ask("POST", "/sim/faults", list(faults))

    def clear(self) -> None:
        """Lift every fault."""
        self._ask("DELETE", "/sim/faults")

    def fill(self, order_id: str) -> None:
        """Let the market take an order."""
        self._ask("POST", "/sim/fill", {"order_id": order_id})


class Story:
    """Tells what happens, line by line with the time, and keeps the rows of the final table."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._start = time.monotonic()
        self.rows: list[tuple[str, ...]] = []

    def tell(self, text: str) -> None:
        """One line, with the seconds since the start."""
        print(f"{time.monotonic() - self._start:6.2f}s  {text}", file=self._out, flush=True)

    def row(self, what: str, results: Sequence[CancelResult], resting: int) -> None:
        """One row of the table: what went wrong, what the strategy was told, by which way, how slow, what rests."""
        outcomes = Counter(result.name for result in results)
        routes = Counter(result.route for result in results)
        told = (_counted(outcomes), _counted(routes), _slowest(results))
        self.rows.append((what, str(len(results)), *told, str(resting)))

    def table(self) -> None:
        """The rows, aligned."""
        head = ("what happened", "asked", "told the strategy", "answered by", "slowest", "still on the book")
        rows = [head, *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        for number, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=self._out)
            if number == 0:
                print("  ".join("-" * width for width in widths), file=self._out)
        self._out.flush()


def _counted(counter: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items(), key=lambda pair: -pair[1]))


def _slowest(results: Sequence[CancelResult]) -> str:
    took = [r.answered_ns - r.received_ns for r in results if r.answered_ns is not None and r.received_ns is not None]
    return f"{max(took) / 1e6:.1f} ms" if took else "-"


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when every chapter ended as told, 1 when one did not, 3 when a process did not come up."""
    parser = argparse.ArgumentParser(prog="canceld demo", description="Watch canceld cancel orders while things break.")
    parser.parse_args(argv)
    story = Story(sys.stdout)
    # A stop from outside unwinds like a Ctrl-C does, so that no process and no file is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="canceld-demo-") as home:
            return _tell(story, Path(home))
    except (DemoFailed, DaemonUnreachable, OSError) as error:
        print(f"canceld demo: {error}", file=sys.stderr)
        return 3


def _tell(story: Story, home: Path) -> int:
    log = home / "daemon.log"
    with _process(["sim", "--dir", str(home / "sim")], stdout=subprocess.PIPE) as sim:
        assert sim.stdout is not None
        told = json.loads(sim.stdout.readline() or "{}")
        if not told:
            raise DemoFailed("the simulated exchange did not start; is the extra [sim] installed?")
        exchange = Exchange(told)
        story.tell(f"a simulated Kraken listens at {told['spot_ws_url']} (TLS, its own certificate, checks signatures)")
        config = home / "canceld.toml"
        config.write_text(CONFIG.format(home=home, **told))
        asked_at = time.monotonic()
        with (
            log.open("w") as lines,
            _process(["run", "--config", str(config)], stderr=lines) as daemon,
            Client(f"ipc://{home}/commands.sock", strategy="demo") as strategy,
        ):
            _await_serving(strategy, daemon, log)
            took_s = time.monotonic() - asked_at
            story.tell(f"canceld runs as process {daemon.pid}: two live WebSocket sessions after {took_s:.2f} s")
            good = [chapter(story, exchange, strategy) for chapter in CHAPTERS]
            story.tell("SIGTERM: canceld answers what is in flight and closes its sessions")
            daemon.send_signal(signal.SIGTERM)
            status = daemon.wait(STOP_S)
            story.tell(f"canceld ended with status {status}")
            good.append(status == 0)
    print()
    story.table()
    print()
    if not all(good):
        print("A chapter did not end as it should have: see the last column, and the lines above the table.")
        return 1
    print("Every command got exactly one answer, and the exchange's book agrees with all of them.")
    return 0


@contextmanager
def _process(arguments: list[str], **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A verb of ours as a process of its own, ended with the block."""
    process = subprocess.Popen([sys.executable, "-m", "daemon", *arguments], text=True, **streams)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _await_serving(strategy: Client, daemon: subprocess.Popen[str], log: Path) -> None:
    """Wait until the daemon serves with both sessions live."""
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if daemon.poll() is not None:
            raise DemoFailed(f"canceld ended with status {daemon.returncode}: {log.read_text()[-400:]}")
        try:
            status = strategy.status(deadline_ms=200)
        except DaemonUnreachable:
            continue
        if status["state"] == "serving" and status["venues"]["spot"]["state"] == "up":
            return
        time.sleep(0.02)
    raise DemoFailed(f"canceld did not come up in {START_S:.0f} s")


def _cancel_all_of(strategy: Client, order_ids: Sequence[str]) -> list[CancelResult]:
    return strategy.cancel_many("spot", [OrderRef(order_id=i) for i in order_ids], deadline_ms=PLENTY_MS)


def _close(story: Story, exchange: Exchange, what: str, results: Sequence[CancelResult], told: Sequence[str]) -> bool:
    """End a chapter: tell, note the row, and judge by the exchange's book."""
    exchange.clear()
    resting = _book_after(exchange, 0)
    story.row(what, results, resting)
    outcomes = Counter(result.name for result in results)
    story.tell(f"  answers: {_counted(outcomes)}; slowest {_slowest(results)}; {resting} orders rest on the exchange")
    return resting == 0 and all(name in told for name in outcomes)


def _book_after(exchange: Exchange, wanted: int) -> int:
    """How many orders rest; an accepted cancel may need a moment to take effect."""
    give_up = time.monotonic() + 1.0
    while (resting := exchange.resting()) != wanted and time.monotonic() < give_up:
        time.sleep(0.02)
    return resting


DONE: Final = ("acked", "canceled", "closed")


def _plain(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("a strategy cancels ten orders, one after the other")
    results = [strategy.cancel("spot", order_id=i) for i in exchange.place(10, pair="XBT/USD")]
    return _close(story, exchange, "a quiet day", results, DONE)


def _proof(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell('three more, until:"proof": answered only when the order stream shows that the order is gone')
    results = [strategy.cancel("spot", order_id=i, until="proof") for i in exchange.place(3, pair="XBT/USD")]
    return _close(story, exchange, 'until:"proof"', results, ("canceled",))


def _lost_ack(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("Kraken does the cancels but loses every acknowledgement, and the order events come half a second late")
    ids = exchange.place(5, pair="ETH/USD")
    exchange.inject(
        {"kind": "swallow_ack_after_effect", "match": "cancelOrder"}, {"kind": "delay_events", "seconds": 0.5}
    )
    return _close(story, exchange, "acks lost after the effect", _cancel_all_of(strategy, ids), DONE)


def _drop(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("fifty cancels are in flight when Kraken resets both sockets: REST takes over in the same step")
    ids = exchange.place(50, pair="SOL/USD")
    exchange.inject({"kind": "swallow_ack_before_effect", "match": "cancelOrder", "times": 49})
    exchange.inject({"kind": "reset_sockets", "match": "cancelOrder", "times": 2})
    return _close(story, exchange, "both sockets reset", _cancel_all_of(strategy, ids), DONE)


def _rest_only(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("the WebSockets stay away (every upgrade stalls): a burst of cancels goes by REST alone")
    exchange.inject({"kind": "stall_handshake"}, {"kind": "reset_sockets", "route": "spot_ws"})
    results = _cancel_all_of(strategy, exchange.place(20, pair="ADA/USD"))
    good = _close(story, exchange, "no WebSocket at all", results, DONE)
    story.tell("  the stall is over; canceld finds its way back")
    return good and _await_sessions(strategy)


def _filled(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("an order fills in the very moment it is cancelled: not an error, and not a success either")
    (order_id,) = exchange.place(1)
    exchange.fill(order_id)
    results = [strategy.cancel("spot", order_id=order_id)]
    return _close(story, exchange, "filled first", results, ("closed",))


def _never_was(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("an order that never was: Kraken is asked again for a while, since a cancel can overtake its own add")
    results = [strategy.cancel("spot", order_id="ONEVER-WASXX-ATALLX", deadline_ms=PLENTY_MS)]
    return _close(story, exchange, "never existed", results, ("not_open",))


def _everything(story: Story, exchange: Exchange, strategy: Client) -> bool:
    story.tell("forty orders rest; the strategy asks for everything to go, with proof")
    exchange.place(40)
    answer = strategy.cancel_all("spot", until="proof", deadline_ms=PLENTY_MS)
    sweep = answer.venues["spot"]
    resting = _book_after(exchange, 0)
    name = str(answer.reply["venues"]["spot"]["outcome"])
    story.tell(f"  answer: {name}, {sweep.count} cancelled; {resting} orders rest on the exchange")
    story.rows.append(("cancel everything", "1", f"1 {name}", f"{sweep.count} orders", "-", str(resting)))
    return name == "canceled" and resting == 0


def _await_sessions(strategy: Client) -> bool:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if strategy.status()["venues"]["spot"]["state"] == "up":
            return True
        time.sleep(0.05)
    return False


# Busy chapters trade a pair of their own: the venue counts young cancels per pair, and the tale is not about that.
Chapter = Callable[[Story, Exchange, Client], bool]
CHAPTERS: Final[tuple[Chapter, ...]] = (
    _plain,
    _proof,
    _lost_ack,
    _drop,
    _filled,
    _never_was,
    _everything,
    _rest_only,
)
