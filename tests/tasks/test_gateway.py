"""The front door by itself: frames, encodings, doors and limits, with a dispatcher that answers when it is told to."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio

from canceld import settings
from canceld.contract.ids import Target
from canceld.contract.outcomes import Acked, Canceled, Outcome, Refused, Settlement, Unknown
from canceld.tasks import gateway as room
from canceld.tasks.events import Events
from canceld.tasks.gateway import Gateway
from canceld.tasks.hand import Owner
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.leasing import Leasing
from canceld.tasks.recovery import Record, Recovery
from canceld.transport.clock import VirtualClock
from canceld.transport.disk import MemoryDirectory
from canceld.transport.entropy import SeededEntropy
from canceld.transport.zeromq_memory import MemoryBus, MemoryDealer

COMMANDS = "ipc:///run/canceld/commands.sock"
CONTROL = "ipc:///run/canceld/control.sock"
EVENTS = "ipc:///run/canceld/events.sock"
ORDER_ID = "OAAAAA-BBBBB-CCCCCC"
CANCEL = {"type": "cancel", "id": 1, "venue": "spot", "order_id": ORDER_ID}
STATUS_NS = 3_000_000


class Venue:
    """What the gateway sees of a dispatcher."""

    venue = "spot"

    def __init__(self) -> None:
        self.asked: list[tuple[Owner, Target, bool, int]] = []
        self.performed = 0

    def submit(
        self, owner: Owner, target: Target, proof: bool, deadline_ns: int, now_ns: int, symbol: str | None = None
    ) -> None:
        self.asked.append((owner, target, proof, deadline_ns))

    def submit_batch(
        self, owners: Sequence[tuple[Owner, Target, str | None]], proof: bool, deadline_ns: int, now_ns: int
    ) -> None:
        for owner, target, symbol in owners:
            self.submit(owner, target, proof, deadline_ns, now_ns, symbol)

    def perform(self) -> None:
        self.performed += 1

    def answer(self, outcome: Outcome, place: int = 0) -> None:
        """Answer the command at this place of those still waiting."""
        owner, target, _, _ = self.asked.pop(place)
        owner.answered(Settlement(venue="spot", target=target, outcome=outcome, route="ws"))


class SlowClock(VirtualClock):
    """Virtual time in which work takes time, too: as much as is added to `spent_ns`."""

    def __init__(self) -> None:
        super().__init__()
        self.spent_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.spent_ns


class Door:
    """A gateway that runs, and a client at each of its sockets."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.bus = MemoryBus()
        self.clock = SlowClock()
        self.venue = Venue()
        self.events = Events(self.bus.publisher(EVENTS, mode=0o660), self.clock)
        self.directory = MemoryDirectory("/state")
        record = Record(self.directory)
        kill = KillSwitch({}, self.directory, self.clock, SeededEntropy(1), self.events)
        self.gateway = Gateway(
            self.bus.router(COMMANDS, mode=0o660),
            self.bus.router(CONTROL, mode=0o600),
            {"spot": self.venue},  # type: ignore[dict-item]
            self.clock,
            self.events,
            self.status,
            intents=record.intents,
            successor=Recovery(record, {}, self.clock, self.events),
            kill=kill,
            leasing=Leasing({"spot": self.venue}, self.directory, self.clock, self.events, kill),  # type: ignore[dict-item]
            deadline_ms=2000,
        )
        self.client = self.bus.connect(COMMANDS)
        self.operator = self.bus.connect(CONTROL)
        nursery.start_soon(self.gateway.run)

    def status(self, detail: bool) -> dict[str, Any]:
        """A daemon's status that takes some of its time."""
        self.clock.spent_ns += STATUS_NS
        return {"state": "serving", "detailed": detail}

    async def ask(self, command: Any, *, of: MemoryDealer | None = None) -> None:
        """Send one command in msgpack and let the gateway take it."""
        (of or self.client).send_nowait([msgspec.msgpack.encode(command)])
        await trio.sleep(0.001)

    def told(self, of: MemoryDealer | None = None) -> list[dict[str, Any]]:
        """Every reply since this was last asked."""
        told = []
        while (frames := (of or self.client).receive_nowait()) is not None:
            told.append(msgspec.msgpack.decode(frames[-1]))
        return told


@pytest.fixture
async def door(nursery: trio.Nursery) -> Door:
    return Door(nursery)


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
    monkeypatch.setattr(room, "REPLAY_LIMIT", 10)
    for number in range(12):
        await door.ask({**CANCEL, "id": number})
        door.venue.answer(Acked())
    assert door.gateway.forgotten == 2
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


async def test_both_doors_show_signs_of_life_with_nobody_there(autojump_clock: object, door: Door) -> None:
    before = door.gateway.beats
    await trio.sleep(1.1)
    assert all(now > then for now, then in zip(door.gateway.beats, before, strict=True))


# ---------------------------------------------------------------- who keeps us busy


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
    await trio.sleep(room.COMPANY_NS / 1e9)
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
    assert door.gateway._killswitch.latched
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
        door.gateway.draining = True
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
    await trio.sleep(2 * room.COMPANY_NS / 1e9)
    assert [reply["id"] for reply in door.told()] == list(range(20))
