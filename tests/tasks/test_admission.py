"""A command at the door: encodings, deadlines, ids, limits, and the one reply."""

import msgspec
import pytest
import trio

from canceld import settings
from canceld.contract.outcomes import Acked, Canceled, Refused, Unknown
from canceld.engine import replays
from canceld.tasks.admission import PING_NS
from canceld.tasks.gateway import read
from canceld.transport.messages import Message

from .door import CANCEL, EVENTS, Door


async def test_a_ping_under_the_id_of_a_cancel_is_told_so(autojump_clock: object, door: Door) -> None:
    await door.ask({**CANCEL, "id": "mine"})
    await door.ask({"type": "ping", "id": "mine"})
    [refusal] = door.told()
    assert (refusal["id"], refusal["reason"]) == ("mine", "id_reused")


async def test_each_order_of_a_batch_is_an_event_of_its_own(autojump_clock: object, door: Door) -> None:
    listener = door.bus.subscribe(EVENTS, b"outcome.")
    orders = [{"order_id": "OAAAAA-BBBBB-CCCCCC"}, {"order_id": "ODDDDD-EEEEE-FFFFFF"}]
    await door.ask({"type": "cancel_batch", "id": 5, "venue": "spot", "orders": orders})
    door.venue.answer(Acked())
    door.venue.answer(Canceled("0.5"))
    [reply] = door.told()
    told = [msgspec.json.decode(heard[1]) for _ in orders if (heard := listener.receive_nowait()) is not None]
    assert [(event["order_id"], event["outcome"]) for event in told] == [
        (outcome["order_id"], outcome["outcome"]) for outcome in reply["outcomes"]
    ]
    assert len(told) == 2


def test_the_limits_are_those_of_the_contract() -> None:
    assert settings.IN_FLIGHT_LIMIT == 10_000
    assert (settings.OUTBOX_REPLIES, settings.OUTBOX_BYTES) == (10_000, 4 * 1024 * 1024)
    assert settings.REPLAY_WINDOW_S == 15 * 60


async def test_the_deadline_runs_from_receipt_or_from_the_sending(autojump_clock: object, door: Door) -> None:
    await trio.sleep(10.0)
    now_ns = door.clock.monotonic_ns()
    await door.ask(CANCEL)
    await door.ask({**CANCEL, "id": 2, "deadline_ms": 500, "sent_ns": now_ns - 400_000_000})
    (_, _, _, plain_ns), (_, _, _, sent_ns) = door.venue.asked
    assert plain_ns == now_ns + 2_000_000_000
    assert sent_ns == now_ns + 100_000_000


async def test_a_time_of_sending_from_another_clock_is_refused_at_once(autojump_clock: object, door: Door) -> None:
    """Believed, it would put off the deadline for years; taken for now, no command would ever be too old."""
    await trio.sleep(10.0)
    now_ns = door.clock.monotonic_ns()
    await door.ask({**CANCEL, "sent_ns": now_ns + 900_000_000})
    assert [asked[3] for asked in door.venue.asked] == [now_ns + 2_000_000_000]
    await door.ask({**CANCEL, "id": 2, "sent_ns": now_ns + 60_000_000_000})
    assert len(door.venue.asked) == 1
    [refusal] = door.told()
    assert (refusal["type"], refusal["id"], refusal["reason"]) == ("refused", 2, "invalid")
    assert refusal["detail"].startswith("sent_ns: ")


async def test_a_reply_comes_in_the_commands_own_encoding_and_envelope(autojump_clock: object, door: Door) -> None:
    as_json = msgspec.json.encode(CANCEL)
    door.client.send_nowait([b"", as_json])
    await trio.sleep(0.001)
    door.venue.answer(Acked())
    delimiter, payload = await door.client.receive()
    assert delimiter == b""
    assert payload.startswith(b"{")
    assert msgspec.json.decode(payload)["outcome"] == "acked"


async def test_ping_and_status_are_answered_at_both_doors_and_may_repeat_their_id(
    autojump_clock: object, door: Door
) -> None:
    for client in (door.client, door.operator):
        await door.ask({"type": "ping", "id": 1}, of=client)
        await door.ask({"type": "ping", "id": 1}, of=client)
        await door.ask({"type": "status", "id": 1, "detail": True}, of=client)
        first, second, status = door.told(client)
        assert first["type"] == second["type"] == "pong"
        assert second["monotonic_ns"] > first["monotonic_ns"]
        assert status == {"type": "status", "id": 1, "state": "serving", "detailed": True}


