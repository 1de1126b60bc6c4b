"""An agent on a real bus with a control socket before it: what it follows, what it refuses, what it says of trouble.

Its daemon is a switch behind a socket, so that a test sees every word that the agent has for it.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fleet.cluster import Cluster, cluster, needs_nats

needs_nats()

import nats  # noqa: E402 - it is there only where the extra is

from canceld.fleet import agent as agent_module  # noqa: E402
from canceld.fleet import timer_lease  # noqa: E402
from canceld.fleet.door import DoorFailed, ask, door_of  # noqa: E402
from canceld.fleet.orders import Approval, KillOrder, LocalKill, kill_id, write  # noqa: E402
from canceld.fleet.signing import Signer  # noqa: E402
from tests.fleet.desk import Desk, Hand, until  # noqa: E402
from tests.fleet.keys import seed_and_key  # noqa: E402

SECOND_NS: Final = 10**9
STREAM: Final = "KV_canceld-desk"


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("bus")) as running:
        yield running


@pytest.fixture
def play(bus: Cluster, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Plays a story: of a desk of two hosts whose agents run, and an operator's hand."""

    def play(story: Callable[[Desk, Hand], Awaitable[None]], hosts: tuple[str, ...] = ("h1", "h2"), **m: Any) -> None:
        async def told() -> None:
            desk = Desk(tmp_path, bus.servers, hosts, **m)
            async with desk.hand() as hand, desk.controls():
                for host in desk.hosts.values():
                    host.start()
                await until(lambda: all(h.agent and h.agent._live for h in desk.hosts.values()), "all hear")
                await story(desk, hand)

        asyncio.run(told())

    yield play
    asyncio.run(_remove(bus.servers))


async def _remove(servers: list[str]) -> None:
    client = await nats.connect(servers)
    await client.jetstream().delete_stream(STREAM)
    await client.close()


def test_orders_that_are_forged_put_back_or_misplaced_are_refused_and_named(play: Callable[..., None]) -> None:
    async def story(desk: Desk, hand: Hand) -> None:
        h1 = desk.hosts["h1"]
        stranger, public = seed_and_key()
        foreign = Signer(stranger, {"ann": public}, "operators")
        order = hand.order()
        # As ann, with another's key; for another fleet; under another key; of another version; no line at all.
        await hand.bucket.put("kill.fleet", write(order, foreign.sign))
        await hand.put("kill.account.main", hand.order(scope="account.other"))
        await hand.put("kill.fleet", hand.order(fleet="another"))
        await hand.put("kill.fleet", hand.order(version=2))
        await hand.put("kill.fleet", hand.order(by="eve"))
        await hand.bucket.put("kill.fleet", b"\xff{")
        own = LocalKill(
            fleet="desk", by="h2", at_ns=0, counter=desk.counter + 1, account="main", latched=True, reason="x"
        )
        # h2's own words, put under another host's name.
        await hand.bucket.put("local.h3.main", write(own, desk.hosts["h2"].signer.sign))
        for words in (
            "not signed with the key that [fleet.operators] has for ann",
            "an order for account.other, put under another key",
            "signed for the fleet another, not for desk",
            "of version 2, this program reads version 1",
            "signed by the operator eve, whom [fleet.operators] does not name",
            "not an entry of a fleet",
            "an announcement of h2, put under another host's key",
        ):
            await until(lambda words=words: words in h1.lines, words)
        assert not h1.control.latched
        assert h1.control.pulls == 0

        # A kill that two persons ended is put back, and so is one that was never followed here but is older.
        kill = await hand.kill()
        await until(lambda: all(host.control.latched for host in desk.hosts.values()), "killed")
        await hand.approve(kill, "ann", "h1")
        await hand.approve(kill, "bob", "h2")
        await until(lambda: not any(host.control.latched for host in desk.hosts.values()), "armed again")
        pulls = h1.control.pulls
        await hand.put("kill.fleet", kill)
        await hand.put("kill.fleet", hand.order(counter=kill.counter - 1))
        await until(lambda: "somebody puts old orders back" in h1.lines, "the older one is named")
        await hand.heard(h1)
        assert (h1.control.latched, h1.control.pulls) == (False, pulls)

    play(story)


