"""Turns at the sockets: bursts, who keeps us busy and has to wait, and the last round of all."""

import msgspec
import pytest
import trio

from canceld.tasks.admission import COMPANY_NS

from .door import CANCEL, COMMANDS, Door


async def test_the_first_of_a_burst_leaves_at_once_and_all_others_together(autojump_clock: object, door: Door) -> None:
    for number in range(50):
        door.client.send_nowait([msgspec.msgpack.encode({**CANCEL, "id": number})])
    await trio.sleep(0.001)
    assert len(door.venue.asked) == 50
    assert door.venue.performed == 2


async def test_after_a_burst_the_next_one_is_handed_over_whole(autojump_clock: object, door: Door) -> None:
    for burst in range(2):
        for number in range(50):
            door.client.send_nowait([msgspec.msgpack.encode({**CANCEL, "id": f"{burst}-{number}"})])
        await trio.sleep(0.001)
    assert len(door.venue.asked) == 100
    assert door.venue.performed == 3


async def test_both_doors_show_signs_of_life_with_nobody_there(autojump_clock: object, door: Door) -> None:
    before = door.gateway.beats
    await trio.sleep(1.1)
    assert all(now > then for now, then in zip(door.gateway.beats, before, strict=True))


async def test_who_keeps_us_busy_waits_while_another_cancels_and_loses_nothing(
    autojump_clock: object, door: Door
) -> None:
    other = door.bus.connect(COMMANDS)
    await door.ask(CANCEL, of=other)
    for number in range(10):
        door.client.send_nowait([msgspec.msgpack.encode({"type": "status", "id": number})])
    await trio.sleep(0.001)
    first = [reply["id"] for reply in door.told()]
    assert first == [0]
    await door.ask({**CANCEL, "id": 2}, of=other)
    assert len(door.venue.asked) == 2
    [alert] = door.events.alerts
    assert "cancels nothing" in alert["what"]
    await trio.sleep(COMPANY_NS / 1e9)
    assert first + [reply["id"] for reply in door.told()] == list(range(10))


async def test_nobody_waits_where_nobody_cancels(autojump_clock: object, door: Door) -> None:
    for number in range(100):
        door.client.send_nowait([msgspec.msgpack.encode({"type": "status", "id": number})])
    await trio.sleep(0.001)
    assert [reply["id"] for reply in door.told()] == list(range(100))
    assert door.events.alerts == []


async def test_cancels_of_who_is_held_back_do_not_wait(autojump_clock: object, door: Door) -> None:
    await door.ask(CANCEL)
    for number in range(10, 20):
        door.client.send_nowait([msgspec.msgpack.encode({"type": "status", "id": number})])
    await door.ask({**CANCEL, "id": 2})
    assert len(door.venue.asked) == 2
    await door.ask({"type": "kill", "id": "k", "reason": "now"})
    assert door.kill.latched
    assert [reply["id"] for reply in door.told() if reply["type"] == "status"] == [10]


@pytest.mark.parametrize(
    "frames",
    [[b"{"], [b"x"] * 3, [msgspec.msgpack.encode({"type": "ping", "id": 3})]],
    ids=["nonsense", "many frames", "a ping"],
)
async def test_what_cancels_nothing_waits(autojump_clock: object, door: Door, frames: list[bytes]) -> None:
    await door.ask(CANCEL)
    await door.ask({"type": "status", "id": 2})
    door.told()
    door.client.send_nowait(frames)
    await trio.sleep(0.01)
    assert door.client.receive_nowait() is None
    await trio.sleep(0.1)
    assert door.client.receive_nowait() is not None


async def test_closing_answers_who_is_held_back_too(autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        door = Door(nursery)
        await door.ask(CANCEL)
        for number in range(10, 20):
            door.client.send_nowait([msgspec.msgpack.encode({"type": "status", "id": number})])
        await trio.sleep(0.001)
        assert [reply["id"] for reply in door.told()] == [10]
        door.gateway.admission.draining = True
        nursery.cancel_scope.cancel()
    door.gateway.close()
    assert [reply["id"] for reply in door.told()] == list(range(11, 20))


async def test_past_a_backlog_full_of_what_is_held_back_others_are_heard_at_once(
    autojump_clock: object, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.gateway._wickets[0].backlog, "_limit", 4)
    other = door.bus.connect(COMMANDS)
    await door.ask(CANCEL, of=other)
    for number in range(20):
        door.client.send_nowait([msgspec.msgpack.encode({"type": "status", "id": number})])
    await door.ask({**CANCEL, "id": 2}, of=other)
    assert len(door.venue.asked) == 2
    await trio.sleep(2 * COMPANY_NS / 1e9)
    assert [reply["id"] for reply in door.told()] == list(range(20))
