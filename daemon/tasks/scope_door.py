"""Commands about scopes, before they may go ahead: the check against the configuration, dry runs, what rests.

Whether a command may go ahead at all is the admission's to say, which asks here what it means.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import UNSET

from ..contract.commands import CancelAll, KillScope, WhatRests
from ..contract.frames import refusal_map, shown_ids
from ..contract.ids import EVERYTHING, CommandID, Target, Venue
from ..contract.outcomes import RefusalReason
from ..contract.selectors import Selector, strategies_fault
from ..engine.instants import MS
from ..engine.rests import parse_cursor
from .dispatcher import Dispatcher
from .killswitch import KILL_DEADLINE_MS, KillSwitch
from .replies import Replies
from .rests import FreshPage
from .scoping import Scoping
from .tickets import Asked, Part, Whole


class Admitting(Protocol):
    """The admission, as far as it is needed here."""

    def admit(self, asked: Asked, now_ns: int, target: Target | None) -> int | None:
        """The deadline of a command that may go ahead; None when it was answered otherwise."""
        ...

    def refuse(self, asked: Asked, target: Target | None, reason: RefusalReason, detail: str) -> None:
        """Refuse a command."""
        ...

    def record(self, asked: Asked) -> None:
        """Put into the record who asks for what."""
        ...


class ScopeDoor:
    """Stands beside the admission."""

    def __init__(
        self,
        admission: Admitting,
        desks: Mapping[Venue, Dispatcher],
        scoping: Scoping,
        replies: Replies,
        kill: KillSwitch,
    ) -> None:
        self._admission = admission
        self._desks = desks
        self._scoping = scoping
        self._replies = replies
        self._killswitch = kill

    def lets_pass(self, asked: Asked, command: CancelAll | KillScope, now_ns: int) -> bool:
        """Whether it is to be carried out; else it was refused, or answered as a dry run."""
        if (fault := self._fault(command)) is not None:
            self._admission.refuse(asked, None, "invalid", fault)
        elif command.dry_run:
            self._replies.at_once(asked, self._dry_run(command, now_ns))
        else:
            return True
        return False

    def begin(self, asked: Asked, command: CancelAll, deadline_ns: int, now_ns: int) -> None:
        """Go after what an admitted command means, venue by venue."""
        venues, proof = self.venues(command), command.until == "proof"
        whole = Whole(asked, len(venues))
        for place, venue in enumerate(venues):
            part = Part(whole, place)
            if command.scope is None:
                self._desks[venue].submit(part, EVERYTHING, proof, deadline_ns, now_ns)
            else:
                self._scoping.begin(part, venue, command.scope, proof, deadline_ns, now_ns)

    def rests(self, asked: Asked, command: WhatRests, now_ns: int) -> None:
        """Answer what rests, now or after a look."""
        if (fault := self._fault(command)) is not None:
            self._admission.refuse(asked, None, "invalid", fault)
        elif (deadline_ns := self._admission.admit(asked, now_ns, None)) is not None:
            after = None if command.after is None else parse_cursor(command.after)
            page = FreshPage(asked, self._scoping, self._desks, command.scope, after, deadline_ns)
            page.begin(now_ns, fresh=command.fresh)

    def kill(self, asked: Asked, command: KillScope, now_ns: int) -> None:
        """Latch a scope: read strictly, and then nothing refuses it, as nothing refuses a kill."""
        if not self.lets_pass(asked, command, now_ns):
            return
        known = self._replies.known(asked, now_ns)
        if known is not None:
            self._replies.repeat(asked, known)
            return
        self._replies.owe(asked, now_ns)
        self._admission.record(asked)
        allowed_ms = KILL_DEADLINE_MS if command.deadline_ms is UNSET else command.deadline_ms
        start_ns = now_ns if command.sent_ns is UNSET else min(command.sent_ns, now_ns)
        self._killswitch.scopes.kill(asked, command, asked.who, start_ns + allowed_ms * MS)

    def _fault(self, command: CancelAll | KillScope | WhatRests) -> str | None:
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

    def _dry_run(self, command: CancelAll | KillScope, now_ns: int) -> dict[str, Any]:
        """The reply to a command of which only that is asked what it would cancel."""
        parts = {venue: self._would_cancel(venue, command.scope, now_ns) for venue in self.venues(command)}
        kind = {"type": "all"} if isinstance(command, CancelAll) else {"type": "killed", "latched": False}
        return {**kind, "id": command.id, "dry_run": True, "venues": parts}

    def _would_cancel(self, venue: Venue, scope: Sequence[Selector] | None, now_ns: int) -> dict[str, Any]:
        meant, unsure = self._scoping.would_cancel(venue, scope, now_ns)
        told = {"count": len(meant)} | shown_ids("order_ids", "more", meant)
        return told | (shown_ids("unsure", "more_unsure", unsure) if unsure else {})


def not_enabled(id: CommandID, venue: Venue) -> dict[str, Any]:
    """The refusal of a command for a venue that this daemon does not serve."""
    return refusal_map(id, "unsupported", f"venue: {venue} is not enabled in this daemon's configuration")
