"""The command that compares the engine of two checkouts: against itself it comes to about the same."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench.engine", *arguments]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)


def test_it_measures_both_checkouts() -> None:
    ended = bench("--against", str(HERE), "--cancels", "1000")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["submit", "ack"]
    assert all(re.search(r"there +\d+ ns  here +\d+ ns  [+-]\d+\.\d %$", line) for line in lines)


def test_what_is_no_checkout_is_named(tmp_path: Path) -> None:
    ended = bench("--against", str(tmp_path))
    assert ended.returncode == 2
    assert f"{tmp_path} is no checkout of this project" in ended.stderr
