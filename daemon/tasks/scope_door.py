"""What commands about scopes mean here, before they may go ahead: the check against the configuration, and dry runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..contract.commands import CancelAll, KillScope, WhatRests
from ..contract.frames import shown_ids
from ..contract.ids import Venue
from ..contract.selectors import Selector, strategies_fault
from ..engine.rests import parse_cursor
from .dispatcher import Dispatcher
from .rests import FreshPage
from .scoping import Scoping
from .tickets import Asked


class ScopeDoor:
    """Stands beside the admission, which asks it."""

    def __init__(self, desks: Mapping[Venue, Dispatcher], scoping: Scoping) -> None:
        self._desks = desks
        self._scoping = scoping

    def fault(self, command: CancelAll | KillScope | WhatRests) -> str | None:
        """Why a command cannot be carried out with this configuration, naming the member; None when it can."""
        if isinstance(command, WhatRests) and command.after is not None and parse_cursor(command.after) is None:
            return "after: not what a reply gave; leave it out for the first page"
        scope = command.scope
        if scope is None:
            return None
        for number, selector in enumerate(scope):
            if selector.venue is not None and selector.venue not in self._desks:
                return f"scope[{number}].venue: {selector.venue} is not enabled in this daemon's configuration"
        return strategies_fault(scope, self._scoping.strategies)

    def venues(self, command: CancelAll | KillScope) -> list[Venue]:
        """The venues at which a command may mean orders."""
        asked = command.venue if isinstance(command, CancelAll) else None
        venues = list(self._desks) if command.scope is None else self._scoping.venues(command.scope)
        return [venue for venue in venues if asked in (None, venue)]

    def dry_run(self, command: CancelAll | KillScope, now_ns: int) -> dict[str, Any]:
        """The reply to a command of which only that is asked what it would cancel."""
        parts = {venue: self._would_cancel(venue, command.scope, now_ns) for venue in self.venues(command)}
        kind = {"type": "all"} if isinstance(command, CancelAll) else {"type": "killed", "latched": False}
        return {**kind, "id": command.id, "dry_run": True, "venues": parts}

    def answer(self, asked: Asked, command: WhatRests, deadline_ns: int, now_ns: int) -> None:
        """Answer what rests, now or after a look."""
        after = None if command.after is None else parse_cursor(command.after)
        page = FreshPage(asked, self._scoping, self._desks, command.scope, after, deadline_ns)
        page.begin(now_ns, fresh=command.fresh)

    def _would_cancel(self, venue: Venue, scope: Sequence[Selector] | None, now_ns: int) -> dict[str, Any]:
        meant, unsure = self._scoping.would_cancel(venue, scope, now_ns)
        told = {"count": len(meant)} | shown_ids("order_ids", "more", meant)
        return told | (shown_ids("unsure", "more_unsure", unsure) if unsure else {})
