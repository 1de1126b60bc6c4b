"""README's way to a service and the operator's page, pasted line by line on a real systemd, as the people they address.

Root, a member of the group `canceld` and a stranger have a shell each. The exchange's book judges. `sudo` stands for
what it is on a machine where only root may use it.
"""

import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from canceld.engine.latch import parse_latch
from tests.processes.machine import CannotBoot, Machine
from tests.processes.peers import Dealer
from tests.processes.stage import ROOT, Exchange, until

pytestmark = pytest.mark.timeout(400)

LAB: Final = "/srv/lab"
INSTALL_S: Final = 180.0
LINE_S: Final = 60.0
WITHIN_S: Final = 15.0
NO_REGISTRY: Final = ("No matching distribution", "Could not find a version", "Could not fetch", "ConnectionError")
FLOWING: Final = 400
"""Orders for the strategy that cancels during an upgrade: more than it comes to."""
IN_FLIGHT: Final = 4
DEADLINE_MS: Final = 2_000
EVERY_S: Final = 0.01
ROOT_USER, MEMBER, STRANGER = "root", "trader", "stranger"
README: Final = (ROOT / "README.md").read_text()
SERVICE: Final = (ROOT / "daemon" / "pages" / "service.md").read_text()
PAGE: Final = (ROOT / "daemon" / "pages" / "kill.md").read_text()

SUDO: Final = """#!/bin/sh
[ "$(id -u)" = 0 ] || { echo "$(id -un) is not in the sudoers file" >&2; exit 1; }
exec env -- "$@"
"""

# A machine with Python, a clone and the key files, whose configuration leads to the simulated exchange.
SETUP: Final = f"""
mkdir -p .{LAB}/clone
cp -r {{source}}/daemon {{source}}/config {{source}}/systemd .{LAB}/clone/
cp {{source}}/pyproject.toml {{source}}/README.md {{source}}/LICENSE .{LAB}/clone/
cp .{LAB}/exchange/sim/credentials/* .{LAB}/clone/
cp .{LAB}/exchange/canceld.toml .{LAB}/clone/config/canceld.toml
chmod -R a+rX .{LAB}/clone
mkdir -p -m 755 etc/canceld
cp .{LAB}/exchange/sim/ca.pem etc/canceld/ca.pem
chmod 644 etc/canceld/ca.pem
echo {LAB}/python/lib > etc/ld.so.conf.d/lab.conf
ldconfig -r $PWD
mkdir -p usr/local/bin
cp .{LAB}/exchange/sudo usr/local/bin/sudo
chmod 755 usr/local/bin/sudo
printf 'u trader - "runs strategies"\\nu stranger - "nobody here"\\n' > usr/lib/sysusers.d/lab.conf
systemd-sysusers --root=$PWD lab.conf
printf '[Unit]\\nDescription=tests\\n' > etc/systemd/system/canceld-machine.target
"""

CONFIG: Final = """
[gateway]
commands = "ipc:///run/canceld/commands.sock"
control = "ipc:///run/canceld/control.sock"
events = "ipc:///run/canceld/events.sock"
[state]
dir = "/var/lib/canceld"
[spot]
ws_url = "{spot_ws_url}"
rest_url = "{spot_rest_url}"
[prime]
enabled = true
ws_url = "{prime_ws_url}"
[futures]
enabled = true
rest_url = "{futures_rest_url}"
ws_url = "{futures_ws_url}"
[tls]
ca_file = "/etc/canceld/ca.pem"
"""


def lines_of(page: str, heading: str = "") -> list[str]:
    """The shell lines of a page, or of one section of it."""
    section = page if not heading else page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    assert found, heading
    return found


INSTALL = lines_of(README, "Run it as a service")
BEGIN = INSTALL[: INSTALL.index("canceld status") + 1]
UPGRADE = INSTALL[len(BEGIN) :]


