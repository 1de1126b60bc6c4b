"""A place for sockets, and clients that speak to them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_zeromq import Clients


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory with a short path: pytest's own may come near the limit for sockets."""
    path = Path(tempfile.mkdtemp(prefix="cd"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def endpoint(room: Path) -> str:
    return f"ipc://{room}/s"


@pytest.fixture
def clients() -> Iterator[Clients]:
    opened = Clients()
    yield opened
    opened.close()