def test_a_code_is_for_one_person_and_one_kill_and_a_hand_at_a_host_ends_nothing(play: Callable[..., None]) -> None:
    async def story(desk: Desk, hand: Hand) -> None:
        h1, h2 = desk.hosts.values()
        kill = await hand.kill()
        await until(lambda: h1.control.latched and h2.control.latched, "killed")
        # Somebody at the host re-arms by hand: the kill stands.
        h1.control.rearm_by_hand()
        await until(lambda: h1.control.latched, "pulled again")
        # Both with the code that ann was given: one of them is nobody.
        assert h1.agent is not None
        assert "error" in h1.agent.asked({"scope": "fleet", "operator": "eve"}, "uid 0")
        assert "error" in h1.agent.asked({"scope": "group.x", "operator": "ann"}, "uid 0")
        await hand.approve(kill, "ann", "h1")
        given = h1.agent.asked({"scope": "fleet", "operator": "ann"}, "uid 0")
        forged = {**_approval(hand, kill, "bob", "h1"), "code": given["code"]}
        await hand.put("rearm.fleet.bob", _as_approval(forged), "bob")
        await hand.heard(h1)
        await hand.heard(h2)
        assert h1.control.latched
        assert h2.control.latched
        await hand.approve(kill, "bob", "h1")
        await until(lambda: not h1.control.latched and not h2.control.latched, "armed")

    play(story)


def _approval(hand: Hand, kill: KillOrder, person: str, host: str) -> dict[str, Any]:
    hand.desk.counter = max(hand.desk.counter + 1, time.time_ns())
    return {
        "fleet": "desk", "by": person, "at_ns": 0, "counter": hand.desk.counter, "scope": kill.scope,
        "kill": kill_id(kill), "code_host": host, "code_account": "main",
    }  # fmt: skip


def _as_approval(members: dict[str, Any]) -> Approval:
    return Approval(**members)


@pytest.mark.parametrize(("follow", "followed"), [("all", True), ("account", False), ("none", False)])
def test_whose_local_kills_are_followed(play: Callable[..., None], follow: str, followed: bool) -> None:
    async def story(desk: Desk, hand: Hand) -> None:
        h1, h2 = desk.hosts.values()
        h1.control.pull("by hand", "uid 7")
        if followed:
            await until(lambda: h2.control.latched, "the neighbour follows")
            assert h2.control.reason.startswith("fleet: local.h1.one by h1")
        await until(lambda: _told(h1), "it is announced whatever others make of it")
        await hand.heard(h1)
        await hand.heard(h2)
        assert h2.control.latched == followed
        assert h1.control.pulls == 1, "it does not follow itself"

    play(story, follow=follow, accounts={"h1": "one", "h2": "two"})


def _told(host: Any) -> bool:
    return host.agent is not None and host.agent.follower._told is not None and host.agent.follower._told.latched


def test_a_daemon_that_does_not_answer_is_killed_by_its_file(play: Callable[..., None]) -> None:
    async def story(desk: Desk, hand: Hand) -> None:
        h1, h2 = desk.hosts.values()
        h1.control.answers = False
        kill = await hand.kill()
        await until(lambda: (h1.control.state / "kill").exists(), "the file is there")
        await until(lambda: "the daemon does not answer" in h1.lines, "it is told")
        h1.control.answers = True
        await until(lambda: h1.control.latched, "pulled as soon as it goes on")
        assert h1.control.reason.startswith("fleet: fleet by ann")
        # What was sent to it while it hung arrives too: more pulls than we know of as ours, so a hand has to look.
        await until(lambda: h1.control.pulls >= 2, "both")
        await hand.approve(kill, "ann", "h2")
        await hand.approve(kill, "bob", "h2")
        await until(lambda: not h2.control.latched, "armed")
        await hand.heard(h1)
        assert h1.control.latched

    play(story, follow="none")


def test_clocks_that_are_a_minute_apart_and_a_second_agent_are_named(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(desk: Desk, hand: Hand) -> None:
        h1 = desk.hosts["h1"]
        with pytest.raises(DoorFailed, match="another agent serves"):
            await agent_module.Agent(h1.settings, h1.signer).run()
        # Another host that bears our name, and our key.
        assert h1.agent is not None
        twin = agent_module.Agent(h1.settings, h1.signer)
        twin._counter = time.time_ns() + SECOND_NS
        twin.outbox = h1.agent.outbox
        twin._tell_report()
        await until(lambda: "another agent tells of h1 main on the bus" in h1.lines, "the twin is named")
        real = time.time
        monkeypatch.setattr(agent_module.time, "time", lambda: real() + 60)
        await until(lambda: "clock and the bus's are 60 s apart" in h1.lines, "the clocks")
        # Kills are followed all the same.
        await hand.kill()
        await until(lambda: h1.control.latched, "killed")
        monkeypatch.undo()
        await until(lambda: "s apart" not in h1.lines, "it is over")

    play(story)


def test_a_bus_that_goes_away_kills_nothing_lets_nothing_go_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent_module, "SILENT_S", 2.0)

    async def story(bus: Cluster) -> None:
        desk = Desk(tmp_path / "desk", bus.servers, ("h1", "h2"))
        async with desk.controls():
            async with desk.hand() as hand:
                for host in desk.hosts.values():
                    host.start()
                h1, h2 = desk.hosts.values()
                await until(lambda: all(h.agent and h.agent._live for h in desk.hosts.values()), "all hear")
                await hand.kill(scope="account.main")
                await until(lambda: h1.control.latched and h2.control.latched, "killed")
            bus.nodes[0].kill()
            await until(lambda: "the bus is silent" in h1.lines, "it is told")
            assert "the kills that stand go on standing" in h1.lines
            h1.control.rearm_by_hand()
            await until(lambda: h1.control.latched, "pulled again without the bus")
            # An agent that starts without the bus knows what stood.
            await h2.stop()
            h2.start()
            h2.control.rearm_by_hand()
            await until(lambda: h2.control.latched, "pulled again by what it remembers")
            bus.nodes[0].start()
            await until(lambda: not h1.lines and not h2.lines, "all is well again")

    (tmp_path / "desk").mkdir()
    with cluster(tmp_path) as bus:
        asyncio.run(story(bus))
    assert "the bus answers" in capsys.readouterr().err