class Desk:
    """The machine, whoever sits at it, and the exchange it trades on."""

    def __init__(self, machine: Machine, exchange: Exchange) -> None:
        self.machine, self.exchange = machine, exchange
        self.installed_s = 0.0

    def paste(self, line: str, user: str = ROOT_USER, within_s: float = LINE_S) -> subprocess.CompletedProcess[str]:
        """A line in a user's shell."""
        path = f"{LAB}/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        shell = f"cd {LAB}/clone && export HOME=/tmp PATH={path}\n{line}"
        command = ("bash", "-o", "pipefail", "-c", shell)
        if user == ROOT_USER:
            return self.machine.run(*command, within_s=within_s)
        return self.machine.run("runuser", "-u", user, "--", *command, within_s=within_s)

    def good(self, line: str, user: str = ROOT_USER) -> str:
        """What it printed; it must have ended with status 0."""
        done = self.paste(line, user)
        assert done.returncode == 0, (line, done.stdout, done.stderr, self.told())
        return done.stdout

    def told(self) -> str:
        return self.machine.run("journalctl", "-u", "canceld", "--no-pager", "-o", "cat").stdout[-3000:]

    def latched(self) -> bool:
        status = json.loads(self.paste("canceld status --json").stdout)
        return bool(status["kill"]["latched"])

    def await_up(self) -> None:
        until(lambda: self.paste("canceld status --check").returncode == 0, WITHIN_S, "it can cancel everywhere")

    def fill_book(self) -> None:
        self.exchange.place(2)
        for venue in ("prime", "futures"):
            self.exchange.place(2, venue=venue)

    def flat(self) -> bool:
        return not any(self.exchange.book().values())

    def rearm(self) -> None:
        """By the page's own two lines."""
        first, second = lines_of(PAGE, "How to re-arm")
        give_up = time.monotonic() + WITHIN_S
        # Refused while the sweep has not seen every venue flat: then the page says to begin again.
        while time.monotonic() < give_up:
            begun = self.paste(first)
            found = re.search(r"--confirm (\S+) ", begun.stdout)
            if found is None:
                assert begun.returncode == 0, begun
                return
            refused = self.paste(second.replace("CODE", found[1]))
            if refused.returncode:
                time.sleep(0.2)
        raise AssertionError(f"not re-armed: {begun} {refused}")

    @contextmanager
    def stopped_venues(self) -> Iterator[None]:
        """Every venue takes connections and says nothing."""
        self.exchange.program.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.exchange.program.signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """README's way to a service, line by line; each line must end with status 0."""
    with tempfile.TemporaryDirectory(prefix="canceld-test-") as name, ExitStack() as ending:
        home = Path(name)
        (home / "machine").mkdir()
        exchange = Exchange(home)
        ending.callback(exchange.end)
        (home / "canceld.toml").write_text(CONFIG.format(**exchange.told))
        (home / "sudo").write_text(SUDO)
        try:
            machine = Machine(home / "machine", home, SETUP.format(source=ROOT), installed=LAB)
        except CannotBoot as why:
            pytest.skip(f"no systemd can be booted here: {why}")
        ending.callback(machine.end)
        desk = Desk(machine, exchange)
        begun = time.monotonic()
        for line in BEGIN:
            done = desk.paste(line, within_s=INSTALL_S)
            if "/pip install" in line and any(sign in done.stderr for sign in NO_REGISTRY):
                pytest.skip("pip found no package registry")
            assert done.returncode == 0, (line, done.stdout, done.stderr, desk.told())
        desk.await_up()
        desk.installed_s = time.monotonic() - begun
        yield desk


@pytest.fixture
def armed(desk: Desk) -> Iterator[Desk]:
    """Orders rest at three venues and the switch is armed; afterwards too."""
    desk.fill_book()
    yield desk
    desk.exchange.clear()
    desk.good("systemctl start canceld")
    if desk.latched():
        until(desk.flat, WITHIN_S, "nothing rests")
    else:
        # A daemon whose nonces another one has overtaken leaves REST alone for seconds.
        until(lambda: desk.paste("canceld cancel-all").returncode == 0, LINE_S, f"nothing rests: {desk.told()}")
    desk.rearm()
    desk.await_up()


# -------------------------------------------------------------------- what to press


@pytest.mark.parametrize("user", [ROOT_USER, MEMBER])
def test_kill_waits_and_says_how_each_venue_stands(armed: Desk, user: str) -> None:
    [line, *_] = lines_of(PAGE, "What to press")
    told = armed.good(line, user)
    assert armed.flat()
    assert [row.split()[:2] for row in told.splitlines() if "flat" in row] == [
        ["spot", "flat"], ["prime", "flat"], ["futures", "flat"],
    ]  # fmt: skip


