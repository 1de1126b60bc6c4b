"""Somebody cleans up where the daemon's sockets lie: strategies that come later find them again, a person is told."""

import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.processes.peers import Dealer, Subscriber
from tests.processes.stage import Exchange, Service, canceld, until

SOON_S = 5.0
NAMES = ("commands", "control", "events")
MODES = {"commands": 0o660, "control": 0o600, "events": 0o660}

Shared = tuple[Exchange, Service]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def watched(shared: Shared) -> Iterator[tuple[Exchange, Service, Subscriber]]:
    exchange, service = shared
    with service.listen(exchange) as subscriber:
        yield exchange, service, subscriber


def alert(subscriber: Subscriber, text: str) -> dict[str, Any]:
    """The next alert that says so; fails when none comes soon."""
    found: list[dict[str, Any]] = []

    def heard() -> bool:
        subscriber.take(0.05)
        found[:] = [event for topic, event in subscriber.heard if topic == "alert" and text in event["what"]]
        return bool(found)

    until(heard, SOON_S, f"an alert with {text!r}")
    return found[-1]


def answers(service: Service, exchange: Exchange, name: str) -> None:
    """Whoever connects to this socket now is served."""
    if name == "events":
        service.listen(exchange).close()
        return
    with Dealer(getattr(service, name)) as dealer:
        assert dealer.ask("ping", within_s=SOON_S)["type"] == "pong"


def is_a_door(path: Path, mode: int) -> bool:
    try:
        found = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISSOCK(found) and stat.S_IMODE(found) == mode


def remove(path: Path) -> None:
    path.unlink()


def take(path: Path) -> None:
    """Another program binds there and dies: the file is a socket that nobody listens on."""
    path.unlink()
    with socket.socket(socket.AF_UNIX) as thief:
        thief.bind(str(path))


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("deed", "told"),
    [(remove, "was removed"), (take, "was replaced by another socket"), (open_to_all, "has another mode")],
)
def test_the_door_is_there_again_and_those_inside_notice_nothing(
    watched: tuple[Exchange, Service, Subscriber], name: str, deed: Callable[[Path], None], told: str
) -> None:
    """A strategy is connected. A cleaning job removes the socket file, a second program binds there, or somebody
    changes its mode: within seconds the next strategy gets in as before, the first one was never put out, and the alert
    names the file."""
    exchange, service, subscriber = watched
    path = service.home / f"{name}.sock"
    with Dealer(service.commands) as strategy:
        assert strategy.ask("ping")["type"] == "pong"
        deed(path)
        assert alert(subscriber, f"{path} {told}")["severity"] == "warning"
        until(lambda: is_a_door(path, MODES[name]), SOON_S, "the file is as it was")
        answers(service, exchange, name)
        [order_id] = exchange.place(1)
        reply = strategy.hear_all([strategy.cancel(order_id, until="proof")], SOON_S)[0]
        assert reply["outcome"] == "canceled"
    assert exchange.resting() == []


def test_somebodys_file_in_its_place_is_kept_until_they_take_it_away(
    exchange: Exchange, start: Callable[..., Service]
) -> None:
    """A file that is no socket lies where operators look for the daemon. It may be precious, so it stays: the alert
    says what to do, and once the file is gone the door is there again."""
    service = start()
    with service.listen(exchange) as subscriber:
        path = service.home / "control.sock"
        path.unlink()
        path.write_text("precious")
        told = alert(subscriber, "nobody new can connect")
        assert (told["severity"], str(path) in told["what"]) == ("critical", True)
        assert "remove what lies there" in told["do"]
        assert path.read_text() == "precious"
        path.unlink()
        until(lambda: is_a_door(path, 0o600), SOON_S, "the file is as it was")
        answers(service, exchange, "control")
        assert "nobody new can connect" not in str(service.status()["alerts"])


def test_the_whole_directory_may_go_and_come_back(home: Path, exchange: Exchange, stack: ExitStack) -> None:
    """The directory of the sockets is swept away, as a wrong tmpfiles rule does. While it is missing nobody can come
    in, which is told to those who listen; made again, it fills by itself."""
    room = home / "run"
    room.mkdir()
    service = Service(home, exchange.told)
    service.commands, service.control, service.events = (f"ipc://{room}/{name}.sock" for name in NAMES)
    service.configure(gateway={name: f"ipc://{room}/{name}.sock" for name in NAMES})
    stack.callback(service.end)
    service.start()
    with service.listen(exchange) as subscriber:
        shutil.rmtree(room)
        assert "does not exist" in alert(subscriber, "nobody new can connect")["do"]
        room.mkdir()
        for name in NAMES:
            until(lambda name=name: is_a_door(room / f"{name}.sock", MODES[name]), SOON_S, f"{name} is there again")
            answers(service, exchange, name)
    done = canceld("status", "--config", str(service.config))
    assert done.returncode == 0, done.stderr
