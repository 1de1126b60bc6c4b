"""How fresh a WebSocket token is. The token itself, and the call that fetches it, are elsewhere."""

from typing import Final

import msgspec

REFRESH_SHARE: Final = 0.5
"""Share of its life after which a token is renewed at the latest. The venue lets tokens die early at times; half of the
documented 900 s leaves several tries before the end. Source: krakenfx/kraken-api-sdk renews at half life."""

JITTER_SHARE: Final = 0.1
"""Share of its life by which a renewal may come earlier, so that daemons started together do not ask together."""


class Freshness(msgspec.Struct, frozen=True):
    """When one token was asked for, on the monotonic clock, and for how long it is good.

    fetched_ns: before the request left, so that the answer's travel never counts as life. jitter: 0..1, drawn once.
    """

    fetched_ns: int
    expires_s: float
    jitter: float

    @property
    def due_ns(self) -> int:
        """When the next token is to be fetched; the old one serves until the new one is here."""
        return self.fetched_ns + int(self.expires_s * (REFRESH_SHARE - JITTER_SHARE * self.jitter) * 1e9)

    @property
    def expires_ns(self) -> int:
        """When the venue may stop taking the token in new subscriptions."""
        return self.fetched_ns + int(self.expires_s * 1e9)

    def due(self, now_ns: int) -> bool:
        """Whether the next token is to be fetched."""
        return now_ns >= self.due_ns

    def expired(self, now_ns: int) -> bool:
        """Whether the token has to be taken for dead."""
        return now_ns >= self.expires_ns