def test_a_program_at_the_command_socket_hears_killed(armed: Desk) -> None:
    [message] = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    with Dealer(f"ipc://{armed.machine.root}/run/canceld/commands.sock") as dealer:
        command = json.loads(message)
        reply = dealer.ask(command.pop("type"), within_s=WITHIN_S, **{k: v for k, v in command.items() if k != "id"})
    assert (reply["type"], reply["latched"]) == ("killed", True)
    assert armed.flat()


@pytest.mark.parametrize("line", [line for line in lines_of(PAGE, "What to press") if line[:8] != "canceld "])
def test_roots_lines_cancel_everything_and_latch(armed: Desk, line: str) -> None:
    armed.good(line)
    until(armed.flat, WITHIN_S, f"everything is canceled by: {line}")
    until(armed.latched, WITHIN_S, "it is latched")
    until(lambda: not (armed.machine.root / "var/lib/canceld/kill").exists(), WITHIN_S, "the kill file is gone")
    if "/kill" in line:
        assert re.search(r"by file uid 0, written 20\d\d-\S+Z", armed.good("canceld status"))


def test_panic_says_in_a_line_what_it_leaves_out_and_cancels(armed: Desk) -> None:
    """A typo, a word without quotes and a socket path that no socket can have, in a copy beside the keys."""
    config = armed.machine.root / "etc/canceld/broken.toml"
    broken = f'[log]\nlevle = "info"\nlevel = info\n[gateway]\nevents = "ipc:///run/{"x" * 200}"\n'
    kept = (armed.machine.root / "etc/canceld/canceld.toml").read_text().partition("[state]")
    config.write_text(broken + "[state]" + kept[2])
    done = armed.paste("sudo canceld panic --config /etc/canceld/broken.toml --reason typo")
    assert done.returncode == 0, done
    assert armed.flat()
    assert [line for line in done.stderr.splitlines() if "log.levle: unknown key" in line]
    assert done.stdout.count("flat") == len(armed.exchange.book())
    config.unlink()


@pytest.mark.parametrize("into", ["> /dev/full", ">&-", "2>&- >&-", "| true"])
def test_the_status_tells_whatever_becomes_of_the_output(armed: Desk, into: str) -> None:
    for line in [line for line in lines_of(PAGE, "What to press") if "kill --" in line or "panic --" in line]:
        armed.fill_book()
        bare = f"{{ {line}; echo $? > /tmp/status; }}" if "|" in into else f"{line} {into}; echo $? > /tmp/status"
        done = armed.paste(f"{bare} {into}" if "|" in into else bare)
        assert (armed.machine.root / "tmp/status").read_text() == "0\n", (line, done)
        assert "Traceback" not in done.stderr
        assert armed.flat()


def test_a_socket_that_was_removed_is_bound_again(armed: Desk) -> None:
    armed.good("rm /run/canceld/commands.sock /run/canceld/control.sock")
    until(lambda: armed.paste("canceld status").returncode == 0, WITHIN_S, "it is found again")
    [line, *_] = lines_of(PAGE, "What to press")
    armed.good(line, MEMBER)
    assert armed.flat()


def test_the_lines_in_a_fire_are_those_of_the_page() -> None:
    assert set(lines_of(README, "In a fire")) <= set(lines_of(PAGE, "What to press"))


def test_a_stranger_is_told_why_not_in_a_line_and_nothing_is_canceled(armed: Desk) -> None:
    for line in lines_of(PAGE):
        done = armed.paste(line, STRANGER)
        if line.startswith("sudo ") or "| sudo " in line:
            assert "sudoers" in done.stderr
            continue
        why, *mends = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (3, ""), done
        assert why == (
            "canceld: user stranger may not enter the directory of /run/canceld/commands.sock; "
            "run this as root, or as a user who may"
        )
        if "kill --reason" in line:
            assert "type: canceld panic --config /etc/canceld/canceld.toml" in mends[-1]
    assert not armed.flat()
    assert not armed.latched()


def test_a_member_is_told_that_roots_lines_are_roots_and_nothing_is_canceled(armed: Desk) -> None:
    for line in lines_of(PAGE):
        if "sudo " in line:
            assert "sudoers" in armed.paste(line, MEMBER).stderr
            if "sudo canceld" not in line:
                continue
            bare = armed.paste(line.replace("sudo ", ""), MEMBER)
            assert bare.returncode == 3, bare
            told = bare.stdout + bare.stderr
            assert re.search("Permission denied|may not open", told), bare
            assert "Traceback" not in told
    assert not armed.flat()
    assert not armed.latched()


