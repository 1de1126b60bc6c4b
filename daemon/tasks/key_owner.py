"""One daemon to a key: two that draw nonces for it overtake each other, and both are refused.

The claim is made under a hash of the key, so that the key is not shown. It stops a second daemon at its start and
nothing else: `panic` makes no claim, and a daemon that has a kill to carry out goes on beside whoever holds it.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import structlog

from ..contract.ids import VENUES, Venue
from ..credentials import Credentials, Keys
from ..transport.claims import Claim, Held
from .events import Events

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

MEND: Final = "stop that one, or give this one a key of its own"


class KeyTaken(Exception):
    """Another daemon of this host uses the key; the text is one line that names it and the mend."""


def fingerprint(keys: Keys) -> str:
    """What a key is claimed under: 128 bits of a hash, from which the key can neither be told nor guessed."""
    return sha256(b"canceld key\n" + keys.key.reveal().encode()).hexdigest()[:32]


class KeyOwner:
    """The claims of this process on the keys that it uses. claim: makes one; raises Held."""

    def __init__(self, claim: Callable[[str], Claim]) -> None:
        self._claim = claim
        self._claims: dict[str, Claim] = {}
        self._shared: dict[Venue, Held] = {}
        self._alerts: list[str] = []

    def take(self, credentials: Credentials, *, whatever: bool) -> None:
        """Claim these keys, and let go of all others.

        whatever: use them though somebody else holds one. So does every daemon where the holder is a user who may not
        end us: a stranger must not keep the kill switch away. Raises KeyTaken.
        """
        wanted = {fingerprint(keys): venue for venue in VENUES if (keys := _of(credentials, venue)) is not None}
        for name in self._claims.keys() - wanted.keys():
            self._claims.pop(name).release()
        self._shared = {}
        for name, venue in wanted.items():
            if name in self._claims:
                continue
            try:
                self._claims[name] = self._claim(name)
            except Held as held:
                if held.holder is not None and held.holder.is_peer and not whatever:
                    self.release()
                    raise KeyTaken(f"another canceld on this host uses the {venue} key ({held}); {MEND}") from None
                self._shared[venue] = held

    def tell(self, events: Events) -> None:
        """Alert where a key is used that somebody else holds, and no longer where it is not."""
        before, self._alerts = self._alerts, []
        for venue, held in self._shared.items():
            what = f"{venue}: another program uses this key: {held}"
            log.error("another program uses this key", venue=venue, holder=str(held))
            events.alert("critical", what, MEND)
            self._alerts.append(what)
        for what in before:
            if what not in self._alerts:
                events.clear(what)

    def release(self) -> None:
        """Let go of everything."""
        for claim in self._claims.values():
            claim.release()
        self._claims.clear()


def _of(credentials: Credentials, venue: Venue) -> Keys | None:
    keys: Keys | None = getattr(credentials, venue)
    return keys