async def test_rearm_is_for_the_control_socket_only(autojump_clock: object, door: Door) -> None:
    await door.ask({"type": "rearm", "id": 1})
    [reply] = door.told()
    assert (reply["type"], reply["outcome"], reply["reason"]) == ("refused", "refused", "invalid")
    assert "control socket" in reply["detail"]


async def test_a_batch_is_replied_to_with_its_last_outcome_and_in_its_sequence(
    autojump_clock: object, door: Door
) -> None:
    ids = [f"OAAAAA-BBBBB-{number:06d}" for number in range(3)]
    await door.ask({"type": "cancel_batch", "id": 1, "venue": "spot", "orders": [{"order_id": id} for id in ids]})
    assert door.gateway.in_flight == 1
    door.venue.answer(Acked(), 2)
    door.venue.answer(Unknown(("ws",)), 0)
    assert door.told() == []
    door.venue.answer(Acked())
    [reply] = door.told()
    assert [outcome["order_id"] for outcome in reply["outcomes"]] == ids
    assert [outcome["outcome"] for outcome in reply["outcomes"]] == ["unknown", "acked", "acked"]
    assert door.gateway.in_flight == 0


async def test_a_refused_cancel_gives_its_id_back_and_any_other_keeps_it(autojump_clock: object, door: Door) -> None:
    await door.ask(CANCEL)
    door.venue.answer(Refused("no_route", "none"))
    await door.ask(CANCEL)
    assert len(door.venue.asked) == 1
    door.venue.answer(Unknown(("ws",)))
    await door.ask(CANCEL)
    assert door.venue.asked == []
    refused, unknown, again = door.told()
    assert (refused["outcome"], unknown["outcome"]) == ("refused", "unknown")
    assert again == {**unknown, "replayed": True}


async def test_the_same_command_through_two_doors_is_two_commands(autojump_clock: object, door: Door) -> None:
    await door.ask(CANCEL)
    await door.ask(CANCEL, of=door.operator)
    assert len(door.venue.asked) == 2
    door.venue.answer(Acked())
    door.venue.answer(Acked())
    assert [reply["outcome"] for reply in (*door.told(), *door.told(door.operator))] == ["acked", "acked"]


async def test_the_oldest_ids_are_forgotten_first_and_counted(
    autojump_clock: object, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "REPLAY_LIMIT", 10)
    for number in range(12):
        await door.ask({**CANCEL, "id": number})
        door.venue.answer(Acked())
    assert door.gateway.replies.replays.forgotten == 2
    door.told()
    await door.ask({**CANCEL, "id": 11})
    assert door.told()[0]["replayed"] is True
    await door.ask({**CANCEL, "id": 0})
    assert len(door.venue.asked) == 1
    door.venue.answer(Acked())


async def test_draining_ends_with_the_last_answer_and_takes_nothing_new(
    autojump_clock: object, door: Door, nursery: trio.Nursery
) -> None:
    await door.ask(CANCEL)
    ended = trio.Event()

    async def drain() -> None:
        await door.gateway.drained()
        ended.set()

    nursery.start_soon(drain)
    await trio.sleep(0.1)
    assert not ended.is_set()
    await door.ask({**CANCEL, "id": 2})
    await door.ask(CANCEL)
    [reply] = door.told()
    assert (reply["id"], reply["reason"]) == (2, "draining")
    door.venue.answer(Acked())
    await trio.sleep(0.001)
    assert ended.is_set()
    # The second asking of the command in flight is answered with the first.
    assert [(reply["id"], reply.get("replayed", False)) for reply in door.told()] == [(1, False), (1, True)]


async def test_a_machine_that_is_busy_with_others_accuses_nobody_who_pings(autojump_clock: object, door: Door) -> None:
    """What a ping is charged is bounded by what it can take, whatever the clock on the wall says."""
    admission, outlet = door.gateway.admission, door.gateway._wickets[0].outlet
    ping = Message(b"peer", [msgspec.json.encode({"type": "ping", "id": 1})])

    def busy(reply: object, *args: object) -> None:
        door.clock.spent_ns += 50_000_000

    admission._replies.at_once = busy  # type: ignore[method-assign]
    began_ns = admission.take(outlet, ping, read(ping), door.clock.monotonic_ns())
    assert began_ns is not None
    assert door.clock.monotonic_ns() - began_ns == PING_NS