# -------------------------------------------------------------------- exit statuses


def test_kill_ends_with_1_when_it_latched_and_a_venue_is_silent_and_sweeps_on(armed: Desk) -> None:
    with armed.stopped_venues():
        done = armed.paste('canceld kill --deadline-ms 1500 --reason "nobody answers"', MEMBER)
        assert done.returncode == 1, done
        assert "unreachable" in done.stdout
        status = armed.good("canceld status", MEMBER)
        assert re.search(r"LATCHED since \S+ by command uid \d+ pid \d+.*: nobody answers", status)
        assert "unreachable" in status
        assert "critical: spot: not flat after a kill" in status
    until(armed.flat, WITHIN_S, "the sweep went on")


def test_kill_ends_with_2_for_a_misspelt_word_and_sends_nothing(armed: Desk) -> None:
    done = armed.paste("canceld kill --reson fire", MEMBER)
    assert (done.returncode, done.stdout) == (2, "")
    assert not armed.flat()
    assert not armed.latched()


def test_without_the_daemon_kill_ends_with_3_and_its_last_line_works(armed: Desk) -> None:
    armed.good("systemctl stop canceld")
    done = armed.paste("canceld kill --reason fire", ROOT_USER)
    assert done.returncode == 3
    assert not armed.flat()
    line = done.stderr.splitlines()[-1].partition("type: ")[2]
    assert line == "canceld panic --config /etc/canceld/canceld.toml --reason fire"
    assert armed.paste("canceld status --check").returncode == 3
    armed.good(line)
    assert armed.flat()
    armed.good("systemctl start canceld")
    assert armed.latched()


def test_panic_ends_with_1_when_an_order_is_known_to_rest(armed: Desk) -> None:
    # Alone: beside it a daemon would sweep, too.
    armed.good("systemctl stop canceld")
    for operation in ("CancelAll", "CancelOrder", "CancelOrderBatch"):
        armed.exchange.inject({"kind": "rest_error", "match": operation, "times": 1000})
    done = armed.paste("canceld panic --config /etc/canceld/canceld.toml --timeout-s 2 --reason test")
    assert done.returncode == 1, done
    assert "residual" in done.stdout


def test_panic_ends_with_2_where_there_is_nothing_to_cancel_with(armed: Desk) -> None:
    (armed.machine.root / "tmp/none.toml").write_text("[spot]\nenabled = false\n")
    assert armed.paste("canceld panic --config /tmp/none.toml --reason test").returncode == 2
    assert not armed.flat()


def test_panic_ends_with_3_when_a_venue_does_not_say_what_rests(armed: Desk) -> None:
    with armed.stopped_venues():
        done = armed.paste("canceld panic --config /etc/canceld/canceld.toml --timeout-s 1 --reason test")
    assert done.returncode == 3, done
    assert "unreachable" in done.stdout


def test_check_tells_latched_by_1(armed: Desk) -> None:
    assert armed.paste("canceld status --check", MEMBER).returncode == 0
    armed.good("canceld kill", MEMBER)
    assert armed.paste("canceld status --check", MEMBER).returncode == 1


# -------------------------------------------------------------------- what it does, and re-arming


def test_while_it_is_latched_new_orders_go_and_nothing_but_rearming_ends_it(armed: Desk) -> None:
    armed.good("canceld kill", MEMBER)
    for line in ("systemctl kill -s KILL canceld", "systemctl restart canceld", "systemctl reload canceld"):
        armed.good(line)
        until(lambda: armed.paste("canceld status").returncode == 0, WITHIN_S, "it answers again")
        assert armed.latched(), line
    armed.fill_book()
    until(armed.flat, WITHIN_S, "what appears is canceled on sight")


