"""A broken client sends everything that is not a command, while a good one works.

Each piece of nonsense gets one refusal that names the field, with its id where that could be read; nothing else
changes, and the good client notices nothing.
"""

from typing import Any

import msgspec

from .world import CONTROL, Stage, Strategy, stage

GOOD: dict[str, Any] = {"type": "cancel", "id": 1, "venue": "spot", "order_id": "OAAAAA-BBBBB-CCCCCC"}
MANY = [{"order_id": f"OAAAAA-BBBBB-{number:06d}"} for number in range(501)]

# What is wrong → (the command, what the detail must name, whether its id can be told).
COMMANDS: dict[str, tuple[Any, str, bool]] = {
    "a number": (17, "", False),
    "a list": ([1, 2], "", False),
    "nothing": (None, "", False),
    "an empty map": ({}, "type", False),
    "no type": ({"id": 1}, "type", True),
    "an unknown type": ({"type": "buy", "id": 1}, "buy", True),
    "an unknown field": ({**GOOD, "price": 1}, "price", True),
    "no id": ({"type": "ping"}, "id", False),
    "an empty id": ({"type": "ping", "id": ""}, "id", False),
    "a long id": ({"type": "ping", "id": "x" * 65}, "id", False),
    "an id with a line break": ({"type": "ping", "id": "a\n"}, "id", False),
    "a negative id": ({"type": "ping", "id": -1}, "id", False),
    "an id of 2^63": ({"type": "ping", "id": 2**63}, "id", False),
    "an id that is a float": ({"type": "ping", "id": 1.5}, "id", False),
    "an id that is true": ({"type": "ping", "id": True}, "id", False),
    "no venue": ({"type": "cancel", "id": 1, "order_id": GOOD["order_id"]}, "venue", True),
    "an unknown venue": ({**GOOD, "venue": "mars"}, "venue", True),
    "no identifier": ({"type": "cancel", "id": 1, "venue": "spot"}, "order_id", True),
    "two identifiers": ({**GOOD, "userref": 7}, "userref", True),
    "three identifiers": ({**GOOD, "userref": 7, "cl_ord_id": "a"}, "cl_ord_id", True),
    "an order id that is a number": ({**GOOD, "order_id": 7}, "order_id", True),
    "an order id that would be a userref": ({**GOOD, "order_id": "12345"}, "order_id", True),
    "an order id with a quote": ({**GOOD, "order_id": 'OAAAAA-"},{"-CCCCCC'}, "order_id", True),
    "an empty order id": ({**GOOD, "order_id": ""}, "order_id", True),
    "a long order id": ({**GOOD, "order_id": "O" * 65}, "order_id", True),
    "a client id with a control character": (
        {"type": "cancel", "id": 1, "venue": "spot", "cl_ord_id": "a\x00b"},
        "cl_ord_id",
        True,
    ),
    "userref 0": ({"type": "cancel", "id": 1, "venue": "spot", "userref": 0}, "userref", True),
    "userref of 33 bits": ({"type": "cancel", "id": 1, "venue": "spot", "userref": 2**31}, "userref", True),
    "userref as text": ({"type": "cancel", "id": 1, "venue": "spot", "userref": "7"}, "userref", True),
    "a deadline of 0": ({**GOOD, "deadline_ms": 0}, "deadline_ms", True),
    "a deadline of more than a minute": ({**GOOD, "deadline_ms": 60_001}, "deadline_ms", True),
    "a deadline that is a float": ({**GOOD, "deadline_ms": 1.5}, "deadline_ms", True),
    "a deadline that is true": ({**GOOD, "deadline_ms": True}, "deadline_ms", True),
    "sent before time began": ({**GOOD, "sent_ns": -1}, "sent_ns", True),
    "an unknown until": ({**GOOD, "until": "maybe"}, "until", True),
    "an empty strategy": ({**GOOD, "strategy": ""}, "strategy", True),
    "a batch of none": ({"type": "cancel_batch", "id": 1, "venue": "spot", "orders": []}, "orders", True),
    "a batch of 501": ({"type": "cancel_batch", "id": 1, "venue": "spot", "orders": MANY}, "orders", True),
    "a batch with a bad order": (
        {"type": "cancel_batch", "id": 1, "venue": "spot", "orders": [*MANY[:3], {"userref": 0}]},
        "orders[3].userref",
        True,
    ),
    "a drill without a reason": ({"type": "drill", "id": 1}, "reason", True),
    "a lease without a strategy": ({"type": "lease", "id": 1, "ttl_ms": 1000}, "strategy", True),
    "a rearm on the strategies' socket": ({"type": "rearm", "id": 1}, "control", True),
    "a command of 16 KiB": ({**GOOD, "strategy": "x" * 16_384}, "", True),
}

