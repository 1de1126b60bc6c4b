"""The slots of what is in flight: whole after any death of the process, and never believed where they are torn."""

import random
import time
import tracemalloc
from typing import Any
from zlib import crc32

import msgspec
import pytest

from canceld.contract.commands import Cancel, CancelAll, CancelBatch
from canceld.contract.frames import decode_command
from canceld.engine.intents import (
    BODY_BYTES,
    HEADER,
    NOBODY,
    RECORD_BYTES,
    SLOT_BYTES,
    SLOT_LIMIT,
    BadRecord,
    Client,
    Found,
    Intents,
    Slots,
    client_of,
    read,
)

AUTO = b"\0\0\0\0\x07"
COMMAND = {"type": "cancel", "id": "c1", "venue": "spot", "order_id": "OAAAAA-BBBBB-CCCCCC", "deadline_ms": 500}
STORES_SEEN = 200


class Dying(bytearray):
    """Memory of a process that dies once it has stored so often."""

    stores_left = 2**60

    def __setitem__(self, place: Any, content: Any) -> None:
        if not self.stores_left:
            raise KeyboardInterrupt
        self.stores_left -= 1
        super().__setitem__(place, content)


def fresh() -> Dying:
    return Dying(HEADER.ljust(RECORD_BYTES, b"\0"))


