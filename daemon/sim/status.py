"""What each venue's market does: online, in maintenance, and the steps announced between the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .exchange import Exchange, Venue

ANNOUNCED_S = 72 * 3600  # how far ahead the venue announces maintenance


class MarketStatus:
    """One venue's market status now and to come. Times are unix seconds."""

    def __init__(self, venue: Venue, *, exchange: Exchange, now: Callable[[], float]) -> None:
        self._venue = venue
        self._exchange = exchange
        self._clock = now
        # (from when, status): ascending; the last one whose time has come holds.
        self._schedule: list[tuple[float, str]] = [(float("-inf"), "online")]
        self._was = "online"

    @property
    def now(self) -> str:
        """`online`, `post_only`, `limit_only`, `cancel_only` or `maintenance`."""
        return next(status for from_s, status in reversed(self._schedule) if from_s <= self._clock())

    def maintain(self, for_s: float, cancel_only_s: float) -> None:
        """Maintenance from now for for_s, then cancel_only for cancel_only_s, then online."""
        start_s = self._clock()
        self.schedule(
            [
                (start_s, "maintenance"),
                (start_s + for_s, "cancel_only"),
                (start_s + for_s + cancel_only_s, "online"),
            ]
        )

    def schedule(self, steps: Sequence[tuple[float, str]]) -> None:
        """Replace the coming status changes; steps are (unix seconds, status), ascending."""
        self._schedule = [(float("-inf"), self.now), *steps]
        self.advance()

    def announced(self) -> list[tuple[float, float | None]]:
        """Maintenance within ANNOUNCED_S that has not begun: from when, until when (None where no end is planned).

        Source: https://docs.kraken.com/api/docs/rest-api/get-system-status
        """
        now_s = self._clock()
        ends_s = [from_s for from_s, _ in self._schedule[1:]] + [None]
        return [
            (from_s, end_s)
            for (from_s, status), end_s in zip(self._schedule, ends_s, strict=True)
            if status == "maintenance" and now_s < from_s <= now_s + ANNOUNCED_S
        ]

    def advance(self) -> None:
        """Let status changes that are due take effect on the book."""
        status = self.now
        if status == "maintenance" and self._was != "maintenance":
            self._exchange.freeze(self._venue)
        elif status != "maintenance" and self._was == "maintenance":
            self._exchange.thaw(self._venue)
        self._was = status

    def next_due_s(self) -> float | None:
        """When the status changes next (unix seconds), or None."""
        return min((from_s for from_s, _ in self._schedule if from_s > self._clock()), default=None)
