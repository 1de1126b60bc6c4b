"""The blocking client against a daemon that misbehaves, over real ipc and in real time."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canceld.client import Client, CommandRefused, DaemonUnreachable, OrderRef
from canceld.contract.outcomes import Acked, Canceled, Refused, Rejected, Unknown

from .stub import Command, Reply, StubDaemon, acked, refused

FOREVER: list[Reply] = []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "commands.sock"


def say_acked(command: Command) -> Iterator[Reply]:
    yield acked(command)


def test_a_cancel_carries_what_the_contract_names_and_brings_the_outcome_back(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield acked(command, order_id="OAAAAA-BBBBB-CCCCCC")

    before_ns = time.monotonic_ns()
    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint, strategy="mm-1") as client:
        result = client.cancel("spot", cl_ord_id="x1", until="proof", deadline_ms=700)
        sent = daemon.received[0]
    assert before_ns <= sent.pop("sent_ns") <= time.monotonic_ns()
    assert sent == {
        "type": "cancel",
        "id": result.id,
        "venue": "spot",
        "cl_ord_id": "x1",
        "until": "proof",
        "deadline_ms": 700,
        "strategy": "mm-1",
    }
    assert (result.outcome, result.name, result.route, result.attempts) == (Acked(), "acked", "ws", 1)
    assert (result.received_ns, result.sent_ns, result.answered_ns) == (10, 20, 30)
    assert (result.order_id, result.target, result.error) == ("OAAAAA-BBBBB-CCCCCC", ("cl_ord_id", "x1"), None)
    assert not result.gone
    assert not result.replayed


def test_only_proof_counts_as_gone(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield acked(command, outcome=command["cl_ord_id"], tried=["ws"], **{"class": "throttled"})

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        words = ("acked", "canceled", "closed", "not_open", "rejected", "unknown")
        gone = {word: client.cancel("spot", cl_ord_id=word).gone for word in words}
    assert gone == {
        "acked": False,
        "canceled": True,
        "closed": True,
        "not_open": True,
        "rejected": False,
        "unknown": False,
    }


def test_replies_out_of_order_find_their_orders(path: Path) -> None:
    held: list[Command] = []

    def answer(command: Command) -> Iterator[Reply]:
        held.append(command)
        if len(held) == 3:
            for one in reversed(held):
                yield acked(one, order_id=one["order_id"], outcome="canceled", filled_qty=one["order_id"])

    orders = [OrderRef(order_id=f"A-{n}") for n in range(3)]
    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        results = client.cancel_many("spot", orders)
    assert [result.order_id for result in results] == ["A-0", "A-1", "A-2"]
    assert [result.outcome for result in results] == [Canceled("A-0"), Canceled("A-1"), Canceled("A-2")]


def test_more_cancels_than_the_pipeline_holds_are_all_answered(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon, Client(daemon.endpoint) as client:
        results = client.cancel_many("spot", (OrderRef(userref=n) for n in range(1, 2501)), deadline_ms=20_000)
    assert len(results) == 2500
    assert all(result.outcome == Acked() for result in results)
    assert len({command["id"] for command in daemon.received}) == 2500


def test_an_order_without_its_answer_is_unknown_beside_the_answered_ones(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        if command["order_id"] != "A-1":
            yield acked(command)

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint, margin_ms=50) as client:
        results = client.cancel_many("spot", [OrderRef(order_id=f"A-{n}") for n in range(3)], deadline_ms=100)
    assert [result.outcome for result in results] == [Acked(), Unknown(()), Acked()]
    assert results[1].reply == {}
    assert not results[1].gone


def test_a_silent_daemon_is_reported_within_deadline_and_margin_and_the_fate_is_called_unknown(path: Path) -> None:
    with StubDaemon(path, lambda _: FOREVER) as daemon, Client(daemon.endpoint, margin_ms=50) as client:
        started = time.monotonic()
        with pytest.raises(DaemonUnreachable, match="unknown") as caught:
            client.cancel("spot", order_id="A-B", deadline_ms=100)
        assert 0.15 <= time.monotonic() - started < 1.0
    assert caught.value.sent
    assert caught.value.id == daemon.received[0]["id"]


def test_an_absent_daemon_is_reported_as_not_asked(path: Path) -> None:
    with Client(f"ipc://{path}", margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable, match="never left this process") as caught:
            client.cancel("spot", order_id="A-B", deadline_ms=100)
        with pytest.raises(DaemonUnreachable) as many:
            client.cancel_many("spot", [OrderRef(order_id="A-B")], deadline_ms=100)
    assert not caught.value.sent
    assert not many.value.sent


def test_a_connection_is_not_awaited_longer_than_asked(path: Path) -> None:
    with Client(f"ipc://{path}", connect_timeout_ms=100) as client:
        started = time.monotonic()
        with pytest.raises(DaemonUnreachable):
            client.kill("absent")
        assert time.monotonic() - started < 1.0


def test_a_cancel_given_up_on_never_reaches_a_daemon_that_starts_later(path: Path) -> None:
    with Client(f"ipc://{path}", margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable):
            client.cancel("spot", order_id="A-OLD", deadline_ms=100)
        with StubDaemon(path, say_acked) as daemon:
            assert client.cancel("spot", order_id="A-NEW").outcome == Acked()
            assert [command["order_id"] for command in daemon.received] == ["A-NEW"]


def test_a_daemon_that_comes_up_in_time_is_reached(path: Path) -> None:
    started: list[StubDaemon] = []
    timer = threading.Timer(0.2, lambda: started.append(StubDaemon(path, say_acked)))
    timer.start()
    try:
        with Client(f"ipc://{path}") as client:
            assert client.cancel("spot", order_id="A-B", deadline_ms=5000).outcome == Acked()
    finally:
        timer.join()
        for daemon in started:
            daemon.stop()


def test_the_connection_survives_a_restart_between_two_calls(path: Path) -> None:
    with StubDaemon(path, say_acked) as first:
        client = Client(first.endpoint)
        assert client.cancel("spot", order_id="A-B").outcome == Acked()
    with StubDaemon(path, say_acked) as second, client:
        assert client.cancel("spot", order_id="A-C", deadline_ms=5000).outcome == Acked()
        assert [command["order_id"] for command in second.received] == ["A-C"]


def restart_during(path: Path, client: Client, later: Any, **order: Any) -> tuple[Any, StubDaemon, StubDaemon]:
    """Ask a daemon that takes the command and dies; another one comes up. Returns the result and both."""
    asked = threading.Event()
    daemons: list[StubDaemon] = []

    def take(_: Command) -> list[Reply]:
        asked.set()
        return []

    daemons.append(StubDaemon(path, take))

    def restart() -> None:
        assert asked.wait(5)
        daemons[0].stop()
        daemons.append(StubDaemon(path, later))

    restarter = threading.Thread(target=restart)
    restarter.start()
    try:
        try:
            result: Any = client.cancel("spot", **order)
        except DaemonUnreachable as error:
            result = error
    finally:
        restarter.join()
        daemons[1].stop()
    return result, daemons[0], daemons[1]


def test_a_daemon_that_dies_with_a_cancel_is_asked_again_by_the_same_bytes(path: Path) -> None:
    with Client(f"ipc://{path}") as client:
        result, first, second = restart_during(path, client, say_acked, order_id="A-B", deadline_ms=5000)
    assert result.outcome == Acked()
    assert second.received == first.received


def test_a_userref_is_never_asked_again_by_itself(path: Path) -> None:
    with Client(f"ipc://{path}", margin_ms=50) as client:
        result, first, second = restart_during(path, client, say_acked, userref=7, deadline_ms=600)
    assert isinstance(result, DaemonUnreachable)
    assert result.sent
    assert (len(first.received), second.received) == (1, [])


def test_a_refusal_of_the_second_asking_does_not_clear_the_first(path: Path) -> None:
    def refuse(command: Command) -> Iterator[Reply]:
        yield refused(command, "expired")

    with Client(f"ipc://{path}") as client:
        result, _, _ = restart_during(path, client, refuse, order_id="A-B", deadline_ms=5000)
    assert result.outcome == Unknown(())
    assert "expired" in result.error


def test_asking_again_by_hand_sends_the_same_id_and_takes_the_stored_answer(path: Path) -> None:
    def answer(command: Command) -> list[Reply]:
        if len(daemon.received) == 1:
            return []
        return [refused(command, "overloaded", replayed=True) if command["order_id"] == "R-R" else acked(command)]

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint, margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable) as caught:
            client.cancel("spot", order_id="R-R", deadline_ms=100)
        result = client.cancel("spot", order_id="R-R", deadline_ms=100, id=caught.value.id)
    assert result.replayed
    assert result.outcome == Refused("overloaded", "as the test wants")
    first, second = daemon.received
    assert second.pop("sent_ns") > first.pop("sent_ns")
    assert first == second


def test_a_fresh_refusal_after_asking_again_by_hand_is_unknown(path: Path) -> None:
    def answer(command: Command) -> list[Reply]:
        return [] if len(daemon.received) == 1 else [refused(command, "draining")]

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint, margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable) as caught:
            client.cancel("spot", order_id="R-R", deadline_ms=100)
        result = client.cancel("spot", order_id="R-R", deadline_ms=100, id=caught.value.id)
        again = client.cancel("spot", order_id="R-R", deadline_ms=100)
    assert result.outcome == Unknown(())
    assert again.outcome == Refused("draining", "as the test wants")


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"\xc1",
        b"\x93\x01\x02\x03",
        b'{"id":1}',
        b"\x81\xa4type\xa7outcome",
        b'{"type":"outcome","id":["x"],"outcome":"acked"}',
    ],
)
def test_junk_from_the_daemon_is_passed_over(path: Path, junk: bytes) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield junk
        yield acked(command)

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        assert client.cancel("spot", order_id="A-B").outcome == Acked()


@pytest.mark.parametrize("outcome", ["acknowledged", "rejected", "unknown", None])
def test_an_outcome_that_cannot_be_read_is_no_answer(path: Path, outcome: str | None) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield {"type": "outcome", "id": command["id"], "venue": "spot", "outcome": outcome}

    with (
        StubDaemon(path, answer) as daemon,
        Client(daemon.endpoint, margin_ms=50) as client,
        pytest.raises(DaemonUnreachable, match="1 unreadable"),
    ):
        client.cancel("spot", order_id="A-B", deadline_ms=100)


def test_a_late_answer_and_an_answer_to_another_id_settle_nothing(path: Path) -> None:
    def answer(command: Command) -> list[Reply]:
        if len(daemon.received) == 1:
            return []
        late = acked(daemon.received[0], outcome="not_open")
        return [late, {**acked(command), "id": "someone-else"}, acked(command)]

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint, margin_ms=50) as client:
        with pytest.raises(DaemonUnreachable):
            client.cancel("spot", order_id="A-1", deadline_ms=100)
        assert client.cancel("spot", order_id="A-2").outcome == Acked()


def test_a_batch_is_one_command_and_one_result_per_order(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        outcomes = [
            {"outcome": "acked", "route": "rest", "order_id": "A-1"},
            {"outcome": "rejected", "class": "throttled", "error": "EOrder:Rate limit exceeded"},
        ]
        yield {"type": "batch", "id": command["id"], "outcomes": outcomes}

    orders = [OrderRef(order_id="A-1"), OrderRef(userref=-5)]
    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        results = client.cancel_batch("spot", orders)
    assert daemon.received[0]["orders"] == [{"order_id": "A-1"}, {"userref": -5}]
    assert [result.outcome for result in results] == [Acked(), Rejected("throttled")]
    assert results[1].error == "EOrder:Rate limit exceeded"
    assert results[1].target == ("userref", -5)


def test_a_batch_answered_by_too_few_outcomes_is_no_answer(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield {"type": "batch", "id": command["id"], "outcomes": [{"outcome": "acked"}]}

    with (
        StubDaemon(path, answer) as daemon,
        Client(daemon.endpoint, margin_ms=50) as client,
        pytest.raises(DaemonUnreachable),
    ):
        client.cancel_batch("spot", [OrderRef(order_id="A-1"), OrderRef(order_id="A-2")], deadline_ms=100)


def test_a_refused_batch_refuses_each_order(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield refused(command, "draining")

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        results = client.cancel_batch("spot", [OrderRef(order_id="A-1"), OrderRef(order_id="A-2")])
    assert [result.outcome for result in results] == [Refused("draining", "as the test wants")] * 2


def test_cancel_all_tells_each_venue_and_calls_what_it_cannot_read_unknown(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        venues = {
            "spot": {"outcome": "acked", "count": 3, "residual": []},
            "prime": {"outcome": "rejected", "class": "permission", "error": "no", "residual": ["u-1"]},
            "futures": {"outcome": "sorted"},
        }
        yield {"type": "all", "id": command["id"], "venues": venues}

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        venues = client.cancel_all().venues
    assert "venue" not in daemon.received[0]
    assert (venues["spot"].outcome, venues["spot"].count) == (Acked(), 3)
    assert (venues["prime"].outcome, venues["prime"].residual) == (Rejected("permission"), ("u-1",))
    assert venues["futures"].outcome == Unknown(())


def test_kill_rearm_lease_status_and_ping_are_read(path: Path) -> None:
    replies: dict[str, dict[str, Any]] = {
        "kill": {"type": "killed", "latched": True, "venues": {"spot": {"state": "flat", "canceled": 2}}},
        "rearm": {"type": "rearm", "latched": True, "code": "K7", "expires_in_ms": 30_000, "residual": {"spot": ["A"]}},
        "lease": {"type": "lease", "strategy": "mm", "expires_in_ms": 900},
        "status": {"type": "status", "state": "serving"},
        "ping": {"type": "pong", "monotonic_ns": 99},
    }

    def answer(command: Command) -> Iterator[Reply]:
        yield {"id": command["id"], **replies[command["type"]]}

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        killed = client.kill("fat finger")
        rearm = client.rearm()
        lease = client.lease("mm", 900)
        assert client.status()["state"] == "serving"
        assert client.ping().monotonic_ns == 99
    assert (killed.latched, killed.venues["spot"].state, killed.venues["spot"].canceled) == (True, "flat", 2)
    assert (rearm.latched, rearm.code, rearm.residual) == (True, "K7", {"spot": ("A",)})
    assert (lease.strategy, lease.expires_in_ms) == ("mm", 900)
    assert daemon.received[0]["deadline_ms"] == 10_000


def test_a_refusal_of_what_names_no_order_is_raised(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield refused(command, "unsupported")

    with (
        StubDaemon(path, answer) as daemon,
        Client(daemon.endpoint) as client,
        pytest.raises(CommandRefused) as caught,
    ):
        client.rearm()
    assert caught.value.reason == "unsupported"


def test_what_is_no_cancel_is_an_error_here_and_is_not_sent(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon, Client(daemon.endpoint) as client:
        with pytest.raises(ValueError, match="exactly one"):
            client.cancel("spot")
        with pytest.raises(ValueError, match="exactly one"):
            client.cancel("spot", order_id="A-B", userref=3)
        with pytest.raises(ValueError, match="a batch has 1"):
            client.cancel_batch("spot", [])
        with pytest.raises(ValueError, match="a batch has 1"):
            client.cancel_batch("spot", [OrderRef(userref=1)] * 501)
        with pytest.raises(ValueError, match="bytes"):
            client.cancel("spot", cl_ord_id="x" * 200_000)
        with pytest.raises(ValueError, match="10000"):
            client.cancel_many("spot", [OrderRef(userref=1)] * 10_001)
        assert client.cancel("spot", userref=3).outcome == Acked()
    assert len(daemon.received) == 1


def test_an_endpoint_that_is_none_is_named(tmp_path: Path) -> None:
    for endpoint in ("nonsense", f"ipc://{tmp_path}/{'x' * 120}"):
        with pytest.raises(ValueError, match="endpoint"):
            Client(endpoint)


def test_a_closed_client_says_so_and_closes_again_in_peace(path: Path) -> None:
    client = Client(f"ipc://{path}")
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.ping()
    client.close()


def test_a_client_refuses_to_work_in_a_forked_child(path: Path) -> None:
    with StubDaemon(path, say_acked) as daemon, Client(daemon.endpoint) as client:
        assert client.cancel("spot", order_id="A-B").outcome == Acked()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.cancel("spot", order_id="A-C", deadline_ms=100)
            except RuntimeError as error:
                status = 0 if "fork" in str(error) else 2
            finally:
                client.close()
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.cancel("spot", order_id="A-D").outcome == Acked()


def test_two_threads_on_one_client_are_told_so(path: Path) -> None:
    entered = threading.Event()

    def answer(command: Command) -> Iterator[Reply]:
        entered.set()
        assert refused_use.wait(5)
        yield acked(command)

    refused_use = threading.Event()
    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        other = threading.Thread(target=client.cancel, args=("spot",), kwargs={"order_id": "A-B"})
        other.start()
        assert entered.wait(5)
        with pytest.raises(RuntimeError, match="one client per thread"):
            client.ping()
        refused_use.set()
        other.join()


def ask_from_another_process(endpoint: str, count: int) -> list[tuple[str, str]]:
    with Client(endpoint, deadline_ms=20_000) as client:
        results = client.cancel_many("spot", [OrderRef(order_id=f"P-{os.getpid()}-{n}") for n in range(count)])
    return [(str(result.id), str(result.order_id)) for result in results]


def test_four_processes_share_a_daemon_and_no_id(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield acked(command, order_id=command["order_id"])

    with StubDaemon(path, answer) as daemon, multiprocessing.get_context("spawn").Pool(4) as pool:
        answers = pool.starmap(ask_from_another_process, [(daemon.endpoint, 100)] * 4, chunksize=1)
    pairs = [pair for one in answers for pair in one]
    assert len({id for id, _ in pairs}) == 400
    assert {(command["id"], command["order_id"]) for command in daemon.received} == set(pairs)


def refuse_twice(daemon: Callable[[], StubDaemon]) -> Callable[[Command], Iterator[Reply]]:
    """A daemon that has no route at first: two refusals, then the answer."""

    def answer(command: Command) -> Iterator[Reply]:
        yield refused(command, "no_route") if len(daemon().received) < 3 else acked(command)

    return answer


def test_a_route_that_is_being_dialled_is_waited_for_with_pauses(path: Path) -> None:
    with StubDaemon(path, refuse_twice(lambda: daemon)) as daemon, Client(daemon.endpoint) as client:
        result = client.cancel("spot", order_id="A-B")
        ids = {command["id"] for command in daemon.received}
    assert (result.outcome, ids, len(daemon.received)) == (Acked(), {result.id}, 3)


def test_a_daemon_that_stops_is_not_asked_without_pause_and_its_refusal_is_the_answer(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield refused(command, "draining")

    with StubDaemon(path, answer) as daemon, Client(daemon.endpoint) as client:
        result = client.cancel("spot", order_id="A-B", deadline_ms=1000)
        with pytest.raises(CommandRefused, match="draining"):
            client.lease("mm-1", 1000, deadline_ms=100)
    assert result.outcome == Refused("draining", "as the test wants")
    assert len(daemon.received) == 5 + 2


def test_the_daemon_that_comes_after_one_that_stops_gets_the_command(path: Path) -> None:
    def answer(command: Command) -> Iterator[Reply]:
        yield refused(command, "draining")

    first = StubDaemon(path, answer)
    with Client(first.endpoint) as client:
        results: list[Any] = []

        def ask() -> None:
            results.append(client.cancel("spot", order_id="A-B", deadline_ms=5000))

        asking = threading.Thread(target=ask)
        asking.start()
        first.wait_for(1)
        first.stop()
        with StubDaemon(path, say_acked):
            asking.join(5.0)
    assert results[0].outcome == Acked()