def packed(command: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode(command)


def enter(intents: Intents, command: dict[str, Any] = COMMAND, identity: bytes = AUTO, **of: int) -> Slots:
    who = {"uid": 1000, "pid": 4242, "received_ns": 5, "utc_ns": 7, **of}
    return intents.enter(packed(command), identity, **who)


def batch(count: int) -> dict[str, Any]:
    orders = [{"order_id": f"OAAAAA-BBBBB-{n:06}"} for n in range(count)]
    return {"type": "cancel_batch", "id": 9, "venue": "spot", "orders": orders}


def test_a_fresh_record_holds_nothing() -> None:
    assert read(bytes(fresh())) == Found()


def test_what_was_entered_and_not_settled_is_found_in_its_sequence() -> None:
    memory = fresh()
    intents = Intents(memory)
    first = enter(intents, {**COMMAND, "id": 1}, received_ns=50, utc_ns=70)
    second = enter(intents, {**COMMAND, "id": 2})
    third = enter(intents, {"type": "cancel_all", "id": 3})
    intents.settle(second)
    fourth = enter(intents, {**COMMAND, "id": 4})
    found = read(bytes(memory))
    assert [intent.command.id for intent in found.intents] == [1, 3, 4]
    assert [intent.slots for intent in found.intents] == [first, third, fourth]
    assert found.intents[0] == (
        Client(b"", 1000, 4242),
        Cancel(id=1, venue="spot", order_id="OAAAAA-BBBBB-CCCCCC", deadline_ms=500),
        50,
        70,
        first,
    )
    assert isinstance(found.intents[1].command, CancelAll)
    assert found.torn == ()


def test_json_is_kept_as_it_came() -> None:
    memory = fresh()
    Intents(memory).enter(msgspec.json.encode(COMMAND), AUTO, 1000, 4242, 5, 7)
    [intent] = read(bytes(memory)).intents
    assert intent.command == Cancel(id="c1", venue="spot", order_id="OAAAAA-BBBBB-CCCCCC", deadline_ms=500)


@pytest.mark.parametrize("count", [3, 10, 500])
def test_a_batch_takes_as_many_slots_as_it_needs_and_comes_back_whole(count: int) -> None:
    memory = fresh()
    intents = Intents(memory)
    slots = enter(intents, batch(count))
    assert len(slots) == -(-len(packed(batch(count))) // BODY_BYTES)
    [intent] = read(bytes(memory)).intents
    assert isinstance(intent.command, CancelBatch)
    assert [ref.order_id for ref in intent.command.orders] == [ref["order_id"] for ref in batch(count)["orders"]]
    intents.settle(slots)
    assert read(bytes(memory)) == Found()


def test_the_longest_chosen_identity_fits_beside_its_command() -> None:
    memory = fresh()
    enter(Intents(memory), identity=b"s" * 255)
    [intent] = read(bytes(memory)).intents
    assert intent.client == Client(b"s" * 255, 1000, NOBODY)
    assert intent.command.id == "c1"


def test_a_client_is_known_again_by_its_process_or_by_the_identity_it_chose() -> None:
    assert client_of(b"\0abcd", 1, 2) == client_of(b"\0wxyz", 1, 2)
    assert client_of(b"\0abcd", 1, 2) != client_of(b"\0abcd", 1, 3)
    assert client_of(b"mm-btc", 1, 2) == client_of(b"mm-btc", 1, 3)
    assert client_of(b"mm-btc", 1, 2) != client_of(b"mm-btc", 9, 2)


def test_a_full_record_refuses_nothing_and_counts_what_it_could_not_hold() -> None:
    intents = Intents(fresh())
    entered = [enter(intents) for _ in range(SLOT_LIMIT)]
    assert len(set(entered)) == SLOT_LIMIT
    assert enter(intents) == ()
    assert enter(intents, batch(20)) == ()
    assert intents.unrecorded == 2
    intents.settle(entered[0])
    assert enter(intents) == entered[0]


def test_a_batch_for_which_there_is_too_little_room_takes_none() -> None:
    intents = Intents(fresh())
    for _ in range(SLOT_LIMIT - 1):
        enter(intents)
    assert enter(intents, batch(20)) == ()
    assert len(enter(intents)) == 1


def test_without_memory_nothing_is_recorded_and_nothing_fails() -> None:
    intents = Intents(None)
    assert not intents.on
    assert enter(intents) == ()
    intents.settle(())
    assert intents.unrecorded == 0


def test_the_next_process_leaves_what_it_found_in_its_slots_until_it_is_settled() -> None:
    memory = fresh()
    enter(Intents(memory), batch(30))
    found = read(bytes(memory))
    intents = Intents(memory, found)
    enter(intents, {**COMMAND, "id": "new"})
    assert [intent.command.id for intent in read(bytes(memory)).intents] == [9, "new"]
    intents.settle(found.intents[0].slots)
    assert [intent.command.id for intent in read(bytes(memory)).intents] == ["new"]


@pytest.mark.parametrize("command", [COMMAND, batch(30)], ids=["one slot", "many slots"])
def test_a_process_that_dies_at_any_store_leaves_the_whole_intent_or_none(command: dict[str, Any]) -> None:
    """Before its last store nothing had left, and after its first free slot the reply had."""
    whole = 0
    for stores in range(STORES_SEEN):
        memory = fresh()
        intents = Intents(memory)
        memory.stores_left = stores
        died = False
        try:
            intents.settle(enter(intents, command))
        except KeyboardInterrupt:
            died = True
        found = read(bytes(memory))
        assert len(found.intents) <= 1
        for intent in found.intents:
            whole += 1
            assert intent.command == decode_command(packed(command))
            assert found.torn == ()
        if not died:
            assert found == Found()
            break
    else:
        raise AssertionError("it never came to its end")
    assert whole


def test_bytes_of_an_earlier_command_never_show_in_a_shorter_one() -> None:
    memory = fresh()
    intents = Intents(memory)
    intents.settle(enter(intents, {**COMMAND, "strategy": "x" * 60}))
    enter(intents)
    [intent] = read(bytes(memory)).intents
    assert intent.command.strategy is None


@pytest.mark.parametrize("seed", range(4))
def test_any_damage_gives_what_was_entered_or_a_torn_slot(seed: int) -> None:
    rng = random.Random(seed)
    memory = fresh()
    intents = Intents(memory)
    commands = [batch(rng.randint(1, 40)) if n % 4 == 0 else {**COMMAND, "id": n} for n in range(40)]
    for command in commands:
        enter(intents, command)
    entered = {intent.slots: intent for intent in read(bytes(memory)).intents}
    used = [slot for slots in entered for slot in slots]
    for _ in range(150):
        damaged = bytearray(memory)
        hurt = set()
        for _ in range(rng.randint(1, 8)):
            slot = rng.choice(used)
            hurt.add(slot)
            at = slot * SLOT_BYTES + rng.randrange(SLOT_BYTES)
            for byte in range(at, min(at + rng.choice((1, 8, 64)), (slot + 1) * SLOT_BYTES)):
                damaged[byte] = rng.randrange(256)
        found = read(bytes(damaged))
        for intent in found.intents:
            assert intent == entered[intent.slots]
        for slots in entered:
            if not hurt & set(slots):
                assert any(intent.slots == slots for intent in found.intents)
        # Emptied of what was torn, the record is clean again.
        Intents(damaged, found)
        assert read(bytes(damaged)).torn == ()


def test_parts_of_which_one_is_missing_are_no_command() -> None:
    memory = fresh()
    slots = enter(Intents(memory), batch(30))
    for missing in slots:
        damaged = bytearray(memory)
        damaged[missing * SLOT_BYTES : missing * SLOT_BYTES + 4] = bytes(4)
        found = read(bytes(damaged))
        assert found.intents == ()
        assert set(found.torn) == set(slots) - {missing}


def test_a_sealed_slot_that_is_no_command_to_cancel_is_not_believed() -> None:
    memory = fresh()
    intents = Intents(memory)
    enter(intents, {"type": "ping", "id": 1})
    intents.enter(b"no command", AUTO, 1, 2, 3, 4)
    assert read(bytes(memory)) == Found((), (1, 2), 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no record"),
        (b"\0" * RECORD_BYTES, "is no record"),
        (b"#!/bin/sh\n" + b"\0" * RECORD_BYTES, "is no record"),
        (HEADER.replace(b"version 1", b"version 2").ljust(RECORD_BYTES, b"\0"), "another version"),
        (HEADER.ljust(RECORD_BYTES - 1, b"\0"), "bytes and not"),
        (HEADER.ljust(RECORD_BYTES + 1, b"\0"), "bytes and not"),
    ],
    ids=["empty", "zeros", "foreign", "version", "shorter", "longer"],
)
def test_a_file_of_anything_else_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(BadRecord, match=told):
        read(content)


def test_any_bytes_behind_the_header_are_read_without_an_error() -> None:
    rng = random.Random(1)
    found = read(HEADER + rng.randbytes(RECORD_BYTES - SLOT_BYTES))
    assert found.intents == ()
    assert len(found.torn) > SLOT_LIMIT - 10


def test_entering_and_settling_cost_a_few_microseconds_at_most() -> None:
    """Loose, for a shared machine; the bench has the figure."""
    intents = Intents(bytearray(HEADER.ljust(RECORD_BYTES, b"\0")))
    payload = packed(COMMAND)
    took = []
    for _ in range(2000):
        begun = time.perf_counter_ns()
        intents.settle(intents.enter(payload, AUTO, 1000, 4242, 5, 7))
        took.append(time.perf_counter_ns() - begun)
    assert sorted(took)[len(took) // 2] < 10_000


def test_a_part_that_claims_to_be_one_of_thousands_costs_nothing() -> None:
    """Each of 16,384 such slots took a millisecond: the daemon would have started 20 s later."""
    memory = fresh()
    enter(Intents(memory), COMMAND)
    body = bytearray(memory[SLOT_BYTES + 4 : 2 * SLOT_BYTES])
    body[34:36] = b"\xff\xff"
    used = bytes(body[: 39 + int.from_bytes(body[36:38], "little")])
    memory[SLOT_BYTES : SLOT_BYTES + 4] = crc32(used).to_bytes(4, "little")
    memory[SLOT_BYTES + 4 : 2 * SLOT_BYTES] = body
    tracemalloc.start()
    try:
        found = read(bytes(memory))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.torn == (1,)
    assert peak_bytes < RECORD_BYTES + 100_000
