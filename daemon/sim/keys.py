"""Who may ask: API keys with their rights and nonces, and the WebSocket tokens made from them.

Signatures are checked by each front, since every venue signs differently; this file only remembers.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .exchange import Venue

TOKEN_FIRST_USE_S = 900  # a token never used dies after this; one in use lives on
TOKEN_LIMIT = 100_000  # tokens remembered, oldest forgotten first

# Vocabulary of GetApiKeyInfo, https://docs.kraken.com/api-reference/account-data/get-api-key-info
CANCEL_RIGHTS = frozenset({"modify-trades", "close-trades"})  # either suffices
CREATE_RIGHT = "modify-trades"
QUERY_OPEN_RIGHT = "query-open-trades"
QUERY_CLOSED_RIGHT = "query-closed-trades"
QUERY_FUNDS_RIGHT = "query-funds"
TOKEN_RIGHT = "create-ws-token"
ALL_RIGHTS = frozenset(
    {CREATE_RIGHT, "close-trades", QUERY_OPEN_RIGHT, QUERY_CLOSED_RIGHT, QUERY_FUNDS_RIGHT, TOKEN_RIGHT}
)
# Prime's permissions as its `User` stream names them: a Trader has both, a Viewer only the first.
PRIME_READ, PRIME_WRITE = "read::orders", "write::orders"
# The access levels of a Futures key: full includes reading.
FUTURES_READ, FUTURES_FULL = "read-only", "full"
# What a key may do when nothing narrower is asked for: everything its venue knows.
RIGHTS: dict[Venue, frozenset[str]] = {
    "spot": ALL_RIGHTS,
    "prime": frozenset({PRIME_READ, PRIME_WRITE}),
    "futures": frozenset({FUTURES_READ, FUTURES_FULL}),
}


@dataclass(slots=True, eq=False)
class ApiKey:
    """One key pair of one account at one venue. last_nonce: the highest nonce accepted so far."""

    venue: Venue
    account: str
    key: str
    secret: str
    rights: frozenset[str]
    created_s: float
    last_nonce: int = 0
    last_used_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Token:
    key: ApiKey
    made_s: float
    used: bool = False


class Keyring:
    """Every API key and every live WebSocket token."""

    def __init__(self, *, now: Callable[[], float], rng: random.Random) -> None:
        self._now = now
        self._rng = rng
        self._keys: dict[tuple[Venue, str], ApiKey] = {}
        self._tokens: dict[str, _Token] = {}

    def issue(self, venue: Venue, account: str, *, rights: Iterable[str] | None = None) -> ApiKey:
        """Make a key pair in the shape the venue hands out (Spot and Futures secrets are base64 of 64 bytes)."""
        key = base64.b64encode(self._rng.randbytes(42)).decode()
        secret = base64.b64encode(self._rng.randbytes(64)).decode()
        if venue == "prime":
            # Prime secrets are used as text, never base64-decoded; this alphabet fails a client that decodes.
            secret = "".join(self._rng.choices(string.ascii_letters + string.digits, k=41)) + "-_-"
        return self.enrol(venue, account, key=key, secret=secret, rights=rights)

    def enrol(
        self, venue: Venue, account: str, *, key: str, secret: str, rights: Iterable[str] | None = None
    ) -> ApiKey:
        """Accept a given key pair, for example a published sample. rights: None for all the venue knows."""
        held = RIGHTS[venue] if rights is None else frozenset(rights)
        api_key = ApiKey(venue, account, key, secret, held, self._now())
        self._keys[venue, key] = api_key
        return api_key

    def revoke(self, venue: Venue, key: str) -> None:
        """Delete a key pair; tokens made from it die with it."""
        api_key = self._keys.pop((venue, key))
        self._tokens = {text: token for text, token in self._tokens.items() if token.key is not api_key}

    def find(self, venue: Venue, key: str) -> ApiKey | None:
        return self._keys.get((venue, key))

    def issue_token(self, key: ApiKey) -> str:
        """A new WebSocket token; it must be used within TOKEN_FIRST_USE_S."""
        text = base64.b64encode(self._rng.randbytes(32)).decode().rstrip("=")
        self._tokens[text] = _Token(key, self._now())
        if len(self._tokens) > TOKEN_LIMIT:
            del self._tokens[next(iter(self._tokens))]
        return text

    def use_token(self, text: str) -> ApiKey | None:
        """The key behind a live token; None for one that is unknown, revoked, or was left unused too long."""
        token = self._tokens.get(text)
        if token is None:
            return None
        if not token.used and self._now() - token.made_s > TOKEN_FIRST_USE_S:
            del self._tokens[text]
            return None
        token.used = True
        token.key.last_used_s = self._now()
        return token.key

    def revoke_tokens(self) -> None:
        """Every token dies at once, as after an upgrade of the venue's WebSocket service."""
        self._tokens.clear()
