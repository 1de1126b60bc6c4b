"""Where panic finds keys: the first directory that has any, of all that may hold them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..contract.ids import VENUES, Venue
from ..credentials import DIRECTORY_VARIABLE, Keys, load_from
from ..verbs.readable import Readable

BESIDE: Final = "credentials"
"""The directory beside the configuration file in which README's installation has the key files."""


class KeyFiles:
    """The key files of all venues. `remarks` fills with what was used although it should be mended.

    All are taken from one directory: keys of two directories may be those of two accounts.
    """

    def __init__(self, found: Readable, config: str, environ: Mapping[str, str]) -> None:
        self.remarks: list[str] = []
        self._found = found
        systemd_made = environ.get(DIRECTORY_VARIABLE, "")
        named = [Path(name) for name in (found.settings.credentials.dir, systemd_made) if name]
        self._places = [*named, Path(config).parent / BESIDE]
        full = [place for place in self._places if any(_holds(place, venue) for venue in VENUES)]
        self._directory = (full or self._places)[0]
        self._trusted = bool(systemd_made) and self._directory == Path(systemd_made)

    def venues(self) -> tuple[Venue, ...]:
        """Where to cancel: the venues that are enabled, and those with keys of which that cannot be told."""
        settings, doubted = self._found.settings, self._found.doubted
        chosen = []
        for venue in VENUES:
            if venue not in doubted:
                if venue in settings.venues:
                    chosen.append(venue)
            elif _holds(self._directory, venue):
                self.remarks.append(f"{venue}: whether it is enabled cannot be told; there are keys, so it is tried")
                chosen.append(venue)
        return tuple(chosen)

    def load(self, venue: Venue) -> Keys:
        """The keys of one venue. Raises BadCredentials."""
        return load_from(self._directory, venue, trusted=self._trusted, too_open=self.remarks)

    def in_words(self) -> str:
        """The places that were looked at, for a message."""
        return ", ".join(map(str, self._places))


def _holds(directory: Path, venue: Venue) -> bool:
    return os.path.exists(directory / f"{venue}.key")
