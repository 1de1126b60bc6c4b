"""MemoryBus keeps the promises of the real bus that scenario tests lean on, under virtual time."""

import pytest
import trio
import trio.testing

from canceld.transport.memory.zeromq import MemoryBus
from canceld.transport.messages import RECEIVE_LIMIT, MessageBus, Peer, Publisher, Router, Sent

ENDPOINT = "ipc:///run/test/commands.sock"
EVENTS = "ipc:///run/test/events.sock"


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(send_limit=3, event_limit=3)


async def receive(router: Router) -> bytes:
    while (message := router.receive_nowait()) is None:
        await router.readable()
    return message.frames[-1]


async def test_it_fits_where_the_real_bus_fits(bus: MemoryBus) -> None:
    any_bus: MessageBus = bus
    router: Router = any_bus.router(ENDPOINT, mode=0o600)
    publisher: Publisher = any_bus.publisher(EVENTS, mode=0o600)
    assert (router.rescues, publisher.dropped) == (0, 0)
    await any_bus.aclose()


async def test_a_reply_reaches_the_dealer_that_asked(bus: MemoryBus) -> None:
    router = bus.router(ENDPOINT, mode=0o600)
    first, second = bus.connect(ENDPOINT), bus.connect(ENDPOINT, peer=Peer(uid=7, pid=9))
    await first.send([b"first"])
    await second.send([b"", b"second"])
    asked = [router.receive_nowait(), router.receive_nowait()]
    assert router.receive_nowait() is None
    assert asked[0] is not None
    assert asked[1] is not None
    assert asked[1].frames == [b"", b"second"]
    assert asked[1].peer == Peer(uid=7, pid=9)
    assert router.send_nowait(asked[1].identity, [b"", b"to second"]) is Sent.OK
    assert router.send_nowait(asked[0].identity, [b"to first"]) is Sent.OK
    assert await first.receive() == [b"to first"]
    assert await second.receive() == [b"", b"to second"]


