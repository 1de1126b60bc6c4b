"""Commands under way and the replies that answer them: what every flavour of the client shares. No socket, no clock."""

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from ..contract.frames import UnreadableReply, decode_reply
from ..contract.ids import CommandID
from .results import CommandRefused, ReplyMap

COMMANDS_ENDPOINT: Final = "ipc:///run/canceld/commands.sock"
"""Where strategies find the daemon unless its configuration says otherwise."""

CONTROL_ENDPOINT: Final = "ipc:///run/canceld/control.sock"
"""Where operators find it: the only socket that re-arms."""

EVENTS_ENDPOINT: Final = "ipc:///run/canceld/events.sock"
"""Where whoever wants to hear of everything finds it."""

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

PAUSE_MS: Final = 50
PAUSE_LIMIT_MS: Final = 800
"""Before a refused command is sent again; each pause of one command is twice the one before."""

PASSING: Final = ("draining", "no_route")
"""Refusals that may be over in a moment: the next daemon is starting, or a session is being dialled."""

SLICE_MS: Final = 50
"""How often a waiting call looks whether the connection was lost. An answer wakes it at once."""

PIPELINE: Final = 1000
"""Most commands of one cancel_many under way at once: well inside every queue between here and the venue."""

NS_PER_MS: Final = 1_000_000

T = TypeVar("T")


def events_beside(endpoint: str) -> str:
    """The event socket that lies beside another socket of the daemon, by its usual name. Raises ValueError."""
    directory, slash, _ = endpoint.rpartition("/")
    if not endpoint.startswith("ipc://") or not slash:
        raise ValueError(f"no event socket lies beside {endpoint}: name it with `endpoint`")
    return f"{directory}/{EVENTS_ENDPOINT.rpartition('/')[2]}"


class DaemonUnreachable(Exception):
    """The daemon did not answer in time. It says nothing about the order: **treat it as live**.

    Asking again with the same `id` and the same arguments is safe: a daemon that did receive the first asking gives
    its stored answer, or joins the cancel that is in flight, and sends nothing twice.

    id: of the command; None where several were asked at once.
    why: for people, why no connection stands; empty where one did.
    sent: False when the command never left this process, since no daemon was connected. True: its fate is unknown.
    """

    def __init__(self, endpoint: str, id: CommandID | None, *, sent: bool, unreadable: int = 0, why: str = "") -> None:
        what = "the commands" if id is None else f"command {id!r}"
        if sent:
            text = f"no answer from {endpoint}: what became of {what} is unknown; asking again with the same id is safe"
        else:
            text = f"no daemon at {endpoint}: {what} never left this process{why and '; '}{why}"
        if unreadable:
            text += f" ({unreadable} unreadable answers)"
        super().__init__(text)
        self.endpoint = endpoint
        self.id = id
        self.sent = sent
        self.why = why


class Request(Generic[T]):
    """One command from its building to its answer.

    deadline_ns, give_up_ns: CLOCK_MONOTONIC; the second is the deadline plus the margin.
    asked_before: an earlier asking with this id was given up on.
    repeatable: it may be sent again by itself when the connection was lost. Never a userref: it may be in use again
    for new orders by then, and a daemon that was restarted would not know that it had been sent.
    """

    __slots__ = (
        "_read",
        "_refusal",
        "_refused",
        "_result",
        "asked_before",
        "deadline_ns",
        "give_up_ns",
        "id",
        "on_answer",
        "pause_ms",
        "payload",
        "repeatable",
        "sendings",
    )

    def __init__(
        self,
        id: CommandID,
        payload: bytes,
        deadline_ns: int,
        give_up_ns: int,
        read: Callable[["Request[T]", ReplyMap], T],
        *,
        repeatable: bool,
        asked_before: bool,
    ) -> None:
        self.id = id
        self.payload = payload
        self.deadline_ns = deadline_ns
        self.give_up_ns = give_up_ns
        self.repeatable = repeatable
        self.asked_before = asked_before
        self.sendings = 0
        self.pause_ms = PAUSE_MS
        self.on_answer: Callable[[], object] | None = None
        self._read = read
        self._result: T | None = None
        self._refusal: CommandRefused | None = None
        self._refused: ReplyMap | None = None

    @property
    def answered(self) -> bool:
        """Whether its reply is here, be it a refusal."""
        return self._result is not None or self._refusal is not None

    @property
    def sent(self) -> bool:
        """Whether the daemon may have it, from this asking or an earlier one with its id."""
        return self.asked_before or self.sendings > 0

    @property
    def reached(self) -> bool:
        """Whether any sending of this asking found a daemon."""
        return self.sendings > 0 or self._refused is not None

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

    def postpone(self, refusal: ReplyMap, now_ns: int) -> int | None:
        """When to send it again after this refusal (CLOCK_MONOTONIC ns); None where it has to be taken as the answer.

        That sending is accounted for: no byte of it left the daemon's machine.
        """
        if refusal.get("outcome") != "refused" or refusal.get("reason") not in PASSING or refusal.get("replayed"):
            return None
        due_ns = now_ns + self.pause_ms * NS_PER_MS
        if due_ns >= self.deadline_ns:
            return None
        self.pause_ms = min(2 * self.pause_ms, PAUSE_LIMIT_MS)
        self.sendings = max(0, self.sendings - 1)
        self._refused = refusal
        return due_ns

    def settle_for_refusal(self) -> None:
        """Take the last refusal as the answer, where every sending ended with one and nothing better came."""
        if not self.answered and not self.sendings and self._refused is not None:
            self.answer(self._refused)

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
        # Refused for now: when each is to be sent again, the next one first.
        self._postponed: list[tuple[int, int, Request[Any]]] = []
        self._order = itertools.count()
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

    @property
    def due_ns(self) -> int | None:
        """When the next refused command is to be sent again; None when none waits for that."""
        return self._postponed[0][0] if self._postponed else None

    def due(self, now_ns: int) -> list[Request[Any]]:
        """The refused commands whose pause is over."""
        due = []
        while self._postponed and self._postponed[0][0] <= now_ns:
            request = heapq.heappop(self._postponed)[2]
            if self.waiting.get(request.id) is request:
                due.append(request)
        return due

    def take(self, payload: bytes, now_ns: int) -> None:
        """One frame from the daemon to the request it answers.

        A refusal that may be over in a moment is no answer yet while there is time to ask again: see `due`.
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
            again_ns = request.postpone(reply, now_ns)
            if again_ns is not None:
                heapq.heappush(self._postponed, (again_ns, next(self._order), request))
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
        request.settle_for_refusal()
        if self.waiting.get(request.id) is request:
            del self.waiting[request.id]
        if request.answered:
            self._unanswered.pop(request.id, None)
        elif request.sent:
            self._unanswered[request.id] = None
            if len(self._unanswered) > UNANSWERED_LIMIT:
                del self._unanswered[next(iter(self._unanswered))]
