"""Sets the stage: the simulated exchange and the daemon as processes of their own, over real TLS and real ZeroMQ.

Every process writes to files, never to a pipe that somebody would have to empty, and every wait here has a bound.
"""

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from tests.processes.peers import Dealer, Subscriber

ROOT: Final = Path(__file__).parent.parent.parent
START_S: Final = 15.0
STOP_S: Final = 8.0
LOOK_S: Final = 0.01
CONTROL_S: Final = 10.0
DOOR_S: Final = 30.0

T = TypeVar("T")


def until(look: Callable[[], T], within_s: float, what: str) -> T:
    """What `look` gives once it is true in Python's sense; fails with `what` when that takes too long."""
    give_up = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < give_up, f"not within {within_s} s: {what}"
        time.sleep(LOOK_S)
    return seen


class Program:
    """`python -m canceld …` as a process; what it prints is in files that can be read at any time."""

    def __init__(
        self,
        arguments: list[str],
        home: Path,
        name: str,
        *,
        environ: Mapping[str, str] | None = None,
        module: str = "canceld",
        through: Sequence[str] = (),
        python: str = sys.executable,
    ) -> None:
        """through: a command that becomes the program, as `unshare --mount` does; the process id stays.

        python: the interpreter, whose environment tells which canceld it is.
        """
        self.out_file, self.err_file = home / f"{name}.out", home / f"{name}.err"
        with self.out_file.open("ab") as out, self.err_file.open("ab") as err:
            self.process = subprocess.Popen(
                [*through, python, "-m", module, *arguments],
                cwd=ROOT,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        """Everything on stdout so far, over all lives of this name."""
        return self.out_file.read_text()

    @property
    def err(self) -> str:
        """Everything on stderr so far, over all lives of this name."""
        return self.err_file.read_text()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within_s: float = STOP_S) -> int:
        """The exit status, negative for a signal."""
        return self.process.wait(within_s)

    def kill(self) -> None:
        """End it at once, whatever it does; an ended one is left alone."""
        # What a daemon leaves behind writes its record to the end, into a directory that is about to go.
        left = [] if self.process.poll() is not None else children_of(self.pid)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_S)
        until(lambda: not any(map(lives, left)), STOP_S, "its children have ended")


