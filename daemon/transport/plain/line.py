"""Connections for a program without an event loop: dial, encrypt, ask over HTTP/1.1, one blocking step after another.

Every call takes `by_s`, the monotonic time in seconds at which it gives up. Nothing slow is imported before the first
byte has left: that is what a program without a loop is for.
"""

import errno
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeAlias

from ..limits import (
    ADDRESS_LIMIT,
    CONNECT_TIMEOUT_S,
    HEAD_LIMIT,
    HEAD_START_S,
    INTERIM_LIMIT,
    RECEIVE_SIZE,
    RESOLVE_TIMEOUT_S,
    RESPONSE_LIMIT,
    TLS_TIMEOUT_S,
    USER_TIMEOUT_MS,
)
from ..trust import client_context
from . import threads

# The least that a wait takes: a timeout of 0 would make the socket non-blocking.
_SHORTEST_S: Final = 0.001

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

Lookup: TypeAlias = Callable[[str, int, int], list[Address]]
"""(host, port, flags of getaddrinfo) → addresses, best first. Blocks. Raises OSError."""


class LineLost(Exception):
    """There is no connection, or none any more. What was sent on it may have arrived."""


def system_lookup(host: str, port: int, flags: int) -> list[Address]:
    """Ask the system's resolver, which orders the answer by RFC 6724."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found if len(address) in (2, 4)]  # type: ignore[misc]


class Line:
    """One verified TLS connection. For one thread."""

    def __init__(self, encrypted: ssl.SSLSocket) -> None:
        self._socket = encrypted

    def send(self, data: bytes, by_s: float) -> None:
        """Hand all of `data` to the kernel. Raises LineLost; a part of it may have left then."""
        try:
            self._socket.settimeout(_left(by_s))
            self._socket.sendall(data)
        except OSError as error:
            raise LineLost(f"connection lost: {_in_words(error)}") from None

    def receive(self, by_s: float) -> bytes | None:
        """What has come; None when nothing did by then. Raises LineLost at the end, the peer's goodbye included."""
        if time.monotonic() >= by_s:
            # A peer that sends a little all the time must not hold anybody for ever.
            return None
        try:
            self._socket.settimeout(_left(by_s))
            arrived = self._socket.recv(RECEIVE_SIZE)
        except TimeoutError:
            return None
        except OSError as error:
            raise LineLost(f"connection lost: {_in_words(error)}") from None
        if not arrived:
            raise LineLost("closed by the peer")
        return arrived

    def close(self) -> None:
        """Close; never waits for the peer."""
        self._socket.close()


class _Answer:
    """A look-up in a thread of its own: the resolver cannot be told how long it may take."""

    def __init__(self, lookup: Lookup, host: str, port: int) -> None:
        self.addresses: list[Address] = []
        self.fault = f"no answer for {host} in {RESOLVE_TIMEOUT_S:g} s"
        self._ask = partial(lookup, host, port, 0)
        self.job = threads.start(self._run, f"look up {host}")

    def _run(self) -> None:
        try:
            self.addresses = self._ask()
        except OSError as error:
            self.fault = _in_words(error)


class Dialler:
    """Makes connections, from any thread."""

    def __init__(self, ca_file: str | None, lookup: Lookup = system_lookup) -> None:
        """ca_file: a trust root beside the system's. One that cannot be read is left out, and `trust_fault` says so."""
        self.trust_fault: str | None = None
        self._ca_file = ca_file
        self._lookup = lookup
        self._trust: ssl.SSLContext | None = None
        self._guard = threading.Lock()
        self._known: dict[tuple[str, int], list[Address]] = {}
        self._asked: dict[tuple[str, int], _Answer] = {}

    def dial(self, host: str, port: int, by_s: float) -> Line:
        """A connection to `host`, verified under that name. Raises LineLost, which names the phase."""
        addresses = self._resolve(host, port, by_s)
        connected, address = _connect(addresses[:ADDRESS_LIMIT], by_s)
        try:
            connected.settimeout(min(TLS_TIMEOUT_S, _left(by_s)))
            # Without suppressing ragged ends: an answer that ends with its connection must not be cut short unseen.
            return Line(self.trust().wrap_socket(connected, server_hostname=host, suppress_ragged_eofs=False))
        except (OSError, ValueError) as error:
            connected.close()
            # One address may be ill while the others are fine: it goes to the end of the queue.
            self._known[host, port] = [*(other for other in addresses if other != address), address]
            raise LineLost(f"TLS: {_in_words(error)}") from None

    def trust(self) -> ssl.SSLContext:
        """What verifies the peers. It takes a while to load: worth asking for while connections are being made."""
        with self._guard:
            if self._trust is None:
                try:
                    self._trust = client_context(self._ca_file)
                except OSError as error:
                    # A venue may well be known to the system's roots; only a try can tell.
                    self.trust_fault = f"{self._ca_file}: {_in_words(error)}"
                    self._trust = client_context(None)
            return self._trust

    def _resolve(self, host: str, port: int, by_s: float) -> list[Address]:
        """Addresses of a name; those of an earlier answer when the resolver has none to give now."""
        try:
            return self._lookup(host, port, socket.AI_NUMERICHOST)
        except OSError:
            pass
        where = (host, port)
        with self._guard:
            # One question at a time: a resolver that hangs must not collect a thread for every try.
            asked = self._asked.get(where)
            if asked is None or not asked.job.is_alive():
                asked = self._asked[where] = _Answer(self._lookup, host, port)
        threads.wait_for([asked.job], min(by_s, time.monotonic() + RESOLVE_TIMEOUT_S))
        known = self._known.get(where)
        # The same addresses again: their sequence here tells what happened to them.
        if asked.addresses and set(asked.addresses) != set(known or ()):
            known = self._known[where] = list(dict.fromkeys(asked.addresses))
        if not known:
            raise LineLost(f"resolve: {asked.fault}")
        return known


