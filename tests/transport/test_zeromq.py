"""Router and publisher over real ipc sockets: the lost wake-up, hostile peers, modes, bounds."""

import math
import os
import random
import select
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
import zmq

from canceld.transport import endpoints, messages, zeromq, zeromq_sockets
from canceld.transport.doors import DoorNews, Fault
from canceld.transport.endpoints import BindFailed
from canceld.transport.messages import Message, Peer, Router, Sent
from canceld.transport.zeromq import Bus
from canceld.transport.zeromq_publisher import TOPICS_LIMIT, ZeromqPublisher
from canceld.transport.zeromq_sockets import ZeromqRouter

HOUSE = Path(__file__).parents[2]


class Clients:
    """libzmq as a strategy would use it: blocking calls, each bounded. Keeps its sockets alive to the end."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []

    def socket(self, kind: int) -> "zmq.Socket[bytes]":
        opened = self._context.socket(kind)
        for option, value in ((zmq.LINGER, 0), (zmq.RCVTIMEO, 5_000), (zmq.SNDTIMEO, 5_000)):
            opened.setsockopt(option, value)
        self._sockets.append(opened)
        return opened

    def close(self) -> None:
        self._context.destroy(linger=0)


@asynccontextmanager
async def open_bus() -> AsyncIterator[Bus]:
    bus = Bus()
    try:
        with trio.fail_after(60):
            yield bus
    finally:
        with trio.CancelScope(shield=True):
            await bus.aclose()


def dealer(clients: Clients, endpoint: str, identity: bytes | None = None) -> "zmq.Socket[bytes]":
    client = clients.socket(zmq.DEALER)
    if identity is not None:
        client.setsockopt(zmq.ROUTING_ID, identity)
    client.connect(endpoint)
    return client


async def receive(router: Router) -> Message:
    """The owner's loop for one message."""
    while (message := router.receive_nowait()) is None:
        await router.readable()
    return message


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what libzmq's thread does, which tells no event; bounded by open_bus."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.005)


def raw_peer(path: Path, identity: bytes | None = None) -> socket.socket:
    """A DEALER that speaks ZMTP 3.0 by hand, past its handshake, so that a test may send what libzmq would not.

    Source: ZMTP 3.0, RFC 23 of the ZeroMQ project.
    """

    def prop(name: bytes, value: bytes) -> bytes:
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value

    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    peer.connect(str(path))
    peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    greeting = b""
    while len(greeting) < 64:
        greeting += peer.recv(64 - len(greeting))
    body = b"\x05READY" + prop(b"Socket-Type", b"DEALER") + (prop(b"Identity", identity) if identity else b"")
    peer.sendall(b"\x04" + bytes([len(body)]) + body)
    ready = peer.recv(2)
    peer.recv(ready[1])
    return peer


def descriptor_signalled(router: Router) -> bool:
    assert isinstance(router, ZeromqRouter)
    return bool(select.select([router._descriptor], [], [], 0)[0])


def await_signal_without_yielding(router: Router) -> None:
    """Keep the loop busy until a message has arrived behind its back."""
    while not descriptor_signalled(router):
        pass


def be_busy() -> None:
    """Let 5 ms pass: on a send libzmq looks into its mailbox only when it last did so some 1 ms ago or more."""
    time.sleep(0.005)


# Messages and replies


