"""The daemon as a container starts it, with the configuration of the page container.md and its health check.

It is process 1, under a user id that nobody has given a name, on a root with no `/run` and no `/etc`, where nothing can
be written but `/tmp`, the state and the directory of the sockets.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from canceld.cli import make_parser
from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, Service, until

SOMEBODY: Final = 54_321
"""No user has this id."""

CALL_S: Final = 30.0
PAGE: Final = (ROOT / "daemon" / "pages" / "container.md").read_text()

# The root is what the daemon's interpreter and the system's libraries need, at the places where they are outside. The
# last step becomes the daemon, which so is process 1.
CONTAINER: Final = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs {root}
cd {root}
for each in /bin /sbin /lib /lib32 /lib64 /libx32; do
  if [ -L $each ]; then cp -P $each .; elif [ -d $each ]; then mkdir .$each; mount --rbind $each .$each; fi
done
mkdir -p proc dev usr tmp sockets state keys config
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --rbind /usr usr
mount --rbind /dev dev
mount -t proc proc proc
for each in {bound}; do mkdir -p .$each; mount --bind $each .$each; done
mount --bind {home} sockets
mount --bind {home}/state state
mount --bind {home}/sim/credentials keys
mount --bind {home} config
mount -o remount,bind,ro {root}
exec chroot --userspec={user}:{user} --groups={user} . env -u HOME -u USER -u LOGNAME "$@"
"""


def outermost(paths: set[Path]) -> list[Path]:
    """Those that lie in no other one."""
    return [path for path in sorted(paths) if not any(other in path.parents for other in paths)]


def block(heading: str, tag: str) -> str:
    """The only block of a section of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [found] = re.findall(rf"```{tag}\n(.*?)```", section, re.DOTALL)
    return str(found)


def give(home: Path) -> None:
    """Make somebody the owner of all that the test has laid there."""
    for path in (home, *home.rglob("*")):
        if path != home / "root":
            os.chown(path, SOMEBODY, SOMEBODY)


@pytest.fixture
def through(home: Path, exchange: Exchange) -> list[str]:
    """What turns a command into process 1 of a container, which sees the test's directory where it is."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "mount", "chroot", "nsenter"))):
        pytest.skip("root, unshare, mount, chroot and nsenter are needed")
    (home / "root").mkdir()
    (home / "state").mkdir(mode=0o700)
    site = {Path(path) for path in sys.path if path.endswith("site-packages")}
    # Not the sources' own directory: one that only its owner may enter would be closed to this user.
    bound = outermost({Path(sys.base_prefix), Path(sys.prefix), ROOT / "daemon", *site, home})
    script = home / "container.sh"
    places = {"home": home, "root": home / "root", "bound": shlex.join(map(str, bound)), "user": SOMEBODY}
    script.write_text(CONTAINER.format(**places))
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "bash", str(script), "true"],
        capture_output=True, text=True, timeout=CALL_S,
    )  # fmt: skip
    if tried.returncode:
        pytest.skip(f"no namespaces can be made here: {tried.stderr.strip()}")
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "bash", str(script)]


def test_it_serves_is_asked_for_its_health_and_ends_when_it_is_told_to(
    home: Path, exchange: Exchange, start: Callable[..., Service], through: list[str]
) -> None:
    give(home)
    service = start(through=through, **tomllib.loads(block("Its configuration", "toml")))
    [inside] = Path(f"/proc/{service.program.pid}/task/{service.program.pid}/children").read_text().split()
    told = dict(line.split(":\t", 1) for line in Path(f"/proc/{inside}/status").read_text().splitlines())
    assert told["NSpid"].split()[-1] == "1"
    assert set(told["Uid"].split()) == {str(SOMEBODY)}
    seen = Path(f"/proc/{inside}/root")
    assert not [name for name in ("run", "etc", "var") if (seen / name).exists()]

    [order_id] = exchange.place(1)
    with Dealer(service.commands) as dealer:
        reply = dealer.ask("cancel", venue="spot", order_id=order_id, until="proof", deadline_ms=10_000)
    assert reply["outcome"] == "canceled"
    assert exchange.resting() == []

    # A container's engine runs its health check beside process 1, as the same user.
    [check] = re.findall(r"^HEALTHCHECK .* CMD canceld (.*)$", block("The image", "text"), re.MULTILINE)
    beside = ["nsenter", "-t", inside, "--mount", "--pid", "--root", "--wdns=/"]
    command = [*beside, "-S", str(SOMEBODY), "-G", str(SOMEBODY), "sh", "-c", f"{sys.executable} -m canceld {check}"]
    healthy = subprocess.run(command, capture_output=True, text=True, timeout=CALL_S)
    assert healthy.returncode == 0, healthy

    os.kill(int(inside), signal.SIGTERM)
    assert service.program.wait() == 0
    assert "Traceback" not in service.program.err


def test_what_it_may_not_write_is_one_line(home: Path, exchange: Exchange, through: list[str]) -> None:
    """A volume that is forgotten, or belongs to root: the first thing that goes wrong in a container."""
    service = Service(home, exchange.told, state={"dir": "/var/lib/canceld"})
    give(home)
    service.launch(through=through)
    until(lambda: service.program.process.poll() is not None, CALL_S, "it gives up")
    assert service.program.wait() == 2
    [line] = service.program.err.splitlines()
    assert "/var/lib/canceld" in line
    assert "Traceback" not in line


def test_the_image_is_made_of_what_is_there_by_the_lines_of_an_installation() -> None:
    """No engine can fetch its base here. What goes wrong without one: a file that is not there, a way of its own."""
    image = block("The image", "text")
    readme = (ROOT / "README.md").read_text().replace("sudo ", "").replace("/opt/canceld-0.1.0", "/opt/canceld")
    for line in re.findall(r"^RUN (.*)$", image, re.MULTILINE):
        bare = line.replace("/clone/", "").replace(" /clone", " .")
        assert [one for one in readme.splitlines() if one == bare or one.startswith(f"{bare} && ")], line
    for source in re.findall(r"/clone/(\S+)", image):
        assert (ROOT / source).is_file()
    entry, words = (json.loads(line) for line in re.findall(r"^(?:ENTRYPOINT|CMD) (.*)$", image, re.MULTILINE))
    assert entry == ["/opt/canceld/bin/canceld"]
    assert make_parser().parse_args(words).config == "/config/canceld.toml"
    assert re.search(r"^USER [1-9][0-9]+:[1-9][0-9]+$", image, re.MULTILINE)
