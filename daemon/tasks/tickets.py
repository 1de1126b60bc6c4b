"""Tickets: who is to be told what became of a command, and what the one reply is made of.

A dispatcher holds a ticket while it pursues an order: `Asked` for a single cancel, a `Part` of a `Whole` for each order
of a batch and each venue of a cancel_all. Nothing here decides or sends.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, assert_never

from ..contract.commands import Cancel, CancelAll, CancelBatch, Command, Kill
from ..contract.frames import Encoding, encode, encoding_of, outcome_map
from ..contract.ids import CommandID, Venue
from ..contract.outcomes import Settlement
from ..engine.intents import Intended, Slots
from ..engine.replays import Key, key_of
from ..transport.messages import Message, Peer
from .outbox import Outlet


class Settler(Protocol):
    """Who replies to admitted commands: replies.py."""

    def settle(
        self,
        asked: "Asked",
        reply: Mapping[str, Any],
        outcomes: Sequence[Mapping[str, Any]],
        payload: bytes | None = None,
    ) -> None:
        """Give a command its one reply; outcomes: what the event socket is told of it. payload: the reply, encoded."""
        ...

    def give(self, asked: "Asked", payload: bytes) -> None:
        """The half of `settle` that its client waits for; `given` follows in the same step."""
        ...

    def given(self, asked: "Asked", reply: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]]) -> None:
        """The other half."""
        ...

    def late(self, asked: "Asked", settlement: Settlement) -> None:
        """Tell the event socket what the venue said after the reply."""
        ...


class Place(NamedTuple):
    """Where a reply goes, and how it is encoded."""

    outlet: Outlet
    identity: bytes
    enveloped: bool
    encoding: Encoding


class Asked:
    """A command and where its reply goes. The dispatcher's ticket for a single cancel."""

    __slots__ = (
        "command",
        "enveloped",
        "foreseen",
        "holder",
        "identity",
        "joined",
        "key",
        "message",
        "outlet",
        "peer",
        "received_ns",
        "settler",
        "slots",
    )

    def __init__(
        self, settler: Settler, outlet: Outlet, message: Message, enveloped: bool, command: Command, received_ns: int
    ) -> None:
        """enveloped: a REQ sent it. received_ns: monotonic."""
        self.settler = settler
        self.outlet = outlet
        self.message = message
        self.identity = message.identity
        self.enveloped = enveloped
        self.command = command
        # The id, and whose it is.
        self.key: Key | None = None if command.id is None else key_of(message.identity, command.id)
        self.received_ns = received_ns
        # What the kernel tells of who asks, once it was asked.
        self.peer: Peer | None = None
        # Whose place it takes among those in flight; None where it takes none.
        self.holder: Peer | bytes | None = None
        # Where it stands in the record of what is in flight.
        self.slots: Slots = ()
        # Later askings of the same command while it is in flight: each gets its own reply when this one does.
        self.joined: list[Place] | None = None
        # What it will be told at its deadline if nothing comes before, and the reply that says so.
        self.foreseen: tuple[Settlement, dict[str, Any], bytes] | None = None

    @property
    def id(self) -> CommandID | None:
        """What the client calls the command; None for a kill that does not say."""
        return self.command.id

    @property
    def encoding(self) -> Encoding:
        """How the command was encoded, and its reply is to be."""
        return encoding_of(self.message.frames[-1])

    def join(self, again: "Asked") -> None:
        """The same command was asked again meanwhile. Only its place is kept: many may join, and batches are large."""
        place = Place(again.outlet, again.identity, again.enveloped, again.encoding)
        if self.joined is None:
            self.joined = [place]
        else:
            self.joined.append(place)

    @property
    def who(self) -> str:
        """Who sent it, as the kernel tells."""
        return who_sent(self.message)

    def answered(self, settlement: Settlement) -> None:
        """The one outcome of a cancel."""
        if self.foreseen is not None and self.foreseen[0] is settlement:
            _, reply, payload = self.foreseen
            self.settler.settle(self, reply, (reply,), payload)
            return
        reply = outcome_map(self.command.id, self.received_ns, settlement)
        self.settler.settle(self, reply, (reply,))

    def foresee(self, settlement: Settlement) -> None:
        """Make the reply ready that says this, for the deadline: `answered` may come with the very same or another."""
        reply = outcome_map(self.command.id, self.received_ns, settlement)
        self.foreseen = settlement, reply, encode(reply, self.encoding)

    def late(self, settlement: Settlement) -> None:
        """What the venue said after an `unknown`."""
        self.settler.late(self, settlement)

    def answer(self, reply: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]] = ()) -> None:
        """The one reply, and the outcomes in it; none for a command that is about no order."""
        self.settler.settle(self, reply, outcomes)


