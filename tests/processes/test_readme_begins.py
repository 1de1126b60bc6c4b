"""How README begins, pasted by a newcomer: the demo from a fresh copy, then exchange, daemon and a cancel by hand."""

import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.processes.stage import ROOT

pytestmark = pytest.mark.timeout(400)

PASTED_S: Final = 240.0
NO_REGISTRY: Final = ("No matching distribution", "Could not find a version", "Could not fetch", "ConnectionError")
COPIED: Final = ("daemon", "config", "systemd", "pyproject.toml", "README.md", "LICENSE")
PORT: Final = "9443"
README: Final = (ROOT / "README.md").read_text()


def blocks_of(heading: str) -> list[str]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


DEMO, BY_HAND = blocks_of("See it work")
[ALL_TESTS] = blocks_of("Contribute")


def paste(lines: str, clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", lines], cwd=clone, capture_output=True, text=True, timeout=PASTED_S
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("c")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, clone)
    return clone


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_the_demo_and_then_a_cancel_by_hand(clone: Path) -> None:
    done = paste(DEMO, clone)
    if any(sign in done.stderr for sign in NO_REGISTRY):
        pytest.skip("pip found no package registry")
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    if shutil.which("curl") is None:
        pytest.skip("curl is missing: no order is placed by hand")
    # Another run on this machine may have the port: here it is any free one.
    port, demo = free_port(), clone / "config" / "demo.toml"
    demo.write_text(demo.read_text().replace(PORT, port))
    done = paste(f"trap 'kill %1 %2 2>/dev/null || true' EXIT\n{BY_HAND.replace(PORT, port)}", clone)
    assert done.returncode == 0, (done.stdout, done.stderr, (clone / "canceld.log").read_text()[-2000:])
    assert re.match(r"spot  O\S+  (acked|canceled)  ", done.stdout), done


def test_the_test_command_is_one_line_that_installs_and_tests() -> None:
    """It is what runs this very test: see .ci/run."""
    assert re.fullmatch(r"python3 -m venv \.venv && .* install .*'\.\[test\]' && \.venv/bin/pytest\n", ALL_TESTS)
