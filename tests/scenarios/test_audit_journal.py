"""What happened can be told afterwards, line by line, and nobody learns a key or a token from it.

A strategy cancels through a silence, a refusal, a lost socket and a full disk. The record then names who asked for
what, each frame in and out, why a second way was taken and how it ended; its chain holds; and it goes on after a crash.
"""

import msgspec
import pytest
import trio

from canceld.engine.journal import HEAD, REDACTED, files_among, parse_head
from canceld.engine.journal_check import Check, lines_of
from canceld.scribe.writer import DIRECTORY
from canceld.tasks.journal import CANNOT_WRITE
from canceld.transport.memory.disk import MemoryDirectory

from .world import SEEDS, Stage, stage


def journal(world: Stage) -> MemoryDirectory:
    return world.directory(world.settings.state.dir).subdirectory(DIRECTORY)


def records(world: Stage, kind: str) -> list[dict[str, object]]:
    content = b"".join(journal(world).read(name) or b"" for name in files_among(journal(world).names()))
    told = [msgspec.json.decode(line) for line in content.splitlines()]
    return [record for record in told if record["kind"] == kind]


def verified(world: Stage) -> Check:
    directory = journal(world)
    found = Check(parse_head(directory.read(HEAD)))
    for name in files_among(directory.names()):
        found.begin(name)
        for line in lines_of(directory.read_part, name):
            found.take(line)
    found.end()
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_cancel_can_be_followed_from_the_command_to_the_outcome(autojump_clock: object, seed: int) -> None:
    async with stage(seed) as world:
        strategy = world.strategy()
        [order] = world.place(1)
        told = (await strategy.cancel(order_id=order, strategy="alpha"))["outcome"]
        assert told in ("acked", "canceled")
        await trio.sleep(0.1)
        [command] = records(world, "command")
        assert (command["type"], command["order_id"], command["strategy"]) == ("cancel", order, "alpha")
        assert command["door"] == "commands"
        assert {"uid", "pid"} <= command.keys()
        [sent] = [record for record in records(world, "frame_out") if order in str(record["frame"])]
        reqid = msgspec.json.decode(str(sent["frame"]))["reqid"]
        assert any(f'"reqid":{reqid}' in str(record["frame"]) for record in records(world, "frame_in"))
        [outcome] = records(world, "outcome")
        assert (outcome["outcome"], outcome["order_id"], outcome["strategy"]) == (told, order, "alpha")
        assert [
            record["kind"] for record in sorted((outcome, sent, command), key=lambda told: int(str(told["n"])))
        ] == [
            "command",
            "frame_out",
            "outcome",
        ]
    [start], [stop] = records(world, "start"), records(world, "stop")
    assert {"version", "config_sha256"} <= start.keys()
    assert stop["in_flight"] == 0
    assert verified(world).faults == []


async def test_a_second_way_is_recorded_with_the_reason_it_was_taken_for(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        silent, lost = world.place(2)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=1)
        await strategy.cancel(order_id=silent)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=1)
        strategy.ask(order_id=lost)
        await trio.sleep(0.1)
        world.inject("reset_sockets", route="spot_ws")
        await strategy.hear()
        await trio.sleep(0.1)
        told = {record["order_id"]: record for record in records(world, "decision") if "order_id" in record}
        assert (told[silent]["what"], told[silent]["why"]) == ("hedge", "no answer in 400 ms")
        assert (told[lost]["what"], "lost" in str(told[lost]["why"])) == ("fallback", True)
        assert {"live", "down"} <= {record["state"] for record in records(world, "session")}
    assert verified(world).faults == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_secret_is_in_the_record(autojump_clock: object, seed: int) -> None:
    tokens: set[str] = set()
    async with stage(seed) as world:
        strategy = world.strategy()
        for fault in ({"kind": "invalid_session"}, {"kind": "token_error", "times": 3}, {"kind": "reset_sockets"}):
            orders = world.place(3)
            world.inject(**fault)
            for order in orders:
                await strategy.cancel(order_id=order)
            await trio.sleep(2.0)
        world.inject("swallow_ack_before_effect", match="cancelOrder", times=2)
        await strategy.cancel(order_id=world.place(1)[0])
        await strategy.do("cancel_all", venue="spot")
        tokens |= {str(frame["token"]) for frame in world.frames("cancelOrder") if "token" in frame}
        pair = world.exchange.credentials["spot"]
    directory = journal(world)
    content = b"".join(directory.read(name) or b"" for name in directory.names())
    assert tokens
    assert REDACTED.encode() in content
    for secret in (*tokens, pair["key"], pair["secret"]):
        assert secret.encode() not in content
    assert b"GetWebSocketsToken" in content
    assert verified(world).faults == []


async def test_a_full_disk_delays_no_cancel_and_the_gap_is_told_when_it_heals(autojump_clock: object) -> None:
    async with stage() as world:
        strategy = world.strategy()
        listener = world.listen("alert")
        faults = world.directory(world.settings.state.dir).faults
        before = await strategy.cancel(order_id=world.place(1)[0])
        faults.detail = "No space left on device"
        during = [await strategy.cancel(order_id=order) for order in world.place(20)]
        assert {reply["outcome"] for reply in during} <= {"acked", "canceled"}
        assert max(strategy.took(reply["id"]) for reply in during) <= strategy.took(before["id"]) + 0.001
        await trio.sleep(3.0)
        assert CANNOT_WRITE in {event["what"] for event in listener.events}
        faults.detail = None
        await trio.sleep(3.0)
        assert len(records(world, "outcome")) == 21
        [gap] = records(world, "gap")
        assert (gap["dropped"], "No space left" in str(gap["why"])) == (0, True)
    assert verified(world).faults == []
