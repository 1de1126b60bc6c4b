"""`python -m canceld demo` as a newcomer runs it: it tells its story, ends well and leaves nothing behind."""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from canceld.contract.ids import VENUES
from canceld.demo.chapters import CHAPTERS
from canceld.demo.story import Story

ROOT = Path(__file__).parent.parent
WITHIN_S = 30
COLUMNS = 100
TOLD = re.compile(r" *(\d+\.\d\d)s  (.*)")


def processes_of(session: int) -> list[str]:
    """The command lines of every process of a session but its dead leader."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # After the name, which may hold anything: state, parent, group, session.
            state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append((entry / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of one run, after what every run must leave was looked at."""
    place = tmp_path_factory.mktemp("demo")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "canceld", "demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, complaints = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, complaints) == (0, ""), out
    assert time.monotonic() - began < WITHIN_S
    assert list(place.iterdir()) == []
    assert processes_of(process.pid) == []
    return out.splitlines()


def test_every_chapter_is_told_as_it_happens(told: list[str]) -> None:
    times = [float(found[1]) for line in told if (found := TOLD.fullmatch(line))]
    assert times == sorted(times)
    answers = [line for line in told if re.search(r"s    answers?\b.*: ", line)]
    assert len(answers) >= len(CHAPTERS)
    # The venue that is down was said to be: nothing left for there, and there it rests.
    assert ["refused (no_route)" in line for line in answers if "0 orders rest on the exchange" not in line] == [True]
    assert [line for line in told if "  latched: " in line]
    assert [line for line in told if "  re-armed, " in line]
    assert [line for line in told if "canceld ended with status 0" in line]


def test_the_table_has_a_row_for_each_answer_and_agrees_with_the_book(told: list[str]) -> None:
    [head] = [number for number, line in enumerate(told) if line.startswith("what happened")]
    rows = told[head + 2 : told.index("", head)]
    assert len(rows) == len([line for line in told if re.search(r"s    answers?\b.*: ", line)])
    for venue in VENUES:
        assert any(re.search(rf"  {venue}  +", row) for row in rows)
    # The last column is the exchange's own book.
    assert {row.split()[-1] for row in rows if "refused" not in row} == {"0"}
    assert told[-1] == "Every command got exactly one answer, and the exchange's book agrees with all of them."


def test_it_fits_a_terminal_and_spells_one_way(told: list[str]) -> None:
    assert [line for line in told if len(line) > COLUMNS] == []
    assert "cancelled" not in "\n".join(told)


def test_without_the_simulated_exchange_one_line_says_the_mend() -> None:
    without = "import sys; sys.modules['trustme'] = None; from canceld.cli import main; sys.exit(main(['demo']))"
    ended = subprocess.run([sys.executable, "-c", without], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "canceld demo: needs the simulated exchange; pip install 'kraken-canceld[sim]'\n"


def test_it_takes_no_arguments() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "canceld", "demo", "--fast"], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr


def test_for_programs_each_thing_told_and_each_row_is_a_map() -> None:
    out = io.StringIO()
    story = Story(out, as_json=True)
    story.tell("a simulated Kraken listens")
    story.row("cancels", "spot", "7 cancels", "7 acked", "ws", "1.0 ms", 0)
    story.table()
    story.end(good=True)
    told, row, verdict = [json.loads(line) for line in out.getvalue().splitlines()]
    assert told["told"] == "a simulated Kraken listens"
    assert (row["venue"], row["outcomes"], row["resting"]) == ("spot", "7 acked", "0")
    assert verdict == {"good": True}
