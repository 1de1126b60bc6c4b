"""WebSocket messages over a blocking line, against wsproto's own server side."""

import time
from collections.abc import Callable

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from canceld.transport.plain import websocket
from canceld.transport.plain.line import Line, LineLost
from canceld.transport.plain.websocket import PlainWebSocket, UpgradeRefused


def soon() -> float:
    return time.monotonic() + 20


class Peer(Line):
    """A line whose other end is a server: `answer` gives what it says to each event. Nothing waits."""

    def __init__(self, answer: Callable[[Event], list[Event]]) -> None:
        self.heard: list[Event] = []
        self.closed = False
        self._server = WSConnection(ConnectionType.SERVER)
        self._answer = answer
        self._leaving = bytearray()

    def send(self, data: bytes, by_s: float) -> None:
        self._server.receive_data(data)
        for event in self._server.events():
            self.heard.append(event)
            self.say(*self._answer(event))

    def say(self, *events: Event) -> None:
        for event in events:
            self._leaving += self._server.send(event)

    def say_raw(self, data: bytes) -> None:
        self._leaving += data

    def receive(self, by_s: float) -> bytes | None:
        arrived = bytes(self._leaving)
        self._leaving.clear()
        return arrived or None

    def close(self) -> None:
        self.closed = True


def accepting(event: Event) -> list[Event]:
    return [AcceptConnection()] if isinstance(event, Request) else []


def opened(peer: Peer) -> PlainWebSocket:
    session = PlainWebSocket(peer)
    session.shake_hands("venue.test:444", "/ws/v1", [("ApiKey", "k")], soon())
    return session


def test_the_handshake_carries_what_it_was_given() -> None:
    peer = Peer(accepting)
    opened(peer)
    [request] = peer.heard
    assert isinstance(request, Request)
    assert (request.host, request.target) == ("venue.test:444", "/ws/v1")
    assert (b"apikey", b"k") in [(name.lower(), value) for name, value in request.extra_headers]


def test_texts_go_both_ways_also_those_that_come_in_pieces() -> None:
    peer = Peer(accepting)
    session = opened(peer)
    session.send(b'{"reqid":1}', soon())
    assert peer.heard[-1] == TextMessage(data='{"reqid":1}')
    peer.say(TextMessage("one"), TextMessage("tw", message_finished=False), TextMessage("o"), TextMessage("three"))
    assert [session.receive(soon()) for _ in range(4)] == ["one", "two", "three", None]


def test_what_comes_with_the_handshake_is_not_lost() -> None:
    peer = Peer(lambda event: [AcceptConnection(), TextMessage("hello")] if isinstance(event, Request) else [])
    assert opened(peer).receive(soon()) == "hello"


def test_pings_are_answered() -> None:
    peer = Peer(accepting)
    session = opened(peer)
    peer.say(Ping(payload=b"x"), TextMessage("one"))
    assert session.receive(soon()) == "one"
    assert peer.heard[-1] == Pong(payload=b"x")


def test_a_refused_upgrade_tells_its_status() -> None:
    peer = Peer(lambda event: [RejectConnection(status_code=401)] if isinstance(event, Request) else [])
    with pytest.raises(UpgradeRefused, match="HTTP 401") as refused:
        opened(peer)
    assert refused.value.status == 401


def test_silence_ends_a_handshake() -> None:
    with pytest.raises(LineLost, match="no answer to the handshake in time"):
        opened(Peer(lambda _: []))


def test_the_end_of_the_session_is_told() -> None:
    peer = Peer(accepting)
    session = opened(peer)
    peer.say(CloseConnection(code=1012, reason="restart"))
    with pytest.raises(LineLost, match=r"session ended \(1012 restart\)"):
        session.receive(soon())
    with pytest.raises(LineLost, match="closed by the peer"):
        session.send(b"x", soon())


def test_what_is_no_websocket_ends_the_session() -> None:
    peer = Peer(accepting)
    session = opened(peer)
    peer.say_raw(b"\xff\xff\xff")
    with pytest.raises(LineLost, match=r"session ended \(1002 "):
        session.receive(soon())


def test_an_answer_to_the_handshake_that_is_no_http_is_told() -> None:
    peer = Peer(lambda _: [])
    peer.say_raw(b"not HTTP\r\n\r\n")
    with pytest.raises(LineLost, match="not a WebSocket"):
        opened(peer)


def test_a_message_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MESSAGE_LIMIT", 5)
    peer = Peer(accepting)
    session = opened(peer)
    peer.say(TextMessage("three"), TextMessage("thr", message_finished=False), TextMessage("ees"))
    with pytest.raises(LineLost, match="larger than 5 characters"):
        session.receive(soon())