def test_a_bucket_of_another_version_one_that_is_missing_and_one_that_is_full_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bus: Cluster) -> None:
        desk = Desk(tmp_path / "desk", bus.servers, ("h1",))
        h1 = desk.hosts["h1"]
        async with desk.controls():
            h1.start()
            await until(lambda: "an operator makes it: canceld fleet make" in h1.lines, "no bucket")
            client = await nats.connect(bus.servers)
            await client.request(f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(_shape("canceld fleet 9: x")).encode())
            await until(lambda: "this program knows 'canceld fleet 1'" in h1.lines, "another version")
            await client.request(f"$JS.API.STREAM.DELETE.{STREAM}")
            # Room for three entries, which are there already: what stands is heard, and nothing more is taken.
            small = _shape("canceld fleet 1: x") | {"max_msgs": 1, "discard": "new"}
            await client.request(f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(small).encode())
            async with desk.hand() as hand:
                await hand.kill()
            await until(lambda: "give it more room" in h1.lines, "full")
            await until(lambda: h1.control.latched, "what is there is followed")
            await client.close()

    (tmp_path / "desk").mkdir()
    with cluster(tmp_path) as bus:
        asyncio.run(story(bus))


def _shape(description: str) -> dict[str, Any]:
    return {
        "name": STREAM,
        "subjects": ["$KV.canceld-desk.>"],
        "max_msgs_per_subject": 4,
        "allow_direct": True,
        "description": description,
    }


def test_the_timer_has_one_owner_which_changes_when_a_host_dies(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]
) -> None:
    for name, seconds in (("LEASE_NS", 3.0), ("RENEW_NS", 0.8), ("MARGIN_NS", 0.6), ("ANSWER_NS", 1.0)):
        monkeypatch.setattr(timer_lease, name, int(seconds * SECOND_NS))
    monkeypatch.setattr(timer_lease, "RETRY_NS", SECOND_NS // 5)

    async def story(desk: Desk, hand: Hand) -> None:
        controls = {name: host.control for name, host in desk.hosts.items()}
        two: list[str] = []

        async def judge() -> None:
            while True:
                now_ns = time.monotonic_ns()
                owners = [name for name, one in controls.items() if one.may_renew(now_ns)]
                if len(owners) > 1:
                    two.append(f"{owners}")
                await asyncio.sleep(0.005)

        judging = asyncio.create_task(judge())

        def owner_now() -> str | None:
            return next((name for name, one in controls.items() if one.may_renew(time.monotonic_ns())), None)

        owner = await until(owner_now, "an owner")
        # It goes on being the owner, by more than one claim.
        token = controls[owner].right.token
        await until(lambda: controls[owner].right.token > token, "renewed")
        died = time.monotonic()
        await desk.hosts[owner].stop()
        other = next(name for name in controls if name != owner)
        await until(lambda: controls[other].may_renew(time.monotonic_ns()), "handed over")
        tell(f"a timer's owner died: another had it {time.monotonic() - died:.1f} s later, of a lease of 3 s")
        assert controls[other].right.token > controls[owner].right.token
        # A latched daemon has no use for it.
        desk.hosts[owner].start()
        controls[other].pull("by hand", "x")
        await until(lambda: controls[owner].may_renew(time.monotonic_ns()), "given up for the other")
        judging.cancel()
        assert two == []

    play(story, follow="none")


def test_its_socket_is_there_again_when_the_daemon_has_made_its_directory_anew(play: Callable[..., None]) -> None:
    async def story(desk: Desk, hand: Hand) -> None:
        h1 = desk.hosts["h1"]
        path = Path(door_of(h1.settings.daemon.gateway.control))
        await until(path.exists, "it serves")
        os.unlink(path)
        await until(path.exists, "it serves again")
        told = await ask(str(path), {"what": "status"})
        assert (told["host"], told["latched"], told["alerts"]) == ("h1", False, [])
        with pytest.raises(DoorFailed, match="no operator"):
            await ask(str(path), {"scope": "fleet", "operator": "eve"})

    play(story)
