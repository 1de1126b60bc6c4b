"""What `pip install` lays down: the wheel works beside python-daemon, whichever of the two is installed first.

The sources' folder is called `daemon`, as python-daemon's package is: nothing of that name may be installed by us. All
else that the wheel depends on comes from the environment that runs the tests.
"""

import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.processes.stage import ROOT, Exchange, Service

PIP_S: Final = 150.0
VERB_S: Final = 30.0
SOURCES: Final = ("pyproject.toml", "README.md", "LICENSE")
FOLDERS: Final = {"daemon": "canceld", "config": "canceld/config", "systemd": "canceld/systemd"}
"""Of the sources, and where the wheel holds them."""

RIVAL: Final = ("python-daemon", "lockfile")
NO_REGISTRY: Final = ("No matching distribution", "Could not find a version", "Could not fetch", "ConnectionError")
"""How pip says that the package registry cannot be reached, or has not what is asked of it."""

pytestmark = pytest.mark.timeout(400)


def pip(*arguments: str) -> None:
    """Run pip as it is configured here; a test that needs a registry that cannot be had is skipped."""
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_S)
    if done.returncode:
        missing = [line for line in done.stderr.splitlines() if any(sign in line for sign in NO_REGISTRY)]
        if missing:
            pytest.skip(f"pip found no package registry: {missing[-1].strip()}")
        raise AssertionError(done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of these sources, built from a copy: building leaves files behind."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    pip("wheel", "--no-deps", "--wheel-dir", str(out), str(copy))
    [built] = out.glob("*.whl")
    return built


class Environment:
    """A throw-away environment that finds the packages of this one behind its own."""

    def __init__(self, root: Path) -> None:
        venv.create(root, with_pip=False, symlinks=True)
        self.root = root
        self.python = str(root / "bin" / "python")
        [site] = root.glob("lib/python3*/site-packages")
        behind = [path for path in sys.path if path.endswith("site-packages")]
        (site / "behind.pth").write_text("\n".join(behind) + "\n")

    def install(self, *what: str) -> None:
        pip("--python", self.python, "install", "--no-deps", *what)

    def lays_its_files(self) -> None:
        """`canceld install` finds what it lays inside this environment, and no clone."""
        (self.root / "machine").mkdir()
        command = [str(self.root / "bin" / "canceld"), "install", "--root", str(self.root / "machine")]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=VERB_S)
        assert (done.returncode, done.stderr) == (0, "")
        laid = self.root / "machine/etc/systemd/system/canceld.service"
        assert laid.read_text() == (ROOT / "systemd" / "canceld.service").read_text()

    def run(self, program: str, *arguments: str) -> str:
        """What a Python program prints; run where no folder of ours is in sight."""
        command = [self.python, "-c", program, *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=VERB_S)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(params=["canceld first", "python-daemon first"])
def environment(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Environment:
    environment = Environment(tmp_path / "venv")
    if request.param == "canceld first":
        environment.install(str(wheel))
        environment.install(*RIVAL)
    else:
        environment.install(*RIVAL)
        environment.install(str(wheel))
    return environment


@pytest.fixture
def start(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Exchange]]:
    with ExitStack() as ending:
        home = tmp_path_factory.mktemp("i")

        def start() -> Exchange:
            exchange = Exchange(home, python=environment.python)
            ending.callback(exchange.end)
            return exchange

        yield start


CANCEL: Final = """
import sys
from canceld.client import Client
with Client(sys.argv[1]) as client:
    print(client.cancel("spot", order_id=sys.argv[2], until="proof", deadline_ms=10_000).name)
"""

DAEMONIZE: Final = """
import daemon
context = daemon.DaemonContext(detach_process=False)
print(daemon.__file__, type(context).__module__)
"""


def test_every_file_of_the_house_is_in_the_wheel_and_nothing_called_daemon(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    house = {
        f"{inside}/{file.relative_to(ROOT / folder)}"
        for folder, inside in FOLDERS.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert held == house - {"canceld/README.md"}


def test_both_work_in_one_environment_whichever_came_first(
    environment: Environment, start: Callable[[], Exchange]
) -> None:
    """An operator installs the daemon where another tool has pulled in python-daemon, or the other way round. The
    command answers, an order is cancelled by the installed daemon, and the other tool still finds its own package."""
    inside = str(environment.root)
    assert environment.run("import canceld; print(canceld.__file__)").startswith(inside)
    version = subprocess.run(
        [str(environment.root / "bin" / "canceld"), "--version"], capture_output=True, text=True, timeout=VERB_S
    )
    assert version.stdout.startswith("canceld "), version.stderr
    environment.lays_its_files()

    daemonized = environment.run(DAEMONIZE)
    assert daemonized.startswith(inside)
    assert daemonized.endswith("daemon.daemon")

    exchange = start()
    service = Service(exchange.program.out_file.parent, exchange.told, python=environment.python)
    try:
        service.start()
        [order_id] = exchange.place(1)
        assert environment.run(CANCEL, service.commands, order_id) == "canceled"
        assert exchange.resting() == []
        assert service.stop() == 0
    finally:
        service.end()