def children_of(pid: int) -> list[int]:
    """The processes that this one has started and that live."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def lives(pid: int) -> bool:
    """Whether a process has not ended; nobody may have fetched its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Exchange:
    """`canceld sim` and its control door: puts orders on the book, injects faults, tells what rests and what came."""

    def __init__(self, home: Path, *arguments: str, python: str = sys.executable) -> None:
        # The venue's rate counter is a story of its own, told under virtual time.
        arguments = ("sim", "--tier", "unlimited", "--dir", str(home / "sim"), *arguments)
        self.program = Program([*arguments], home, "sim", python=python)
        self._door: http.client.HTTPSConnection | None = None
        self._asked_s = 0.0
        try:
            line = until(self._line, START_S, "the exchange prints where it listens")
        except BaseException:
            self.program.kill()
            raise
        self.told: dict[str, Any] = json.loads(line)

    def _line(self) -> str:
        assert self.program.process.poll() is None, self.program.err
        out = self.program.out
        return out if out.endswith("\n") else ""

    def _answer(self, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        if self._door is None:
            where = urlsplit(self.told["control_url"])
            context = ssl.create_default_context(cafile=self.told["ca_file"])
            assert where.hostname is not None
            self._door = http.client.HTTPSConnection(where.hostname, where.port, timeout=CONTROL_S, context=context)
        if time.monotonic() - self._asked_s > DOOR_S:
            # The exchange hangs up on a connection that is idle for long; the next request opens another one.
            self._door.close()
        self._asked_s = time.monotonic()
        self._door.request(method, path, None if body is None else json.dumps(body))
        return self._door.getresponse()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = self._answer(method, path, body)
        except http.client.RemoteDisconnected:
            # It was idle for so long that the exchange closed it: nothing was read of what was asked.
            assert self._door is not None
            self._door.close()
            answer = self._answer(method, path, body)
        content = json.loads(answer.read())
        assert answer.status == 200, content
        return content

    def place(self, count: int, **fields: Any) -> list[str]:
        """Put orders on the book; their ids."""
        return [str(self._ask("POST", "/sim/orders", fields)["order_id"]) for _ in range(count)]

    def resting(self) -> list[str]:
        """The ids of what rests."""
        return [str(order["order_id"]) for order in self._ask("GET", "/sim/orders")["spot"]]

    def book(self) -> dict[str, list[str]]:
        """The ids of what rests, by venue."""
        resting = self._ask("GET", "/sim/orders")
        return {venue: [str(order["order_id"]) for order in orders] for venue, orders in resting.items()}

    def inject(self, *faults: dict[str, Any]) -> None:
        """Make things go wrong."""
        self._ask("POST", "/sim/faults", list(faults))

    def clear(self) -> None:
        """Lift every fault."""
        self._ask("DELETE", "/sim/faults")

    def issue(self, venue: str) -> dict[str, str]:
        """One more `key` and `secret` for the account."""
        issued: dict[str, str] = self._ask("POST", "/sim/keys", {"venue": venue})
        return issued

    def fill(self, order_id: str) -> None:
        """Let the market take an order."""
        self._ask("POST", "/sim/fill", {"order_id": order_id})

    def log(self) -> list[dict[str, Any]]:
        """Everything the venue received, in wire order: `route`, `operation`, `body` and more."""
        received: list[dict[str, Any]] = self._ask("GET", "/sim/log")["received"]
        return received

    def received(self, operation: str) -> list[dict[str, Any]]:
        """The bodies of what came under one name, in wire order."""
        return [one["body"] for one in self.log() if one["operation"] == operation]

    def end(self) -> None:
        if self._door is not None:
            self._door.close()
        self.program.kill()


def toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """A configuration file. JSON spells strings, whole numbers and booleans as TOML does."""
    lines: list[str] = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


class Service:
    """`canceld run` with a configuration, sockets and state of its own under `home`."""

    def __init__(
        self, home: Path, told: Mapping[str, Any], *, python: str = sys.executable, **sections: Mapping[str, Any]
    ) -> None:
        """told: what the exchange printed. sections: keys that are to differ, as `spot={"hedge_after_ms": 900}`."""
        self.home = home
        self._python = python
        self.state = home / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.commands, self.control, self.events = (
            f"ipc://{home}/{name}.sock" for name in ("commands", "control", "events")
        )
        self.config = home / "canceld.toml"
        self.sections: dict[str, dict[str, Any]] = {
            # Dozens of daemons share a machine here: they do not walk to keep warm unless a story is about that.
            "gateway": {
                "commands": self.commands,
                "control": self.control,
                "events": self.events,
                "keep_warm_ms": 0,
            },
            "spot": {"ws_url": told["spot_ws_url"], "rest_url": told["spot_rest_url"]},
            "state": {"dir": str(self.state)},
            "tls": {"ca_file": told["ca_file"]},
            "credentials": {"dir": told["credentials_dir"]},
            "log": {"level": "info"},
        }
        self.configure(**sections)
        self._program: Program | None = None
        self._asker: Dealer | None = None

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Change keys and write the file; a running daemon hears of it by SIGHUP."""
        for section, keys in sections.items():
            self.sections.setdefault(section, {}).update(keys)
        self.config.write_text(toml(self.sections))

    @property
    def program(self) -> Program:
        assert self._program is not None, "not started"
        return self._program

    def launch(self, *, environ: Mapping[str, str] | None = None, through: Sequence[str] = ()) -> None:
        """Start it, and wait for nothing. through: as Program takes it."""
        arguments = ["run", "--config", str(self.config)]
        self._program = Program(arguments, self.home, "canceld", environ=environ, through=through, python=self._python)

    def start(self, *, environ: Mapping[str, str] | None = None, through: Sequence[str] = ()) -> "Service":
        """Start it, and return once every session is live."""
        self.launch(environ=environ, through=through)
        until(self._serves, START_S, "the daemon serves")
        return self

    def _serves(self) -> bool:
        assert self.program.process.poll() is None, f"status {self.program.process.returncode}: {self.program.err}"
        try:
            status = self.status(within_s=0.25)
        except TimeoutError:
            return False
        return bool(status["state"] == "serving" and status["venues"]["spot"]["state"] == "up")

    def status(self, *, detail: bool = False, within_s: float = 5.0) -> dict[str, Any]:
        """Its `status` reply. Raises TimeoutError."""
        if self._asker is None:
            self._asker = Dealer(self.control)
        return self._asker.ask("status", detail=detail, within_s=within_s)

    def sessions(self) -> dict[str, str]:
        """The state of every session of Spot, by its name."""
        return {one["name"]: one["state"] for one in self.status()["venues"]["spot"]["sessions"]}

    def await_up(self, within_s: float = START_S) -> None:
        """Return once every session is live."""
        until(lambda: self.status()["venues"]["spot"]["state"] == "up", within_s, "every session is live again")

    def listen(self, exchange: Exchange) -> Subscriber:
        """A subscriber that has surely joined: orders are filled, which is told, until it hears of one."""
        subscriber = Subscriber(self.events)
        give_up = time.monotonic() + START_S
        while not subscriber.heard:
            assert time.monotonic() < give_up, "no event was heard"
            [order_id] = exchange.place(1)
            exchange.fill(order_id)
            subscriber.take(LOOK_S)
        return subscriber

    def log(self) -> list[dict[str, Any]]:
        """Its log lines so far, the half-written last one left out."""
        return [json.loads(line) for line in self.program.err.splitlines(keepends=True) if line.endswith("\n")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [line for line in self.log() if line["event"] == event]

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.program.signal(signal.SIGTERM)
        return self.program.wait()

    def kill(self) -> None:
        """SIGKILL: no goodbye of any kind."""
        self.program.kill()

    def end(self) -> None:
        if self._asker is not None:
            self._asker.close()
        if self._program is not None:
            self._program.kill()


def canceld(*arguments: str, within_s: float = 20.0) -> subprocess.CompletedProcess[str]:
    """One verb, run to its end. Both pipes are read fully."""
    return subprocess.run(
        [sys.executable, "-m", "canceld", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
    )
