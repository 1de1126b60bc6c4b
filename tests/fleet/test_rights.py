"""The rights that the page on several hosts writes down, given to users of a real server: enough, and no more.

Each user has what the page's row has for it. A fleet is killed and re-armed with these; what else they try is denied.
"""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from canceld import __file__ as house
from tests.fleet.cluster import cluster, needs_nats

needs_nats()

import nats  # noqa: E402 - it is there only where the extra is

from canceld.fleet import timer_lease  # noqa: E402
from tests.fleet.desk import Desk, until  # noqa: E402
from tests.fleet.keys import seed_and_key  # noqa: E402

PAGE: Final = (Path(house).parent / "pages" / "fleet.md").read_text()
KV: Final = "$KV.canceld-desk"
API: Final = "$JS.API.STREAM"
FORBIDDEN: Final = {
    "h1": [
        *(f"{KV}.{key}" for key in ("kill.fleet", "kill.account.main", "rearm.fleet.ann", "timer.other")),
        *(f"{KV}.{key}" for key in ("report.h2.main", "local.h2.main", "code.h2.main", "report.h1.other")),
        *(f"{API}.{what}.KV_canceld-desk" for what in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE", "RESTORE")),
    ],
    "bob": [
        *(f"{KV}.{key}" for key in ("rearm.fleet.ann", "rearm.account.main.ann", "report.h1.main", "code.h1.main")),
        *(f"{KV}.{key}" for key in ("timer.main", "local.h1.main")),
        *(f"{API}.{what}.KV_canceld-desk" for what in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE", "RESTORE")),
    ],
    "root": [f"{KV}.kill.fleet", f"{KV}.rearm.fleet.ann", f"{API}.DELETE.KV_canceld-desk"],
}
"""What each of them tries in vain."""


def rights(who: str, **names: str) -> str:
    """What the row that begins so gives, for the server's configuration. names: what its capital letters stand for."""
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {who}")]
    _, _, publish, subscribe, _ = row.split("|")

    def subjects(cell: str) -> str:
        found = re.findall(r"`([^`]+)`", cell)
        for letter, name in names.items():
            found = [re.sub(rf"\b{letter}\b|(?<=_){letter}\b", name, one) for one in found]
        return ", ".join(f'"{one}"' for one in found)

    return f"{{ publish: [{subjects(publish)}], subscribe: [{subjects(subscribe)}] }}"


def test_the_rights_of_the_page_are_enough_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seconds in (("LEASE_NS", 3), ("RENEW_NS", 1), ("MARGIN_NS", 1), ("ANSWER_NS", 1)):
        monkeypatch.setattr(timer_lease, name, seconds * 10**9)
    keys = {name: seed_and_key() for name in ("h1", "h2", "ann", "bob", "root")}
    granted = {name: rights("`agent` of host", F="desk", H=name, A="main") for name in ("h1", "h2")}
    granted |= {name: rights("an operator P at host", F="desk", H=name, P=name) for name in ("ann", "bob")}
    granted["root"] = rights("who makes the bucket", F="desk", H="root")
    users = ", ".join(f"{{ nkey: {keys[name][1]}, permissions: {granted[name]} }}" for name in keys)
    seeds = {name: seed for name, (seed, _) in keys.items()}

    async def denied(name: str, subjects: Sequence[str]) -> list[str]:
        """Which of them."""
        told: list[str] = []

        async def heard(error: Exception) -> None:
            told.append(str(error).casefold())

        client = await nats.connect(bus.url, nkeys_seed_str=seeds[name], error_cb=heard)
        for subject in subjects:
            await client.publish(subject, b"{}")
        await until(lambda: len(told) == len(subjects), f"of {subjects} denied: {told}")
        await client.close()
        return [one for one in subjects if any("permissions violation" in t and one.casefold() in t for t in told)]

    async def story() -> None:
        desk = Desk(tmp_path / "desk", bus.servers, ("h1", "h2"), bus_seeds=seeds)
        async with desk.hand("root"):
            pass
        async with desk.controls(), desk.hand("ann") as ann, desk.hand("bob") as bob:
            for host in desk.hosts.values():
                host.start()
            await until(lambda: all(h.agent and h.agent._live for h in desk.hosts.values()), "all hear")
            kill = await ann.kill("ann")
            await until(lambda: all(host.control.latched for host in desk.hosts.values()), "killed")
            await ann.approve(kill, "ann", "h1")
            await bob.approve(kill, "bob", "h2")
            await until(lambda: not any(host.control.latched for host in desk.hosts.values()), "armed")
            controls = [host.control for host in desk.hosts.values()]
            await until(lambda: sum(one.right.until_ns > 0 for one in controls) == 1, "a timer's owner")
            assert not any(host.lines for host in desk.hosts.values())
        for name, subjects in FORBIDDEN.items():
            assert await denied(name, subjects) == subjects

    (tmp_path / "desk").mkdir()
    accounts = f"accounts {{ A {{ jetstream: enabled, users: [ {users} ] }} }}"
    with cluster(tmp_path, accounts=accounts) as bus:
        asyncio.run(story())
    assert "not told" not in capsys.readouterr().err
