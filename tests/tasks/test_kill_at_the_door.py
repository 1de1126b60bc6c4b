"""A kill at the door: whatever its form, and whatever the door refuses to others, it is pulled and answered once."""

import json
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.tasks import admission

from .door import CANCEL, Door

ENDLESS = {"type": "kill", "id": "k", "deadline_ms": 60_000}


@pytest.fixture
async def door(nursery: trio.Nursery) -> Door:
    """A door behind which the switch runs."""
    door = Door(nursery)
    nursery.start_soon(door.kill.run)
    return door


async def told(door: Door) -> list[dict[str, Any]]:
    """The replies, once the latch had time to be stored."""
    await trio.sleep(0.1)
    return door.told()


async def test_a_kill_of_one_word_is_pulled_and_its_reply_says_what_is_odd(autojump_clock: object, door: Door) -> None:
    await door.ask({"type": "kill"})
    assert door.kill.latched
    [reply] = await told(door)
    assert (reply["type"], reply["id"], reply["latched"]) == ("killed", None, True)
    assert reply["ignored"] == ["id: missing; the reply bears none"]


async def test_a_kill_as_it_should_be_says_nothing_of_it(autojump_clock: object, door: Door) -> None:
    await door.ask({"type": "kill", "id": "k", "reason": "why"})
    [reply] = await told(door)
    assert "ignored" not in reply
    assert door.kill.status()["reason"] == "why"


async def test_the_record_names_what_was_ignored(autojump_clock: object, door: Door) -> None:
    notes: list[tuple[str, dict[str, Any]]] = []
    door.events.note = lambda kind, /, **fields: notes.append((kind, fields))  # type: ignore[method-assign]
    await door.ask({"type": "kill", "id": "k", "dril": True, "reason": "\x1b" + "x" * 5_000})
    [command] = [fields["command"] for kind, fields in notes if kind == "command"]
    assert command.ignored == ("reason: cut at 4096 bytes", "dril: unknown field")
    assert command.reason.startswith("\ufffdxxx")


async def test_a_misspelt_drill_kills_and_a_misspelt_drill_command_is_refused(
    autojump_clock: object, door: Door
) -> None:
    await door.ask({"type": "drill", "id": 1, "reasn": "weekly"})
    await door.ask({"type": "drill", "id": 2})
    assert [(reply["id"], reply["outcome"]) for reply in await told(door)] == [(1, "refused"), (2, "refused")]
    assert not door.kill.latched
    await door.ask({"type": "kill", "id": 3, "dril": True})
    assert door.kill.latched
    [reply] = await told(door)
    assert reply["ignored"] == ["dril: unknown field"]


@pytest.mark.parametrize(
    "command", [{"type": "kill", "drill": True}, {"type": "drill", "id": 1, "reason": "weekly"}], ids=["kill", "drill"]
)
async def test_a_drill_pulls_nothing(autojump_clock: object, door: Door, command: dict[str, Any]) -> None:
    await door.ask({**command, "deadline_ms": 50})
    [reply] = await told(door)
    assert (reply["type"], reply["drill"], reply["id"]) == ("killed", True, command.get("id"))
    assert not door.kill.latched


