"""Hands out the WebSocket tokens of one key: fetched where the REST budget bears it, else one that is there already.

A flapping line must not spend on tokens the calls that settle orders. engine/budget.py holds who goes first,
engine/token_calls.py the pauses after a call that failed.
"""

from typing import Final

import structlog
import trio
from msgspec import Struct

from ..credentials import Secret
from ..engine.budget import CallBudget, Use
from ..engine.token_calls import REMEMBERED_NS, REUSE_NS, TokenCalls
from ..transport.clock import Clock
from .connection import TokenFailed
from .rest_lane import RestLane
from .spent_file import SpentFile

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

TOKEN_TIMEOUT_S: Final = 5.0
"""For one token, its queue on the REST lane included."""

WITHHELD_NS: Final = 1_000_000_000
"""How soon it is looked again whether the budget bears a token: it gives a call back each second or three."""


class Token(Struct, frozen=True):
    """One token. asked_ns: when it was asked for, on the monotonic clock; expires_s: for how long it is good then."""

    text: Secret[str]
    asked_ns: int
    expires_s: float


class TokenDesk:
    """The tokens of one Spot key, for the sessions of every venue that take them."""

    def __init__(self, lane: RestLane, budget: CallBudget, clock: Clock, spent: SpentFile) -> None:
        self._lane = lane
        self._budget = budget
        self._clock = clock
        self._spent = spent
        asked_ns = spent.before("token", REMEMBERED_NS)
        self._calls = TokenCalls(spent.before("token got", REMEMBERED_NS), spent.before("token failed", REMEMBERED_NS))
        for at_ns in asked_ns:
            budget.called("token", 0, at_ns)
        self._last: Token | None = None

    def wait_s(self, use: Use, *, fresh: bool = False) -> float:
        """How long a token for this use cannot be had, neither a fetched one nor (not `fresh`) one that is there.

        Where the venue has no session, what we count of its calls withholds none: it may be too much, since many of
        them never got there, and a call that fails is paused for by itself.
        """
        now_ns = self._clock.monotonic_ns()
        if use == "kill" or (not fresh and self._reusable(use, now_ns) is not None):
            return 0.0
        withheld_ns = 0 if use == "first token" or self._budget.spares(use, now_ns) else WITHHELD_NS
        return max(withheld_ns, self._calls.wait_ns(now_ns)) / 1e9

    async def token(self, use: Use, *, fresh: bool = False) -> Token:
        """A token: fetched, or (not `fresh`) one that is there and has to do. Raises TokenFailed."""
        last = None if fresh else self._reusable(use, self._clock.monotonic_ns())
        return last if last is not None else await self._fetch(pressing=use == "kill")

    def refused(self, token: Secret[str]) -> None:
        """The venue takes this one no more."""
        if self._last is not None and self._last.text is token:
            self._last = None

    def forget(self) -> None:
        """Another key is in use from here on."""
        self._last = None
        self._calls.forget()

    def _reusable(self, use: Use, now_ns: int) -> Token | None:
        """The last token, where it is good enough and a fresh one cannot be afforded or had."""
        last = self._last
        if last is None or now_ns - last.asked_ns >= min(REUSE_NS, last.expires_s * 1e9):
            return None
        affordable = self._budget.spares("token" if use == "kill" else use, now_ns)
        return None if affordable and not self._calls.wait_ns(now_ns) else last

    async def _fetch(self, *, pressing: bool) -> Token:
        asked_ns = self._clock.monotonic_ns()
        self._calls.asked()
        self._spent.note("token")
        over = False
        try:
            with trio.fail_after(TOKEN_TIMEOUT_S):
                text, expires_s = await self._lane.fetch_token(pressing=pressing)
            over = True
        except trio.TooSlowError:
            over = self._failed()
            raise TokenFailed(f"no answer in {TOKEN_TIMEOUT_S} s") from None
        except TokenFailed:
            over = self._failed()
            raise
        finally:
            # A kill cancels it, and out of a nursery that comes as a group of exceptions: no call stays counted as
            # under way, or all later ones would wait for it.
            if not over:
                self._calls.dropped()
        self._calls.answered(self._clock.monotonic_ns(), good=True)
        self._spent.note("token got")
        self._last = Token(text, asked_ns, expires_s)
        return self._last

    def _failed(self) -> bool:
        if self._calls.answered(self._clock.monotonic_ns(), good=False):
            # Only what the next process is to pause for as well: a kill asks again and again.
            self._spent.note("token failed")
        return True