@pytest.mark.parametrize("content", [b"", b'{"version": 99}'])
def test_a_latch_that_cannot_be_read_counts_as_latched(armed: Desk, content: bytes) -> None:
    armed.good("systemctl stop canceld")
    latch = armed.machine.root / "var/lib/canceld/latch"
    latch.write_bytes(content)
    shutil.chown(latch, *_owner(latch.parent))
    armed.good("systemctl start canceld")
    assert armed.latched()
    until(armed.flat, WITHIN_S, "everything is canceled")


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def test_rearming_takes_two_steps_the_right_code_and_an_empty_book(armed: Desk) -> None:
    first, second = lines_of(PAGE, "How to re-arm")
    armed.good("canceld kill", MEMBER)
    assert armed.paste(first, MEMBER).returncode == 1
    refused = armed.paste(first.removeprefix("sudo "), MEMBER)
    assert refused.returncode == 3
    assert "may not open /run/canceld/control.sock" in refused.stderr

    def code() -> str:
        begun = armed.paste(first)
        found = re.search(r"--confirm (\S+) ", begun.stdout)
        assert (begun.returncode, bool(found)) == (1, True), begun
        assert found is not None
        return found[1]

    right = code()
    assert armed.paste(second.replace("CODE", "WRONG")).returncode == 1
    assert armed.paste(second.replace("CODE", right)).returncode == 1, "a wrong code makes the right one void"
    assert armed.latched()
    with armed.stopped_venues():
        # The second kill asks again what rests, and nobody answers.
        assert armed.paste("canceld kill --deadline-ms 1000", MEMBER).returncode == 1
        assert armed.paste(second.replace("CODE", code())).returncode == 1
        assert armed.latched()
        armed.good(second.replace("CODE", code()) + " --force")
    assert not armed.latched()
    record = armed.good("canceld journal --config /etc/canceld/canceld.toml --since 15m")
    assert "the strategy is stopped" in record
    assert "force=true" in record
    refused = [line for line in record.splitlines() if " rearm " in line and "state=refused" in line]
    for why in ("wrong code", "no code is valid", "orders rest"):
        assert [line for line in refused if why in line], (why, refused)


def test_the_drill_cancels_nothing(armed: Desk) -> None:
    [line] = lines_of(PAGE, "How to know that it will work")
    for user in (ROOT_USER, MEMBER):
        assert "nothing was cancelled" in armed.good(line, user)
    assert not armed.flat()
    assert not armed.latched()
    assert re.search(r"^last good drill \d+ s ago$", armed.good("canceld status"), re.MULTILINE)


def test_the_record_tells_who_pulled(armed: Desk) -> None:
    armed.good('canceld kill --reason "who was it"', MEMBER)
    [line] = [line for line in lines_of(PAGE, "How to know that it worked") if "journal" in line]
    [pulled] = [one for one in armed.good(line).splitlines() if "reason=who was it" in one and " kill " in one][:1]
    uid = armed.good("id -u trader").strip()
    assert f"uid {uid} " in pulled
    assert "cancelallorders" not in armed.good(line)
    assert "cancelallorders" in armed.good(f"{line} --frames")


def test_the_report_is_made_by_root_and_a_member_is_told_why_not(armed: Desk) -> None:
    """By README's words, with the file that the installation has."""
    armed.good('canceld kill --reason "who was it"', MEMBER)
    [words] = re.findall(r"`sudo (canceld report [^`]*)`", README)
    line = " ".join(words.split()).replace("FILE", "/etc/canceld/canceld.toml").replace("incident", "/tmp/incident")
    refused = armed.paste(line, MEMBER)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (3, "", 1), refused
    assert "Permission denied" in refused.stderr
    armed.good(f"sudo {line}")
    assert "who was it" in (armed.machine.root / "tmp/incident.html").read_text()


def test_the_latch_of_the_panic_unit_is_the_daemons(armed: Desk) -> None:
    armed.good("sudo systemctl start canceld-panic")
    latch = parse_latch((armed.machine.root / "var/lib/canceld/latch").read_bytes())
    assert latch is not None
    assert latch.trigger in ("panic", "file")
    armed.good("systemctl restart canceld")
    assert armed.latched()


# -------------------------------------------------------------------- several accounts


