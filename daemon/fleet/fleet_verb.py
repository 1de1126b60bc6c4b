"""`canceld fleet …`: a kill for many daemons, how they stand, and the re-arming by two persons.

An operator's own program: it signs with the operator's key and asks the bus alone, but for the one-time code, which the
agent of the host where he sits gives him.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..contract.texts import REASON_BYTES, cleaned
from ..settings import BadSettings
from ..verbs.exit_status import DONE, NOT_DONE, UNREACHABLE, USAGE
from ..verbs.output import complain, say, say_columns, say_json
from .agent_verb import with_seed
from .bucket import Bucket, Entry, bucket_config
from .bus import BusFailed, connect
from .door import DoorFailed, ask, door_of
from .follower import PERSONS, Follower, Memory
from .orders import Approval, Codes, Keys, KillOrder, Report, Unfit, kill_id, read, write
from .place import Place
from .settings import FleetSettings
from .signing import Signer, check, keys_of

LOOK_S: Final = 0.25
FRESH_S: Final = 10.0
"""A daemon whose agent has told nothing for so long is silent."""

REARM_S: Final = 5.0
"""How long a re-arming waits to see the second person's approval and the daemons armed."""


class Seen(NamedTuple):
    """One daemon as its agent told of it last. age_s: how long ago, by the bus's clock."""

    host: str
    report: Report
    age_s: float

    @property
    def silent(self) -> bool:
        """Whether nobody can say how it stands now."""
        return self.age_s > FRESH_S or not self.report.reached

    def is_meant(self, scope: str) -> bool:
        """Whether a kill of this scope reaches it."""
        report = self.report
        return scope in ("fleet", f"account.{report.account}", *(f"group.{name}" for name in report.groups))

    def is_flat(self, kill: str) -> bool:
        """Whether it is latched for this kill and verified flat everywhere."""
        report = self.report
        states = set(report.venues.values())
        return not self.silent and report.latched and kill in report.standing and states == {"flat"}


def run(asked: argparse.Namespace) -> int:
    """One of the verbs of a fleet."""
    try:
        settings, seed = with_seed(asked.config)
        signer = Signer(seed, settings.fleet.operators, "operators")
    except BadSettings as bad:
        complain(str(bad))
        return USAGE

    async def ask_bus() -> int:
        async with connect(settings, "canceld fleet") as bus:
            if asked.what == "make":
                config = bucket_config(settings.fleet.name, settings.fleet.replicas)
                await bus.make_stream(config, f"fleet {settings.fleet.name}")
                say(f"the bucket of the fleet {settings.fleet.name} is made")
                return DONE
            bucket = await Bucket.open(bus, settings.fleet.name)
            verb = {"kill": _kill, "status": _status, "rearm": _rearm}[asked.what]
            return await verb(asked, settings, signer, bucket)

    try:
        return asyncio.run(ask_bus())
    except (BusFailed, DoorFailed) as failed:
        complain(str(failed))
        return UNREACHABLE


# ---------------------------------------------------------------- kill


async def _kill(asked: argparse.Namespace, settings: FleetSettings, signer: Signer, bucket: Bucket) -> int:
    scope = _scope(asked)
    keys = keys_of(settings.fleet.operators, settings.fleet.hosts)
    stands = _observer(settings, scope, await bucket.entries(), keys).find(scope)
    if stands is None:
        now_ns = time.time_ns()
        order = KillOrder(
            fleet=settings.fleet.name,
            by=signer.name,
            at_ns=now_ns,
            counter=now_ns,
            scope=scope,
            reason=cleaned(asked.reason or "no reason was given", REASON_BYTES),
            from_host=settings.host,
        )
        await bucket.put(f"kill.{scope}", write(order, signer.sign))
        kill = kill_id(order)
    else:
        kill = stands.kill
        say(f"a kill of {scope} stands already, by {stands.by}: {stands.reason}")
    until_s = time.monotonic() + asked.wait
    while True:
        seen = [one for one in _seen(settings, keys, await bucket.entries()) if one.is_meant(scope)]
        flat = bool(seen) and all(one.is_flat(kill) for one in seen)
        if flat or time.monotonic() >= until_s:
            break
        await asyncio.sleep(LOOK_S)
    _show(asked, seen, kill)
    missing = sorted(set(settings.fleet.hosts) - {one.host for one in seen}) if scope == "fleet" else []
    if missing:
        say(f"never heard of: {', '.join(missing)}")
    return DONE if flat and not missing else NOT_DONE


# ---------------------------------------------------------------- status


async def _status(asked: argparse.Namespace, settings: FleetSettings, signer: Signer, bucket: Bucket) -> int:
    keys = keys_of(settings.fleet.operators, settings.fleet.hosts)
    while True:
        entries = await bucket.entries()
        seen = _seen(settings, keys, entries)
        _show(asked, seen, None)
        for scope in _scopes_in(entries):
            follower = _observer(settings, scope, entries, keys)
            if (one := follower.find(scope)) is not None:
                approved = ", ".join(follower.approved_by(one)) or "nobody"
                say(f"{scope} is killed by {one.by}: {one.reason}; its end is approved by {approved}")
        if not asked.watch:
            return DONE if seen and not any(one.silent for one in seen) else NOT_DONE
        await asyncio.sleep(1.0)
        say("")


