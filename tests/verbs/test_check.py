"""`canceld check`: what it tells, what it refuses, and that it shows no secret."""

import json
from pathlib import Path

import pytest

from ..test_cli import canceld
from ..test_credentials import KEY, SECRET_TEXT, put


@pytest.fixture
def config(tmp_path: Path) -> Path:
    put(tmp_path, "spot.key", KEY)
    put(tmp_path, "spot.secret", SECRET_TEXT)
    path = tmp_path / "canceld.toml"
    path.write_text(f'[state]\ndir = "{tmp_path}"\n[credentials]\ndir = "{tmp_path}"\n')
    return path


def test_check_tells_what_would_run_and_no_secret(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert canceld("check", "--config", str(config)) == 0
    assert canceld("check", "--config", str(config), "--json") == 0
    out = capsys.readouterr().out
    found = json.loads(out.splitlines()[-1])
    assert found["venues"]["spot"]["ws_url"] == "wss://ws-auth.kraken.com"
    assert found["deadman"] == {"spot": False, "futures": False}
    assert "ws_url = wss://ws-auth.kraken.com" in out
    assert KEY.decode() not in out
    assert SECRET_TEXT.decode() not in out


@pytest.mark.parametrize(
    ("sections", "venue", "routes", "keys"),
    [
        ("", "spot", "WebSocket, another session, REST", "spot"),
        ("[spot]\nsessions = 1\n", "spot", "WebSocket, REST", "spot"),
        ("[prime]\nenabled = true\n", "prime", "WebSocket, another session", "prime"),
        ("[futures]\nenabled = true\n", "futures", "REST", "futures"),
        (
            '[futures]\nenabled = true\nuws_url = "wss://uws.kraken.com/v2/private"\n',
            "futures",
            "Unified WebSocket, another session, REST",
            "futures, spot",
        ),
    ],
)
def test_check_tells_how_each_venue_is_reached_and_under_which_keys(
    config: Path, sections: str, venue: str, routes: str, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("prime", "futures"):
        put(config.parent, f"{name}.key", KEY)
        put(config.parent, f"{name}.secret", SECRET_TEXT)
    config.write_text(config.read_text() + sections)
    assert canceld("check", "--config", str(config)) == 0
    part = capsys.readouterr().out.partition(f"\n    {venue}\n")[2]
    assert part.startswith(f"      routes = {routes}\n      keys = {keys}\n")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("[spot]\nenabeld = true\n", "spot.enabeld"),
        ("[tls]\nca_file = '/nonexistent/ca.pem'\n", "tls.ca_file"),
        ("[prime]\nenabled = true\n", "prime.key"),
    ],
)
def test_check_names_what_is_wrong(config: Path, line: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text() + line)
    assert canceld("check", "--config", str(config)) == 2
    err = capsys.readouterr().err
    assert named in err
    assert err.count("\n") == 1


def test_check_takes_a_state_directory_that_run_can_make(config: Path) -> None:
    state = config.parent / "state"
    config.write_text(f'[state]\ndir = "{state}"\n[credentials]\ndir = "{config.parent}"\n')
    assert canceld("check", "--config", str(config)) == 0
    assert not state.exists()


@pytest.mark.parametrize("place", ["file", "file/state", "missing/state"])
def test_check_names_a_state_directory_that_is_none(
    config: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "file").touch()
    state = config.parent / place
    config.write_text(f'[state]\ndir = "{state}"\n[credentials]\ndir = "{config.parent}"\n')
    assert canceld("check", "--config", str(config)) == 2
    assert f"state.dir: {state}" in capsys.readouterr().err
