"""The exchange and the daemon for tests that need them running, with whatever they printed shown when a test fails."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.processes.stage import Exchange, Program, Service

SHOWN_CHARS = 3000


@pytest.fixture
def home() -> Iterator[Path]:
    """A private directory. Its path is short, as the name of a Unix socket may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name:
        yield Path(name)


def _show(program: Program) -> None:
    print(f"--- {program.err_file.name}\n{program.err[-SHOWN_CHARS:]}")


@pytest.fixture
def exchange(home: Path) -> Iterator[Exchange]:
    """A simulated exchange of this test's own."""
    exchange = Exchange(home)
    try:
        yield exchange
    finally:
        exchange.end()
        _show(exchange.program)


@pytest.fixture
def start(home: Path, exchange: Exchange) -> Iterator[Callable[..., Service]]:
    """Starts a daemon of this test's own; keyword arguments are sections of its configuration.

    environ, through: as Service.start takes them.
    """
    with ExitStack() as ending:

        def start(*, environ: Mapping[str, str] | None = None, through: Sequence[str] = (), **sections: Any) -> Service:
            service = Service(home, exchange.told, **sections)
            ending.callback(lambda: _show(service.program))
            ending.callback(service.end)
            return service.start(environ=environ, through=through)

        yield start


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    """A running daemon of this test's own, every session live."""
    return start()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Exchange, Service]]:
    """Exchange and daemon for all tests of a module: each leaves the book empty and no fault behind."""
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name, ExitStack() as ending:
        exchange = Exchange(Path(name))
        ending.callback(exchange.end)
        service = Service(Path(name), exchange.told)
        ending.callback(service.end)
        yield exchange, service.start()