async def test_a_drill_is_a_command_like_others(
    autojump_clock: object, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IN_FLIGHT_LIMIT", 0)
    await door.ask({"type": "drill", "id": 1, "reason": "weekly"})
    await door.ask({"type": "drill", "id": 2, "reason": "weekly", "venues": ["prime"]})
    first, second = await told(door)
    assert (first["reason"], second["reason"]) == ("overloaded", "unsupported")


@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_in_whichever_frame_it_stands(autojump_clock: object, door: Door, place: int) -> None:
    frames = [b"", b"x", b"{", b"", b"more"]
    frames[place] = json.dumps({"type": "kill", "id": "k"}).encode()
    door.client.send_nowait(frames)
    await trio.sleep(0.1)
    assert door.kill.latched
    heard = door.client.receive_nowait()
    assert heard is not None
    assert (heard[0] == b"") == (place > 0)
    reply = json.loads(heard[-1])
    assert (reply["id"], reply["ignored"]) == ("k", ["frames: a message has at most 4 frames"])
    assert door.client.receive_nowait() is None


async def test_two_kills_without_an_id_have_two_replies(autojump_clock: object, door: Door) -> None:
    await door.ask({"type": "kill"})
    await door.ask({"type": "kill"})
    first, second = await told(door)
    assert "replayed" not in first
    assert "replayed" not in second
    assert door.kill.pulls == 2
    assert door.gateway.in_flight == 0


async def test_too_old_it_kills(autojump_clock: object, door: Door) -> None:
    await trio.sleep(60.0)
    await door.ask({"type": "kill", "id": "k", "sent_ns": 1, "deadline_ms": 1})
    assert door.kill.latched
    assert [reply["type"] for reply in await told(door)] == ["killed"]


async def test_with_too_much_in_flight_it_kills(
    autojump_clock: object, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IN_FLIGHT_LIMIT", 1)
    await door.ask(CANCEL)
    await door.ask({**CANCEL, "id": 2})
    assert [reply["reason"] for reply in door.told()] == ["overloaded"]
    await door.ask({"type": "kill", "id": "k"})
    assert door.kill.latched


async def test_while_it_drains_it_kills(autojump_clock: object, door: Door) -> None:
    door.gateway.admission.draining = True
    await door.ask({"type": "kill", "id": "k"})
    assert door.kill.latched
    assert [reply["type"] for reply in await told(door)] == ["killed"]


@pytest.mark.parametrize(
    "frames",
    [
        [json.dumps({"type": "kill"}).encode()],
        [b"x", b"y", b'{"type":"kill"}'],
        [b'{"type":"k\\u0069ll"}'],
        [msgspec.msgpack.encode({"type": "kill", "reason": "x" * 20_000})],
    ],
    ids=["plain", "frames", "spelt", "long"],
)
async def test_from_a_peer_that_is_held_back_it_kills(autojump_clock: object, door: Door, frames: list[bytes]) -> None:
    await door.ask(CANCEL)
    for number in range(10, 20):
        door.client.send_nowait([msgspec.msgpack.encode({"type": "status", "id": number})])
    door.client.send_nowait(frames)
    await trio.sleep(0.001)
    assert door.kill.latched


async def test_behind_a_burst_it_is_found_whatever_its_form(autojump_clock: object, door: Door) -> None:
    """The second round looks ahead, and acts on a kill before the commands that came first."""
    for number in range(64 + 200):
        door.client.send_nowait([msgspec.msgpack.encode({**CANCEL, "id": number})])
    door.client.send_nowait([b"", b"", b'{"type":"k\\u0069ll"}'])
    asked: list[int] = []
    pull = door.kill.pull

    def pulled(*args: Any) -> None:
        asked.append(len(door.venue.asked))
        pull(*args)

    door.kill.pull = pulled  # type: ignore[method-assign]
    await trio.sleep(0.001)
    assert asked == [64]


async def test_behind_ten_thousand_commands_it_waits_for_few_of_them(autojump_clock: object, door: Door) -> None:
    """To read them takes its time, and what is done with them meanwhile is time that the kill has not."""
    asked: list[int] = []
    pull = door.kill.pull

    def pulled(*args: Any) -> None:
        asked.append(len(door.venue.asked))
        pull(*args)

    door.kill.pull = pulled  # type: ignore[method-assign]
    for number in range(9_900):
        door.client.send_nowait([msgspec.msgpack.encode({**CANCEL, "id": number})])
    await door.ask({"type": "kill", "id": "k"})
    [before] = asked
    assert before <= 200


_words = st.sampled_from(["kill", "kill", "drill", "kil", "ping", "status", 7, None])
_values = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=6) | st.lists(st.just("spot"))
_names = st.sampled_from(["id", "reason", "reasn", "venues", "drill", "dril", "deadline_ms", "sent_ns", "strategy"])
_maps = st.builds(
    lambda word, members: {"type": word, **members}, _words, st.dictionaries(_names | st.text(max_size=4), _values)
)
_payloads = st.one_of(
    st.binary(max_size=40), _maps.map(msgspec.msgpack.encode), _maps.map(lambda told: json.dumps(told).encode())
)


def is_kill(payload: bytes) -> bool:
    """By the standard library's reader, or the plain decoder: a map of the type `kill` that is no drill."""
    try:
        told = json.loads(payload, strict=False) if payload[:1] == b"{" else msgspec.msgpack.decode(payload)
    except (ValueError, msgspec.DecodeError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("type") == "kill" and told.get("drill") is not True


@settings(max_examples=150, deadline=None)
@given(payload=_payloads, enveloped=st.booleans())
def test_every_kill_latches_nothing_else_does_and_each_has_one_reply(payload: bytes, enveloped: bool) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            door = Door(nursery)
            nursery.start_soon(door.kill.run)
            door.client.send_nowait([b"", payload] if enveloped else [payload])
            await trio.sleep(0.01)
            assert door.kill.latched == is_kill(payload)
            await trio.sleep(10.5)
            replies = 0
            while door.client.receive_nowait() is not None:
                replies += 1
            assert replies == 1
            assert door.gateway.in_flight == 0
            nursery.cancel_scope.cancel()

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0.0))
