"""Every way to pull the kill switch, at every moment of the daemon's life, with reasons of every form.

The table on the operator's page (`canceld help kill`) is what is tested: each cell of it is played with real processes.
A trigger that was taken ends with an empty book and a latched switch, at once or once the service manager has started
the daemon again. One that was not taken is told so.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, STOP_S, Exchange, Service, until

pytestmark = pytest.mark.timeout(300)

WITHIN_S: Final = 20.0
AT_ONCE, AT_THE_START, NOT_REACHED, EITHER = "at once", "at the next start", "not reached", "either"
"""What a cell of the table may say. Either: the daemon is ending, and whether it still hears is a race."""

REASONS: Final = ("fat finger", "", "Zürich", "Z\udcfcrich", "\x1b[2J\u202e", "x" * 10_000, "'; rm -rf /", "\n\n")
"""The fourth is Latin-1, as the command line hands it over."""

MESSAGES: Final = (
    b'{"type":"kill"}',
    b'{"type":"kill","id":1,"reason":"Z\xfcrich"}',
    b'{"type":"kill","id":2,"reason":7,"venues":"all","deadline_ms":"soon","urgently":true}',
)
"""What programs send that know the type of a kill and little else."""

ODD_WORDS: Final = "EGeneral:\x1b[2J\u202eflat\x9b"
"""What a venue may say."""
TTL_MS: Final = 700
LATE_S: Final = 1.2
_runs = count()


def table() -> dict[str, dict[str, str]]:
    """By moment and press, from the page."""
    page = (ROOT / "daemon" / "pages" / "kill.md").read_text()
    section = page.partition("\n## Whenever you press\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


TABLE: Final = table()


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name:
        exchange = Exchange(Path(name))
        try:
            yield exchange
        finally:
            exchange.end()


class Scene:
    """One daemon of this cell's own, and what was done to it."""

    def __init__(self, home: Path, exchange: Exchange, reason: str) -> None:
        self.exchange, self.reason = exchange, reason
        self.service = Service(home, exchange.told)
        self.code = ""
        self.started = False

    def alive(self) -> bool:
        return self.started and self.service.program.process.poll() is None

    def start(self) -> None:
        self.service.start()
        self.started = True

    def flat(self) -> bool:
        return self.exchange.resting() == []

    def latched(self) -> bool:
        return bool(self.service.status()["kill"]["latched"])

    # ---- moments

    def before_the_start(self) -> None:
        """Nothing runs."""

    def starting(self) -> None:
        """Bound, and the venue has not been tried to the end."""
        self.exchange.inject({"kind": "rest_delay", "seconds": LATE_S, "match": "GetWebSocketsToken"})
        self.service.launch()
        self.started = True

        def bound() -> bool:
            try:
                return str(self.service.status(within_s=0.25)["state"]) == "starting"
            except TimeoutError:
                return False

        until(bound, WITHIN_S, "it is starting")

    def serving(self) -> None:
        self.start()

    def latched_already(self) -> None:
        self.start()
        self.service.program.signal(signal.SIGUSR1)
        until(lambda: self.latched() and self.flat(), WITHIN_S, "it is latched and flat")

    def being_rearmed(self) -> None:
        """The code was given, and not yet confirmed."""
        self.latched_already()
        until(lambda: self.service.status()["kill"]["venues"]["spot"]["state"] == "flat", WITHIN_S, "it is proved flat")
        with Dealer(self.service.control) as operator:
            self.code = operator.ask("rearm")["code"]

    def draining(self) -> None:
        """Told to stop, with a cancel in flight that is answered late."""
        if not self.alive():
            self.start()
        self.exchange.inject({"kind": "delay_request", "seconds": LATE_S, "match": "cancelOrder"})
        [order_id] = self.exchange.place(1)
        with Dealer(self.service.commands) as dealer:
            dealer.cancel(order_id, deadline_ms=5000)
            until(lambda: self.service.status()["in_flight"] == 1, WITHIN_S, "it is in flight")
            self.service.program.signal(signal.SIGTERM)
            until(lambda: self.service.status()["state"] == "draining", WITHIN_S, "it drains")

    def stopping(self) -> None:
        """Told to stop, with nothing left to answer."""
        if not self.alive():
            self.start()
        self.service.program.signal(signal.SIGTERM)
        until(lambda: self.service.logged("draining"), WITHIN_S, "it stops")

    # ---- presses

    def command(self) -> bool:
        command = [sys.executable, "-m", "canceld", "kill", f"--reason={self.reason}"]
        command += ["--config", str(self.service.config)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=STOP_S + WITHIN_S)
        assert "Traceback" not in done.stderr
        if done.returncode == 3:
            assert "type: canceld panic --config " in done.stderr.splitlines()[-1]
            return False
        assert done.returncode in (0, 1), done
        return True

    def usr1(self) -> bool:
        if not self.alive():
            return False
        self.service.program.signal(signal.SIGUSR1)
        return True

    def file(self) -> bool:
        (self.service.state / "kill").write_bytes(os.fsencode(self.reason))
        return True

    def file_again(self) -> None:
        """A second file over the first, as from a hand that presses twice; then re-armed, a last one."""
        file = self.service.state / "kill"
        file.write_text("the second")
        until(lambda: not file.exists() and self.flat(), WITHIN_S, "it is taken away")
        until(self.rearmed, WITHIN_S, "it is re-armed")
        self.exchange.place(1)
        file.write_text("in earnest")
        until(lambda: self.latched() and self.flat(), WITHIN_S, "the last file is heeded like the first")

    def rearmed(self) -> bool:
        """Both steps; refused while the sweep has not seen the venue flat."""
        with Dealer(self.service.control) as operator:
            told = operator.ask("rearm")
            if "code" in told:
                told = operator.ask("rearm", confirm=told["code"], reason="the test goes on")
        return told.get("latched") is False

    def lease(self) -> bool:
        """It was taken before the moment; now nobody renews it."""
        return True

    def panic(self) -> bool:
        command = [sys.executable, "-m", "canceld", "panic", f"--reason={self.reason}"]
        command += ["--config", str(self.service.config)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
        assert done.returncode == 0, done
        return True

    def take_lease(self) -> None:
        with Dealer(self.service.commands) as strategy:
            told = strategy.ask(
                "lease", strategy="mm-1", ttl_ms=TTL_MS, on_expiry="kill", scope=[{"venue": "spot", "userref": 7}]
            )
            assert told["type"] == "lease", told

    def lease_is_stored(self) -> bool:
        file = self.service.state / "leases"
        return file.exists() and b"mm-1" in file.read_bytes()

    def end_as_under_the_service_manager(self) -> None:
        """Start again what has ended or was never there; a SIGUSR1 that ended the process is handed on, as the unit's
        ExecStopPost= does."""
        if self.alive():
            return
        if self.started and self.service.program.process.returncode == -signal.SIGUSR1:
            (self.service.state / "kill").write_text("SIGUSR1 while it started")
        self.start()


MOMENTS: Final[dict[str, Callable[[Scene], None]]] = {
    "before the start": Scene.before_the_start,
    "starting": Scene.starting,
    "serving": Scene.serving,
    "latched": Scene.latched_already,
    "being re-armed": Scene.being_rearmed,
    "draining": Scene.draining,
    "stopping": Scene.stopping,
}
PRESSES: Final[dict[str, Callable[[Scene], bool]]] = {
    "`canceld kill`": Scene.command,
    "SIGUSR1": Scene.usr1,
    "the file": Scene.file,
    "a lease": Scene.lease,
    "`canceld panic`": Scene.panic,
}


def test_the_page_has_every_moment_and_every_press() -> None:
    assert list(TABLE) == list(MOMENTS)
    for row in TABLE.values():
        assert list(row) == list(PRESSES)
        assert set(row.values()) <= {AT_ONCE, AT_THE_START, NOT_REACHED, EITHER}


@pytest.mark.parametrize("press", PRESSES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_that_was_taken_empties_the_book_and_stays(
    exchange: Exchange, home: Path, moment: str, press: str
) -> None:
    said = TABLE[moment][press]
    scene = Scene(home, exchange, REASONS[next(_runs) % len(REASONS)])
    try:
        if press == "a lease" and moment in ("before the start", "starting"):
            # Of an earlier life, which ended without a word.
            scene.start()
            scene.take_lease()
            until(scene.lease_is_stored, WITHIN_S, "the lease is on the disk")
            scene.service.kill()
        elif press == "a lease" and moment in ("draining", "stopping"):
            scene.start()
            scene.take_lease()
        MOMENTS[moment](scene)
        if press == "a lease" and moment in ("serving", "latched", "being re-armed"):
            scene.take_lease()
        exchange.place(2)
        taken = PRESSES[press](scene)
        if said == NOT_REACHED:
            assert not taken
            assert len(exchange.resting()) >= 2
            return
        if said == EITHER and not taken:
            return
        assert taken
        if said == AT_ONCE:
            until(scene.flat, WITHIN_S, "everything is canceled, by whoever runs")
        if scene.started and moment in ("draining", "stopping"):
            scene.service.program.wait(WITHIN_S)
        if scene.code:
            with Dealer(scene.service.control) as operator:
                confirmed = operator.ask("rearm", confirm=scene.code, reason="too late")
            assert confirmed.get("outcome") == "refused", confirmed
        scene.end_as_under_the_service_manager()
        until(scene.latched, WITHIN_S, "it is latched")
        until(scene.flat, WITHIN_S, "everything is canceled")
        if press == "the file" and moment == "serving":
            scene.file_again()
    finally:
        scene.service.end()
        exchange.clear()
        for order_id in exchange.resting():
            exchange.fill(order_id)


def test_a_reason_of_any_form_kills_and_no_text_commands_the_terminal_or_the_log(
    exchange: Exchange, home: Path
) -> None:
    scene = Scene(home, exchange, "")
    try:
        scene.start()
        for scene.reason in REASONS:
            exchange.place(1)
            assert scene.command(), scene.reason
            until(scene.flat, WITHIN_S, "everything is canceled")
            assert scene.file()
            until(lambda: not (scene.service.state / "kill").exists(), WITHIN_S, "the file is heeded")
        for message in MESSAGES:
            with Dealer(scene.service.commands) as program:
                program.socket.send(message)
                assert program.hear(WITHIN_S)["type"] == "killed", message
        exchange.inject({"kind": "rest_error", "match": "OpenOrders", "error": ODD_WORDS, "times": 1000})
        exchange.inject({"kind": "rest_error", "match": "CancelAll", "error": ODD_WORDS, "times": 1000})
        shown = [
            subprocess.run(
                [sys.executable, "-m", "canceld", *verb, "--config", str(scene.service.config)],
                cwd=ROOT, capture_output=True, timeout=WITHIN_S,
            )
            for verb in (["kill", "--deadline-ms", "500"], ["status"], ["status", "--json"], ["cancel-all"])
        ]  # fmt: skip
        assert b"\\u202eflat" in shown[0].stdout + shown[1].stdout + shown[3].stdout, "the venue's words are shown"
        for text in (*(done.stdout + done.stderr for done in shown), scene.service.program.err.encode()):
            assert text.decode().replace("\n", "").isprintable(), text
    finally:
        scene.service.end()
        exchange.clear()
