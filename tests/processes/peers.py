"""Clients as a program in another language would have them: bare ZeroMQ sockets, nothing of the project's."""

import itertools
import json
import time
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec
import zmq

Encoding = Literal["json", "msgpack"]

CONTEXT: Final = zmq.Context()


def packed(command: dict[str, Any], encoding: Encoding) -> bytes:
    """A command as bytes."""
    return json.dumps(command).encode() if encoding == "json" else msgspec.msgpack.encode(command)


def unpacked(payload: bytes, encoding: Encoding) -> dict[str, Any]:
    """A reply, which must be in the command's own encoding."""
    reply = json.loads(payload) if encoding == "json" else msgspec.msgpack.decode(payload)
    assert isinstance(reply, dict)
    return reply


class _Socket:
    def __init__(self, kind: int, endpoint: str) -> None:
        self.socket: zmq.Socket[bytes] = CONTEXT.socket(kind)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.connect(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def receive(self, within_s: float) -> list[bytes]:
        """The next message. Raises TimeoutError."""
        if not self.socket.poll(int(max(within_s, 0) * 1000)):
            raise TimeoutError(f"nothing came in {within_s} s")
        return self.socket.recv_multipart()


class Dealer(_Socket):
    """Sends commands without waiting, and takes replies as they come."""

    def __init__(self, endpoint: str, encoding: Encoding = "json") -> None:
        super().__init__(zmq.DEALER, endpoint)
        self.encoding: Encoding = encoding
        self._ids = itertools.count(1)
        self.replies: dict[Any, list[tuple[dict[str, Any], int]]] = {}
        """By id: every reply, and when it came (CLOCK_MONOTONIC ns)."""

    def send(self, type: str = "cancel", **fields: Any) -> Any:
        """Send one command; its id."""
        id = fields.pop("id", None) or f"c{next(self._ids)}"
        self.socket.send(packed({"type": type, "id": id, **fields}, self.encoding))
        return id

    def cancel(self, order_id: str, **fields: Any) -> Any:
        """Send a cancel of one Spot order; its id."""
        return self.send(venue="spot", order_id=order_id, **fields)

    def hear(self, within_s: float) -> dict[str, Any]:
        """The next reply. Raises TimeoutError."""
        [payload] = self.receive(within_s)
        reply = unpacked(payload, self.encoding)
        self.replies.setdefault(reply["id"], []).append((reply, time.monotonic_ns()))
        return reply

    def hear_all(self, ids: list[Any], within_s: float) -> list[dict[str, Any]]:
        """The replies to these commands, in their sequence; fails when one is missing or came twice."""
        give_up = time.monotonic() + within_s
        missing = set(ids) - self.replies.keys()
        while missing:
            try:
                missing.discard(self.hear(give_up - time.monotonic())["id"])
            except TimeoutError:
                raise AssertionError(f"{len(missing)} of {len(ids)} commands were not answered") from None
        self.fence()
        twice = [id for id in ids if len(self.replies[id]) != 1]
        assert not twice, f"answered more than once: {twice[:5]}"
        return [self.replies[id][0][0] for id in ids]

    def heard_ns(self, id: Any) -> int:
        """When the reply to a command came."""
        return self.replies[id][0][1]

    def fence(self, within_s: float = 10.0) -> None:
        """Return when everything the daemon sent us before now is in `replies`: messages do not overtake each other."""
        self.ask("ping", within_s=within_s)

    def ask(self, type: str, *, within_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        """Send one command and wait for its reply, keeping those to others. Raises TimeoutError."""
        id = self.send(type, **fields)
        give_up = time.monotonic() + within_s
        while (reply := self.hear(give_up - time.monotonic()))["id"] != id:
            pass
        return reply


class Requester(_Socket):
    """A REQ: one command, one reply, in turn."""

    def __init__(self, endpoint: str, encoding: Encoding = "json") -> None:
        super().__init__(zmq.REQ, endpoint)
        self.encoding: Encoding = encoding

    def ask(self, type: str, *, within_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        """Send one command and wait for its reply. Raises TimeoutError."""
        self.socket.send(packed({"type": type, **fields}, self.encoding))
        [payload] = self.receive(within_s)
        return unpacked(payload, self.encoding)


class Subscriber(_Socket):
    """Listens to the event socket."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(zmq.SUB, endpoint)
        self.socket.subscribe("")
        self.heard: list[tuple[str, dict[str, Any]]] = []
        """Every event so far, as (topic, event)."""
        self.raw: list[bytes] = []

    def take(self, within_s: float = 0.0) -> bool:
        """Take the next event in; False when none came."""
        try:
            frames = self.receive(within_s)
        except TimeoutError:
            return False
        topic, body = frames
        self.raw += frames
        self.heard.append((topic.decode(), json.loads(body)))
        return True

    def of(self, topic: str) -> list[dict[str, Any]]:
        """What was heard under one topic."""
        return [event for heard, event in self.heard if heard == topic]

    def await_count(self, topic: str, count: int, within_s: float = 10.0) -> list[dict[str, Any]]:
        """What was heard under one topic once there is so much of it, and whatever else had come by then."""
        give_up = time.monotonic() + within_s
        while len(self.of(topic)) < count:
            left_s = give_up - time.monotonic()
            assert left_s > 0, f"{len(self.of(topic))} of {count} events on {topic}"
            self.take(left_s)
        while self.take():
            pass
        return self.of(topic)
