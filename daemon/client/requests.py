"""Commands under way and the replies that answer them: what every flavour of the client shares. No socket, no clock."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from ..contract.frames import UnreadableReply, decode_reply
from ..contract.ids import CommandID
from .results import CommandRefused, ReplyMap

COMMANDS_ENDPOINT: Final = "ipc:///run/canceld/commands.sock"
"""Where strategies find the daemon unless its configuration says otherwise."""

CONTROL_ENDPOINT: Final = "ipc:///run/canceld/control.sock"
"""Where operators find it: the only socket that re-arms."""

DEADLINE_MS: Final = 2000
"""The daemon's own default. It is always sent, so that both sides measure one deadline."""

KILL_DEADLINE_MS: Final = 10_000
"""The daemon's default for a kill: time to verify that every venue is flat."""

MARGIN_MS: Final = 250
"""Waited past the deadline. The daemon promises its reply within 50 ms of it; the rest is for a machine under load."""

IN_FLIGHT_LIMIT: Final = 10_000
"""Most commands one client may wait for: as many as the daemon works on at once."""

UNANSWERED_LIMIT: Final = 4096
"""Most ids remembered as given up on; past it the oldest is forgotten."""

NS_PER_MS: Final = 1_000_000

T = TypeVar("T")


class DaemonUnreachable(Exception):
    """The daemon did not answer in time. It says nothing about the order: **treat it as live**.

    Asking again with the same `id` and the same arguments is safe: a daemon that did receive the first asking gives
    its stored answer, or joins the cancel that is in flight, and sends nothing twice.

    id: of the command; None where several were asked at once.
    sent: False when the command never left this process, since no daemon was connected. True: its fate is unknown.
    """

    def __init__(self, endpoint: str, id: CommandID | None, *, sent: bool, unreadable: int = 0) -> None:
        what = "the commands" if id is None else f"command {id!r}"
        if sent:
            text = f"no answer from {endpoint}: what became of {what} is unknown; asking again with the same id is safe"
        else:
            text = f"no daemon at {endpoint}: {what} never left this process"
        if unreadable:
            text += f" ({unreadable} unreadable answers)"
        super().__init__(text)
        self.endpoint = endpoint
        self.id = id
        self.sent = sent


class Request(Generic[T]):
    """One command from its building to its answer.

    give_up_ns: CLOCK_MONOTONIC; the deadline plus the margin.
    asked_before: an earlier asking with this id was given up on.
    repeatable: it may be sent again by itself when the connection was lost. Never a userref: it may be in use again
    for new orders by then, and a daemon that was restarted would not know that it had been sent.
    """

    __slots__ = (
        "_read",
        "_refusal",
        "_result",
        "asked_before",
        "give_up_ns",
        "id",
        "on_answer",
        "payload",
        "repeatable",
        "sendings",
    )

    def __init__(
        self,
        id: CommandID,
        payload: bytes,
        give_up_ns: int,
        read: Callable[["Request[T]", ReplyMap], T],
        *,
        repeatable: bool,
        asked_before: bool,
    ) -> None:
        self.id = id
        self.payload = payload
        self.give_up_ns = give_up_ns
        self.repeatable = repeatable
        self.asked_before = asked_before
        self.sendings = 0
        self.on_answer: Callable[[], object] | None = None
        self._read = read
        self._result: T | None = None
        self._refusal: CommandRefused | None = None

    @property
    def answered(self) -> bool:
        """Whether its reply is here, be it a refusal."""
        return self._result is not None or self._refusal is not None

    @property
    def sent(self) -> bool:
        """Whether the daemon may have it, from this asking or an earlier one with its id."""
        return self.asked_before or self.sendings > 0

    @property
    def repeated(self) -> bool:
        """Whether it was sent more than once, over all askings with its id."""
        return self.sendings + self.asked_before > 1

    def answer(self, reply: ReplyMap) -> None:
        """Take its reply; raises UnreadableReply and stays unanswered."""
        try:
            self._result = self._read(self, reply)
        except CommandRefused as refusal:
            self._refusal = refusal
        if self.on_answer is not None:
            self.on_answer()

    def result(self) -> T:
        """What it came to, once answered; raises CommandRefused."""
        if self._refusal is not None:
            raise self._refusal
        assert self._result is not None
        return self._result


class Requests:
    """Every command of one client that waits for its reply. One owner, no threads."""

    def __init__(self) -> None:
        self.waiting: dict[CommandID, Request[Any]] = {}
        self.unreadable = 0
        self.unmatched = 0
        # Ids whose answer was not awaited to the end, oldest first: asked again, a refusal does not clear the first.
        self._unanswered: dict[CommandID, None] = {}

    def admit(self, requests: Sequence[Request[Any]]) -> None:
        """Wait for their replies from now on, until `give_up`. Raises ValueError; then none of them is admitted."""
        if len(self.waiting) + len(requests) > IN_FLIGHT_LIMIT:
            raise ValueError(f"a client waits for at most {IN_FLIGHT_LIMIT} replies at once")
        for request in requests:
            if request.id in self.waiting:
                raise ValueError(f"id: {request.id!r} is being waited for already")
        self.waiting.update((request.id, request) for request in requests)

    def take(self, payload: bytes) -> None:
        """One frame from the daemon to the request it answers.

        An answer that cannot be read is no answer: it is counted, and its command waits on. An answer nobody waits for
        (its caller gave up, or had it already) is counted and dropped; asking again with its id brings it back.
        """
        try:
            reply = decode_reply(payload)
            id = reply.get("id")
            request = self.waiting.get(id) if isinstance(id, str | int) else None
            if request is None:
                self.unmatched += 1
                return
            request.answer(reply)
        except UnreadableReply:
            self.unreadable += 1
            return
        del self.waiting[request.id]

    def lost(self) -> list[Request[Any]]:
        """After a lost connection: what must be sent once more, since a daemon that was restarted knows nothing of it.

        The same bytes go out again, with the first `sent_ns`: the deadline still runs from the first asking, and a
        daemon that comes back later than that refuses them as expired.
        """
        return [request for request in self.waiting.values() if request.repeatable and request.sendings > 0]

    def gave_up_on(self, id: CommandID) -> bool:
        """Whether an earlier asking with this id was given up on, so that what became of it is not known."""
        return id in self._unanswered

    def give_up(self, request: Request[Any]) -> None:
        """Wait no longer for it."""
        if self.waiting.get(request.id) is request:
            del self.waiting[request.id]
        if request.answered:
            self._unanswered.pop(request.id, None)
        elif request.sent:
            self._unanswered[request.id] = None
            if len(self._unanswered) > UNANSWERED_LIMIT:
                del self._unanswered[next(iter(self._unanswered))]
