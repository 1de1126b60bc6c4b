"""Twenty seconds of the ten minutes that `python -m tests.hurt` takes."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.processes.stage import ROOT


@pytest.mark.timeout(120)
def test_over_a_lossy_line_nobody_is_told_anything_wrong(tell: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "tests.hurt", "20", "--gap", "0.5", "--seed", "7"]
    ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110)
    for line in ended.stdout.splitlines():
        if ": " in line or " and " in line:
            tell(line)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = re.search(r"^(\d+) cancels and (\d+) faults", ended.stdout, re.MULTILINE)
    assert counts is not None, ended.stdout
    cancels, faults = map(int, counts.groups())
    assert cancels > 50
    assert faults > 15
