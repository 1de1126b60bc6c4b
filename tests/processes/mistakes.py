"""The mends of the hand's side taken out again, one for each kind of fault between the hand and the venue.

They act in processes of their own, some on a machine of its own: so each is planted in a copy of the house, and the
tests of the hand's side are run there. `python -m tests.explore --mistakes` hunts them all, after its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

HOUSE: Final = Path(__file__).parents[2]
COPIED: Final = ("daemon", "tests", "config", "systemd", "README.md", "pyproject.toml", "LICENSE")
TIMEOUT_S: Final = 900.0
NO_TEST_FAILED: Final = 0
TESTS_FAILED: Final = 1
"""Exit statuses of pytest; any other one is a fault of the hunt."""

PAGE: Final = "tests/processes/test_operators_page.py"
HAND: Final = "tests/processes/test_every_hand_at_every_moment.py"
EARLY: Final = "tests/processes/test_signalled_while_it_starts.py"


class Mistake(NamedTuple):
    """Where `right` stands in a file of the daemon, it says `wrong` instead; `tests` find it, as pytest takes them."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


MISTAKES: Final = (
    Mistake(
        "a kill is refused for its form",
        "contract/kills.py",
        "    if len(notes) > NOTES_LIMIT:\n",
        "    if notes:\n        return None\n    if len(notes) > NOTES_LIMIT:\n",
        (f"{HAND}::test_a_reason_of_any_form_kills_and_no_text_commands_the_terminal_or_the_log",),
    ),
    Mistake(
        "the file trigger works by change and goes dead",
        "tasks/trigger_file.py",
        "            self._pulled = None\n        elif there != self._pulled:",
        "            pass\n        elif self._pulled is None:",
        (HAND, "-k", "serving and file"),
    ),
    Mistake(
        "signals are taken once the imports are done",
        "__main__.py",
        "        take_early()\n",
        "        pass\n",
        (f"{EARLY}::test_the_signal_is_taken_before_the_libraries_are_loaded",),
    ),
    Mistake(
        "panic looks for keys where it is told alone",
        "panic/keys.py",
        "        self._places = [*named, Path(config).parent / BESIDE]\n",
        "        self._places = named or [Path(config)]\n",
        (PAGE, "-k", "roots_lines"),
    ),
    Mistake(
        "kill presses at the control socket alone",
        "verbs/ask.py",
        'OPERATORS: Final[tuple[Door, ...]] = ("control", "commands")\n',
        'OPERATORS: Final[tuple[Door, ...]] = ("control",)\n',
        (PAGE, "-k", "kill_waits"),
    ),
    Mistake(
        "panic is as strict as a start",
        "verbs/readable.py",
        "    settings = _usable(Settings(**sections), remarks)\n",
        "    settings = Settings() if remarks else _usable(Settings(**sections), remarks)\n",
        (PAGE, "-k", "leaves_out"),
    ),
    Mistake(
        "the state of the output decides",
        "verbs/output.py",
        "        _lost[number] = error\n        _end(stream)\n        return False\n",
        "        raise\n",
        (PAGE, "-k", "becomes_of_the_output"),
    ),
    Mistake(
        "status does not say who pulled, and since when",
        "verbs/status.py",
        "    return f\"since {since or '?'} by {by or '?'}\"\n",
        '    return "once" if by else "once"\n',
        (PAGE, "-k", "ends_with_1_when_it_latched"),
    ),
    Mistake(
        "a removed socket is not noticed",
        "transport/doors.py",
        "            return self._bind_again(Fault.REMOVED, now_s)\n",
        "            return None\n",
        (PAGE, "-k", "socket_that_was_removed"),
    ),
    Mistake(
        "nobody owns a key",
        "tasks/key_owner.py",
        "if held.holder is not None and held.holder.is_peer and not whatever:",
        "if False:",
        (PAGE, "-k", "second_account"),
    ),
    Mistake(
        "others' text commands the operator's terminal",
        "contract/plain_text.py",
        "    if text.isprintable():\n        return text\n    return ",
        "    if text:\n        return text\n    return ",
        (f"{HAND}::test_a_reason_of_any_form_kills_and_no_text_commands_the_terminal_or_the_log",),
    ),
    Mistake(
        "a refused re-arm is not recorded",
        "tasks/rearming.py",
        '        if reply["type"] == "refused":\n',
        "        if False:\n",
        (PAGE, "-k", "rearming_takes"),
    ),
)


def planted(mistake: Mistake, source: str) -> str:
    """The source with the mistake in it. Raises ValueError where its place is not there exactly once."""
    if source.count(mistake.right) != 1:
        raise ValueError(f"{mistake.name!r}: its text stands {source.count(mistake.right)} times in {mistake.file}")
    return source.replace(mistake.right, mistake.wrong)


def hunt(mistake: Mistake) -> str | None:
    """What found it, in one line; None when it survived. Raises RuntimeError where nothing could be tried."""
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name:
        house = Path(name)
        # The machines of these tests run as other users, too.
        house.chmod(0o755)
        for one in COPIED:
            place = HOUSE / one
            if place.is_dir():
                shutil.copytree(place, house / one, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(place, house / one)
        file = house / "daemon" / mistake.file
        file.write_text(planted(mistake, file.read_text()))
        site = house / "site"
        site.mkdir()
        (site / "canceld").symlink_to(house / "daemon")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-x", "-p", "no:cacheprovider", *mistake.tests],
            cwd=house,
            env={**os.environ, "PYTHONPATH": f"{house}:{site}", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    if done.returncode == TESTS_FAILED:
        found = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return found[0] if found else "a test failed"
    if done.returncode != NO_TEST_FAILED or " passed" not in done.stdout:
        raise RuntimeError(f"the hunt for {mistake.name!r} went wrong: {(done.stdout + done.stderr)[-2000:]}")
    return None


def hunt_all(tell: Callable[[str], None]) -> list[str]:
    """Hunt all of them, one after the other; the names of those that survived."""
    survived = []
    for mistake in MISTAKES:
        found = hunt(mistake)
        tell(f"{mistake.name}: {found or 'SURVIVED'}")
        if found is None:
            survived.append(mistake.name)
    return survived
