"""Commands as a client builds them, and the calls that every flavour makes of them; no socket, no clock."""

import inspect
from typing import Any

import msgspec
import pytest

from canceld.client import AsyncioClient, Client, TrioClient
from canceld.client.commands import Commands, results_of
from canceld.client.requests import Request, Requests
from canceld.client.results import CancelResult
from canceld.contract.commands import NO_REASON, Drill, Kill, LeaseScope, OrderRef
from canceld.contract.frames import Malformed, decode_command
from canceld.contract.outcomes import Acked, Unknown
from canceld.contract.selectors import Selector

NOW_NS = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def commands(requests: Requests) -> Commands:
    return Commands(requests, lambda: NOW_NS, "prefix", strategy="mm")


def test_every_command_that_is_built_is_one_that_the_daemon_takes(commands: Commands) -> None:
    order = {"cl_ord_id": "x", "symbol": "BTC-USD"}
    common: dict[str, Any] = {"deadline_ms": 500}
    built: list[Request[Any]] = [
        commands.cancel("prime", **order, until="proof", strategy="other", **common),
        commands.cancel_batch("spot", [OrderRef(userref=-1)] * 500, **common),
        commands.cancel_all(everything=True, **common),
        commands.cancel_all("spot", until="proof", scope=[Selector(symbol="XBT/USD", side="buy")], **common),
        commands.kill("why", venues=["spot"]),
        commands.kill_scope("why", [Selector(cl_ord_id_prefix="mm-")], dry_run=True),
        commands.what_rests([Selector(userref=7)], fresh=True, after="spot/A-1"),
        commands.rearm(**common),
        commands.rearm(confirm="K7", reason="mended", force=True, **common),
        commands.lease("mm", 500, on_expiry="kill", scope=[LeaseScope(venue="spot", userref=7)], **common),
        commands.status(detail=True),
        commands.ping(),
        commands.drill("weekly", venues=["spot"]),
        commands.drill(b"\xff" * 5_000),
        commands.kill(),
    ]
    taken = [decode_command(request.payload) for request in built]
    assert not [command for command in taken if isinstance(command, Malformed)]
    assert [command.id for command in taken] == [f"prefix-{n}" for n in range(1, 16)]
    assert {command.sent_ns for command in taken} == {NOW_NS}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("fat finger", "fat finger"),
        (b"St\xf6rung", "Störung"),
        ("St\udcf6rung", "Störung"),
        ("\ud800", "\ufffd"),
        ("x" * 20_000, "x" * 4_096),
        ("", NO_REASON),
        (b"\x1b[2J", "\ufffd[2J"),
    ],
)
def test_a_kill_leaves_whatever_its_reason_is(commands: Commands, reason: str | bytes, told: str) -> None:
    kill = decode_command(commands.kill(reason).payload)
    assert isinstance(kill, Kill)
    assert (kill.reason, kill.ignored) == (told, ())


def test_a_drill_is_asked_for_in_a_word_of_its_own(commands: Commands) -> None:
    assert isinstance(decode_command(commands.drill().payload), Drill)
    kill = decode_command(commands.kill("weekly", drill=True).payload)
    assert isinstance(kill, Kill)
    assert kill.drill


def test_a_strategys_label_never_cancels_the_whole_account(commands: Commands) -> None:
    with pytest.raises(ValueError, match="everything=True"):
        commands.cancel_all()


def test_the_wait_is_the_deadline_and_the_margin(requests: Requests) -> None:
    commands = Commands(requests, lambda: NOW_NS, "prefix", deadline_ms=700, margin_ms=30)
    assert commands.cancel("spot", userref=7).give_up_ns == NOW_NS + 730 * MS
    assert commands.ping(deadline_ms=5).give_up_ns == NOW_NS + 35 * MS


def test_orders_without_an_answer_are_unknown_in_their_place(commands: Commands, requests: Requests) -> None:
    orders = [OrderRef(order_id="A-1"), OrderRef(userref=7)]
    asked = commands.cancel_many("spot", orders)
    requests.admit(asked)
    requests.take(msgspec.msgpack.encode({"type": "outcome", "id": asked[0].id, "outcome": "acked"}), NOW_NS)
    results = results_of("spot", orders, asked)
    assert [result.outcome for result in results] == [Acked(), Unknown(())]
    assert results[1].target == ("userref", 7)
    assert results[1].error == "no answer from the daemon"


@pytest.mark.parametrize("flavour", [AsyncioClient, Client, TrioClient])
def test_help_shows_each_call_with_its_own_arguments_and_what_it_gives(flavour: type) -> None:
    shown = inspect.signature(flavour.cancel)  # type: ignore[attr-defined]
    assert list(shown.parameters)[:4] == ["self", "venue", "order_id", "cl_ord_id"]
    assert shown.return_annotation is CancelResult
    assert "exactly one of its three identifiers" in str(flavour.cancel.__doc__)  # type: ignore[attr-defined]
    assert flavour.ping.__name__ == "ping"  # type: ignore[attr-defined]
