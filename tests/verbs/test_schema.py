"""The published schema against what the daemon really encodes."""

from typing import Any

import msgspec
import pytest

from canceld import cli
from canceld.contract.frames import decode_reply, encode, outcome_map, refusal_map
from canceld.contract.ids import Target
from canceld.contract.outcomes import (
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Settlement,
    Unknown,
)
from canceld.verbs.schema import OutcomeReply, RefusedReply, Reply, wire_schema

OUTCOMES: list[Outcome] = [
    Acked(),
    Canceled("0.5"),
    Closed("filled", "1.0"),
    Closed(None, cause="unconfirmed"),
    NotOpen(),
    Rejected("throttled"),
    Unknown(("ws", "rest")),
    Refused("no_route", "spot is down"),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_every_outcome_follows_the_schema_and_has_no_member_beyond_it(outcome: Outcome) -> None:
    settlement = Settlement(
        venue="spot",
        target=Target("userref", 7),
        outcome=outcome,
        route="ws",
        attempts=2,
        sent_ns=2,
        answered_ns=3,
        error="text",
        order_id="A-B",
        count=2,
        order_ids=("A-B", "C-D"),
        unsure=("E-F",),
        pending=True,
        received_time="2026-11-03T09:20:00.801Z",
        symbol="BTC-USD",
    )
    message = outcome_map("id-1", 1, settlement)
    read = msgspec.convert(decode_reply(encode(message, "json")), Reply)
    assert isinstance(read, OutcomeReply)
    assert msgspec.to_builtins(read) == msgspec.to_builtins(message)


def test_a_refusal_follows_the_schema() -> None:
    message = refusal_map(None, "invalid", "id: missing")
    assert msgspec.convert(message, Reply) == RefusedReply(
        id=None, outcome="refused", reason="invalid", detail="id: missing"
    )


def resolve(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][name]
    return found


def test_both_directions_list_every_message_and_every_reference_leads_somewhere() -> None:
    schema = wire_schema()
    assert len(resolve(schema, "command")["anyOf"]) == 12
    assert set(resolve(schema, "reply")["discriminator"]["mapping"]) == {
        "outcome",
        "batch",
        "all",
        "killed",
        "rests",
        "rearm",
        "timer_right",
        "lease",
        "status",
        "pong",
        "refused",
    }

    def references(part: object) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [ref for value in part.values() for ref in references(value)]
        if isinstance(part, list):
            return [ref for value in part for ref in references(value)]
        return []

    for reference in references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_commands_take_no_other_members_and_exactly_one_identifier() -> None:
    schema = wire_schema()
    cancel = resolve(schema, "Cancel")
    assert cancel["additionalProperties"] is False
    assert cancel["required"] == ["type", "venue", "id"]
    assert cancel["oneOf"] == [{"required": ["order_id"]}, {"required": ["cl_ord_id"]}, {"required": ["userref"]}]


def test_a_kill_needs_its_type_alone_and_may_have_any_member() -> None:
    kill = resolve(wire_schema(), "Kill")
    assert kill["required"] == ["type"]
    assert kill.get("additionalProperties", True) is True
    assert kill["properties"]["reason"] == {}
    assert "ignored" not in kill["properties"]


def test_a_drill_is_read_strictly() -> None:
    drill = resolve(wire_schema(), "Drill")
    assert drill["additionalProperties"] is False
    assert set(drill["required"]) == {"type", "id", "reason"}


def test_the_reply_to_a_kill_may_name_what_was_ignored() -> None:
    reply = {"type": "killed", "id": None, "latched": True, "venues": {}, "ignored": ["dril: unknown field"]}
    assert msgspec.to_builtins(msgspec.convert(reply, Reply)) == reply


def test_it_is_printed_indented_for_people_and_on_one_line_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    indented = capsys.readouterr().out
    assert cli.main(["schema", "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(indented) == msgspec.json.decode(line)
    assert set(msgspec.json.decode(line)) == set(wire_schema())
