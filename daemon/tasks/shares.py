"""How many of the places for commands in flight each client holds: one may hold half of what the others leave."""

from collections.abc import Hashable

from ..settings import IN_FLIGHT_LIMIT


class Shares:
    """Counts by client: the process where the kernel tells it, else the connection."""

    def __init__(self) -> None:
        self._held: dict[Hashable, int] = {}

    def held(self, client: Hashable) -> int:
        """How many a client holds."""
        return self._held.get(client, 0)

    def has_its_share(self, client: Hashable, in_flight: int, limit: int = IN_FLIGHT_LIMIT) -> bool:
        """Whether a client holds as many places as are free. in_flight: of all clients together."""
        # A client whose cancels hang at a silent venue must leave room for a client with another venue.
        return self._held.get(client, 0) >= limit - in_flight

    def take(self, client: Hashable) -> None:
        """One more is in flight for a client."""
        self._held[client] = self._held.get(client, 0) + 1

    def give_back(self, client: Hashable) -> None:
        """One of its commands was answered."""
        left = self._held[client] - 1
        if left:
            self._held[client] = left
        else:
            del self._held[client]
