"""A client of two daemons, in its three flavours, over real ipc: which of them is asked what, and what holds."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from canceld.client import (
    Client,
    CommandRefused,
    DaemonUnreachable,
    LeaseScope,
    OrderRef,
    Selector,
    connect,
    open_client,
)
from canceld.contract.outcomes import Acked, Canceled, NotOpen, Refused, Rejected, Unknown

from .stub import Command, Reply, StubDaemon, acked, refused

FOREVER: list[Reply] = []
Play = Callable[..., Any]
MARGIN_MS = 100


def say(outcome: str, **more: Any) -> Callable[[Command], Iterator[Reply]]:
    def answer(command: Command) -> Iterator[Reply]:
        match command["type"]:
            case "cancel_all":
                yield {"type": "all", "id": command["id"], "venues": {"spot": {"outcome": outcome, **more}}}
            case "kill" | "kill_scope" | "drill":
                venues = {"spot": {"state": outcome, "canceled": 1, "residual": more.get("residual", [])}}
                yield {"type": "killed", "id": command["id"], "latched": True, "venues": venues}
            case "lease":
                yield {"type": "lease", "id": command["id"], "strategy": "mm", "expires_in_ms": more["ms"]}
            case "cancel_batch":
                orders = command["orders"]
                outcomes = [acked({**command, **one}, outcome=outcome, **more) for one in orders]
                yield {"type": "batch", "id": command["id"], "outcomes": outcomes}
            case "ping":
                yield {"type": "pong", "id": command["id"], "monotonic_ns": more["ns"]}
            case _:
                yield acked(command, outcome=outcome, **more)

    return answer


def after(seconds: float, answer: Callable[[Command], Any]) -> Callable[[Command], Iterator[Reply]]:
    def late(command: Command) -> Iterator[Reply]:
        time.sleep(seconds)
        yield from answer(command)

    return late


def mute(_: Command) -> list[Reply]:
    return FOREVER


def no_route(command: Command) -> Iterator[Reply]:
    yield refused(command, "no_route")


def overloaded(command: Command) -> Iterator[Reply]:
    yield refused(command, "overloaded")


def play_blocking(ends: list[str], call: str, *args: Any, **kwargs: Any) -> Any:
    with Client(ends, margin_ms=MARGIN_MS) as client:
        return getattr(client, call)(*args, **kwargs)


def play_asyncio(ends: list[str], call: str, *args: Any, **kwargs: Any) -> Any:
    async def run() -> Any:
        async with connect(ends, margin_ms=MARGIN_MS) as client:
            return await getattr(client, call)(*args, **kwargs)

    return asyncio.run(run())


def play_trio(ends: list[str], call: str, *args: Any, **kwargs: Any) -> Any:
    async def run() -> Any:
        async with open_client(ends, margin_ms=MARGIN_MS) as client:
            return await getattr(client, call)(*args, **kwargs)

    return trio.run(run)


FLAVOURS = pytest.mark.parametrize("play", [play_blocking, play_asyncio, play_trio])


@contextmanager
def two(tmp_path: Path, one: Any, other: Any) -> Iterator[tuple[list[StubDaemon], list[str]]]:
    """None for one that is not there."""
    with ExitStack() as ending:
        stubs, ends = [], []
        for name, answer in (("a", one), ("b", other)):
            path = tmp_path / f"{name}.sock"
            ends.append(f"ipc://{path}")
            if answer is not None:
                stubs.append(ending.enter_context(StubDaemon(path, answer)))
        yield stubs, ends


def is_untouched(stub: StubDaemon) -> bool:
    return stub.received == []


@FLAVOURS
def test_the_first_answer_wins_and_both_have_it_under_one_id(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, mute, after(0.2, say("acked"))) as (stubs, ends):
        began = time.monotonic()
        result = play(ends, "cancel", "spot", order_id="O-1", deadline_ms=5000)
        assert result.outcome == Acked()
        assert time.monotonic() - began < 4
        stubs[0].wait_for(1)
        assert [stub.received[0]["id"] for stub in stubs] == [result.id, result.id]


@FLAVOURS
@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        (say("rejected", **{"class": "auth"}, error="EAPI:Invalid key"), after(0.1, say("acked")), Acked()),
        (say("unknown", tried=["ws"]), after(0.1, say("canceled")), Canceled()),
        (say("not_open"), after(0.1, say("rejected", **{"class": "throttled"})), Rejected("throttled")),
        (say("not_open"), mute, NotOpen()),
        (say("unknown", tried=["ws"]), mute, Unknown(("ws",))),
        (say("rejected", **{"class": "invalid"}), mute, Unknown(())),
        (no_route, say("acked"), Acked()),
        (overloaded, overloaded, Refused("overloaded", "as the test wants")),
        (None, say("unknown", tried=[]), Unknown(())),
    ],
)
def test_what_does_not_settle_it_waits_for_the_other(
    tmp_path: Path, play: Play, one: Any, other: Any, outcome: Any
) -> None:
    with two(tmp_path, one, other) as (_, ends):
        assert play(ends, "cancel", "spot", order_id="O-1", deadline_ms=600).outcome == outcome


@FLAVOURS
def test_one_that_is_not_there_costs_nothing(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, None, say("not_open")) as (_, ends):
        began = time.monotonic()
        result = play(ends, "cancel", "spot", order_id="O-1", deadline_ms=5000)
        assert result.outcome == NotOpen()
        assert time.monotonic() - began < 3
        assert "no daemon at" in result.reply["daemons"][ends[0]]["error"]


@FLAVOURS
@pytest.mark.parametrize("there", [True, False])
def test_two_that_do_not_answer_are_unreachable(tmp_path: Path, play: Play, there: bool) -> None:
    with two(tmp_path, mute if there else None, None) as (_, ends):
        with pytest.raises(DaemonUnreachable) as caught:
            play(ends, "cancel", "spot", order_id="O-1", deadline_ms=200)
        assert caught.value.sent == there


@FLAVOURS
def test_a_userref_is_asked_of_one(tmp_path: Path, play: Play) -> None:
    """By it the second cancel could meet orders that took the name since."""
    for first in (say("acked", count=2), say("unknown", tried=["ws"]), say("rejected", **{"class": "auth"})):
        with two(tmp_path, first, say("acked")) as (stubs, ends):
            play(ends, "cancel", "spot", userref=7, deadline_ms=2000)
            assert is_untouched(stubs[1])
    with two(tmp_path, mute, say("acked")) as (stubs, ends):
        with pytest.raises(DaemonUnreachable) as caught:
            play(ends, "cancel", "spot", userref=7, deadline_ms=300)
        assert caught.value.sent
        assert is_untouched(stubs[1])


@FLAVOURS
@pytest.mark.parametrize("first", [None, no_route, overloaded])
def test_a_userref_of_which_nothing_left_is_asked_of_the_other(tmp_path: Path, play: Play, first: Any) -> None:
    with two(tmp_path, first, say("acked", count=2)) as (_, ends):
        assert play(ends, "cancel", "spot", userref=7, deadline_ms=2000).outcome == Acked()


@FLAVOURS
def test_everything_is_asked_of_one_and_of_the_other_where_that_does_not_settle_it(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, say("acked"), say("acked")) as (stubs, ends):
        assert play(ends, "cancel_all", "spot", everything=True).venues["spot"].outcome == Acked()
        assert is_untouched(stubs[1])
    for first in (say("unknown", tried=[]), say("rejected", **{"class": "auth"}), mute, None):
        with two(tmp_path, first, say("canceled", count=3)) as (_, ends):
            sweep = play(ends, "cancel_all", "spot", scope=[Selector(symbol="XBT/USD")], deadline_ms=2000)
            assert (sweep.venues["spot"].outcome, sweep.venues["spot"].count) == (Canceled(), 3)


@FLAVOURS
def test_a_kill_reaches_both_and_both_answers_count(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, say("flat"), after(0.1, say("residual", residual=["O-9"]))) as (stubs, ends):
        result = play(ends, "kill", "fat finger", deadline_ms=3000)
        assert (result.latched, result.venues["spot"].state, result.venues["spot"].residual) == (
            *(True, "residual", ("O-9",)),
        )
        assert [stub.received[0]["type"] for stub in stubs] == ["kill", "kill"]
        scoped = play(ends, "kill_scope", "enough", [Selector(side="buy")], deadline_ms=3000)
        assert scoped.venues["spot"].state == "residual"
        assert [stub.received[-1]["type"] for stub in stubs] == ["kill_scope", "kill_scope"]


@FLAVOURS
def test_a_lease_is_held_by_both(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, say("", ms=900), say("", ms=700)) as (stubs, ends):
        lease = play(ends, "lease", "mm", 1000, scope=[LeaseScope(venue="spot")])
        assert lease.expires_in_ms == 700
        assert [stub.received[0]["scope"] for stub in stubs] == [[{"venue": "spot"}]] * 2


@FLAVOURS
def test_a_lease_does_not_wait_for_one_that_hangs(tmp_path: Path, play: Play) -> None:
    """A renewal that came late would end the lease at the one that is there."""
    with two(tmp_path, mute, say("", ms=700)) as (stubs, ends):
        began = time.monotonic()
        assert play(ends, "lease", "mm", 1000, deadline_ms=10_000).expires_in_ms == 700
        assert time.monotonic() - began < 5
        stubs[0].wait_for(1)


@FLAVOURS
def test_a_batch_and_many_are_asked_of_both(tmp_path: Path, play: Play) -> None:
    orders = [OrderRef(order_id=f"O-{n}") for n in range(40)]
    with two(tmp_path, mute, say("canceled")) as (stubs, ends):
        results = play(ends, "cancel_batch", "spot", orders, deadline_ms=3000)
        assert {each.outcome for each in results} == {Canceled()}
        results = play(ends, "cancel_many", "spot", [*orders, OrderRef(userref=7)], deadline_ms=1000)
        assert [each.outcome for each in results[:40]] == [Canceled()] * 40
        # The userref is with the one that says nothing.
        assert results[40].outcome == Unknown(())
        assert results[40].reply == {}
        assert not any("userref" in command for command in stubs[1].received)


@FLAVOURS
def test_looks_are_answered_by_whoever_is_first(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, mute, say("", ns=17)) as (_, ends):
        assert play(ends, "ping").monotonic_ns == 17


@FLAVOURS
def test_a_pair_re_arms_nothing_and_hears_one_of_them(tmp_path: Path, play: Play) -> None:
    with two(tmp_path, mute, mute) as (_, ends):
        with pytest.raises(ValueError, match="re-arm each"):
            play(ends, "rearm")
        with pytest.raises(ValueError, match="name one's event socket"):
            play(ends, "events")
        for wrong in ([ends[0]], [ends[0], ends[0]], []):
            with pytest.raises(ValueError, match="two different ones"):
                play(wrong, "ping")
        with pytest.raises(ValueError, match="endpoint 'nonsense'"):
            play([ends[0], "nonsense"], "ping")


def test_a_lease_is_renewed_at_both_and_given_back_to_both(tmp_path: Path) -> None:
    with (
        two(tmp_path, say("", ms=600), say("", ms=600)) as (stubs, ends),
        Client(ends) as client,
        client.holding("mm", 600, scope=[LeaseScope(venue="spot")]) as lease,
    ):
        for stub in stubs:
            stub.wait_for(3)
        assert lease.held
    for stub in stubs:
        assert stub.received[-1]["ttl_ms"] == 0


def test_a_daemon_that_comes_back_meanwhile_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "b.sock"
    first = StubDaemon(path, mute)
    with StubDaemon(tmp_path / "a.sock", mute) as a, Client([a.endpoint, first.endpoint]) as client:
        answers: list[Any] = []
        asking = threading.Thread(
            target=lambda: answers.append(client.cancel("spot", order_id="O-1", deadline_ms=8000))
        )
        asking.start()
        first.wait_for(1)
        first.stop()
        with StubDaemon(path, say("acked")):
            asking.join(10)
    assert answers[0].outcome == Acked()


def test_many_more_than_the_pipeline_holds_are_answered(tmp_path: Path) -> None:
    with two(tmp_path, say("acked"), say("acked")) as (_, ends), Client(ends) as client:
        results = client.cancel_many("spot", [OrderRef(order_id=f"O-{n}") for n in range(2500)], deadline_ms=20_000)
        assert {each.outcome for each in results} == {Acked()}
        with pytest.raises(ValueError, match="at most"):
            client.cancel_many("spot", [OrderRef(order_id=f"O-{n}") for n in range(10_001)])


def test_a_refusal_by_both_is_one(tmp_path: Path) -> None:
    with two(tmp_path, overloaded, overloaded) as (_, ends), pytest.raises(CommandRefused, match="overloaded"):
        play_blocking(ends, "lease", "mm", 1000)
