"""`canceld install` and `uninstall` on roots of their own: what they lay, keep, replace and leave, and say of it."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from canceld import cli
from canceld.setup.layout import UNITS
from tests.test_house import HOUSE

ROOT: Final = HOUSE.parent
SYSTEM: Final = "etc/systemd/system"
NOBODY: Final = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "machine"
    root.mkdir()
    return root


@pytest.fixture
def umask() -> Iterator[int]:
    """The verbs set it for their process, which is the tests' here."""
    before = os.umask(0o077)
    yield before
    os.umask(before)


pytestmark = pytest.mark.usefixtures("umask")


def everything(root: Path) -> dict[str, str]:
    """Each file and link below a root."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[str(path.relative_to(root))] = path.read_text()
    return found


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], str]:
    status = cli.main(words)
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def installed(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> list[str]:
    status, lines, err = run(capsys, "install", "--root", str(root), *words)
    assert (status, err) == (0, "")
    return lines


def environment(root: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / f"opt/canceld-{version}").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(root / f"opt/canceld-{version}"))


def test_each_file_is_laid_as_it_is_shipped_and_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = installed(capsys, root)
    laid = everything(root)
    for unit in UNITS:
        assert laid[f"{SYSTEM}/{unit}"] == (ROOT / "systemd" / unit).read_text()
    shipped = [file.read_text() for file in (ROOT / "systemd").rglob("*") if file.is_file()]
    assert set(shipped) <= set(laid.values())
    assert laid["etc/canceld/canceld.toml"] == (ROOT / "config" / "canceld.toml").read_text()
    for page in (HOUSE / "pages").glob("*.md"):
        assert laid[f"usr/share/doc/canceld/{page.name}"] == page.read_text()
    for path in laid:
        what = "linked" if path == "usr/local/bin/canceld" else "laid"
        said = any(line.startswith(f"{what:<8}  /{path}") for line in lines)
        assert said or path.endswith("share/canceld/laid"), path
        assert (root / path).is_symlink() or stat.S_IMODE((root / path).stat().st_mode) == 0o644, path
    assert stat.S_IMODE((root / "etc/canceld/credentials").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "usr/share/doc/canceld").stat().st_mode) == 0o755
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet"],
        input=laid["usr/local/share/canceld/laid"].replace("  /", f"  {root}/"),
        text=True,
        timeout=30,
    )
    assert checked.returncode == 0


def test_documentation_of_the_units_is_what_is_laid(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(capsys, root)
    for unit in UNITS:
        [told] = re.findall(r"^Documentation=(.*)$", (root / SYSTEM / unit).read_text(), re.MULTILINE)
        for url in told.split():
            assert (root / url.removeprefix("file:/")).is_file(), url


def test_a_dry_run_says_the_same_steps_and_does_none(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry = installed(capsys, root, "--dry-run", "--account", "second")
    assert everything(root) == {}
    wet = installed(capsys, root, "--account", "second")
    words = {"would lay": "laid", "would link": "linked", "would make": "made"}

    def done(line: str) -> str:
        would, _, rest = line.partition("  ")
        return f"{words.get(would.strip(), would.strip()):<8}  {rest.strip()}"

    assert [done(line) for line in dry] == wet


def test_a_second_run_changes_nothing_and_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(capsys, root)
    before = everything(root)
    lines = installed(capsys, root)
    assert {line.split()[0] for line in lines} == {"same", "kept", "left"}
    assert everything(root) == before


def test_what_an_operator_wrote_is_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configuration and a link stay as they are; a changed unit gives way, and is kept beside ours."""
    (root / "etc/canceld").mkdir(parents=True)
    (root / "etc/canceld/canceld.toml").write_text("mine")
    installed(capsys, root)
    unit, masked = root / SYSTEM / "canceld.service", root / SYSTEM / "canceld-panic.service"
    shipped = unit.read_text()
    unit.write_text("by hand")
    masked.unlink()
    masked.symlink_to("/dev/null")
    lines = installed(capsys, root)
    assert f"replaced  /{SYSTEM}/canceld.service: changed by hand; what it was is in canceld.service.before" in lines
    assert f"kept      /{SYSTEM}/canceld-panic.service: it is a link of yours to /dev/null" in lines
    assert (unit.read_text(), unit.with_name("canceld.service.before").read_text()) == (shipped, "by hand")
    assert os.readlink(masked) == "/dev/null"
    assert (root / "etc/canceld/canceld.toml").read_text() == "mine"