class AskedKill(Asked):
    """A kill, whose reply names what of its message was ignored."""

    __slots__ = ("ignored",)

    def __init__(
        self, settler: Settler, outlet: Outlet, message: Message, enveloped: bool, command: Kill, received_ns: int
    ) -> None:
        super().__init__(settler, outlet, message, enveloped, command, received_ns)
        self.ignored = command.ignored

    def answer(self, reply: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]] = ()) -> None:
        super().answer({**reply, "ignored": self.ignored} if self.ignored else reply, outcomes)


class Whole:
    """A command with several outcomes: replied to when the last one is there."""

    __slots__ = ("_missing", "_settlements", "asked")

    def __init__(self, asked: Asked, size: int) -> None:
        self.asked = asked
        self._settlements: list[Settlement | None] = [None] * size
        self._missing = size

    def answered(self, place: int, settlement: Settlement) -> None:
        """The outcome of one order, or venue, by its place in the command."""
        assert self._settlements[place] is None, "one order of a batch was answered twice"
        self._settlements[place] = settlement
        self._missing -= 1
        if self._missing == 0:
            told = [s for s in self._settlements if s is not None]
            asked = self.asked
            assert isinstance(asked.command, CancelBatch | CancelAll)
            asked.answer(*reply_of(asked.command, asked.received_ns, told))


class Part:
    """The dispatcher's ticket for one order of a batch, or for one venue of a cancel_all."""

    __slots__ = ("place", "whole")

    def __init__(self, whole: Whole, place: int) -> None:
        self.whole = whole
        self.place = place

    def answered(self, settlement: Settlement) -> None:
        """The one outcome of this order, or venue."""
        self.whole.answered(self.place, settlement)

    def late(self, settlement: Settlement) -> None:
        """What the venue said of it after an `unknown`."""
        self.whole.asked.late(settlement)


class Successor(Protocol):
    """Who answers commands that the process before this one took and did not settle."""

    expects: bool
    """Whether there are any; nearly always there are none."""

    def takes(self, asked: Asked, deadline_ns: int) -> bool:
        """Whether this is one of them: it is answered then, by the deadline at the latest, and nothing is sent."""
        ...


def who_sent(message: Message) -> str:
    """Who sent a message, as the kernel tells; empty when it does not."""
    peer = message.peer
    return "" if peer is None else f"uid {peer.uid} pid {peer.pid}"


def reply_of(
    command: Intended, received_ns: int | None, settlements: Sequence[Settlement]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The one reply to a command that cancels, and its outcomes. settlements: one per order, or venue, asked for."""
    outcomes = [outcome_map(command.id, received_ns, settlement) for settlement in settlements]
    match command:
        case CancelBatch(id=id, venue=venue):
            return {"type": "batch", "id": id, "venue": venue, "outcomes": outcomes}, outcomes
        case CancelAll(id=id):
            return {"type": "all", "id": id, "venues": dict(map(_venue_part, outcomes, settlements))}, outcomes
        case Cancel():
            return outcomes[0], outcomes
        case other:
            assert_never(other)


def _venue_part(outcome: dict[str, Any], settlement: Settlement) -> tuple[Venue, dict[str, Any]]:
    """One venue's part of the reply to a cancel_all."""
    part = {name: value for name, value in outcome.items() if name not in ("type", "id", "venue", "all")}
    if settlement.count is not None:
        part["count"] = settlement.count
    part["residual"] = settlement.residual
    return settlement.venue, part
