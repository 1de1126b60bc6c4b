"""Key files: what is taken, what is refused, and that no value is ever shown."""

import base64
import copy
import os
import pickle
from pathlib import Path

import msgspec
import pytest

from canceld.credentials import BadCredentials, Credentials, Secret, load, load_venue
from canceld.settings import CredentialFiles, Futures, Prime, Settings, Spot

SECRET = bytes(range(64))
SECRET_TEXT = base64.b64encode(SECRET)
KEY = b"marked-public-key"


def put(directory: Path, name: str, value: bytes, mode: int = 0o600) -> Path:
    path = directory / name
    path.write_bytes(value)
    path.chmod(mode)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for venue, secret in (("spot", SECRET_TEXT), ("prime", b"raw~secret/=="), ("futures", SECRET_TEXT)):
        put(tmp_path, f"{venue}.key", KEY + b"\n")
        put(tmp_path, f"{venue}.secret", secret + b"\n")
    return tmp_path


def settings(directory: str | Path = "", *, prime: bool = False, futures: bool = False) -> Settings:
    return Settings(
        spot=Spot(),
        prime=Prime(enabled=prime),
        futures=Futures(enabled=futures),
        credentials=CredentialFiles(str(directory)),
    )


def refusal(directory: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(BadCredentials) as caught:
        load(settings(directory), environ or {})
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.__cause__ is None
    return text


def test_each_venue_gets_its_secret_in_the_form_its_signatures_need(directory: Path) -> None:
    credentials = load(settings(directory, prime=True, futures=True), {})
    assert credentials.spot is not None
    assert credentials.prime is not None
    assert credentials.futures is not None
    assert credentials.spot.key.reveal() == KEY.decode()
    assert credentials.spot.secret.reveal() == SECRET
    assert credentials.futures.secret.reveal() == SECRET
    assert credentials.prime.secret.reveal() == b"raw~secret/=="
    assert len(credentials.all_keys()) == 3


def test_only_enabled_venues_need_files(tmp_path: Path) -> None:
    put(tmp_path, "spot.key", KEY)
    put(tmp_path, "spot.secret", SECRET_TEXT)
    credentials = load(settings(tmp_path), {})
    assert credentials.prime is None
    assert len(credentials.all_keys()) == 1


def test_one_venues_keys_need_no_other_files(directory: Path) -> None:
    (directory / "spot.key").unlink()
    assert load_venue(settings(directory), {}, "futures").secret.reveal() == SECRET
    with pytest.raises(BadCredentials, match=r"spot\.key"):
        load_venue(settings(directory), {}, "spot")


def test_the_directory_of_the_file_wins_over_systemds(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("empty")
    assert load(settings(directory), {"CREDENTIALS_DIRECTORY": str(elsewhere)}).spot is not None
    assert load(settings(), {"CREDENTIALS_DIRECTORY": str(directory)}).spot is not None


def test_no_directory_at_all_is_said(directory: Path) -> None:
    with pytest.raises(BadCredentials, match=r"credentials\.dir: not set"):
        load(settings(), {})
    with pytest.raises(BadCredentials, match=r"credentials\.dir: not set"):
        load(settings(), {"CREDENTIALS_DIRECTORY": ""})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_file_open_to_others_is_refused_with_the_mend(directory: Path, mode: int) -> None:
    path = put(directory, "spot.secret", SECRET_TEXT, mode)
    text = refusal(directory)
    assert str(path) in text
    assert f"chmod 600 {path}" in text


def test_a_stricter_file_is_taken(directory: Path) -> None:
    put(directory, "spot.secret", SECRET_TEXT, 0o400)
    assert load(settings(directory), {}).spot is not None


def test_the_mode_systemd_gives_is_taken_in_systemds_directory_only(directory: Path) -> None:
    for name in ("spot.key", "spot.secret"):
        (directory / name).chmod(0o440)
    assert load(settings(), {"CREDENTIALS_DIRECTORY": str(directory)}).spot is not None
    assert load(settings(directory), {"CREDENTIALS_DIRECTORY": str(directory)}).spot is not None
    assert "spot.key" in refusal(directory)
    assert "spot.key" in refusal(directory, {"CREDENTIALS_DIRECTORY": "/elsewhere"})


def test_a_missing_file_is_named(directory: Path) -> None:
    (directory / "spot.key").unlink()
    assert str(directory / "spot.key") in refusal(directory)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"two\nlines\n", "copy the value again"),
        (SECRET_TEXT + b"\n\n", "copy the value again"),
        (b" " + SECRET_TEXT, "copy the value again"),
        (SECRET_TEXT + b"\r\n", "copy the value again"),
        (b"\xff\xfe", "copy the value again"),
        (SECRET_TEXT[:-3], "not base64"),
        (b"not*base64!", "not base64"),
        (base64.urlsafe_b64encode(b"\xff" * 64), "not base64"),
        (base64.b64encode(SECRET[:32]), "32 bytes"),
        (base64.b64encode(SECRET + b"x"), "65 bytes"),
    ],
)
def test_a_value_that_cannot_be_a_secret_is_refused_without_being_shown(
    directory: Path, value: bytes, why: str
) -> None:
    path = put(directory, "spot.secret", value)
    text = refusal(directory)
    assert str(path) in text
    assert why in text
    shown = value.strip().decode("ascii", "replace")
    assert not shown or shown not in text


def test_secrets_in_the_environment_are_not_read(tmp_path: Path) -> None:
    environ = {"SPOT_KEY": "k", "SPOT_SECRET": SECRET_TEXT.decode(), "KRAKEN_API_SECRET": SECRET_TEXT.decode()}
    with pytest.raises(BadCredentials):
        load(settings(tmp_path), environ)


def test_no_repr_shows_a_value(directory: Path) -> None:
    credentials = load(settings(directory), {})
    assert credentials.spot is not None
    for text in (repr(credentials), str(credentials.spot), f"{credentials.spot.secret}"):
        assert KEY.decode() not in text
        assert repr(SECRET)[2:20] not in text


def test_a_secret_is_neither_pickled_nor_copied_nor_encoded() -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode):
        with pytest.raises(TypeError) as caught:
            attempt(Secret("marked"))
        assert "marked" not in str(caught.value)


def test_secrets_do_not_tell_whether_they_are_equal() -> None:
    assert Secret("same") != Secret("same")


def test_nothing_loaded_is_no_keys() -> None:
    assert Credentials().all_keys() == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(directory: Path) -> None:
    path = put(directory, "spot.key", KEY, 0o000)
    assert str(path) in refusal(directory)