def test_a_second_account_takes_nothing_of_the_first_ones_away(armed: Desk) -> None:
    """The page's lines, with the first account's keys by mistake: refused, and the first daemon serves on. When that
    one is stopped the second serves, and has a kill and a panic of its own."""
    *begin, kill, panic = lines_of(SERVICE, "Several accounts on a host")
    for line in begin[:-1]:
        armed.good(line)
    refused = armed.paste(begin[-1])
    assert refused.returncode != 0
    until(lambda: armed.machine.shown("canceld@second")["ExecMainStatus"] == "2", WITHIN_S, "the second one is refused")
    log = armed.machine.run("journalctl", "-u", "canceld@second", "--no-pager", "-o", "cat").stdout
    assert "another canceld on this host uses the spot key" in log
    assert armed.paste("canceld status --check", MEMBER).returncode == 0
    armed.good("systemctl stop canceld")
    armed.good("systemctl restart canceld@second")
    second = "--config /etc/canceld-second/canceld.toml"
    # An alert may stand: the first one's nonces under this key are ahead of its own.
    until(lambda: armed.paste(f"canceld status --check {second}").returncode in (0, 1), WITHIN_S, "it can cancel")
    armed.good(kill, MEMBER)
    assert armed.flat()
    armed.good("systemctl stop canceld@second")
    assert not (armed.machine.root / "run/canceld-second").exists()
    armed.fill_book()
    armed.good(panic)
    assert armed.flat()
    assert (armed.machine.root / "var/lib/canceld-second/latch").is_file()
    armed.good("systemctl disable canceld@second")
    armed.good("systemctl start canceld")
    assert not armed.latched()


# -------------------------------------------------------------------- a list of addresses


def test_with_a_list_of_addresses_it_cancels_where_they_are_right_and_panic_wherever(armed: Desk) -> None:
    """The exchange is on loopback, which the drop-in allows. With an outdated list the daemon reaches nobody, as the
    page says, and panic still empties the book."""
    *begin, check = lines_of(SERVICE, "Talk to the venues' addresses alone")
    drop_in = armed.machine.root / "etc/systemd/system/canceld.service.d/addresses.conf"
    try:
        for line in begin:
            armed.good(line)
        until(lambda: armed.paste(check).returncode == 0, WITHIN_S, "it can cancel everywhere")
        drop_in.write_text(drop_in.read_text().replace("IPAddressAllow=localhost", "IPAddressAllow=192.0.2.1"))
        armed.good(begin[-1])
        until(lambda: armed.paste(check).returncode == 3, WITHIN_S, "it can cancel nowhere")
        assert not armed.flat()
        armed.good("sudo systemctl start canceld-panic")
        assert armed.flat()
    finally:
        # The directory holds what `install` tells the unit of its keys, too.
        drop_in.unlink()
        armed.good(begin[-1])
        # The panic's kill is carried out, and its file removed, before anybody may re-arm.
        until(armed.latched, WITHIN_S, "it is latched")


