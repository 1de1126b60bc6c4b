"""`canceld fleet …`: a kill for many daemons, how they stand, and the re-arming by two persons.

An operator's own program: it signs with the operator's key and asks the bus alone, but for the one-time code, which the
agent of the host where he sits gives him.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from ..contract.texts import REASON_BYTES, cleaned
from ..settings import BadSettings
from ..verbs.exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from ..verbs.output import complain, say, say_columns, say_json
from .agent_verb import with_seed
from .bucket import Bucket, bucket_config
from .bus import Bus, BusFailed
from .door import DoorFailed, ask, door_of
from .follower import PERSONS
from .nearest import connect_nearest
from .orders import Approval, KillOrder, kill_id, write
from .settings import FleetSettings
from .signing import Signer
from .standing import Seen, Standing, flat_everywhere

LOOK_S: Final = 0.05
WATCH_S: Final = 1.0
REARM_S: Final = 10.0
"""How long a re-arming waits to see the second person's approval and the daemons armed."""


def run(asked: argparse.Namespace) -> int:
    """One of the verbs of a fleet."""
    try:
        settings, seed = with_seed(asked.config)
        signer = Signer(seed, settings.fleet.operators, "operators")
    except BadSettings as bad:
        complain(str(bad))
        return USAGE

    async def works(bus: Bus) -> None:
        if asked.what != "make":
            await Bucket.open(bus, settings.fleet.name)

    async def ask_bus() -> int:
        async with connect_nearest(settings, "canceld fleet", works) as bus:
            if asked.what == "make":
                config = bucket_config(settings.fleet.name, settings.fleet.replicas)
                await bus.make_stream(config, f"fleet {settings.fleet.name}")
                say(f"the bucket of the fleet {settings.fleet.name} is made")
                return DONE
            bucket = await Bucket.open(bus, settings.fleet.name)
            standing = Standing(bucket, settings, complain)
            verb = _Verb(asked, settings, signer, bucket, standing)
            try:
                async with standing.kept():
                    return await {"kill": verb.kill, "status": verb.status, "rearm": verb.rearm}[asked.what]()
            except BusFailed:
                if asked.what == "kill" and not verb.ordered:
                    # Nothing is told of who is there; whoever is there may hear the kill all the same.
                    await verb.order(time.time_ns())
                    complain("the kill is ordered; who has followed it is not known:")
                raise

    try:
        return asyncio.run(ask_bus())
    except (BusFailed, DoorFailed) as failed:
        complain(str(failed))
        if asked.what == "status":
            _show_own_host(settings)
        return UNREACHABLE
    except KeyboardInterrupt:
        return DONE


def _show_own_host(settings: FleetSettings) -> None:
    """Without the bus: how the agent of this host is, and what it knows."""
    try:
        told = asyncio.run(ask(door_of(settings.daemon.gateway.control), {"what": "status"}))
    except DoorFailed as failed:
        complain(str(failed))
        return
    state = "silent" if not told["reached"] else "latched" if told["latched"] else "armed"
    say(f"{told['host']}  {told['account']}  {state}")
    for alert in told["alerts"]:
        say(f"{told['host']}  {alert}")