# ---------------------------------------------------------------- re-arming


async def _rearm(asked: argparse.Namespace, settings: FleetSettings, signer: Signer, bucket: Bucket) -> int:
    scope = _scope(asked)
    keys = keys_of(settings.fleet.operators, settings.fleet.hosts)
    stands = _observer(settings, scope, await bucket.entries(), keys).find(scope)
    if stands is None:
        say(f"no kill of {scope} stands")
        return DONE
    if asked.code is None:
        question = {"scope": scope, "operator": signer.name}
        given = await ask(door_of(settings.daemon.gateway.control), question)
        where = f"{given['host']}:{given['account']}:{given['code']}"
        say(f"{scope} is killed by {stands.by}: {stands.reason}")
        say(f"not re-armed yet; {signer.name} goes on with: canceld fleet rearm … --code {where}")
        return NOT_DONE
    parts = asked.code.split(":")
    if len(parts) != 3:
        complain("--code: expected HOST:ACCOUNT:CODE, as the first step has printed it")
        return USAGE
    now_ns = time.time_ns()
    approval = Approval(
        fleet=settings.fleet.name,
        by=signer.name,
        at_ns=now_ns,
        counter=now_ns,
        scope=scope,
        kill=stands.kill,
        code_host=parts[0],
        code_account=parts[1],
        code=parts[2],
        reason=cleaned(asked.reason or "", REASON_BYTES),
    )
    await bucket.put(f"rearm.{scope}.{signer.name}", write(approval, signer.sign))
    follower = _observer(settings, scope, await bucket.entries(), keys)
    one = follower.find(scope)
    if one is not None:
        approved = follower.approved_by(one)
        if signer.name not in approved:
            complain("not approved: the code is not one that this host's agent gave out for this kill and operator")
            return NOT_DONE
        say(f"approved by {', '.join(approved)}: {PERSONS} different persons are needed")
        return NOT_DONE
    until_s = time.monotonic() + REARM_S
    while True:
        seen = [one for one in _seen(settings, keys, await bucket.entries()) if one.is_meant(scope)]
        armed = not any(one.report.latched for one in seen)
        if armed or time.monotonic() >= until_s:
            break
        await asyncio.sleep(LOOK_S)
    _show(asked, seen, None)
    say(f"{scope} is re-armed" if armed else f"{scope} is ended; a host that is latched still has to be re-armed there")
    return DONE if armed else NOT_DONE


# ---------------------------------------------------------------- what stands


def _scope(asked: argparse.Namespace) -> str:
    if asked.group is not None:
        return f"group.{asked.group}"
    return "fleet" if asked.account is None else f"account.{asked.account}"


def _scopes_in(entries: Mapping[str, Entry]) -> list[str]:
    return sorted(key.removeprefix("kill.") for key in entries if key.startswith("kill."))


def _observer(settings: FleetSettings, scope: str, entries: Mapping[str, Entry], keys: Keys) -> Follower:
    """Somebody of this scope who has just heard all that stands: what he holds for killed is."""
    kind, _, name = scope.partition(".")
    account, groups = (name if kind == "account" else "-"), ((name,) if kind == "group" else ())
    follower = Follower(Place(settings.fleet.name, "-", account, groups, "none"), Memory())
    follower.connected(0)
    for entry in entries.values():
        what = entry.key.partition(".")[0]
        if what == "kill":
            follower.order(entry.key, read(entry.value, KillOrder, keys, settings.fleet.name, check), 0)
        elif what == "rearm":
            follower.approval(entry.key, read(entry.value, Approval, keys, settings.fleet.name, check), 0)
        elif what == "code":
            follower.codes(entry.key, read(entry.value, Codes, keys, settings.fleet.name, check), 0)
    return follower


def _seen(settings: FleetSettings, keys: Keys, entries: Mapping[str, Entry]) -> list[Seen]:
    """The daemons of whom the bus tells."""
    seen = []
    for entry in entries.values():
        if entry.key.startswith("report."):
            report = read(entry.value, Report, keys, settings.fleet.name, check)
            if isinstance(report, Unfit):
                complain(f"{entry.key}: {report.why}")
            else:
                seen.append(Seen(report.by, report, max(0.0, time.time() - report.at_ns / 1e9)))
    return sorted(seen, key=lambda one: (one.host, one.report.account))


def _show(asked: argparse.Namespace, seen: Sequence[Seen], kill: str | None) -> None:
    if asked.json:
        for one in seen:
            say_json({"host": one.host, "age_s": round(one.age_s, 1), **_members(one, kill)})
        return
    cells: list[list[str]] = []
    for one in seen:
        told = _members(one, kill)
        venues = "  ".join(f"{name} {state}" for name, state in told["venues"].items())
        timer = "timer" if one.report.timer_owner else ""
        cells.append([one.host, one.report.account, str(told["state"]), venues, timer])
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
    venues = report.venues or can
    return {"account": report.account, "state": state, "venues": venues, "drill_age_s": report.drill_age_s}
