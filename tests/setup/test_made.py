"""Completion and the man page are those of the parser as it is now, and their readers take them."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.made import MADE, PYTHON, made

CALL_S: Final = 60


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing")
    return found


@pytest.mark.skipif(sys.version_info[:2] != PYTHON, reason=f"made with Python {PYTHON}: others word it otherwise")
def test_they_are_what_the_parser_gives_now() -> None:
    for name, content in made().items():
        assert (MADE / name).read_text() == content, "make it anew: python -m tests.made"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("kil",), "kill kill-scope"),
        (("cancel", "f"), "futures"),
        (("kill", "--ven"), "--venue"),
        (("kill", "--venue", "p"), "prime"),
        (("run", "--config", "/etc/host"), "/etc/hostname"),
        (("install", "--root", "/us"), "/usr"),
    ],
)
def test_bash_completes(words: tuple[str, ...], offered: str) -> None:
    script = f"""
source {MADE / "canceld.bash"}
COMP_WORDS=(canceld "$@") COMP_CWORD=$#
previous=${{COMP_WORDS[COMP_CWORD-1]}}
$(complete -p canceld | sed 's/.*-F \\([^ ]*\\) .*/\\1/') canceld "${{COMP_WORDS[COMP_CWORD]}}" "$previous"
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([tool("bash"), "-c", script, "bash", *words], capture_output=True, text=True, timeout=CALL_S)
    assert done.stderr == ""
    assert offered in done.stdout


def test_zsh_finds_it_under_the_name_it_is_laid_with(tmp_path: Path) -> None:
    shutil.copy(MADE / "canceld.zsh", tmp_path / "_canceld")
    find = f"fpath=({tmp_path} $fpath); autoload -U compinit; compinit -D -u; echo $_comps[canceld]"
    command = [tool("zsh"), "-f", "-c", f"{find}; autoload +X _canceld"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "_canceld\n", "")


def test_man_shows_the_page_without_a_warning() -> None:
    page = str(MADE / "canceld.1")
    done = subprocess.run([tool("man"), "--warnings", "-l", page], capture_output=True, text=True, timeout=CALL_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert "canceld kill" in done.stdout