def _connect(addresses: Iterable[Address], by_s: float) -> tuple[socket.socket, Address]:
    """The first of several connections to stand, each started a little after the one before. Raises LineLost."""
    by_s = min(by_s, time.monotonic() + CONNECT_TIMEOUT_S)
    waiting = list(addresses)
    faults: list[str] = []
    start_at = 0.0
    under_way: dict[socket.socket, Address] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or under_way:
                now = time.monotonic()
                if now >= by_s:
                    faults.append(f"no answer in {CONNECT_TIMEOUT_S:g} s")
                    break
                if waiting and (now >= start_at or not under_way):
                    address = waiting.pop(0)
                    connecting, fault = _begin(address)
                    if connecting is None:
                        faults.append(fault)
                    else:
                        under_way[connecting] = address
                        selector.register(connecting, selectors.EVENT_WRITE)
                        start_at = now + HEAD_START_S
                    continue
                for key, _ in selector.select((min(by_s, start_at) if waiting else by_s) - now):
                    assert isinstance(key.fileobj, socket.socket)
                    connecting = key.fileobj
                    selector.unregister(connecting)
                    address = under_way.pop(connecting)
                    code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return connecting, address
                    connecting.close()
                    faults.append(os.strerror(code))
        finally:
            for connecting in under_way:
                connecting.close()
    raise LineLost(f"connect: {'; '.join(dict.fromkeys(faults))}")


def _begin(address: Address) -> tuple[socket.socket | None, str]:
    family, where = address
    try:
        connecting = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return None, _in_words(error)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        code = connecting.connect_ex(where)
        fault = "" if code in (0, errno.EINPROGRESS) else os.strerror(code)
    except OSError as error:
        fault = _in_words(error)
    if fault:
        connecting.close()
        return None, fault
    return connecting, ""


class Http:
    """Requests to one host, one at a time, over a connection that is kept as long as it is good. For one thread."""

    def __init__(self, dialler: Dialler, host: str, port: int, authority: str) -> None:
        """authority: what the Host header carries."""
        self._dialler = dialler
        self._host = host
        self._port = port
        self._authority = authority
        self._line: Line | None = None

    def make_ready(self, by_s: float) -> None:
        """Have a connection, so that what is asked next leaves at once. Raises LineLost."""
        if self._line is None:
            self._line = self._dialler.dial(self._host, self._port, by_s)

    def exchange(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes, by_s: float
    ) -> tuple[int, bytes]:
        """Send one request, and wait for its whole answer: HTTP status and body. A redirect is an answer like any.

        headers: all but Host, Content-Length and Accept-Encoding. Raises LineLost, after which the next request has a
        connection of its own.
        """
        self.make_ready(by_s)
        line, self._line = self._line, None
        assert line is not None
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._authority}", "Accept-Encoding: identity"]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers]
        keep = False
        try:
            line.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body, by_s)
            status, content, keep = _read_answer(line, by_s)
        finally:
            if keep:
                self._line = line
            else:
                line.close()
        return status, content


def _read_answer(line: Line, by_s: float) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection takes another request. Raises LineLost."""
    # Only now: it takes longer to import than the request took to leave, and the venue is at work meanwhile.
    import h11

    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    # The parser must know that an answer is due; which question it answers is all the same to it.
    protocol.send(h11.Request(method="GET", target="/", headers=[("Host", "")]))
    protocol.send(h11.EndOfMessage())
    status = 0
    content = bytearray()
    interim = 0
    try:
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                arrived = line.receive(by_s)
                if arrived is None:
                    raise LineLost("no complete answer in time")
                protocol.receive_data(arrived)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > RESPONSE_LIMIT:
                    raise LineLost(f"the answer is larger than {RESPONSE_LIMIT} bytes")
            elif isinstance(event, h11.EndOfMessage):
                clean = protocol.their_state is h11.DONE and protocol.trailing_data == (b"", False)
                return status, bytes(content), clean
            else:
                interim += 1
                if interim > INTERIM_LIMIT or not isinstance(event, h11.InformationalResponse):
                    raise LineLost("not an answer")
    except h11.RemoteProtocolError as error:
        raise LineLost(f"unreadable answer: {error}") from None


def _left(by_s: float) -> float:
    return max(_SHORTEST_S, by_s - time.monotonic())


def _in_words(error: Exception) -> str:
    """The error without its number; OpenSSL and the resolver have texts of their own in the same place."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
