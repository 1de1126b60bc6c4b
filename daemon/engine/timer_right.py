"""Whether this daemon may renew its account's dead man's timers, where several daemons of one account share them.

There is one timer for an account, and a fleet's agents agree on who keeps it (`[deadman] owner = "fleet"`). An agent
hands its daemon a right that runs out by itself: an agent that dies or loses the others takes nothing back and says
nothing, and yet no two daemons renew. A token that grows with every claim fences out what was said earlier.
"""

from typing import Literal, TypeAlias

Right: TypeAlias = Literal["ours", "another's", "nobody's"]
"""ours: renew. another's: leave the timer to whoever keeps it now. nobody's: nobody is known to, so that it has to be
off; armed it would run out and cancel everything for no other reason than that the agents cannot talk."""


class RightToRenew:
    """What the agent said last. Times are monotonic nanoseconds."""

    def __init__(self, *, shared: bool) -> None:
        """shared: False where the timer is this daemon's alone, and no agent is asked."""
        self.shared = shared
        self.token = 0
        self._until_ns = 0
        self._off = False

    def grant(self, token: int, for_ns: int, said_ns: int, *, off: bool = False) -> str | None:
        """May renew for so long from when it was said (0: not at all; off: and the timer has to be off). Why not taken,
        or None."""
        if not self.shared:
            return 'deadman.owner: this daemon keeps its timers by itself; set it to "fleet" where an agent decides'
        if token < self.token:
            return f"token: {token} is older than {self.token}, which another claim has brought"
        self.token = token
        self._until_ns = said_ns + for_ns
        self._off = off
        return None

    def at(self, now_ns: int) -> Right:
        """How it stands. A right that has run out is another's: who kept it may have passed it on."""
        if not self.shared or now_ns < self._until_ns:
            return "ours"
        return "nobody's" if self._off else "another's"
