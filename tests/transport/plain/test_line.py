"""Blocking connections: verified or none at all, every wait with an end, and an answer that is whole or no answer."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from canceld.transport.plain import line as plain
from canceld.transport.plain.line import Address, Dialler, Http, LineLost

LOOPBACK = "127.0.0.1"
NAME = "venue.test"
PATIENCE_S = 20.0

Serve = Callable[[ssl.SSLSocket], None]


def soon() -> float:
    return time.monotonic() + PATIENCE_S


class Peer:
    """A TLS server on loopback. Each connection is handed to the next of `stories`, the last one for ever."""

    def __init__(self, authority: trustme.CA, *stories: Serve, name: str = NAME) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        self.asked: list[bytes] = []
        self.connections = 0
        self._context = context
        self._stories = list(stories)
        self._listening = socket.create_server((LOOPBACK, 0))
        self.address: Address = (socket.AF_INET, self._listening.getsockname()[:2])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            story = self._stories[min(self.connections, len(self._stories) - 1)]
            self.connections += 1
            threading.Thread(target=self._serve, args=(connected, story), daemon=True).start()

    def _serve(self, connected: socket.socket, story: Serve) -> None:
        try:
            with self._context.wrap_socket(connected, server_side=True) as encrypted:
                story(encrypted)
        except OSError:
            pass

    def read(self, encrypted: ssl.SSLSocket) -> bytes:
        """One request, head and body."""
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += encrypted.recv(65536)
        self.asked.append(asked)
        return asked

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def peer(authority: trustme.CA) -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def start(*stories: Serve, name: str = NAME) -> Peer:
        peers.append(Peer(authority, *stories, name=name))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


def found(*addresses: Address) -> plain.Lookup:
    """A resolver that knows NAME alone."""

    def look_up(host: str, port: int, flags: int) -> list[Address]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        return list(addresses)

    return look_up


def closed_port() -> Address:
    with socket.create_server((LOOPBACK, 0)) as listening:
        return socket.AF_INET, listening.getsockname()[:2]


def answering(peer: Callable[..., Peer], *answers: bytes) -> Peer:
    """Gives each request on a connection the next answer, then hangs up."""
    made: list[Peer] = []

    def story(encrypted: ssl.SSLSocket) -> None:
        for answer in answers:
            made[0].read(encrypted)
            encrypted.sendall(answer)

    made.append(peer(story))
    return made[0]


def asking(tmp_path: Path, *addresses: Address) -> Http:
    return Http(Dialler(str(tmp_path / "ca.pem"), found(*addresses)), NAME, 443, NAME)


def answer(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields, b"", b""]
    return b"\r\n".join(head) + body


def silent(encrypted: ssl.SSLSocket) -> None:
    while encrypted.recv(65536):
        pass


# -------------------------------------------------------------------- requests


def test_requests_follow_each_other_on_one_connection(peer: Callable[..., Peer], tmp_path: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
    venue = answering(peer, answer(b"one"), chunked)
    http = asking(tmp_path, venue.address)
    assert http.exchange("POST", "/0/x", [("API-Key", "k")], b"nonce=1", soon()) == (200, b"one")
    assert http.exchange("GET", "/y", [], b"", soon()) == (200, b"two")
    assert venue.connections == 1
    first, second = venue.asked
    assert first == (
        b"POST /0/x HTTP/1.1\r\nHost: venue.test\r\nAccept-Encoding: identity\r\nContent-Length: 7\r\nAPI-Key: k\r\n"
        b"\r\nnonce=1"
    )
    assert b"Content-Length" not in second


def test_a_connection_that_the_peer_closes_is_made_again(peer: Callable[..., Peer], tmp_path: Path) -> None:
    venue = answering(peer, answer(b"one", b"Connection: close"))
    http = asking(tmp_path, venue.address)
    for _ in range(2):
        assert http.exchange("GET", "/", [], b"", soon()) == (200, b"one")
    assert venue.connections == 2


def test_a_redirect_is_an_answer_and_not_followed(peer: Callable[..., Peer], tmp_path: Path) -> None:
    venue = answering(peer, answer(b"", b"Location: https://elsewhere.test/", status=b"302 Found"))
    assert asking(tmp_path, venue.address).exchange("GET", "/", [], b"", soon()) == (302, b"")
    assert len(venue.asked) == 1


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (answer(b"whole")[:-2], "connection lost|closed by the peer"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "connection lost|closed by the peer|unreadable"),
        (b"<html>not HTTP at all</html>\r\n\r\n", "unreadable answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "not an answer"),
        (b"", "connection lost|closed by the peer"),
    ],
)
def test_an_answer_that_is_not_whole_is_none(peer: Callable[..., Peer], tmp_path: Path, given: bytes, why: str) -> None:
    http = asking(tmp_path, answering(peer, given).address)
    with pytest.raises(LineLost, match=why):
        http.exchange("GET", "/", [], b"", soon())


def test_an_answer_without_end_is_cut_off(
    peer: Callable[..., Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "RESPONSE_LIMIT", 10)
    http = asking(tmp_path, answering(peer, answer(b"eleven byte")).address)
    with pytest.raises(LineLost, match="larger than 10 bytes"):
        http.exchange("GET", "/", [], b"", soon())


def test_a_peer_that_says_nothing_or_only_a_little_all_the_time_holds_nobody(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    def trickle(encrypted: ssl.SSLSocket) -> None:
        encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            encrypted.sendall(b".")

    for story in (silent, trickle):
        http = asking(tmp_path, peer(story).address)
        http.make_ready(soon())
        begun = time.monotonic()
        with pytest.raises(LineLost, match="no complete answer in time"):
            http.exchange("GET", "/", [], b"", begun + 0.1)
        assert time.monotonic() - begun < PATIENCE_S / 2


# -------------------------------------------------------------------- dialling


def test_a_certificate_by_a_stranger_or_for_another_name_is_refused(peer: Callable[..., Peer], tmp_path: Path) -> None:
    with pytest.raises(LineLost, match=r"TLS: .*certificate verify failed"):
        Dialler(None, found(peer(silent).address)).dial(NAME, 443, soon())
    with pytest.raises(LineLost, match=r"TLS: .*[Hh]ostname mismatch"):
        Dialler(str(tmp_path / "ca.pem"), found(peer(silent, name="other.test").address)).dial(NAME, 443, soon())


def test_a_root_that_cannot_be_read_is_left_out_and_told(tmp_path: Path) -> None:
    dialler = Dialler(str(tmp_path / "absent.pem"))
    assert dialler.trust().verify_mode is ssl.CERT_REQUIRED
    assert dialler.trust_fault is not None
    assert "absent.pem: No such file" in dialler.trust_fault


def test_the_next_address_is_used_when_the_first_refuses(peer: Callable[..., Peer], tmp_path: Path) -> None:
    venue = answering(peer, answer(b"one"))
    assert asking(tmp_path, closed_port(), venue.address).exchange("GET", "/", [], b"", soon())[1] == b"one"


def test_the_next_address_is_tried_beside_the_first_when_that_is_silent(
    peer: Callable[..., Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = answering(peer, answer(b"one"))
    # A listener whose queue is full drops every further SYN, as a black hole does.
    with socket.socket() as hole:
        hole.bind((LOOPBACK, 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        try:
            monkeypatch.setattr(plain, "HEAD_START_S", 0.01)
            http = asking(tmp_path, (socket.AF_INET, hole.getsockname()[:2]), venue.address)
            assert http.exchange("GET", "/", [], b"", soon())[1] == b"one"
            monkeypatch.setattr(plain, "CONNECT_TIMEOUT_S", 0.05)
            with pytest.raises(LineLost, match=r"connect: no answer in 0\.05 s"):
                asking(tmp_path, (socket.AF_INET, hole.getsockname()[:2])).make_ready(soon())
        finally:
            for filler in fillers:
                filler.close()


def test_an_address_that_fails_its_handshake_goes_to_the_end(peer: Callable[..., Peer], tmp_path: Path) -> None:
    wrong, right = peer(silent, name="other.test"), answering(peer, answer(b"one"))
    http = asking(tmp_path, wrong.address, right.address)
    with pytest.raises(LineLost, match="TLS"):
        http.make_ready(soon())
    assert http.exchange("GET", "/", [], b"", soon())[1] == b"one"


def test_nobody_there_is_told_by_its_phase(tmp_path: Path) -> None:
    with pytest.raises(LineLost, match="connect: Connection refused"):
        asking(tmp_path, closed_port()).make_ready(soon())
    with pytest.raises(LineLost, match="resolve: "):
        asking(tmp_path).make_ready(soon())


def test_a_resolver_that_hangs_costs_one_thread_and_the_last_good_address_is_used(
    peer: Callable[..., Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = answering(peer, answer(b"one", b"Connection: close"))
    released = threading.Event()
    asked = 0

    def look_up(host: str, port: int, flags: int) -> list[Address]:
        nonlocal asked
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        asked += 1
        if asked > 1:
            released.wait(PATIENCE_S)
        return [venue.address]

    http = Http(Dialler(str(tmp_path / "ca.pem"), look_up), NAME, 443, NAME)
    try:
        assert http.exchange("GET", "/", [], b"", soon())[0] == 200
        monkeypatch.setattr(plain, "RESOLVE_TIMEOUT_S", 0.01)
        for _ in range(3):
            assert http.exchange("GET", "/", [], b"", soon())[0] == 200
        assert asked == 2
    finally:
        released.set()


def test_a_peer_that_never_shakes_hands_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "TLS_TIMEOUT_S", 0.05)
    with (
        socket.create_server((LOOPBACK, 0)) as mute,
        pytest.raises(LineLost, match=r"TLS: .*timed out"),
    ):
        asking(tmp_path, (socket.AF_INET, mute.getsockname()[:2])).make_ready(soon())


def test_nothing_slow_is_imported_for_the_first_byte() -> None:
    slow = "{'trio', 'h11', 'wsproto', 'msgspec'}"
    script = f"import sys, canceld.transport.plain.line; sys.exit(bool({slow} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
