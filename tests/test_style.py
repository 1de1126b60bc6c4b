"""ruff and strict mypy, as pyproject.toml sets them up, are part of the test run."""

import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).parent.parent


def _run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=HOUSE, capture_output=True, text=True, timeout=300)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    assert _run("ruff", "check", "daemon", "tests") == ""


def test_mypy_finds_nothing() -> None:
    assert _run("mypy") == ""