async def test_a_message_wakes_the_waiting_router(bus: MemoryBus, autojump_clock: trio.testing.MockClock) -> None:
    router, dealer = bus.router(ENDPOINT, mode=0o600), bus.connect(ENDPOINT)
    got: list[tuple[bytes, float]] = []

    async def read() -> None:
        got.append((await receive(router), trio.current_time()))
        got.append((await receive(router), trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for number in range(2):
            await trio.sleep(1)
            await dealer.send([b"%d" % number])
    assert [payload for payload, _ in got] == [b"0", b"1"]
    assert [at_s for _, at_s in got] == pytest.approx([1.0, 2.0])


async def test_a_dealer_that_does_not_read_is_full_and_one_that_left_is_gone(bus: MemoryBus) -> None:
    router, dealer = bus.router(ENDPOINT, mode=0o600), bus.connect(ENDPOINT, identity=b"me")
    assert [router.send_nowait(b"me", [b"x"]) for _ in range(4)] == [Sent.OK] * 3 + [Sent.FULL]
    assert dealer.receive_nowait() == [b"x"]
    assert router.send_nowait(b"me", [b"x"]) is Sent.OK
    dealer.close()
    assert router.send_nowait(b"me", [b"x"]) is Sent.GONE
    assert router.send_nowait(b"nobody", [b"x"]) is Sent.GONE


async def test_a_second_dealer_with_a_taken_identity_is_ignored(bus: MemoryBus) -> None:
    router = bus.router(ENDPOINT, mode=0o600)
    first, second = bus.connect(ENDPOINT, identity=b"same"), bus.connect(ENDPOINT, identity=b"same")
    assert router.send_nowait(b"same", [b"x"]) is Sent.OK
    assert first.receive_nowait() == [b"x"]
    assert second.receive_nowait() is None


async def test_of_too_many_frames_one_over_the_limit_is_kept(bus: MemoryBus) -> None:
    router = bus.router(ENDPOINT, mode=0o600, frames_limit=2)
    dealer = bus.connect(ENDPOINT)
    await dealer.send([b"1", b"2", b"3", b"4"])
    message = router.receive_nowait()
    assert message is not None
    assert message.frames == [b"1", b"2", b"3"]


async def test_an_oversize_frame_costs_the_connection_and_the_dealer_comes_back(bus: MemoryBus) -> None:
    router = bus.router(ENDPOINT, mode=0o600, max_frame_bytes=10)
    dealer = bus.connect(ENDPOINT)
    await dealer.send([b"before"])
    await dealer.send([bytes(11)])
    await dealer.send([b"after"])
    before, after = router.receive_nowait(), router.receive_nowait()
    assert before is not None
    assert after is not None
    assert (before.frames, after.frames) == ([b"before"], [b"after"])
    assert before.identity != after.identity
    assert router.send_nowait(before.identity, [b"x"]) is Sent.GONE
    assert router.send_nowait(after.identity, [b"y"]) is Sent.OK


async def test_a_restart_finds_the_dealers_again_and_what_they_sent_meanwhile(bus: MemoryBus) -> None:
    first_life, dealer = bus.router(ENDPOINT, mode=0o600), bus.connect(ENDPOINT)
    await dealer.send([b"read"])
    assert await receive(first_life) == b"read"
    await dealer.send([b"lost with the process"])
    bus.drop_process()
    await dealer.send([b"meanwhile"])
    second_life = bus.router(ENDPOINT, mode=0o600)
    assert await receive(second_life) == b"meanwhile"
    assert second_life.receive_nowait() is None


async def test_a_second_bind_takes_the_address_and_leaves_the_first_deaf(bus: MemoryBus) -> None:
    first = bus.router(ENDPOINT, mode=0o600)
    known = bus.connect(ENDPOINT)
    second = bus.router(ENDPOINT, mode=0o600)
    newcomer = bus.connect(ENDPOINT)
    await known.send([b"known"])
    await newcomer.send([b"new"])
    assert await receive(first) == b"known"
    assert await receive(second) == b"new"


async def test_closing_wakes_the_task_that_waits(bus: MemoryBus) -> None:
    router = bus.router(ENDPOINT, mode=0o600)

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await router.readable()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await router.readable()
        await bus.aclose()
    with pytest.raises(trio.ClosedResourceError):
        router.receive_nowait()
    with pytest.raises(trio.ClosedResourceError):
        router.send_nowait(b"x", [b"y"])


async def test_a_dealer_waits_for_replies_and_hears_of_its_own_end(
    bus: MemoryBus, autojump_clock: trio.testing.MockClock
) -> None:
    router, dealer = bus.router(ENDPOINT, mode=0o600), bus.connect(ENDPOINT, identity=b"me")
    replies: list[list[bytes]] = []

    async def read() -> None:
        replies.append(await dealer.receive())
        with pytest.raises(trio.ClosedResourceError):
            await dealer.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1)
        router.send_nowait(b"me", [b"x"])
        await trio.sleep(1)
        dealer.close()
    assert replies == [[b"x"]]
    with pytest.raises(trio.ClosedResourceError):
        await dealer.send([b"x"])


async def test_a_dealer_without_a_router_has_a_bounded_queue(bus: MemoryBus) -> None:
    dealer = bus.connect(ENDPOINT)
    for _ in range(RECEIVE_LIMIT):
        dealer.send_nowait([b"x"])
    with pytest.raises(trio.WouldBlock):
        dealer.send_nowait([b"x"])


async def test_events_reach_their_subscribers_and_a_full_one_alone_loses(bus: MemoryBus) -> None:
    publisher = bus.publisher(EVENTS, mode=0o600)
    everything, kills = bus.subscribe(EVENTS), bus.subscribe(EVENTS, b"kill")
    publisher.publish_nowait(b"alert", b"0")
    for number in range(1, 4):
        publisher.publish_nowait(b"kill", b"%d" % number)
    assert publisher.dropped == 1
    assert [await kills.receive() for _ in range(3)] == [(b"kill", b"1"), (b"kill", b"2"), (b"kill", b"3")]
    assert kills.receive_nowait() is None
    assert await everything.receive() == (b"alert", b"0")
    publisher.close()
    with pytest.raises(trio.ClosedResourceError):
        publisher.publish_nowait(b"kill", b"4")


async def test_refused_endpoints_are_refused_here_too(bus: MemoryBus) -> None:
    with pytest.raises(ValueError, match="only ipc://"):
        bus.router("tcp://127.0.0.1:1", mode=0o600)
    with pytest.raises(ValueError, match="abstract"):
        bus.publisher("ipc://@x", mode=0o600)
