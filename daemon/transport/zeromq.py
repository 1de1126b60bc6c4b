"""libzmq in service: the process's one context, what every socket of it is told, and the watch over their files."""

from collections.abc import Callable
from typing import Final

import trio
import zmq

from .descriptors import count_descriptors, raise_descriptor_limit
from .doors import Door, DoorNews, Fault
from .endpoints import IPC, bind, check_endpoint
from .endpoints import BindFailed as BindFailed  # what every caller of Bus must catch
from .messages import (
    EVENT_LIMIT,
    FRAME_LIMIT_BYTES,
    FRAMES_LIMIT,
    RECEIVE_LIMIT,
    SEND_LIMIT,
    Publisher,
    Router,
)
from .zeromq_publisher import ZeromqPublisher
from .zeromq_sockets import ZeromqRouter

LIBZMQ_OLDEST: Final = (4, 3, 5)  # older ones carry known memory faults that a local peer can reach
LINGER_MS: Final = 200  # last replies get this long to leave; libzmq's own default waits for ever
TERM_TIMEOUT_S: Final = 1.0  # above LINGER_MS with room for a busy machine
HANDSHAKE_MS: Final = 1_000  # a peer that connects and says nothing holds a descriptor no longer than this
ZAP_DOMAIN: Final = b"canceld"  # any name will do: see _distrust_newcomers
SUBSCRIPTION_LIMIT_BYTES: Final = 64  # a greeting, and beginnings of topics: 16 bytes at most

# Topics that libzmq keeps of one subscriber until we look. It takes all of them in at once, and goes on for as long as
# more arrive meanwhile: with libzmq's own 1,000, and 1,000 bytes each, one flood held the loop for 4.7 s and took 1 GB.
SUBSCRIPTIONS_AHEAD: Final = 16

# Descriptors that newcomers leave to the venues' connections and files: a fifth, or this many where a fifth is less,
# but never more than half. libzmq accepts some 25,000 a second: 500 between two looks.
SPARE_DESCRIPTORS: Final = 1_024
LOOK_S: Final = 0.02
FILES_LOOK_S: Final = 1.0  # a strategy that starts and finds no socket tries again for longer than this


