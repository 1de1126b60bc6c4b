"""Scopes over real sockets against the simulated exchange: from a shell, bare in two encodings, in each client."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from canceld.client import Client, CommandRefused, Selector, connect, open_client
from canceld.contract.outcomes import Canceled
from tests.processes.peers import Dealer, Encoding
from tests.processes.stage import Exchange, Service, canceld

Shared = tuple[Exchange, Service]
MINE = [Selector(cl_ord_id_prefix="mm1-")]


def by_blocking(commands: str, call: str, *args: Any, **kwargs: Any) -> Any:
    with Client(commands, strategy="mm-1") as client:
        return getattr(client, call)(*args, **kwargs)


def by_asyncio(commands: str, call: str, *args: Any, **kwargs: Any) -> Any:
    async def ask() -> Any:
        async with connect(commands, strategy="mm-1") as client:
            return await getattr(client, call)(*args, **kwargs)

    return asyncio.run(ask())


def by_trio(commands: str, call: str, *args: Any, **kwargs: Any) -> Any:
    async def ask() -> Any:
        async with open_client(commands, strategy="mm-1") as client:
            return await getattr(client, call)(*args, **kwargs)

    return trio.run(ask)


def placed(exchange: Exchange) -> tuple[list[str], list[str]]:
    """Orders of ours, and of somebody whose name is nearly ours."""
    mine = [exchange.place(1, cl_ord_id=f"mm1-{number}")[0] for number in range(3)]
    return mine, [exchange.place(1, cl_ord_id="mm10")[0], exchange.place(1)[0]]


@pytest.mark.parametrize("by", [by_blocking, by_asyncio, by_trio])
def test_in_each_client(shared: Shared, by: Callable[..., Any]) -> None:
    exchange, service = shared
    mine, others = placed(exchange)
    rests = by(service.commands, "what_rests", MINE, fresh=True).venues["spot"]
    assert (rests.count, {order["order_id"] for order in rests.orders}) == (3, set(mine))
    dry = by(service.commands, "cancel_all", scope=MINE, dry_run=True).venues["spot"]
    assert (dry.count, set(dry.order_ids)) == (3, set(mine))
    assert set(exchange.resting()) == {*mine, *others}
    gone = by(service.commands, "cancel_all", scope=MINE, until="proof", deadline_ms=10_000).venues["spot"]
    assert (type(gone.outcome), gone.count, set(gone.order_ids)) == (Canceled, 3, set(mine))
    assert set(exchange.resting()) == set(others)
    with pytest.raises(ValueError, match="everything=True"):
        by(service.commands, "cancel_all")
    with pytest.raises(CommandRefused, match="strategy"):
        by(service.commands, "cancel_all", scope=[Selector(strategy="nobody")])
    urgent = by(service.commands, "cancel", "spot", order_id=others[0], urgent=True, until="proof")
    assert urgent.gone
    everything = by(service.commands, "cancel_all", everything=True, until="proof", deadline_ms=10_000)
    assert type(everything.venues["spot"].outcome) is Canceled
    assert exchange.resting() == []


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_bare(shared: Shared, encoding: Encoding) -> None:
    exchange, service = shared
    mine, others = placed(exchange)
    scope = [{"cl_ord_id_prefix": "mm1-"}]
    with Dealer(service.commands, encoding) as dealer:
        rests = dealer.ask("what_rests", scope=scope, fresh=True, within_s=10)
        assert rests["venues"]["spot"]["count"] == 3
        refused = dealer.ask("cancel_all", strategy="mm-1", within_s=10)
        assert (refused["outcome"], refused["reason"]) == ("refused", "invalid")
        for empty in ([], [{}]):
            assert dealer.ask("cancel_all", scope=empty, within_s=10)["reason"] == "invalid"
        assert set(exchange.resting()) == {*mine, *others}
        gone = dealer.ask("cancel_all", scope=scope, until="proof", deadline_ms=10_000, within_s=15)
        assert set(gone["venues"]["spot"]["order_ids"]) == set(mine)
        dealer.ask("cancel_all", deadline_ms=10_000, until="proof", within_s=15)
    assert exchange.resting() == []


def test_a_scope_is_killed_from_a_shell_and_the_rest_goes_on(exchange: Exchange, start: Callable[..., Service]) -> None:
    service = start()
    at = ("--endpoint", service.control, "--json")
    mine, others = placed(exchange)
    dry = canceld("kill-scope", "--reason", "enough", "--scope", "cl_ord_id_prefix=mm1-", "--dry-run", *at)
    assert dry.returncode == 0, dry.stderr
    assert set(exchange.resting()) == {*mine, *others}
    killed = canceld("kill-scope", "--reason", "enough", "--scope", "cl_ord_id_prefix=mm1-", *at)
    assert killed.returncode == 0, killed.stderr
    assert json.loads(killed.stdout)["scope"] == [{"cl_ord_id_prefix": "mm1-"}]
    assert set(exchange.resting()) == set(others)
    result = by_blocking(service.commands, "cancel", "spot", order_id=others[0], until="proof")
    assert result.gone
    assert exchange.resting() == others[1:]
