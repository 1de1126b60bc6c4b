"""config/requirements.lock: every package that canceld needs, each file of it by its hash, and nobody's address."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.processes.stage import ROOT
from tests.test_install import pip

LOCK: Final = ROOT / "config" / "requirements.lock"
EXTRAS: Final = ("exporter", "watch", "fleet")
"""Those of a service; `sim` is for trying."""
PINNED: Final = re.compile(r"([a-z0-9-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)\n")


def normal(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_each_line_is_a_version_with_hashes_and_names_no_place() -> None:
    text = "".join(line for line in LOCK.read_text().splitlines(keepends=True) if not line.startswith("#"))
    assert PINNED.sub("", text) == ""
    assert "://" not in LOCK.read_text()


def test_whatever_the_project_needs_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]
    locked = {name for name, _, _ in PINNED.findall(LOCK.read_text())}
    assert {normal(one) for one in wanted} <= locked


@pytest.mark.timeout(200)
def test_pip_takes_it_and_proves_each_file(tmp_path: Path) -> None:
    """As if nothing were installed. What a package needs and the lock does not name is refused; so is a wrong hash."""
    strict = ("install", "--require-hashes", "--ignore-installed", "--dry-run", "-r")
    pip(*strict, str(LOCK))
    forged = tmp_path / "forged.lock"
    forged.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, PINNED.search(LOCK.read_text())[0]))  # type: ignore[index]
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        pip(*strict, str(forged))
