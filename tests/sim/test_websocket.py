"""One connection: heartbeats, idle closing, and each fault on the wire. Spoken in v1; the rules are every dialect's."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.sim.callers import Gone, WebSocket, kraken
from tests.sim.test_spot_ws import Desk, token_of

OK = {"event": "cancelOrderStatus", "status": "ok"}


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    """Subscribed, with the snapshot taken."""
    venue = kraken()
    desk = Desk(venue, await WebSocket.dial(venue, nursery), token_of(venue))
    await desk.subscribe()
    return desk


def statuses(frame: Any) -> list[str]:
    return [record["status"] for entry in frame[0] for record in entry.values()]


# --- the connection by itself ---------------------------------------------------------------------------------------


async def test_heartbeats_fill_silence_while_subscribed(desk: Desk, autojump_clock: MockClock) -> None:
    start_s = trio.current_time()
    for _ in range(3):
        assert await desk.ws.get(heartbeats=True) == {"event": "heartbeat"}
    assert trio.current_time() - start_s == pytest.approx(3.0, abs=0.1)


async def test_a_socket_without_subscription_is_closed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    ws = await WebSocket.dial(kraken(), nursery)
    with pytest.raises(Gone) as gone:
        await ws.get(within_s=10)
    assert gone.value.code == 1000
    assert trio.current_time() == pytest.approx(5.0, abs=1.0)


async def test_unsubscribing_starts_the_same_clock(desk: Desk, autojump_clock: MockClock) -> None:
    await trio.sleep(20)
    await desk.ws.ask({"event": "unsubscribe", "subscription": {"name": "openOrders"}})
    with pytest.raises(Gone):
        await desk.ws.get(within_s=10)


async def test_an_idle_socket_is_closed_after_a_minute_unless_it_pings(desk: Desk, autojump_clock: MockClock) -> None:
    for _ in range(3):
        await trio.sleep(50)
        assert await desk.ws.ask({"event": "ping"}) == {"event": "pong"}
    with pytest.raises(Gone) as gone:
        await desk.ws.get(within_s=70)
    assert gone.value.code == 1000


async def test_a_close_is_answered(desk: Desk) -> None:
    await desk.ws.close()
    with pytest.raises(Gone) as gone:
        await desk.ws.get()
    assert gone.value.code == 1000
    await trio.testing.wait_all_tasks_blocked()
    assert desk.venue.sessions == {}


async def test_a_ping_beside_the_close_harms_nothing(desk: Desk) -> None:
    await desk.ws.stream.send_all(bytes.fromhex("898000000000888000000000"))  # both masked and empty
    with pytest.raises(Gone):
        await desk.ws.get()


async def test_bytes_that_are_no_frame_end_the_connection(desk: Desk) -> None:
    await desk.ws.stream.send_all(b"\xff\xff\xff\xff")
    with pytest.raises(Gone):
        await desk.ws.get()


async def test_a_peer_that_vanishes_leaves_no_listener(desk: Desk) -> None:
    await desk.ws.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    assert desk.venue.sessions == {}
    assert not desk.venue.exchange._listeners["default", "spot"]


# --- acks and events ------------------------------------------------------------------------------------------------


async def cancel_one(desk: Desk) -> str:
    txid = desk.venue.place()
    await desk.ws.get()
    await desk.ws.get()
    await desk.ws.put({"event": "cancelOrder", "token": desk.token, "txid": [txid]})
    return txid


async def test_the_ack_comes_before_the_event_unless_told_otherwise(desk: Desk) -> None:
    await cancel_one(desk)
    assert await desk.ws.get() == OK
    assert statuses(await desk.ws.get()) == ["canceled"]
    desk.venue.faults.inject({"kind": "event_before_ack"})
    await cancel_one(desk)
    assert statuses(await desk.ws.get()) == ["canceled"]
    assert await desk.ws.get() == OK


async def test_an_ack_is_swallowed_before_the_effect(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.faults.inject({"kind": "swallow_ack_before_effect", "match": "cancelOrder", "times": 1})
    await cancel_one(desk)
    await desk.ws.silence(3)
    assert len(desk.venue.resting()) == 1


async def test_an_ack_is_swallowed_after_the_effect(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "swallow_ack_after_effect", "match": "cancelOrder"})
    await cancel_one(desk)
    assert statuses(await desk.ws.get()) == ["canceled"]
    assert desk.venue.resting() == []


async def test_an_ack_is_doubled(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "duplicate_ack", "times": 1})
    await cancel_one(desk)
    assert [await desk.ws.get(), await desk.ws.get()] == [OK, OK]


async def test_an_ack_is_late_and_the_event_is_not(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.faults.inject({"kind": "delay", "seconds": 2.0, "match": "cancelOrder"})
    await cancel_one(desk)
    assert statuses(await desk.ws.get()) == ["canceled"]
    sent_s = trio.current_time()
    assert await desk.ws.get() == OK
    assert trio.current_time() - sent_s == pytest.approx(2.0, abs=0.1)


async def test_events_are_late_and_keep_their_order(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.faults.inject({"kind": "delay_events", "seconds": 2.0, "match": "placed", "times": 1})
    desk.venue.place()
    start_s = trio.current_time()
    assert statuses(await desk.ws.get()) == ["pending"]
    assert trio.current_time() - start_s == pytest.approx(2.0, abs=0.1)
    assert statuses(await desk.ws.get()) == ["open"]


async def test_acks_change_places(desk: Desk) -> None:
    unknown = "OHYO67-6LP66-HMQ437"
    orders = []
    desk.venue.faults.inject({"kind": "shuffle_acks"})
    for _ in range(8):
        txid = desk.venue.place()
        await desk.ws.get()
        await desk.ws.get()
        await desk.ws.put({"event": "cancelOrder", "token": desk.token, "txid": [txid, unknown]})
        orders.append([(await desk.ws.get())["status"] for _ in range(2)])
        await desk.ws.get()
    assert ["ok", "error"] in orders
    assert ["error", "ok"] in orders


async def test_an_error_is_given_per_order_and_leaves_it_resting(desk: Desk) -> None:
    txids = [desk.venue.place() for _ in range(3)]
    for _ in range(6):
        await desk.ws.get()
    desk.venue.faults.inject({"kind": "ack_error", "error": "EService:Busy", "times": 2})
    await desk.ws.put({"event": "cancelOrder", "token": desk.token, "txid": txids})
    acks = [await desk.ws.get() for _ in range(3)]
    assert [ack.get("errorMessage") for ack in acks] == ["EService:Busy", "EService:Busy", None]
    assert [order.order_id for order in desk.venue.resting()] == txids[:2]


async def test_an_error_on_any_other_request_has_no_effect_either(desk: Desk) -> None:
    desk.venue.place()
    desk.venue.faults.inject({"kind": "ack_error", "error": "EService:Busy", "match": "cancelAll", "times": 1})
    await desk.ws.get()
    await desk.ws.get()
    assert (await desk.ask("cancelAll"))["errorMessage"] == "EService:Busy"
    assert len(desk.venue.resting()) == 1


async def test_a_token_is_refused_so_many_times(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "token_error", "error": "EAPI:Invalid token", "times": 1})
    assert (await desk.ask("cancelAll"))["errorMessage"] == "EAPI:Invalid token"
    assert (await desk.ask("cancelAll"))["status"] == "ok"


async def test_somebody_elses_ack_comes_along(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "stale_reqid", "reqid": 99, "times": 1})
    await desk.ws.put({"event": "cancelAll", "reqid": 5, "token": desk.token})
    assert [(await desk.ws.get())["reqid"] for _ in range(2)] == [99, 5]


async def test_an_event_is_lost_and_the_sequence_shows_it(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "drop_event", "match": "canceled", "times": 1})
    await cancel_one(desk)
    assert await desk.ws.get() == OK
    desk.venue.place()
    assert (await desk.ws.get())[2] == {"sequence": 5}


async def test_a_sequence_number_is_left_out(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "sequence_gap", "times": 1, "by": 3})
    desk.venue.place()
    assert [(await desk.ws.get())[2]["sequence"] for _ in range(2)] == [5, 6]


async def test_a_subscribe_is_never_answered(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    venue = kraken()
    venue.faults.inject({"kind": "stall_subscribe", "session": 0})
    ws = await WebSocket.dial(venue, nursery)
    await ws.put({"event": "subscribe", "subscription": {"name": "openOrders", "token": token_of(venue)}})
    await ws.silence(3)


async def test_a_request_is_carried_out_late_and_may_be_overtaken(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.place()
    await desk.ws.get()
    await desk.ws.get()
    desk.venue.faults.inject({"kind": "delay_request", "seconds": 2.0, "times": 1})
    await desk.ws.put({"event": "cancelAll", "reqid": 1, "token": desk.token})
    assert await desk.ws.ask({"event": "ping", "reqid": 2}) == {"event": "pong", "reqid": 2}
    assert len(desk.venue.resting()) == 1
    assert (await desk.ws.get())["reqid"] == 1
    assert desk.venue.resting() == []


# --- the socket -----------------------------------------------------------------------------------------------------


async def test_every_live_socket_is_reset_or_only_the_chosen_one(nursery: trio.Nursery) -> None:
    venue = kraken()
    first, second, third = [await WebSocket.dial(venue, nursery) for _ in range(3)]
    venue.faults.inject({"kind": "reset_sockets", "session": 1})
    with pytest.raises(Gone) as gone:
        await second.get()
    assert gone.value.code == 1006
    assert await first.ask({"event": "ping"}) == {"event": "pong"}
    venue.faults.inject({"kind": "reset_sockets"})
    for ws in (first, third):
        with pytest.raises(Gone):
            await ws.get()
    again = await WebSocket.dial(venue, nursery)
    assert await again.ask({"event": "ping"}) == {"event": "pong"}


@pytest.mark.parametrize(("effect", "left"), [("before", 1), ("after", 0)])
async def test_a_socket_dies_on_the_cancel_before_or_after_its_effect(desk: Desk, effect: str, left: int) -> None:
    desk.venue.faults.inject({"kind": "reset_sockets", "match": "cancelOrder", "effect": effect, "times": 1})
    await cancel_one(desk)
    with pytest.raises(Gone):
        await desk.ws.get()
    assert len(desk.venue.resting()) == left


async def test_what_follows_a_reset_in_the_same_read_has_no_effect(desk: Desk) -> None:
    desk.venue.place()
    await desk.ws.get()
    await desk.ws.get()
    desk.venue.faults.inject({"kind": "reset_sockets", "match": "ping"})
    await desk.ws.put_together([{"event": "ping"}, {"event": "cancelAll", "token": desk.token}])
    with pytest.raises(Gone):
        await desk.ws.get()
    assert len(desk.venue.resting()) == 1


@pytest.mark.parametrize("code", [1001, 1008, 1012, 1013])
async def test_a_close_code_is_sent(desk: Desk, code: int) -> None:
    desk.venue.faults.inject({"kind": "close_code", "code": code, "reason": "later"})
    with pytest.raises(Gone) as gone:
        await desk.ws.get()
    assert gone.value.code == code


async def test_a_half_open_socket_takes_requests_and_says_nothing(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.faults.inject({"kind": "half_open"})
    desk.venue.place()
    await desk.ws.put({"event": "cancelAll", "token": desk.token})
    with pytest.raises(trio.TooSlowError):
        await desk.ws.get(within_s=10, heartbeats=True)
    assert desk.venue.resting() == []


async def test_a_socket_half_open_both_ways_does_nothing_and_heals(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.place()
    await desk.ws.get()
    await desk.ws.get()
    desk.venue.faults.inject({"kind": "half_open", "both": True, "for_s": 10})
    await desk.ws.put({"event": "cancelAll", "token": desk.token})
    with pytest.raises(trio.TooSlowError):
        await desk.ws.get(within_s=9, heartbeats=True)
    assert len(desk.venue.resting()) == 1
    assert await desk.ws.get(heartbeats=True) == {"event": "heartbeat"}
    assert (await desk.ask("cancelAll"))["count"] == 1


async def test_heartbeats_stop(desk: Desk, autojump_clock: MockClock) -> None:
    desk.venue.faults.inject({"kind": "no_heartbeat", "for_s": 10})
    with pytest.raises(trio.TooSlowError):
        await desk.ws.get(within_s=9, heartbeats=True)
    assert await desk.ws.get(heartbeats=True) == {"event": "heartbeat"}


async def test_garbage_and_oversize_frames_arrive(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "garbage_frame"})
    assert await desk.ws.get() == '{"event":'
    desk.venue.faults.inject({"kind": "oversize_frame", "size": 2_000_000})
    assert len(await desk.ws.get()) == 2_000_000


async def test_an_error_of_no_request_comes_when_the_rate_is_exceeded(desk: Desk) -> None:
    desk.venue.faults.inject({"kind": "rate_notice"})
    assert await desk.ws.get() == {"Error": "Exceeded msg rate"}


async def test_a_request_is_answered_as_one_that_could_not_be_matched(desk: Desk) -> None:
    order_id = desk.venue.place("spot", account="nobody")
    for named, reqid in ((True, {"reqid": 7}), (False, {})):
        desk.venue.faults.inject({"kind": "unmatched", "match": "cancelOrder", "times": 1, "named": named})
        await desk.ws.put({"event": "cancelOrder", "reqid": 7, "token": desk.token, "txid": [order_id]})
        told = await desk.ws.get()
        words = {"event": "error", "errorMessage": "EService:Unavailable"}
        assert told == (words | reqid if named else {"Error": "EService:Unavailable"})
    assert desk.venue.resting() != []


async def test_a_peer_that_never_reads_is_dropped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canceld.sim.websocket.OUTBOX_LIMIT", 10)
    desk.venue.faults.inject({"kind": "delay_events", "seconds": 3600.0})
    for _ in range(6):
        desk.venue.place()
    with pytest.raises(Gone):
        await desk.ws.get()


async def test_an_upgrade_is_never_answered(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    venue = kraken()
    venue.faults.inject({"kind": "stall_handshake", "times": 1, "route": "spot_ws"})
    with pytest.raises(trio.TooSlowError):
        await WebSocket.dial(venue, nursery)
    await WebSocket.dial(venue, nursery)
