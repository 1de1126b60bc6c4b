"""The version of what strategies and the daemon say to each other: in `status`, and in `canceld schema`."""

from typing import Final

CONTRACT: Final = 2
"""2: scopes, what_rests, kill_scope, urgent, answers that name the orders that went, and timer_right. All of 1
means what it meant, but for a `cancel_all` with a `strategy` alone, which is refused."""