async def test_a_reply_reaches_the_peer_that_asked(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        first, second = dealer(clients, endpoint), dealer(clients, endpoint)
        first.send(b"first")
        second.send_multipart([b"", b"second"])
        got = {message.frames[-1]: message for message in [await receive(router), await receive(router)]}
        assert got[b"first"].frames == [b"first"]
        assert got[b"second"].frames == [b"", b"second"]
        assert router.send_nowait(got[b"second"].identity, [b"", b"to second"]) is Sent.OK
        assert router.send_nowait(got[b"first"].identity, [b"to first"]) is Sent.OK
        assert first.recv_multipart() == [b"to first"]
        assert second.recv_multipart() == [b"", b"to second"]


async def test_the_kernel_tells_who_the_peer_is(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        dealer(clients, endpoint).send(b"x")
        message = await receive(router)
        assert message.peer == Peer(uid=os.getuid(), pid=os.getpid())


async def test_an_identity_of_libzmqs_own_form_lends_no_credentials(endpoint: str, room: Path) -> None:
    """A peer may claim an identity that was another's; who it is must come from the kernel all the same."""
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        with raw_peer(room / "s", identity=b"\0abcd") as peer:
            peer.sendall(b"\x00\x01x")
            message = await receive(router)
        assert message.identity == b"\0abcd"
        assert message.peer == Peer(uid=os.getuid(), pid=os.getpid())


async def test_peers_without_kernel_credentials_are_nobody() -> None:
    async with open_bus() as bus:
        router = bus.router("inproc://here", mode=0o600)
        client = bus._context.socket(zmq.DEALER)
        client.connect("inproc://here")
        client.send(b"x")
        assert (await receive(router)).peer is None
        client.close()


@pytest.mark.parametrize("address", ["", "localhost", "localhost:1:2", "localhost:1:2:-3", "a:b:c:d", "::1:2"])
def test_an_unreadable_peer_address_is_nobody(address: str) -> None:
    assert messages._peer_from(address) is None


async def test_the_text_of_a_message_shows_no_content(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        dealer(clients, endpoint).send(b"confidential")
        assert "confidential" not in repr(await receive(router))


async def test_a_message_without_frames_is_a_bug_of_the_caller(endpoint: str) -> None:
    async with open_bus() as bus:
        with pytest.raises(ValueError, match="at least one frame"):
            bus.router(endpoint, mode=0o600).send_nowait(b"x", [])


# The lost wake-up


async def park_reader(
    router: Router, nursery: trio.Nursery, inbox: list[bytes], *, look_again_s: float = math.inf
) -> None:
    async def read() -> None:
        while True:
            while (message := router.receive_nowait()) is not None:
                inbox.extend(message.frames)
            with trio.move_on_after(look_again_s):
                await router.readable()

    nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("to_whom", ["a peer", "nobody"])
async def test_a_send_never_swallows_a_waiting_message(endpoint: str, clients: Clients, to_whom: str) -> None:
    """20 rounds of: the loop is busy, a message arrives, another task sends before the reader runs.

    Without the look at ZMQ_EVENTS after the send the reader sleeps on in nearly every round. Its wait has no bound
    here, so only that look can wake it. A send that is refused reads libzmq's mailbox just the same.
    """
    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        client.send(b"hello")
        identity = (await receive(router)).identity
        if to_whom == "nobody":
            identity = b"nobody"
        inbox: list[bytes] = []
        await park_reader(router, nursery, inbox)
        for number in range(20):
            payload = b"%d" % number
            client.send(payload)
            await_signal_without_yielding(router)
            be_busy()
            router.send_nowait(identity, [b"reply"])
            assert not descriptor_signalled(router), "the send did not swallow the news: the test proves nothing"
            with trio.fail_after(5):
                await until(lambda payload=payload: payload in inbox)  # type: ignore[misc]
        assert router.rescues == 0
        nursery.cancel_scope.cancel()


async def test_a_send_between_draining_and_waiting_hides_nothing(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        for number in range(20):
            assert router.receive_nowait() is None
            client.send(b"%d" % number)
            await_signal_without_yielding(router)
            be_busy()
            router.send_nowait(b"nobody", [b"x"])
            with trio.fail_after(5):
                await router.readable()
            message = await receive(router)
            assert message.frames == [b"%d" % number]
        assert router.rescues == 0


async def test_a_bounded_wait_finds_what_a_foreign_hand_hid_and_counts_it(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        assert isinstance(router, ZeromqRouter)
        client = dealer(clients, endpoint)
        client.send(b"hello")
        await receive(router)
        inbox: list[bytes] = []
        await park_reader(router, nursery, inbox, look_again_s=0.05)
        client.send(b"hidden")
        await_signal_without_yielding(router)
        assert router.socket.getsockopt(zmq.EVENTS) == zmq.POLLIN | zmq.POLLOUT  # swallows the news, tells nobody
        await until(lambda: inbox == [b"hidden"])
        assert router.rescues == 1
        nursery.cancel_scope.cancel()


async def test_news_that_a_bound_merely_met_is_no_rescue(endpoint: str, clients: Clients) -> None:
    """The loop is busy past the bound and a message arrives meanwhile: the descriptor tells of it as it should."""
    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        inbox: list[bytes] = []
        client.send(b"hello")
        await park_reader(router, nursery, inbox, look_again_s=0.002)
        await until(lambda: inbox == [b"hello"])
        for number in range(20):
            client.send(b"%d" % number)
            await_signal_without_yielding(router)
            be_busy()
            await until(lambda number=number: len(inbox) == number + 2)  # type: ignore[misc]
        assert router.rescues == 0
        nursery.cancel_scope.cancel()


async def test_a_message_between_the_bound_and_the_look_is_no_rescue(
    endpoint: str, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_readable = trio.lowlevel.wait_readable
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        client.send(b"hello")
        await receive(router)
        assert router.receive_nowait() is None

        async def wait_and_have_news_at_the_worst_moment(descriptor: int) -> None:
            try:
                await wait_readable(descriptor)
            except trio.Cancelled:
                client.send(b"late")
                await_signal_without_yielding(router)
                raise

        monkeypatch.setattr(trio.lowlevel, "wait_readable", wait_and_have_news_at_the_worst_moment)
        with trio.move_on_after(0.01):
            await router.readable()
        assert (await receive(router)).frames == [b"late"]
        assert router.rescues == 0


async def test_pipelined_traffic_from_many_clients_loses_nothing(endpoint: str, clients: Clients) -> None:
    """Random interleaving of arrivals, replies from the reader and replies from another task."""
    each, count = 2_000, 4
    draw = random.Random(1)

    def talk(client: "zmq.Socket[bytes]") -> list[int]:
        replies: list[int] = []
        sent = 0
        while len(replies) < each:
            if sent < each and sent - len(replies) < 50:
                client.send(b"%d" % sent)
                sent += 1
            else:
                replies.append(int(client.recv()))
        return replies

    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        later: list[Message] = []

        async def serve() -> None:
            while True:
                for _ in range(64):
                    if (message := router.receive_nowait()) is None:
                        break
                    if draw.random() < 0.5:
                        assert router.send_nowait(message.identity, message.frames) is Sent.OK
                    else:
                        later.append(message)
                await router.readable()

        async def answer_later() -> None:
            while True:
                await trio.sleep(draw.random() * 0.002)
                while later:
                    message = later.pop()
                    assert router.send_nowait(message.identity, message.frames) is Sent.OK

        nursery.start_soon(serve)
        nursery.start_soon(answer_later)
        results: list[list[int]] = []

        async def one_client() -> None:
            client = dealer(clients, endpoint)
            results.append(await trio.to_thread.run_sync(talk, client))

        async with trio.open_nursery() as talkers:
            for _ in range(count):
                talkers.start_soon(one_client)
        assert [sorted(replies) for replies in results] == [list(range(each))] * count
        assert router.rescues == 0
        nursery.cancel_scope.cancel()


async def test_a_flood_leaves_other_tasks_their_turn(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        for number in range(900):
            client.send(b"%d" % number)
        turns = drains = taken = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            while taken < 900:
                drains += 1
                for _ in range(64):
                    if router.receive_nowait() is None:
                        break
                    taken += 1
                await router.readable() if taken < 900 else None
            nursery.cancel_scope.cancel()
        assert drains >= 900 / 64
        assert turns >= drains - 2  # the last drain waits for nothing, and either task may begin


async def test_an_idle_reader_costs_next_to_no_processor_time(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        inbox: list[bytes] = []
        await park_reader(router, nursery, inbox)
        client.send(b"x")
        await until(lambda: inbox == [b"x"])
        client.close()  # a peer that leaves signals too, and must not leave the descriptor ready for ever
        busy = time.thread_time()
        await trio.sleep(0.6)
        assert time.thread_time() - busy < 0.06
        nursery.cancel_scope.cancel()


async def test_only_one_task_may_wait(endpoint: str) -> None:
    async with open_bus() as bus, trio.open_nursery() as nursery:
        router = bus.router(endpoint, mode=0o600)
        await park_reader(router, nursery, [])
        with pytest.raises(trio.BusyResourceError):
            await router.readable()
        nursery.cancel_scope.cancel()


async def test_a_cancelled_wait_can_be_taken_up_again(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        assert router.receive_nowait() is None
        with trio.move_on_after(0.01) as scope:
            await router.readable()
        assert scope.cancelled_caught
        dealer(clients, endpoint).send(b"x")
        assert (await receive(router)).frames == [b"x"]


# Peers that do not read, have gone, or were never there


async def test_a_peer_that_does_not_read_is_full_and_one_that_left_is_gone(
    endpoint: str, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeromq, "SEND_LIMIT", 10)
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = clients.socket(zmq.DEALER)
        client.setsockopt(zmq.RCVHWM, 1)
        client.connect(endpoint)
        client.send(b"x")
        identity = (await receive(router)).identity
        body = bytes(64 << 10)
        answers = [router.send_nowait(identity, [body]) for _ in range(1_000)]
        assert answers[0] is Sent.OK
        assert answers[-1] is Sent.FULL
        assert Sent.GONE not in answers
        for _ in range(answers.count(Sent.OK)):  # what was accepted arrives, nothing else does
            assert len(client.recv()) == len(body)
        await until(lambda: router.send_nowait(identity, [b"room again"]) is Sent.OK)
        client.close()
        await until(lambda: router.send_nowait(identity, [body]) is Sent.GONE)


async def test_an_unknown_peer_is_gone(endpoint: str) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        for identity in (b"", b"nobody", b"\0\1\2\3\4", bytes(300)):
            assert router.send_nowait(identity, [b"x", b"y"]) is Sent.GONE


async def test_a_second_peer_with_the_same_identity_gets_none_of_the_firsts_replies(
    endpoint: str, clients: Clients
) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        first = dealer(clients, endpoint, b"same")
        first.send(b"x")
        await receive(router)
        second = dealer(clients, endpoint, b"same")
        second.setsockopt(zmq.RCVTIMEO, 100)
        second.send(b"y")
        assert router.send_nowait(b"same", [b"for the first"]) is Sent.OK
        assert first.recv() == b"for the first"
        with pytest.raises(zmq.Again):
            second.recv()


# Hostile peers


async def test_an_oversize_frame_ends_the_connection_and_only_that(endpoint: str, room: Path, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        with raw_peer(room / "s") as peer:
            peer.sendall(b"\x02" + struct.pack(">Q", (1 << 20) + 1))  # the header alone is enough
            assert await trio.to_thread.run_sync(peer.recv, 1) == b""
        dealer(clients, endpoint).send(bytes(1 << 20))
        assert len((await receive(router)).frames[0]) == 1 << 20
        assert router.receive_nowait() is None


async def test_connections_of_junk_bytes_disturb_nobody(endpoint: str, room: Path, clients: Clients) -> None:
    draw = random.Random(2)
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        for round_number in range(50):
            with socket.socket(socket.AF_UNIX) as junk:
                junk.settimeout(5)
                junk.connect(str(room / "s"))
                # The other end may hang up while we still send.
                with ignoring(BrokenPipeError, ConnectionResetError):
                    junk.sendall(draw.randbytes(draw.randrange(1, 4_000)))
            client.send(b"%d" % round_number)
            message = await receive(router)
            assert message.frames == [b"%d" % round_number], "junk came in as a message"
            assert router.send_nowait(message.identity, [b"ok"]) is Sent.OK
            assert client.recv() == b"ok"


@contextmanager
def ignoring(*errors: type[BaseException]) -> Iterator[None]:
    try:
        yield
    except errors:
        return


async def test_a_silent_connection_is_dropped_before_it_can_hoard_descriptors(
    endpoint: str, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeromq, "HANDSHAKE_MS", 50)
    async with open_bus() as bus:
        bus.router(endpoint, mode=0o600)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.settimeout(5)
            silent.connect(str(room / "s"))

            def until_closed() -> None:
                while silent.recv(100):
                    pass

            await trio.to_thread.run_sync(until_closed)


@pytest.mark.parametrize("case", ["newcomers", "closed_meanwhile", "operators_door"])
def test_doors_shut_while_descriptors_run_short(case: str) -> None:
    """In a process of its own, whose descriptors are nobody else's: libzmq ends the one in which it finds none left."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.transport.few_descriptors", case],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("count", [4, 5, 6, 7, 255, 262, 1_000])
async def test_of_too_many_frames_one_over_the_limit_is_kept(endpoint: str, clients: Clients, count: int) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600, frames_limit=4)
        client = dealer(clients, endpoint)
        frames = [b"%d" % number for number in range(count)]
        client.send_multipart(frames)
        client.send(b"next")
        first = await receive(router)
        assert first.frames == frames[:5]
        assert router.send_nowait(first.identity, [b"too many"]) is Sent.OK  # in the middle of discarding
        second = await receive(router)
        assert second.frames == [b"next"]
        assert second.identity == first.identity
        assert client.recv() == b"too many"


async def test_a_message_of_very_many_frames_leaves_other_tasks_their_turn(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        client.send_multipart([b""] * 50_000)
        client.send(b"next")
        await receive(router)
        steps = 0
        while (message := router.receive_nowait()) is None:
            steps += 1
            await router.readable()
        assert message.frames == [b"next"]
        assert steps >= 50_000 // zeromq_sockets.DISCARD_STEP - 1
        assert router.rescues == 0


# Opening and closing


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
async def test_socket_files_have_exactly_the_mode_asked_for(endpoint: str, room: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with open_bus() as bus:
            bus.router(endpoint, mode=mode)
            bus.publisher(f"{endpoint}.events", mode=mode)
            assert stat.S_IMODE((room / "s").stat().st_mode) == mode
            assert stat.S_IMODE((room / "s.events").stat().st_mode) == mode
        assert os.umask(umask) == umask, "the umask was not given back"
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("ipc://@abstract", "abstract"),
        ("ipc://", "name the path"),
        ("ipc://*", "name the path"),
        ("ipc:///run/a\0b", "name the path"),
        ("tcp://127.0.0.1:5555", "only ipc://"),
        ("tcp://*:5555", "only ipc://"),
        ("inproc://", "only ipc://"),
        ("/run/canceld/commands.sock", "only ipc://"),
        ("", "only ipc://"),
        ("ipc:///" + "x" * 107, "108 bytes"),
        ("ipc:///" + "é" * 54, "109 bytes"),
    ],
)
async def test_endpoints_without_file_permissions_are_refused(endpoint: str, reason: str) -> None:
    async with open_bus() as bus:
        with pytest.raises(ValueError, match=reason):
            bus.router(endpoint, mode=0o600)
        with pytest.raises(ValueError, match=reason):
            bus.publisher(endpoint, mode=0o600)


async def test_the_longest_path_the_kernel_takes_works(room: Path, clients: Clients) -> None:
    name = "x" * (endpoints.IPC_PATH_LIMIT_BYTES - len(str(room)) - 1)
    async with open_bus() as bus:
        router = bus.router(f"ipc://{room}/{name}", mode=0o600)
        dealer(clients, f"ipc://{room}/{name}").send(b"x")
        assert (await receive(router)).frames == [b"x"]


async def test_a_missing_directory_is_named(room: Path) -> None:
    async with open_bus() as bus:
        with pytest.raises(BindFailed, match="missing does not exist") as caught:
            bus.router(f"ipc://{room}/missing/s", mode=0o600)
        assert caught.value.endpoint == f"ipc://{room}/missing/s"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a moment")
async def test_a_directory_we_may_not_write_to_is_said_to_be_so(room: Path, endpoint: str) -> None:
    os.chmod(room, 0o755)
    async with open_bus() as bus:
        os.seteuid(65534)
        try:
            with pytest.raises(BindFailed, match="not allowed to create"):
                bus.router(endpoint, mode=0o600)
            room_of_root = room / "inner"
            with pytest.raises(BindFailed, match="does not exist or may not be entered"):
                bus.router(f"ipc://{room_of_root}/s", mode=0o600)
        finally:
            os.seteuid(0)


async def test_a_file_in_the_way_is_never_deleted(room: Path, endpoint: str) -> None:
    (room / "s").write_text("precious")
    async with open_bus() as bus:
        with pytest.raises(BindFailed, match="no socket"):
            bus.router(endpoint, mode=0o600)
    assert (room / "s").read_text() == "precious"


async def test_closing_wakes_the_task_that_waits(endpoint: str) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        assert router.receive_nowait() is None

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await router.readable()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            router.close()
        router.close()


async def test_everything_says_closed_after_closing(endpoint: str) -> None:
    async with open_bus() as bus:
        router, publisher = bus.router(endpoint, mode=0o600), bus.publisher(f"{endpoint}.events", mode=0o600)
        await bus.aclose()
        await bus.aclose()
        with pytest.raises(trio.ClosedResourceError):
            router.receive_nowait()
        with pytest.raises(trio.ClosedResourceError):
            router.send_nowait(b"x", [b"y"])
        with pytest.raises(trio.ClosedResourceError):
            await router.readable()
        with pytest.raises(trio.ClosedResourceError):
            publisher.publish_nowait(b"x", b"y")


async def test_closing_delivers_the_last_replies(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        router = bus.router(endpoint, mode=0o600)
        client = dealer(clients, endpoint)
        client.send(b"x")
        identity = (await receive(router)).identity
        for number in range(100):
            assert router.send_nowait(identity, [b"%d" % number]) is Sent.OK
    assert [client.recv() for _ in range(100)] == [b"%d" % number for number in range(100)]


async def test_closing_is_bounded_while_a_peer_does_not_read(endpoint: str, clients: Clients) -> None:
    bus = Bus()
    router = bus.router(endpoint, mode=0o600)
    client = clients.socket(zmq.DEALER)
    client.setsockopt(zmq.RCVHWM, 1)
    client.connect(endpoint)
    client.send(b"x")
    identity = (await receive(router)).identity
    while router.send_nowait(identity, [bytes(64 << 10)]) is Sent.OK:
        pass
    started = trio.current_time()
    await bus.aclose()
    assert trio.current_time() - started < zeromq.TERM_TIMEOUT_S + 1


async def test_closing_is_bounded_even_when_libzmq_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeromq, "TERM_TIMEOUT_S", 0.1)
    bus = Bus()
    foreign = bus._context.socket(zmq.DEALER)  # term() waits for every socket, and nobody closes this one
    with trio.fail_after(5):
        await bus.aclose()
    foreign.close()


async def test_closing_works_inside_a_cancelled_scope(endpoint: str) -> None:
    with trio.CancelScope() as scope:
        bus = Bus()
        bus.router(endpoint, mode=0o600)
        scope.cancel()
        await bus.aclose()
        assert bus._context.closed


def test_a_libzmq_with_known_faults_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "zmq_version_info", lambda: (4, 3, 4))
    with pytest.raises(RuntimeError, match="too old"):
        Bus()


def test_the_version_is_told() -> None:
    bus = Bus()
    assert bus.version == zmq.zmq_version()
    bus._context.term()


# Events


async def subscribed(clients: Clients, endpoint: str, topic: bytes, hwm: int = 100_000) -> "zmq.Socket[bytes]":
    subscriber = clients.socket(zmq.SUB)
    subscriber.setsockopt(zmq.RCVHWM, hwm)
    subscriber.setsockopt(zmq.SUBSCRIBE, topic)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"hello")
    subscriber.connect(endpoint)
    return subscriber


async def greet(publisher: messages.Publisher, subscriber: "zmq.Socket[bytes]") -> None:
    """Publish until the subscriber hears it: only then is it subscribed to the rest too."""
    while not subscriber.poll(0):
        publisher.publish_nowait(b"hello", b"")
        await trio.sleep(0.005)
    while subscriber.poll(50):
        subscriber.recv_multipart()


async def test_events_go_to_those_who_asked_for_the_topic(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        publisher = bus.publisher(endpoint, mode=0o600)
        subscriber = await subscribed(clients, endpoint, b"kill")
        await greet(publisher, subscriber)
        publisher.publish_nowait(b"alert", b"1")
        publisher.publish_nowait(b"kill", b"2")
        assert subscriber.recv_multipart() == [b"kill", b"2"]
        assert publisher.dropped == 0


async def test_a_subscriber_that_does_not_read_loses_events_and_nobody_else_does(
    endpoint: str, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeromq, "EVENT_LIMIT", 100)
    async with open_bus() as bus:
        publisher = bus.publisher(endpoint, mode=0o600)
        deaf = await subscribed(clients, endpoint, b"t", hwm=1)
        awake = await subscribed(clients, endpoint, b"t")
        await greet(publisher, deaf)
        await greet(publisher, awake)
        while deaf.poll(50):
            deaf.recv_multipart()
        body = bytes(16 << 10)
        for number in range(2_000):
            publisher.publish_nowait(b"t%d" % number, body)
            assert awake.recv_multipart()[0] == b"t%d" % number
        assert 0 < publisher.dropped < 2_000


async def test_it_knows_what_somebody_listens_to(endpoint: str, clients: Clients) -> None:
    async with open_bus() as bus:
        publisher = bus.publisher(endpoint, mode=0o600)
        assert not publisher.wants(b"kill")
        subscriber = await subscribed(clients, endpoint, b"outcome")
        await greet(publisher, subscriber)
        for topic, wanted in ((b"outcome", True), (b"outcome.spot", True), (b"out", False), (b"kill", False)):
            assert publisher.wants(topic) is wanted, topic
        subscriber.setsockopt(zmq.UNSUBSCRIBE, b"outcome")
        with trio.fail_after(5):
            while True:
                await trio.sleep(0.01)
                # What it says of leaving is read with the next look, which the bus's guard takes every 20 ms.
                assert isinstance(publisher, ZeromqPublisher)
                publisher.heed(trio.current_time())
                if not publisher.wants(b"outcome.spot"):
                    break
        assert publisher.wants(b"hello")
        subscriber.close()
        with trio.fail_after(5):
            while publisher.wants(b"hello"):
                await trio.sleep(0.01)
                publisher.heed(trio.current_time())


async def test_who_subscribes_without_end_is_named_and_everybody_else_comes_back(
    endpoint: str, room: Path, clients: Clients
) -> None:
    """The flood is cut off together with all others, who reconnect by themselves and hear what comes from then on."""
    async with open_bus() as bus, trio.open_nursery() as nursery:
        publisher = bus.publisher(endpoint, mode=0o600)
        honest = await subscribed(clients, endpoint, b"kill")
        await greet(publisher, honest)
        tell, news = trio.open_memory_channel[DoorNews](10)
        nursery.start_soon(bus.guard, lambda _: None, tell.send_nowait)
        flood = clients.socket(zmq.XSUB)
        flood.connect(endpoint)
        # All of this process together, and the honest subscriber has two.
        for number in range(TOPICS_LIMIT - 2):
            flood.send(b"\x01" + b"t%d" % number)
        await trio.sleep(0.1)
        publisher.publish_nowait(b"kill", b"1")
        assert honest.recv_multipart() == [b"kill", b"1"]
        assert news.statistics().current_buffer_used == 0, "as many topics as are allowed do no harm"
        flood.send(b"\x01one more")
        with trio.fail_after(10):
            told = await news.receive()
            assert (told.path, told.fault, told.mended) == (str(room / "s"), Fault.FLOODED, False)
            assert f"pid {os.getpid()} sent more than {TOPICS_LIMIT} topics" in told.detail
            flood.close()
            assert not publisher.wants(b"kill")
            publisher.publish_nowait(b"kill", b"nobody is there to hear it")
            await greet(publisher, honest)
        publisher.publish_nowait(b"kill", b"2")
        assert honest.recv_multipart() == [b"kill", b"2"]
        assert stat.S_IMODE((room / "s").stat().st_mode) == 0o600
        nursery.cancel_scope.cancel()


async def test_nobody_listening_is_no_loss(endpoint: str) -> None:
    async with open_bus() as bus:
        publisher = bus.publisher(endpoint, mode=0o600)
        for _ in range(1_000):
            publisher.publish_nowait(b"t", b"x")
        assert publisher.dropped == 0


def test_the_ipc_limit_is_the_kernels() -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        with pytest.raises(FileNotFoundError):
            probe.connect("/" + "x" * (endpoints.IPC_PATH_LIMIT_BYTES - 1))
        with pytest.raises(OSError, match="too long"):
            probe.connect("/" + "x" * (endpoints.IPC_PATH_LIMIT_BYTES + 1))
