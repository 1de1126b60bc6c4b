"""Which keys panic takes, and where it cancels when the configuration does not tell."""

from pathlib import Path

import pytest

from canceld.credentials import BadCredentials
from canceld.panic.keys import KeyFiles
from canceld.verbs.readable import parse_what_can_be, read_what_can_be

from ..test_credentials import KEY, SECRET_TEXT, put


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "canceld.toml"


def keys_in(directory: Path, *venues: str, key: bytes = KEY) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    for venue in venues:
        put(directory, f"{venue}.key", key)
        put(directory, f"{venue}.secret", SECRET_TEXT)
    return directory


def test_the_first_place_that_has_keys_is_taken(tmp_path: Path, config: Path) -> None:
    beside = keys_in(tmp_path / "credentials", "spot", key=b"beside")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "systemd")}
    config.write_text(f'[credentials]\ndir = "{tmp_path}/own"\n')
    found = read_what_can_be(str(config))
    assert KeyFiles(found, str(config), environ).load("spot").key.reveal() == "beside"
    keys_in(tmp_path / "systemd", "spot", key=b"systemd")
    assert KeyFiles(found, str(config), environ).load("spot").key.reveal() == "systemd"
    keys_in(tmp_path / "own", "futures", key=b"own")
    keys = KeyFiles(found, str(config), environ)
    assert keys.load("futures").key.reveal() == "own"
    # Of two directories one may belong to another account.
    with pytest.raises(BadCredentials, match=r"own/spot\.key"):
        keys.load("spot")
    assert beside.exists()


def test_without_a_configuration_every_venue_with_keys_is_tried(tmp_path: Path, config: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(keys_in(tmp_path / "systemd", "spot", "futures"))}
    keys = KeyFiles(read_what_can_be(str(config)), str(config), environ)
    assert keys.venues() == ("spot", "futures")
    assert len(keys.remarks) == 2
    assert KeyFiles(read_what_can_be(str(config)), str(config), {}).venues() == ()


@pytest.mark.parametrize(
    ("text", "venues"),
    [
        ("", ("spot",)),
        ("[futures]\nenabled = true\n[log]\nlevel = 7\n", ("spot", "futures")),
        ("[futurs]\nenabled = true\n", ("spot", "futures")),
        ("[futures]\nenable = true\n", ("spot", "futures")),
        ("[futures]\nenabled = false\n[log]\nlevel = loud\n", ("spot",)),
        ("[spot]\nenabled = false\n", ()),
    ],
)
def test_a_venue_in_doubt_is_tried_where_it_has_keys(
    tmp_path: Path, config: Path, text: str, venues: tuple[str, ...]
) -> None:
    keys_in(tmp_path / "credentials", "spot", "futures")
    assert KeyFiles(parse_what_can_be(text), str(config), {}).venues() == venues


def test_a_key_that_others_may_read_is_used_and_named(tmp_path: Path, config: Path) -> None:
    (keys_in(tmp_path / "credentials", "spot") / "spot.key").chmod(0o644)
    keys = KeyFiles(parse_what_can_be(""), str(config), {})
    assert keys.load("spot").key.reveal() == KEY.decode()
    assert "chmod 600" in keys.remarks[0]
