"""Key files to secrets that no repr, log or exception can show."""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from .contract.ids import VENUES, Venue
from .settings import Settings
from .transport.files import PRIVATE_LIMIT_BYTES, DiskFailed, TooOpen, read_private, read_regular

T = TypeVar("T", str, bytes)

SECRET_BYTES: Final = 64
"""Length of a decoded Spot or Futures secret: it keys an HMAC-SHA512. Another length is a clipped or mangled paste."""

DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"

_PRINTABLE: Final = re.compile(rb"[\x21-\x7e]+")


class Secret(Generic[T]):
    """A value that only `reveal()` shows. Comparing, printing, formatting and pickling it tell nothing."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    def reveal(self) -> T:
        """The value itself; the caller puts it on the wire and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


class Keys(msgspec.Struct, frozen=True):
    """One venue's API key: `secret` is what signatures are keyed with, decoded where the venue gives it in base64."""

    key: Secret[str]
    secret: Secret[bytes]


class Credentials(msgspec.Struct, frozen=True):
    """The keys of every enabled venue; None where it is not enabled."""

    spot: Keys | None = None
    prime: Keys | None = None
    futures: Keys | None = None

    def all_keys(self) -> tuple[Keys, ...]:
        """Every pair that was loaded, for whoever must recognise their values in a text."""
        return tuple(keys for keys in (self.spot, self.prime, self.futures) if keys is not None)


class BadCredentials(Exception):
    """The keys cannot be used; the text is one line that names the file and the mend, and never a value."""


def directory_of(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Where the key files are: `credentials.dir`, or what systemd sets. Raises BadCredentials."""
    named = settings.credentials.dir or environ.get(DIRECTORY_VARIABLE, "")
    if not named:
        raise BadCredentials(
            f"credentials.dir: not set, and ${DIRECTORY_VARIABLE} neither; name the directory that holds the key files"
        )
    return Path(named)


def load(settings: Settings, environ: Mapping[str, str]) -> Credentials:
    """The keys of every enabled venue, from files only: an environment or an argument list is read by others.

    Spot's also where the Unified WebSocket cancels Futures orders under them. environ: only its CREDENTIALS_DIRECTORY
    is looked at. Raises BadCredentials.
    """
    unified = settings.futures.enabled and bool(settings.futures.uws_url)
    needed = [venue for venue in VENUES if venue in settings.venues or (venue == "spot" and unified)]
    return Credentials(**{venue: load_venue(settings, environ, venue) for venue in needed})


def load_venue(settings: Settings, environ: Mapping[str, str], venue: Venue) -> Keys:
    """The keys of one venue, enabled or not; otherwise as `load`. Raises BadCredentials."""
    directory = directory_of(settings, environ)
    systemd_made = environ.get(DIRECTORY_VARIABLE)
    return load_from(directory, venue, trusted=bool(systemd_made) and directory == Path(systemd_made or ""))


def load_from(directory: Path, venue: Venue, *, trusted: bool, too_open: list[str] | None = None) -> Keys:
    """The keys of one venue from one directory. Raises BadCredentials.

    trusted: systemd made the directory, see transport.files.read_private. too_open: where a file that others may read
    is noted, and used all the same; None refuses it.
    """
    key = _read_value(directory / f"{venue}.key", trusted, too_open)
    secret_path = directory / f"{venue}.secret"
    secret = _read_value(secret_path, trusted, too_open)
    # Prime keys its HMAC with the secret's ASCII bytes as given; Spot and Futures with what the base64 text holds.
    return Keys(Secret(key.decode("ascii")), Secret(secret if venue == "prime" else _decoded(secret_path, secret)))


def _read_value(path: Path, trusted: bool, too_open: list[str] | None) -> bytes:
    try:
        try:
            content = read_private(path, trusted_directory=trusted)
        except TooOpen as error:
            if too_open is None:
                raise BadCredentials(f"{error}; run: chmod 600 {path}") from None
            too_open.append(f"{error}; used all the same; run: chmod 600 {path}")
            content = read_regular(path, PRIVATE_LIMIT_BYTES)[0]
    except (DiskFailed, OSError) as error:
        raise BadCredentials(f"{error}; put the value there, one line, mode 0600, owned by the daemon's user") from None
    value = content.removesuffix(b"\n")
    if not value:
        raise BadCredentials(f"{path}: is empty; put the value there, one line")
    if not _PRINTABLE.fullmatch(value):
        raise BadCredentials(f"{path}: holds spaces, line breaks or other unprintable bytes; copy the value again")
    return value


def _decoded(path: Path, text: bytes) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadCredentials(f"{path}: is not base64; copy the private key again, whole") from None
    if len(secret) != SECRET_BYTES:
        raise BadCredentials(
            f"{path}: decodes to {len(secret)} bytes, not {SECRET_BYTES}; copy the private key again, whole"
        )
    return secret