# -------------------------------------------------------------------- Prometheus


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_prometheus_reads_it_as_the_page_says_and_a_kill_fires(armed: Desk) -> None:
    """The network is this machine's: both ports are free ones."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is missing")
    section = SERVICE.partition("\n## Let Prometheus read it\n")[2].partition("\n## ")[0]
    [scraping] = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert "127.0.0.1:9742" in scraping
    exporter, served = _free_port(), _free_port()
    drop_in = armed.machine.root / "etc/systemd/system/canceld-exporter.service.d/port.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nEnvironment=LISTEN=127.0.0.1:{exporter}\n")
    armed.good("systemctl daemon-reload")
    for line in lines_of(SERVICE, "Let Prometheus read it"):
        armed.good(line)
    often = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
    (armed.machine.root / "etc/prometheus/canceld.yml").write_text(often + scraping.replace("9742", str(exporter)))
    where = f"--storage.tsdb.path=/tmp/prometheus --web.listen-address=127.0.0.1:{served}"
    armed.good(f"systemd-run --unit prometheus-test prometheus --config.file=/etc/prometheus/canceld.yml {where}")
    try:
        armed.good('canceld kill --reason "fat finger"', MEMBER)
        until(lambda: "CanceldKillLatched" in _firing(served), LINE_S, "the alert fires")
    finally:
        armed.paste("systemctl stop prometheus-test")


def _firing(port: int) -> set[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=10) as answer:
            alerts = json.load(answer)["data"]["alerts"]
    except OSError:
        return set()
    return {str(alert["labels"]["alertname"]) for alert in alerts if alert["state"] == "firing"}


# -------------------------------------------------------------------- upgrade and removal, at last


class Flow(threading.Thread):
    """A strategy that cancels one order after the other, whatever happens to the daemon, until it is told to end."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._endpoint = f"ipc://{desk.machine.root}/run/canceld/commands.sock"
        self._exchange = desk.exchange
        self._order_ids = desk.exchange.place(FLOWING)
        self._end = threading.Event()
        self.begun = threading.Event()
        self.outcomes: list[str] = []
        self.again = 0
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with Dealer(self._endpoint) as dealer:
                self.outcomes = [str(reply["outcome"]) for reply in self._replies(dealer)]
        except BaseException as error:
            self.failed = error

    def _replies(self, dealer: Dealer) -> list[dict[str, Any]]:
        ids: list[Any] = []
        while not self._end.is_set() and len(ids) < FLOWING:
            if len(ids) < len(dealer.replies) + IN_FLIGHT:
                ids.append(dealer.cancel(self._order_ids[len(ids)], deadline_ms=DEADLINE_MS))
            with suppress(TimeoutError):
                dealer.hear(EVERY_S)
                self.begun.set()
                time.sleep(EVERY_S)
        until(lambda: dealer.ask("status")["state"] == "serving", WITHIN_S, "it serves")
        # What this daemon has taken it answers within the deadline. What is unheard then died with the one before, and
        # is asked again under the same id.
        with suppress(TimeoutError):
            while set(ids) - dealer.replies.keys():
                dealer.hear(DEADLINE_MS / 1000 + 1)
        for id in [id for id in ids if id not in dealer.replies]:
            self.again += 1
            dealer.cancel(self._order_ids[ids.index(id)], id=id, deadline_ms=DEADLINE_MS)
        return dealer.hear_all(ids, WITHIN_S)

    def finish(self) -> Counter[str]:
        """How many commands had which outcome. Each had exactly one answer."""
        self._end.set()
        self.join(LINE_S)
        assert self.failed is None, self.failed
        # A refusal left its order alone, and so did the end of the flow those that it had not come to.
        left = set(self._exchange.resting()) & set(self._order_ids)
        assert len(left) == FLOWING - len(self.outcomes) + self.outcomes.count("refused")
        return Counter(self.outcomes)


def test_an_upgrade_and_a_way_back_under_load_and_a_removal_that_leaves_the_state(
    desk: Desk, tell: Callable[[str], None]
) -> None:
    """By README's lines. Each command that flows meanwhile is answered once; a refusal says that nothing was sent."""
    *prepare, upgrade, back, disable, remove = UPGRADE
    begun = time.monotonic()
    for line in prepare:
        done = desk.paste(line, within_s=INSTALL_S)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    prepared_s = time.monotonic() - begun
    tell(f"a service by {len(BEGIN)} lines in {desk.installed_s:.0f} s, the next version ready in {prepared_s:.0f} s")
    for line, version in ((upgrade, "0.2.0"), (back, "0.1.0")):
        flow = Flow(desk)
        flow.start()
        assert flow.begun.wait(WITHIN_S)
        pid = desk.machine.shown("canceld")["MainPID"]
        begun = time.monotonic()
        desk.good(line)
        desk.await_up()
        took_s = time.monotonic() - begun
        assert desk.machine.shown("canceld")["MainPID"] != pid
        outcomes = flow.finish()
        assert set(outcomes) <= {"acked", "canceled", "closed", "refused"}
        told = f"{dict(outcomes)}, each answered once, {flow.again} asked again"
        tell(f"to {version} in {took_s:.1f} s with commands flowing: {told}")
        assert desk.good("readlink /opt/canceld") == f"canceld-{version}\n"
        assert f"/opt/canceld-{version}/bin/python" in desk.good(
            "tr '\\0' ' ' </proc/$(systemctl show -P MainPID canceld)/cmdline"
        )
    refused = desk.paste(remove)
    assert (refused.returncode, refused.stderr) == (
        2, "canceld: canceld.service is enabled: systemctl disable --now it first\n",
    )  # fmt: skip
    desk.good(disable)
    told = desk.good(remove)
    assert "left      /var/lib/canceld: state and record" in told
    assert desk.paste("command -v canceld").returncode == 1
    root = desk.machine.root
    assert not [file for file in (root / "opt").iterdir() if file.name.startswith("canceld")]
    assert not list((root / "etc/systemd/system").glob("canceld*.service"))
    assert desk.paste("systemctl cat canceld").returncode == 1
    assert (root / "var/lib/canceld/journal").is_dir()
    assert (root / "etc/canceld/credentials/spot.key").is_file()
