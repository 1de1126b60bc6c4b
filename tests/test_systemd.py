"""The unit and its snippets: what systemd itself says of them, and the promises the daemon's code relies on."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from canceld.panic.verb import DISK_TIMEOUT_S, GRACE_S
from canceld.settings import DRAIN_ON_STOP_S, Settings

UNITS = Path(__file__).parent.parent / "systemd"
SERVICES = ("canceld.service", "canceld-panic.service")
TEMPLATES = ("canceld@.service", "canceld-panic@.service")
EXPORTERS = ("canceld-exporter.service", "canceld-exporter@.service")
AGENTS = ("canceld-ship@.service", "canceld-agent@.service", *EXPORTERS)
"""Programs beside the daemon."""
DEDICATED = tuple(f"dedicated-host/{name}.conf" for name in ("nice", "pinned", "fifo"))
DROP_INS = ("canceld-addresses.conf", "canceld-fleet.conf", *DEDICATED)
"""Beside the unit, for those who want one."""
EXECUTABLE = "/opt/canceld/bin/canceld"
SCORE_LIMIT = 14
"""In tenths, on systemd 252. Left are: networking and local sockets (0.9), the host's root (0.1), a clock device that
ProtectClock= itself brings (0.1), no address list, since the venues' addresses change (0.2; canceld-addresses.conf is
for hosts that want one all the same), and the two holes that the unit explains: peers keep their uids (0.2), libzmq
sets its scheduling class (0.2)."""


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def lines_of(name: str) -> list[tuple[str, str]]:
    """Every assignment of a unit file, in its sequence: the sequence decides where a setting is given twice."""
    found = []
    for line in (UNITS / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.append((key, value))
    return found


@pytest.fixture
def unit() -> dict[str, str]:
    return dict(lines_of("canceld.service"))


@pytest.mark.parametrize("name", SERVICES + TEMPLATES + AGENTS)
def test_systemd_finds_nothing_to_say_about_the_unit(name: str, tmp_path: Path) -> None:
    copy = tmp_path / name.replace("@", "@second")
    # Only the program is exchanged: it is not installed where the tests run.
    copy.write_text((UNITS / name).read_text().replace(EXECUTABLE, "/bin/sh"))
    # Unknown keys and bad values are told on stderr alone; the exit status stays 0.
    ended = subprocess.run([tool("systemd-analyze"), "verify", str(copy)], capture_output=True, text=True, timeout=60)
    told = [line for line in ended.stderr.splitlines() if copy.name in line or str(copy) in line]
    assert (ended.returncode, told, ended.stdout) == (0, [], "")


def test_every_file_for_systemd_is_looked_at() -> None:
    known = {*SERVICES, *TEMPLATES, *AGENTS, *DROP_INS, "canceld.sysusers.conf", "canceld.tmpfiles.conf"}
    assert known == {str(file.relative_to(UNITS)) for file in UNITS.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", DROP_INS)
def test_systemd_finds_nothing_to_say_about_the_unit_with_a_drop_in(name: str, tmp_path: Path) -> None:
    drop_in = (UNITS / name).read_text()
    assert verified_with(drop_in, tmp_path) == (0, "")
    wrong = drop_in.replace("[Service]\n", "[Service]\nNiceness=1\n")
    assert "Niceness" in verified_with(wrong, tmp_path)[1], "a drop-in that is not read is not judged"


def verified_with(drop_in: str, place: Path) -> tuple[int, str]:
    """Exit status of `systemd-analyze verify` of the unit with this drop-in, and what it said of either."""
    unit = place / "canceld.service"
    unit.write_text((UNITS / "canceld.service").read_text().replace(EXECUTABLE, "/bin/sh"))
    (place / "canceld.service.d").mkdir(exist_ok=True)
    (place / "canceld.service.d" / "one.conf").write_text(drop_in)
    ended = subprocess.run(
        [tool("systemd-analyze"), "verify", str(unit)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{place}:"},
    )  # fmt: skip
    return ended.returncode, "\n".join(line for line in ended.stderr.splitlines() if str(place) in line)


@pytest.mark.parametrize("name", SERVICES + TEMPLATES + AGENTS)
def test_the_unit_is_as_closed_as_such_a_service_can_be(name: str, tell: Callable[[str], None]) -> None:
    ended = subprocess.run(
        [
            tool("systemd-analyze"),
            "security",
            "--offline=yes",
            f"--threshold={SCORE_LIMIT}",
            str(UNITS / name),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    score = re.search(r"Overall exposure level.*: ([0-9.]+)", ended.stdout)
    assert score is not None, ended.stderr
    tell(f"systemd exposure of {name}: {score[1]} (limit {SCORE_LIMIT / 10})")
    assert ended.returncode == 0


def test_the_user_can_be_made() -> None:
    ended = subprocess.run(
        [tool("systemd-sysusers"), "--dry-run", str(UNITS / "canceld.sysusers.conf")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert "canceld" in (UNITS / "canceld.sysusers.conf").read_text()


def test_key_files_lie_where_only_root_reads_them() -> None:
    assert "d /etc/canceld/credentials 0700 root root -" in (UNITS / "canceld.tmpfiles.conf").read_text()
    credentials = [value for key, value in lines_of("canceld.service") if key == "LoadCredential"]
    assert credentials == [f"{name}:/etc/canceld/credentials/{name}" for name in ("spot.key", "spot.secret")]


def test_the_directories_are_those_of_the_default_settings(unit: dict[str, str]) -> None:
    settings = Settings()
    assert settings.state.dir == f"/var/lib/{unit['StateDirectory']}"
    assert unit["StateDirectoryMode"] == "0700"
    for endpoint in (settings.gateway.commands, settings.gateway.control, settings.gateway.events):
        assert endpoint.startswith(f"ipc:///run/{unit['RuntimeDirectory']}/")
    assert unit["RuntimeDirectoryMode"] == "0750"


def test_a_configuration_that_cannot_be_used_is_not_tried_again_and_everything_else_is(unit: dict[str, str]) -> None:
    assert unit["Restart"] == "always"
    assert unit["RestartSec"] == "200ms"
    assert unit["StartLimitIntervalSec"] == "0"
    assert unit["RestartPreventExitStatus"] == "2"


def test_the_service_manager_hears_the_daemon_itself_and_waits_longer_than_it_drains(unit: dict[str, str]) -> None:
    assert (unit["Type"], unit["NotifyAccess"]) == ("notify", "main")
    assert float(unit["TimeoutStopSec"]) > DRAIN_ON_STOP_S + 3
    assert 1 <= float(unit["WatchdogSec"]) <= 30


def test_a_reload_is_left_to_the_daemon_which_sees_the_credentials() -> None:
    steps = [value for key, value in lines_of("canceld.service") if key == "ExecReload"]
    assert steps == ["/bin/kill -HUP $MAINPID"]


def test_libzmq_may_set_the_scheduling_class_of_its_threads() -> None:
    """Refused, it aborts the process at the first socket; @resources holds the call, so it is given back after it."""
    filters = [value for key, value in lines_of("canceld.service") if key == "SystemCallFilter"]
    assert filters.index("sched_setscheduler") > filters.index("~@privileged @resources")
    assert filters[0] == "@system-service"


def test_clients_keep_their_names(unit: dict[str, str]) -> None:
    """In a user namespace the kernel calls every peer nobody, and the audit record would too."""
    assert "PrivateUsers" not in unit


def test_keys_reach_neither_core_dumps_nor_the_environment(unit: dict[str, str]) -> None:
    assert unit["LimitCORE"] == "0"
    assert "Environment" not in unit
    assert "EnvironmentFile" not in unit


def test_the_daemon_outlives_strategies_when_memory_runs_out(unit: dict[str, str]) -> None:
    assert unit["OOMScoreAdjust"] == "-900"
    assert unit["LimitNOFILE"] == "65536"


# Settings in which the two services differ, each for a reason given in its file.
OWN = {
    "Description", "Documentation", "ExecStart", "ExecReload", "ExecStopPost", "Type", "NotifyAccess", "Wants", "After",
    "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "Restart", "RestartSec", "RestartPreventExitStatus",
    "RuntimeDirectory", "RuntimeDirectoryMode", "OOMScoreAdjust", "MemoryMax", "TasksMax", "LimitNOFILE", "WantedBy",
}  # fmt: skip


def test_panic_runs_as_the_daemon_does_with_its_keys_and_its_state() -> None:
    daemon = [line for line in lines_of("canceld.service") if line[0] not in OWN]
    # What libzmq needs, panic does not.
    daemon.remove(("SystemCallFilter", "sched_setscheduler"))
    assert [line for line in lines_of("canceld-panic.service") if line[0] not in OWN] == daemon


@pytest.mark.parametrize(("one", "several"), [*zip(SERVICES, TEMPLATES, strict=True), EXPORTERS])
def test_the_unit_for_several_accounts_differs_in_its_names_alone(one: str, several: str) -> None:
    """Each directory bears the account's name: a second daemon that ends takes nothing of the first one's away."""

    def named(value: str) -> str:
        return value.replace("-%i", "").replace("@%i", "").replace(", account %i", "")

    lines = lines_of(several)
    assert [(key, named(value)) for key, value in lines] == lines_of(one)
    for key, value in lines:
        if key.endswith("Directory"):
            assert value == "canceld-%i", key
        if key in ("ExecStart", "LoadCredential"):
            assert "/etc/canceld-%i/" in value


def test_panic_has_the_time_it_takes_and_waits_for_nothing() -> None:
    panic = dict(lines_of("canceld-panic.service"))
    assert panic["Type"] == "oneshot"
    told = re.search(r"--timeout-s ([0-9]+) ", panic["ExecStart"])
    assert told is not None
    assert float(panic["TimeoutStartSec"]) >= float(told[1]) + GRACE_S + DISK_TIMEOUT_S
    assert "After" not in panic


def test_the_exporter_is_nobody_who_may_ask_the_daemon_and_is_closed_as_the_daemon_is() -> None:
    exporter = dict(lines_of(EXPORTERS[0]))
    assert (exporter["DynamicUser"], exporter["SupplementaryGroups"]) == ("yes", "canceld")
    assert not [key for key in exporter if key.startswith(("LoadCredential", "StateDirectory", "RuntimeDirectory"))]
    first = lines_of("canceld.service").index(("UMask", "0077"))
    closed = set(lines_of("canceld.service")[first:])
    assert closed <= set(lines_of(EXPORTERS[0]))
