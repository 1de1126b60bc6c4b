"""One DEALER towards the daemon, the clock and the process id: everything of the client that touches the machine."""

import errno
import os
import socket
import stat
import struct
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import zmq

from .requests import IN_FLIGHT_LIMIT

PREFIX_BYTES: Final = 6
"""Random bytes in an id's prefix: enough that the ids of all processes of a machine never meet."""

EVENTS_LIMIT: Final = 10_000
"""Most events that wait to be read by this program; later ones are lost, and that they were is told."""

_EVENT: Final = struct.Struct("=H")


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC, the clock that the daemon compares `sent_ns` with."""
    return time.monotonic_ns()


def fresh_prefix() -> str:
    """A prefix for command ids that no other client has."""
    return os.urandom(PREFIX_BYTES).hex()


def why_absent(endpoint: str) -> str:
    """Why no connection stands, as the kernel tells who tries it now; empty where it does not tell."""
    path = endpoint.removeprefix("ipc://")
    if path == endpoint:
        return ""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            fault = probe.connect_ex(path)
        except OSError:
            return ""
    match fault:
        case errno.ENOENT:
            return "there is no such socket file: is it running, and is this its endpoint?"
        case errno.EACCES:
            return f"this user may not open it: {_who_may(path)}"
        case errno.ECONNREFUSED:
            return "the socket file is there, but nobody answers at it: it has ended"
        case 0 | errno.EAGAIN:
            return "a process listens there, but nobody answers at it"
        case _:
            return os.strerror(fault)


def _who_may(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return f"the directory {os.path.dirname(path)} is closed to it"
    return f"the socket file has mode {stat.S_IMODE(found.st_mode):04o}, owner {found.st_uid}, group {found.st_gid}"


class EventLink:
    """A SUB connected to the event socket, whether anybody publishes there yet or not. Not for several threads.

    Raises ValueError where the endpoint is none.
    """

    def __init__(self, endpoint: str, topics: Iterable[str]) -> None:
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = EVENTS_LIMIT
        for topic in topics:
            self._socket.subscribe(topic)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"endpoint {endpoint!r}: {error.strerror}") from None

    def receive(self) -> list[bytes] | None:
        """The next event's frames, or None. Never waits."""
        try:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def wait(self, within_ms: int | None) -> bool:
        """Whether an event came within this time; None waits for as long as it takes. Blocks this thread."""
        return bool(self._socket.poll(within_ms))

    def descriptor(self) -> int:
        """The edge-triggered descriptor: receive until there is none, and only then wait for it."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close at once. Again, it does nothing."""
        self._socket.close(linger=0)
        self._context.term()


def wait_for_any(links: Sequence["Link"], within_ms: int, *, room: Collection["Link"]) -> None:
    """Return when a frame is there on one of the links, or one of `room` takes a command. Blocks this thread."""
    waited = [(link._socket, zmq.POLLIN | (zmq.POLLOUT if link in room else 0)) for link in links]
    zmq.zmq_poll(waited, within_ms)


class Link:
    """A DEALER connected to one endpoint. Not for several threads, and not for use after a fork.

    It has the identity that libzmq gives it: a chosen one can be taken twice, and the second is ignored in silence.
    Raises ValueError where the endpoint is none.

    slice_ms: the longest that one blocking receive may take.
    """

    def __init__(self, endpoint: str, *, slice_ms: int = 0) -> None:
        self.endpoint = endpoint
        self._slice_ms = slice_ms
        self._lost = False
        self._pid = os.getpid()
        # One context per client: closing it waits for nobody else's sockets.
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        # Without a daemon nothing is queued: a cancel either goes to a live connection or stays with us, so that
        # "never left this process" can be said truly. What was queued to a connection dies with it.
        self._socket.immediate = True
        # A closed client sends nothing more, and the process ends at once.
        self._socket.linger = 0
        self._socket.sndhwm = IN_FLIGHT_LIMIT
        self._socket.rcvhwm = IN_FLIGHT_LIMIT
        # Set once: a timeout on the socket costs the caller nothing, a poller per call a few microseconds.
        self._socket.rcvtimeo = slice_ms
        self._monitor: zmq.Socket[bytes] = self._socket.get_monitor_socket(
            zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED
        )
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"endpoint {endpoint!r}: {error.strerror}") from None

    def check_usable(self) -> None:
        """Raises RuntimeError once closed, and in a forked child: libzmq's I/O thread stayed with the parent."""
        if os.getpid() != self._pid:
            raise RuntimeError("a client does not survive fork(); make a new one in each process")
        if self._socket.closed:
            raise RuntimeError("this client is closed")

    def send(self, payload: bytes) -> bool:
        """Hand one command to the connection; False when there is none, or no room. Never waits."""
        try:
            self._socket.send(payload, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self) -> bytes | None:
        """The next frame that is here, or None. Never waits. A reply has one frame; others are told apart by nobody."""
        try:
            return self._socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def receive_within(self) -> bytes | None:
        """The next frame, or None when none came within `slice_ms`. Blocks this thread."""
        try:
            return self._socket.recv()
        except zmq.Again:
            return None

    def receive_or_room(self) -> bytes | None:
        """As `receive_within`, but returns None at once when a command can be sent."""
        self._socket.poll(self._slice_ms, zmq.POLLIN | zmq.POLLOUT)
        return self.receive()

    def has_frame(self) -> bool:
        """Whether a frame waits. Reading this takes the edge off the socket's descriptor: receive when it says so."""
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def came_back(self) -> bool:
        """Whether the connection was lost and is there again, since the last time this was asked. Never waits.

        Not when it is lost: libzmq tells so before it takes the old connection's queue away, and what is sent in
        between is dropped with it.
        """
        back = False
        while True:
            try:
                told = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return back
            event = _EVENT.unpack_from(told[0])[0]
            if event == zmq.EVENT_DISCONNECTED:
                self._lost = True
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED and self._lost:
                self._lost = False
                back = True

    def descriptors(self) -> tuple[int, int]:
        """The edge-triggered descriptors of the frames and of the connection's events."""
        return self._socket.fileno(), self._monitor.fileno()

    def close(self) -> None:
        """Close at once, dropping what was not sent. Again, or in a forked child, it does nothing."""
        if self._socket.closed or os.getpid() != self._pid:
            return
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()
