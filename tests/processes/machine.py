"""A private machine for a unit to start on: the installed systemd as process 1 of namespaces of its own.

It sees the real root through an overlay that is thrown away, and the real loopback network. Kernel settings are
read-only to it, so that nothing it does at boot reaches the host. Needs root and a kernel that allows all of this.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tests.processes.stage import LOOK_S, ROOT

BOOT_S: Final = 20.0
CALL_S: Final = 15.0
TOOLS: Final = ("systemd", "systemctl", "unshare", "nsenter", "mount", "pivot_root", "bash")
INSTALLED: Final = "/opt/canceld"
PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"

# Boot services that look after a whole machine. What they would set belongs to the host.
NEEDLESS: Final = (
    "systemd-sysctl.service", "systemd-binfmt.service", "systemd-modules-load.service", "systemd-udevd.service",
    "systemd-remount-fs.service", "systemd-update-utmp.service", "systemd-journal-flush.service",
    "proc-sys-fs-binfmt_misc.automount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount",
    "sys-fs-fuse-connections.mount", "dev-mqueue.mount", "network-online.target", "time-sync.target",
)  # fmt: skip

BOOT: Final = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {home}
mkdir {home}/upper {home}/work {home}/root
mount -t overlay overlay -o lowerdir=/,upperdir={home}/upper,workdir={home}/work {home}/root
cd {home}/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p .{installed}/bin .{installed}/python .{installed}/site .{installed}/src .{installed}/exchange
mount --bind {python} .{installed}/python
mount --bind {site} .{installed}/site
# Copied, not bound: a clone that only its owner may enter would be closed to the service's user too.
cp -r {source}/daemon .{installed}/src/canceld
cp -r {source}/systemd .{installed}/src/
chmod -R a+rX .{installed}/src
mount --bind {exchange} .{installed}/exchange
printf '%s\\n' {wrapper} > .{installed}/bin/canceld
chmod 755 .{installed}/bin/canceld
{setup}
mkdir host
pivot_root . host
umount -l /host
# Credentials reach a service by propagation: systemd counts on a shared root, and does not make one in a container.
mount --make-rshared /
export container=other
exec {systemd} --system --unit=canceld-machine.target --log-target=console --log-level=warning --show-status=no
"""

WRAPPER: Final = (
    "#!/bin/sh",
    "export LD_LIBRARY_PATH={installed}/python/lib PYTHONPATH={installed}/site:{installed}/src",
    "export PYTHONDONTWRITEBYTECODE=1",
    f'exec {{installed}}/python/bin/{PYTHON} -m canceld "$@"',
)


class CannotBoot(Exception):
    """This machine or kernel does not allow it; the text says what stood in the way."""


class Machine:
    """A booted systemd; `root` is where its files are seen from here."""

    def __init__(self, home: Path, exchange: Path, setup: str, *, installed: str = INSTALLED) -> None:
        """exchange: a directory seen as `installed`/exchange. setup: shell lines run in the new root before the boot.

        installed: where this environment's interpreter and the sources are seen. Raises CannotBoot.
        """
        if os.geteuid() != 0:
            raise CannotBoot("only root can make the namespaces")
        if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
            raise CannotBoot(f"not installed here: {', '.join(missing)}")
        # Only the unified hierarchy, controllers or not, and there only below a group of ours.
        self._cgroup = _unified() / f"canceld-test-{os.getpid()}"
        try:
            self._cgroup.mkdir()
        except OSError as error:
            raise CannotBoot(f"no cgroup of our own: {error}") from None
        boot = BOOT.format(
            home=shlex.quote(str(home)),
            installed=installed,
            python=shlex.quote(sys.base_prefix),
            site=shlex.quote(_site_packages()),
            source=shlex.quote(str(ROOT)),
            exchange=shlex.quote(str(exchange)),
            wrapper=" ".join(shlex.quote(line.format(installed=installed)) for line in WRAPPER),
            setup="\n".join([*(f"ln -sf /dev/null etc/systemd/system/{unit}" for unit in NEEDLESS), setup]),
            systemd=shutil.which("systemd"),
        )
        self._log = exchange / "machine.log"
        script = exchange / "boot.sh"
        script.write_text(boot)
        namespaces = "--pid --fork --kill-child --mount --cgroup --ipc --uts"
        join = f"echo $$ > {self._cgroup}/cgroup.procs && exec unshare {namespaces}"
        with self._log.open("wb") as log:
            self._unshare = subprocess.Popen(
                ["bash", "-c", f"{join} bash {shlex.quote(str(script))}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.init = self._await_boot()
        except BaseException:
            self.end()
            raise
        self.root = Path(f"/proc/{self.init}/root")

    @property
    def log(self) -> str:
        """What systemd and the script said."""
        return self._log.read_text(errors="replace")

    def _await_boot(self) -> int:
        give_up = time.monotonic() + BOOT_S
        while time.monotonic() < give_up:
            if self._unshare.poll() is not None:
                raise CannotBoot(f"not allowed here: {self.log.strip()[-300:]}")
            children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
            if children:
                # Its manager answers once its private socket is there.
                found = Path("/proc", children[0], "root", "run", "systemd", "private")
                if Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd" and found.exists():
                    return int(children[0])
            time.sleep(LOOK_S)
        raise CannotBoot(f"systemd did not boot in {BOOT_S} s: {self.log.strip()[-300:]}")

    def run(self, *command: str, within_s: float = CALL_S) -> subprocess.CompletedProcess[str]:
        """A command inside, run to its end."""
        return subprocess.run(
            ["nsenter", "-t", str(self.init), "-m", "-p", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
        )

    def systemctl(self, *arguments: str) -> str:
        """What `systemctl` printed; fails when it did."""
        ended = self.run("systemctl", *arguments)
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr, self.log[-2000:])
        return ended.stdout

    def shown(self, unit: str) -> dict[str, str]:
        """Every property of a unit."""
        lines = self.systemctl("show", unit).splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def end(self) -> None:
        """Everything in it dies with its process 1; its files go with its namespace."""
        if self._unshare.poll() is None:
            os.killpg(self._unshare.pid, signal.SIGKILL)
        self._unshare.wait(CALL_S)
        give_up = time.monotonic() + CALL_S
        while self._cgroup.exists() and time.monotonic() < give_up:
            for directory, _, _ in os.walk(self._cgroup, topdown=False):
                # Busy for as long as a dying process is counted in it.
                try:
                    os.rmdir(directory)
                except OSError:
                    time.sleep(LOOK_S)


def _unified() -> Path:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise CannotBoot("no unified cgroup hierarchy is mounted")


def _site_packages() -> str:
    return str(Path(msgspec.__file__).parent.parent)