class _Verb:
    """One verb of an operator."""

    def __init__(
        self, asked: argparse.Namespace, settings: FleetSettings, signer: Signer, bucket: Bucket, standing: Standing
    ) -> None:
        self._asked = asked
        self._fleet = settings.fleet
        self._settings = settings
        self._signer = signer
        self._bucket = bucket
        self._standing = standing
        self.ordered = False

    # ---------------------------------------------------------------- kill

    async def kill(self) -> int:
        """Order it, unless it stands already, and wait until every daemon that it means is flat."""
        asked, scope = self._asked, self._scope()
        stands = self._standing.of(scope).find(scope)
        if stands is None:
            kill = await self.order(await self._standing.counter_after(f"kill.{scope}", self._signer.name))
        else:
            kill = stands.kill
            complain(f"a kill of {scope} stands already, by {stands.by}: {stands.reason}")
        until_s = time.monotonic() + asked.wait
        while True:
            seen = [one for one in self._standing.seen if one.is_meant(scope)]
            flat, missing = flat_everywhere(seen, scope, kill, self._fleet.hosts)
            if flat or time.monotonic() >= until_s:
                break
            await asyncio.sleep(LOOK_S)
        _show(asked, seen, kill, missing)
        return DONE if flat else NOT_DONE

    async def order(self, counter: int) -> str:
        """Put the kill on the bus; gives its id."""
        scope = self._scope()
        order = KillOrder(
            fleet=self._fleet.name,
            by=self._signer.name,
            at_ns=time.time_ns(),
            counter=counter,
            scope=scope,
            reason=cleaned(self._asked.reason or "no reason was given", REASON_BYTES),
            from_host=self._settings.host,
        )
        await self._bucket.put(f"kill.{scope}", write(order, self._signer.sign))
        self.ordered = True
        return kill_id(order)

    # ---------------------------------------------------------------- status

    async def status(self) -> int:
        """How every daemon stands, once or each second."""
        await self._standing.live()
        while True:
            seen = self._standing.seen
            _, missing = flat_everywhere(seen, "fleet", "", self._fleet.hosts)
            _show(self._asked, seen, None, missing)
            for scope in self._standing.scopes:
                follower = self._standing.of(scope)
                if (one := follower.find(scope)) is None:
                    continue
                approved = follower.approved_by(one)
                if self._asked.json:
                    say_json({"kill": scope, "by": one.by, "reason": one.reason, "approved_by": approved})
                else:
                    say(f"{scope} is killed by {one.by}: {one.reason}; approved by {', '.join(approved) or 'nobody'}")
            if not self._asked.watch:
                return DONE if seen and not missing and not any(one.silent for one in seen) else NOT_DONE
            await asyncio.sleep(WATCH_S)
            say("")

    # ---------------------------------------------------------------- re-arming

    async def rearm(self) -> int:
        """The first step asks this host's agent for a code; the second approves with it, and tells what came of it."""
        scope = self._scope()
        stands = self._standing.of(scope).find(scope)
        if stands is None:
            say(f"no kill of {scope} stands")
            return DONE
        if self._asked.code is None:
            question = {"scope": scope, "operator": self._signer.name}
            given = await ask(door_of(self._settings.daemon.gateway.control), question)
            where = f"{given['host']}:{given['account']}:{given['code']}"
            say(f"{scope} is killed by {stands.by}: {stands.reason}")
            say(f"not re-armed yet; {self._signer.name} goes on with: canceld fleet rearm … --code {where}")
            return NOT_DONE
        parts = self._asked.code.split(":")
        if len(parts) != 3:
            complain("--code: expected HOST:ACCOUNT:CODE, as the first step has printed it")
            return USAGE
        now_ns = time.time_ns()
        approval = Approval(
            fleet=self._fleet.name,
            by=self._signer.name,
            at_ns=now_ns,
            counter=now_ns,
            scope=scope,
            kill=stands.kill,
            code_host=parts[0],
            code_account=parts[1],
            code=parts[2],
            reason=cleaned(self._asked.reason or "", REASON_BYTES),
        )
        await self._bucket.put(f"rearm.{scope}.{self._signer.name}", write(approval, self._signer.sign))
        return await self._approved(scope)

    async def _approved(self, scope: str) -> int:
        """What came of our approval: not good, not enough, or the kill is over and the daemons are armed."""
        name, until_s = self._signer.name, time.monotonic() + REARM_S
        while True:
            await asyncio.sleep(LOOK_S)
            follower = self._standing.of(scope)
            one = follower.find(scope)
            approved = [] if one is None else follower.approved_by(one)
            seen = [daemon for daemon in self._standing.seen if daemon.is_meant(scope)]
            armed = one is None and not any(daemon.report.latched for daemon in seen)
            if armed or name in approved or time.monotonic() >= until_s:
                break
        if one is not None:
            if name not in approved:
                complain("not approved: the code is not one that this host's agent gave out for this kill and operator")
            else:
                say(f"approved by {', '.join(approved)}: {PERSONS} different persons are needed")
            return NOT_DONE
        _show(self._asked, seen, None, [])
        waits = "is ended; a host that is latched still has to be re-armed there"
        say(f"{scope} is re-armed" if armed else f"{scope} {waits}")
        return DONE if armed else NOT_DONE

    def _scope(self) -> str:
        if self._asked.group is not None:
            return f"group.{self._asked.group}"
        return "fleet" if self._asked.account is None else f"account.{self._asked.account}"


# ---------------------------------------------------------------- what is shown


def _show(asked: argparse.Namespace, seen: Sequence[Seen], kill: str | None, missing: Sequence[str]) -> None:
    if asked.json:
        for one in seen:
            say_json({"host": one.host, "age_s": round(one.age_s, 1), **_members(one, kill)})
        for host in missing:
            say_json({"host": host, "state": "never heard of"})
        return
    cells = [["HOST", "ACCOUNT", "STATE", "VENUES", "DRILL", "TIMER"]]
    for one in seen:
        told = _members(one, kill)
        venues = "  ".join(f"{name} {state}" for name, state in told["venues"].items())
        age_s = told["drill_age_s"]
        drill = "never" if age_s is None else f"{age_s / 3600:.1f} h ago"
        cells.append([one.host, one.report.account, told["state"], venues, drill, "owner" if told["timer"] else ""])
    cells += [[host, "", "never heard of", "", "", ""] for host in missing]
    say_columns(cells)
    for one in seen:
        for alert in one.report.alerts:
            say(f"{one.host}  {alert}")


def _members(one: Seen, kill: str | None) -> dict[str, Any]:
    report = one.report
    if one.silent:
        state = "silent"
    elif not report.latched:
        state = "armed"
    elif kill is not None and one.is_flat(kill):
        state = "flat"
    else:
        state = "latched"
    can = {name: "can cancel" if can else "cannot cancel" for name, can in report.can_cancel.items()}
    return {
        "account": report.account,
        "state": state,
        "venues": report.venues or can,
        "drill_age_s": report.drill_age_s,
        "timer": report.timer_owner,
        "alerts": report.alerts,
    }