RAW: dict[str, list[bytes]] = {
    "an empty frame": [b""],
    "two empty frames": [b"", b""],
    "text": [b"cancel everything"],
    "half a map in JSON": [b'{"type":"cancel","id":1'],
    "JSON that is no UTF-8": [b'{"type":"ping","id":"\xff\xfe"}'],
    "msgpack that breaks off": [msgspec.msgpack.encode(GOOD)[:-3]],
    "msgpack with a tail": [msgspec.msgpack.encode(GOOD) + b"\x01"],
    "brackets without end": [b'{"a":' * 20_000],
    "maps in maps": [b"\x81\xa1a" * 5_000],
    "three frames": [b"", b"", msgspec.msgpack.encode(GOOD)],
    "two payloads": [msgspec.msgpack.encode(GOOD), msgspec.msgpack.encode(GOOD)],
    "nine frames": [b""] * 9,
    "1 MiB less a byte": [b"\xc1" * (2**20 - 1)],
}


async def _undisturbed(world: Stage, good: Strategy) -> None:
    """The good client cancels an order, and its reply comes in the same instant."""
    [order_id] = await world.place_seen(1)
    reply = await good.cancel(order_id=order_id)
    assert reply["outcome"] in ("acked", "canceled")
    assert good.took(reply["id"]) == 0.0


async def test_each_malformed_command_gets_one_refusal_that_names_the_field(autojump_clock: object) -> None:
    async with stage() as world:
        good, bad = world.strategy(), world.strategy()
        for what, (command, named, id_told) in COMMANDS.items():
            for encode in (msgspec.msgpack.encode, msgspec.json.encode):
                payload = encode(command)
                if encode is msgspec.json.encode and payload[:1] != b"{":
                    continue
                bad.say([payload], id=1 if id_told else None)
                reply = await bad.hear()
                assert (reply["type"], reply["outcome"]) == ("refused", "refused"), what
                assert reply["reason"] in ("invalid", "too_large"), what
                assert reply["id"] == (1 if id_told else None), what
                assert named in reply["detail"], f"{what}: {reply['detail']}"
        await _undisturbed(world, good)
        # Not one of them used its id up, and not one of them reached the venue.
        assert (await bad.cancel(id=1, order_id=GOOD["order_id"], deadline_ms=100))["outcome"] == "not_open"
        assert len(world.received("cancelOrder")) == 1 + len(world.asked_of_venue(GOOD["order_id"]))


async def test_bytes_that_are_no_command_at_all_are_refused_too(autojump_clock: object) -> None:
    async with stage() as world:
        good, bad = world.strategy(), world.strategy()
        for what, frames in RAW.items():
            bad.say(frames, id=None)
            world.start(_undisturbed, world, good)
            reply = await bad.hear()
            bad.asked[-1] = bad.asked[-1]._replace(id=reply["id"])
            assert (reply["type"], reply["outcome"]) == ("refused", "refused"), what
            assert reply["reason"] in ("invalid", "too_large"), what
            assert reply["detail"], what
            await world.passed(0.1)
        assert world.resting == []


async def test_a_frame_of_more_than_a_mebibyte_ends_its_connection_alone(autojump_clock: object) -> None:
    async with stage() as world:
        good, bad = world.strategy(), world.strategy()
        bad.dealer.send_nowait([b"\xc1" * (2**20 + 1)])
        await _undisturbed(world, good)
        await world.passed(1.0)
        assert bad.heard == []


async def test_a_request_socket_gets_its_empty_frame_back(autojump_clock: object) -> None:
    async with stage() as world:
        [order_id] = await world.place_seen(1)
        dealer = world.bus.connect(CONTROL)
        for payload in (msgspec.msgpack.encode({**GOOD, "order_id": order_id}), b'{"type":"pong","id":9}'):
            await dealer.send([b"", payload])
            delimiter, reply = await dealer.receive()
            assert delimiter == b""
            assert (reply[:1] == b"{") == (payload[:1] == b"{")
        assert world.resting == []