def test_another_version_replaces_its_files_leads_the_link_and_leaves_nothing_of_the_first(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(root, "0.1.0", monkeypatch)
    lines = installed(capsys, root)
    assert "linked    /opt/canceld: to canceld-0.1.0" in lines
    laid = root / "usr/local/share/canceld/laid"
    # As an older version would have left it: another text, and a file that this one has not.
    old = {f"{SYSTEM}/canceld.service": "old", "usr/share/doc/canceld/old.md": "old"}
    for path, text in old.items():
        (root / path).write_text(text)
    known = "".join(line for line in laid.read_text().splitlines(True) if not line.endswith("/canceld.service\n"))
    digest = subprocess.run(["sha256sum"], input="old", capture_output=True, text=True, timeout=30).stdout.split()[0]
    laid.write_text(known + "".join(f"{digest}  /{path}\n" for path in old))
    environment(root, "0.2.0", monkeypatch)
    lines = installed(capsys, root)
    assert f"replaced  /{SYSTEM}/canceld.service" in lines
    assert "removed   /usr/share/doc/canceld/old.md" in lines
    assert "linked    /opt/canceld: to canceld-0.2.0, was canceld-0.1.0" in lines
    assert os.readlink(root / "opt/canceld") == "canceld-0.2.0"
    assert os.readlink(root / "usr/local/bin/canceld") == "/opt/canceld/bin/canceld"
    assert not list(root.rglob("*.before"))
    assert not (root / "usr/share/doc/canceld/old.md").exists()


def test_an_account_has_directories_of_its_own(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(capsys, root, "--account", "second")
    text = (root / "etc/canceld-second/canceld.toml").read_text()
    assert 'commands = "ipc:///run/canceld-second/commands.sock"' in text
    assert 'dir = "/var/lib/canceld-second"' in text
    assert stat.S_IMODE((root / "etc/canceld-second/credentials").stat().st_mode) == 0o700


@pytest.mark.parametrize("account", [None, "second"])
def test_units_are_told_which_keys_there_are(
    root: Path, capsys: pytest.CaptureFixture[str], account: str | None
) -> None:
    """The unit names those of Spot alone, since systemd starts no unit with one that is missing."""
    words = ["--account", account] if account else []
    name, instance = (f"canceld-{account}", f"@{account}") if account else ("canceld", "")
    told = [root / SYSTEM / f"{unit}{instance}.service.d/keys.conf" for unit in ("canceld", "canceld-panic")]
    keys = root / "etc" / name / "credentials"
    installed(capsys, root, *words)
    for file in ("spot.key", "spot.secret"):
        (keys / file).write_text("never read")
    installed(capsys, root)
    assert not [file for file in told if file.exists()]
    for file in ("futures.key", "futures.secret", "notes.txt"):
        (keys / file).write_text("never read")
    installed(capsys, root)
    for file in told:
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        wanted = ("spot.key", "spot.secret", "futures.key", "futures.secret")
        each = [f"LoadCredential={one}:/etc/{name}/credentials/{one}" for one in wanted]
        assert lines == ["[Service]", "LoadCredential=", *each]
    for file in ("futures.key", "futures.secret"):
        (keys / file).unlink()
    installed(capsys, root)
    assert not [file for file in told if file.parent.exists()]


def test_uninstall_takes_everything_of_ours_and_leaves_what_is_the_operators(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(root, "0.1.0", monkeypatch)
    mine = root / SYSTEM / "canceld.service.d" / "mine.conf"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for name in ("canceld", "canceld-second"):
        (root / "etc" / name / "credentials").mkdir(parents=True)
        (root / "etc" / name / "credentials" / "prime.key").write_text("key")
        (root / "var/lib" / name).mkdir(parents=True)
    installed(capsys, root, "--account", "second")
    before = everything(root)
    status, dry, _ = run(capsys, "uninstall", "--root", str(root), "--dry-run")
    assert (status, everything(root)) == (0, before)
    assert f"would remove  /{SYSTEM}/canceld.service" in dry
    status, lines, err = run(capsys, "uninstall", "--root", str(root))
    assert (status, err) == (0, "")
    assert [line for line in lines if line.startswith("left")] == [
        "left      /etc/canceld: configuration and keys",
        "left      /var/lib/canceld: state and record",
        "left      /etc/canceld-second: configuration and keys",
        "left      /var/lib/canceld-second: state and record",
        "left      /opt/canceld-0.1.0: the program itself",
    ]
    assert set(everything(root)) == {
        "etc/canceld/canceld.toml",
        "etc/canceld/credentials/prime.key",
        "etc/canceld-second/canceld.toml",
        "etc/canceld-second/credentials/prime.key",
        str(mine.relative_to(root)),
    }
    assert [path for path in root.rglob("*canceld*") if "share" in path.parts] == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{SYSTEM}/multi-user.target.wants/canceld@second.service", "canceld@second.service is enabled"),
        (f"{SYSTEM}/multi-user.target.wants/canceld-exporter.service", "canceld-exporter.service is enabled"),
        ("run/canceld/commands.sock", "canceld.service runs"),
        ("run/canceld-second/commands.sock", "canceld@second.service runs"),
    ],
)
def test_what_is_enabled_or_runs_is_not_taken_away(
    root: Path, capsys: pytest.CaptureFixture[str], path: str, told: str
) -> None:
    installed(capsys, root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).touch()
    before = everything(root)
    status, lines, err = run(capsys, "uninstall", "--root", str(root))
    assert (status, lines) == (2, [])
    assert err == f"canceld: {told}: systemctl disable --now it first\n"
    assert everything(root) == before


def test_json_is_a_line_for_each_step(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [json.loads(line) for line in installed(capsys, root, "--json")]
    assert {"done": "laid", "path": f"/{SYSTEM}/canceld.service", "remark": ""} in steps


# -------------------------------------------------------------------- what cannot be done, in one line each


def test_a_root_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("install", "uninstall"):
        status, lines, err = run(capsys, verb, "--root", str(tmp_path / "none"))
        assert (status, lines, err) == (2, [], f"canceld: --root {tmp_path / 'none'}: no such directory\n")


@pytest.mark.parametrize("name", ["a b", "", "../etc", "a/b", "-a", "a@b", "ä", "x" * 65, "a\nb", "a:b"])
def test_a_name_that_systemd_would_not_take(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["install", "--root", str(root), f"--account={name}"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "expected up to 64 letters, digits" in told
    assert told.count("\n") == 1
    assert everything(root) == {}


@pytest.mark.parametrize("root", ["/", "//", "/tmp/.."])
def test_on_the_machine_itself_the_environment_must_be_where_the_units_look(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with --dry-run, which would promise an installation that starts nothing, and however it is spelt."""
    status, lines, err = run(capsys, "install", "--dry-run", "--root", root)
    assert (status, lines) == (2, [])
    assert err.endswith("make its environment in /opt/canceld-VERSION\n")
    assert err.count("\n") == 1


def test_a_root_that_leads_round_in_a_circle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    status, _, err = run(capsys, "install", "--root", str(tmp_path / "loop"))
    assert (status, err) == (2, f"canceld: --root {tmp_path / 'loop'}: no such directory\n")


def test_nothing_to_take_away(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "uninstall", "--root", str(root))
    assert (status, err) == (2, f"canceld: nothing that `canceld install` has laid is below {root}\n")


def test_a_directory_in_a_files_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / SYSTEM / "canceld.service").mkdir(parents=True)
    status, _, err = run(capsys, "install", "--root", str(root))
    assert (status, err) == (2, f"canceld: {root / SYSTEM / 'canceld.service'}: Is a directory\n")


def test_something_in_the_links_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/canceld").write_text("another program")
    status, _, err = run(capsys, "install", "--root", str(root))
    assert (status, err) == (
        2, f"canceld: {root / 'usr/local/bin/canceld'} is there and is no link; move it away\n",
    )  # fmt: skip
    assert (root / "usr/local/bin/canceld").read_text() == "another program"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not")
def test_somebody_who_may_not(root: Path) -> None:
    program = (
        "import os, sys; from canceld import cli; import canceld.setup.verb; "
        f"os.seteuid({NOBODY}); sys.exit(cli.main(sys.argv[1:]))"
    )
    for verb in ("install", "uninstall"):
        done = subprocess.run(
            [sys.executable, "-c", program, verb, "--root", str(root)], capture_output=True, text=True, timeout=60
        )
        told = f"canceld: --root {root}: user {NOBODY} may not write there; run this as root\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
    assert os.listdir(root) == []