class Bus:
    """libzmq in this process: one context, its I/O thread and the sockets opened through it.

    Never fork after this was made: nothing of libzmq works in the child.
    """

    def __init__(self) -> None:
        """Raises RuntimeError on a libzmq older than LIBZMQ_OLDEST."""
        found = zmq.zmq_version_info()
        if found < LIBZMQ_OLDEST:
            wanted = ".".join(map(str, LIBZMQ_OLDEST))
            raise RuntimeError(f"libzmq {zmq.zmq_version()} is too old, {wanted} is the oldest accepted")
        self.version = zmq.zmq_version()
        # libzmq aborts the process when accept finds none left, and the usual soft limit of 1,024 is one burst of
        # connections from any local peer: each may hold one for HANDSHAKE_MS without a word.
        raise_descriptor_limit()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.linger = LINGER_MS  # inherited by every socket
        self._opened: list[ZeromqRouter | ZeromqPublisher] = []
        self._doors: list[Door] = []
        self._publishers: list[tuple[ZeromqPublisher, str, int]] = []

    def router(
        self,
        endpoint: str,
        *,
        mode: int,
        max_frame_bytes: int = FRAME_LIMIT_BYTES,
        frames_limit: int = FRAMES_LIMIT,
        closes_last: bool = False,
    ) -> Router:
        """Bind a ROUTER socket; an ipc socket file has exactly `mode` from its first moment.

        max_frame_bytes: a peer that sends a larger frame loses its connection.
        frames_limit: frames after the identity; of a longer message only one more than that is kept.
        closes_last: while descriptors run short newcomers get in here for longer than anywhere else. For a socket
        that few may open.
        Raises ValueError on an endpoint that `check_endpoint` refuses, BindFailed when it cannot be had.

        Binding takes the address from whoever listens there, silently: hold a lock first (`disk.Directory.lock`), and
        have `guard` run afterwards.
        """
        check_endpoint(endpoint)
        socket = self._context.socket(zmq.ROUTER)
        # Without MANDATORY libzmq drops what it cannot deliver and says nothing.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # A newcomer who names another's identity must not get the other's replies.
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        _distrust_newcomers(socket, max_frame_bytes)
        socket.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
        socket.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        bind(socket, endpoint, mode)
        router = ZeromqRouter(socket, frames_limit)
        self._keep(router, endpoint, mode, closes_last, router.look_again)
        return router

    def publisher(self, endpoint: str, *, mode: int) -> Publisher:
        """Bind a socket of events; the file's mode and the errors are as for `router`."""
        check_endpoint(endpoint)

        def open_socket() -> "zmq.Socket[bytes]":
            socket = self._context.socket(zmq.XPUB)
            # With NODROP a full subscriber is an error to react to instead of a silent loss: see publish_nowait.
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            _distrust_newcomers(socket, SUBSCRIPTION_LIMIT_BYTES)
            socket.setsockopt(zmq.RCVHWM, SUBSCRIPTIONS_AHEAD)
            socket.setsockopt(zmq.SNDHWM, EVENT_LIMIT)
            bind(socket, endpoint, mode)
            return socket

        publisher = ZeromqPublisher(open_socket)
        self._publishers.append((publisher, endpoint, mode))
        self._keep(publisher, endpoint, mode, False, lambda: None)
        return publisher

    async def aclose(self) -> None:
        """Close every socket, give queued messages LINGER_MS to leave, and end within TERM_TIMEOUT_S."""
        for opened in self._opened:
            opened.close()
        self._opened.clear()
        if self._context.closed:
            await trio.lowlevel.checkpoint()
            return
        # term() blocks in C where no cancellation reaches it: a thread may be left behind, the loop may not.
        with trio.move_on_after(TERM_TIMEOUT_S, shield=True):
            await trio.to_thread.run_sync(self._context.term, abandon_on_cancel=True)

    async def guard(self, turns_away: Callable[[bool], None], door_news: Callable[[DoorNews], None]) -> None:
        """Keep every socket's file as it should be, and turn newcomers away while descriptors run short.

        turns_away: told when that begins and when it ends. When accept finds no descriptor left, libzmq ends the whole
        process. door_news: told of a file that somebody removed, replaced or changed, once it was seen, and again when
        what could not be mended at once is mended. Whoever is connected already notices nothing of either.
        Ends by cancellation.
        """
        shut = False
        look_s = trio.current_time()
        try:
            while True:
                in_use, limit = count_descriptors()
                spare = max(limit // 5, min(SPARE_DESCRIPTORS, limit // 2))
                for door in self._doors:
                    door.heed(limit - in_use, spare)
                if shut is not any(door.is_shut for door in self._doors):
                    shut = not shut
                    turns_away(shut)
                now_s = trio.current_time()
                self._heed_subscribers(now_s, door_news)
                if now_s >= look_s:
                    look_s = now_s + FILES_LOOK_S
                    for door in self._doors:
                        if (news := door.look(now_s)) is not None:
                            door_news(news)
                await trio.sleep(LOOK_S)
        finally:
            for door in self._doors:
                if door.is_shut:
                    door.open()

    def _heed_subscribers(self, now_s: float, door_news: Callable[[DoorNews], None]) -> None:
        for publisher, endpoint, mode in self._publishers:
            if (flooded := publisher.heed(now_s)) is not None:
                door_news(DoorNews(endpoint.removeprefix(IPC), Fault.FLOODED, False, flooded.detail))
            elif publisher.reopen(now_s):
                self._keep(publisher, endpoint, mode, False, lambda: None)

    def _keep(
        self,
        opened: "ZeromqRouter | ZeromqPublisher",
        endpoint: str,
        mode: int,
        closes_last: bool,
        bound_again: Callable[[], None],
    ) -> None:
        # An endpoint may be bound again and again, after thefts: those closed since need no closing at the end.
        self._opened = [known for known in self._opened if not known.closed and known is not opened]
        self._opened.append(opened)
        self._doors = [known for known in self._doors if known.is_shut or not known.closed]
        if endpoint.startswith(IPC):
            door = Door(opened.socket, endpoint, mode, closes_last=closes_last, bound_again=bound_again)
            self._doors.append(door)


def _distrust_newcomers(socket: "zmq.Socket[bytes]", max_frame_bytes: int) -> None:
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
    # A socket with a domain takes no ZMTP older than 3.0 (libzmq 4.0, 2013), and asks nobody about it as long as no
    # ZAP handler runs. Junk reads as the oldest ZMTP, which has no greeting that could fail: it would arrive as
    # messages, and when it arrives while the socket is being closed, libzmq's I/O thread aborts the process
    # (zmtp_engine.cpp, process_routing_id_msg: the pipe is gone, and the push that fails is asserted to succeed).
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
