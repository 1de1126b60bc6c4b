"""Mistakes planted in the daemon, to prove that the simulation would find them. A mutant that lives is its defect.

Each is a change of source text, made as the module is imported, in a process that does nothing else. The text must
stand there exactly once, so that a mutant whose code has changed is noticed instead of becoming harmless. What a
second guard makes good changes no outcome and is no mutant: the tests of that guard look at it.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

HOUSE: Final = Path(__file__).parents[2]

SEEDS_LIMIT: Final = 200
"""By when a mutant must have been found."""

TIMEOUT_S: Final = 900.0
"""For all of them together."""

SURVIVED: Final = 0
KILLED: Final = 3
"""Exit statuses of a hunt for a mutant: any other one is a fault of the hunt."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: where `right` stands in a module, it says `wrong` instead."""

    name: str
    module: str
    right: str
    wrong: str


MUTANTS: Final = (
    Mutant(
        "silence is called not open",
        "canceld.engine.pursuits.judgement",
        "pursuit.reject_class is None:\n            return Unknown(pursuit.routes)",
        "pursuit.reject_class is None:\n            return self.not_there(pursuit)",
    ),
    Mutant(
        "silence is called refused",
        "canceld.engine.pursuits.judgement",
        "pursuit.reject_class is None:\n            return Unknown(pursuit.routes)",
        'pursuit.reject_class is None:\n            return Refused("no_route", "nobody answered")',
    ),
    Mutant(
        "an ack is taken for proof",
        "canceld.engine.pursuits.judgement",
        "NO_PROOF\n            return Unknown(pursuit.routes)",
        "NO_PROOF\n            return Canceled()",
    ),
    Mutant(
        "an ack answers those who wait for proof",
        "canceld.engine.pursuits.acceptance",
        "[waiter for waiter in waiters if not waiter.proof], Acked()",
        "list(waiters), Acked()",
    ),
    Mutant(
        "one denial is enough",
        "canceld.engine.pursuits.judgement",
        "if denied_ns is None or denied_ns < self.window_ns(pursuit, waiter):\n            return False",
        "if denied_ns is None:\n            return False\n        return True",
    ),
    Mutant(
        "requests for an order follow each other without a pause",
        "canceld.engine.pursuits.pursuit",
        "return max(times[-1] + SPACE_NS, counted)",
        "return counted - counted",
    ),
    Mutant(
        "a batch is done whatever its count",
        "canceld.engine.pursuits.batches",
        "whole = isinstance(answer, RestCanceled) and answer.count >= len(attempts)",
        "whole = isinstance(answer, RestCanceled)",
    ),
    Mutant(
        "of several acks the first is enough",
        "canceld.engine.pursuits.judgement",
        "return family.oks >= max(1, len(family.meant | family.perhaps) - family.otherwise)",
        "return family.oks >= 1",
    ),
    Mutant(
        "acks are counted while no stream tells of what",
        "canceld.engine.pursuits.judgement",
        "return not (self.streamed(family) or family.seen_ns)",
        "return False",
    ),
    Mutant(
        "a userref is sent again by another route",
        "canceld.engine.pursuits.family",
        "(bool(self.pending) or self.ambiguous or self.oks > 0)",
        "False",
    ),
    Mutant(
        "what is heard after the reply is not told",
        "canceld.tasks.dispatcher",
        "                owner.late(settlement)",
        "                pass",
    ),
    Mutant(
        "what was cut short by a crash is canceled before anybody looked",
        "canceld.tasks.recovery",
        "if not self.listed or self.others",
        "if self.others",
    ),
    Mutant(
        "a list asked for earlier will do",
        "canceld.engine.pursuits.family",
        "return sum(waiter.asked_ns <= asked_ns for asked_ns in self.clean_looks)",
        "return len(self.clean_looks)",
    ),
    Mutant(
        "an error is taken for an ack",
        "canceld.engine.pursuits.sessions",
        "            self._refusals.refused(pursuit, attempt, fault, reject.error, now_ns)\n",
        "            self._acceptance.accepted(pursuit, attempt, now_ns)\n",
    ),
    Mutant(
        "what a lost session had under way is called unsent",
        "canceld.engine.pursuits.sessions",
        "            del pursuit.pending[lane]\n            pursuit.doubted()",
        "            del pursuit.pending[lane]\n            pursuit.take_back(lane)",
    ),
    Mutant(
        "an answered request stays in its table",
        "canceld.engine.inflight",
        "        del self._by_lane[attempt.lane][attempt.reqid]\n",
        "",
    ),
    Mutant(
        "acks are matched by their sequence",
        "canceld.engine.inflight",
        "return self._by_reqid.get(reqid)",
        "return next((one for lane in self._by_lane.values() for one in lane.values()), None)",
    ),
    Mutant(
        "reqids begin anew with each process",
        "canceld.app",
        "Reqids(world.clock.utc_ns() // 1000)",
        "Reqids(1)",
    ),
    Mutant("a nonce is the time and nothing else", "canceld.engine.nonces", "if follows else self._last + 1", ""
           " if True else 0"),
    Mutant(
        "a lost answer is called unsent",
        "canceld.tasks.rest_lane",
        "raise CallFailed(lost.detail, left=True) from None",
        "raise CallFailed(lost.detail, left=False) from None",
    ),
    Mutant("the handshake has no bound", "canceld.tasks.connection", "HANDSHAKE_TIMEOUT_S: Final = 5.0",
           "HANDSHAKE_TIMEOUT_S: Final = 5e9"),
    Mutant("the subscription has no bound", "canceld.tasks.connection", "ADMIT_TIMEOUT_S: Final = 5.0",
           "ADMIT_TIMEOUT_S: Final = 5e9"),
    Mutant("silence on a socket is borne for ever", "canceld.tasks.connection", "    silence_s = 5.0",
           "    silence_s = 5e9"),
    Mutant(
        "each frame of several leaves twice",
        "canceld.tasks.session",
        "                self._send(socket, *frames)",
        "                self._send(socket, *frames, *frames)",
    ),
    Mutant(
        "lost connections are dialled without a pause or a budget",
        "canceld.tasks.connection",
        "            with trio.move_on_after(delay_s) as self._pausing:",
        "            self._parts.budget._attempts.clear()\n            with trio.move_on_after(0.01) as self._pausing:",
    ),
    Mutant(
        "a reply goes out twice",
        "canceld.tasks.gateway",
        "        self.in_flight -= 1\n        if asked.joined",
        "        self.in_flight -= 1\n        self._send(asked.wicket, asked.identity, asked.enveloped, payload)"
        "\n        if asked.joined",
    ),
    Mutant(
        "who joins a command in flight is forgotten",
        "canceld.tasks.gateway",
        "            known.asked.joined = [place]",
        "            known.asked.joined = []",
    ),
    Mutant(
        "an id may be used again for anything",
        "canceld.tasks.gateway",
        "if not same_command(known.command, asked.command):",
        "if False:",
    ),
    Mutant("an id is not remembered", "canceld.tasks.gateway", "if known is not None and known.expires_ns > now_ns:\n"
           "            self._repeat(asked, known)\n            return None", "if False:\n            return None"),
    Mutant("what comes too late is sent all the same", "canceld.tasks.gateway", "elif deadline_ns <= now_ns:",
           "elif False:"),
    Mutant("the doors stay open while nobody reads", "canceld.app", "                self.gateway.close()\n", ""),
    Mutant(
        "whoever still waits when it stops is not answered",
        "canceld.app",
        "                desk.dispatcher.give_up()\n",
        "                pass\n",
    ),
    Mutant("the alarm is late", "canceld.tasks.dispatcher", "ALARM_SLACK_S: Final = 0.000_05",
           "ALARM_SLACK_S: Final = 0.2"),
    Mutant("a restart forgets the latch", "canceld.tasks.killswitch", "self._switch = Switch(latch)",
           "self._switch = Switch(None)"),
    Mutant(
        "a damaged latch counts as none",
        "canceld.engine.latch",
        'return Latch(trigger="unreadable", reason=f"the latch file {read.why}")',
        "return None",
    ),
    Mutant(
        "a kill is confirmed before the latch is stored",
        "canceld.tasks.killswitch",
        "        self._durable = False\n        self._unstored.set()\n        log.error(\"kill\"",
        "        log.error(\"kill\"",
    ),
    Mutant("a state directory serves two", "canceld.app", '[self._directory.lock("lock"), *self._socket_locks()]',
           "[]"),
)  # fmt: skip


class _Planter(importlib.machinery.SourceFileLoader):
    """Loads a module with the mistake in it, past every cache."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname)
        assert source is not None
        found = source.count(self.mutant.right)
        if found != 1:
            raise ImportError(f"mutant {self.mutant.name!r}: its text stands {found} times in {fullname}")
        return compile(source.replace(self.mutant.right, self.mutant.wrong), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        loader = _Planter(fullname, spec.origin)
        loader.mutant = self._mutant
        return importlib.util.spec_from_file_location(fullname, spec.origin, loader=loader)


def plant(name: str) -> None:
    """Make the mistake in this process. Must come before anything of the daemon is imported."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    assert mutant.module not in sys.modules, f"{mutant.module} is imported already"
    sys.meta_path.insert(0, _Finder(mutant))


def hunt(mutant: Mutant) -> str | None:
    """What found it, in one line; None when it survived. Runs in a process of its own. Raises RuntimeError."""
    command = [sys.executable, "-m", "tests.simulation", "--mutant", mutant.name]
    done = subprocess.run(
        command,
        cwd=HOUSE,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode not in (KILLED, SURVIVED):
        raise RuntimeError(f"the hunt for {mutant.name!r} went wrong: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout.strip().splitlines()[-1] if done.returncode == KILLED else None


def hunt_all(mutants: Sequence[Mutant], tell: Callable[[str], None]) -> list[tuple[Mutant, str | None]]:
    """Hunt for many, as many at once as there are processors; each with what found it."""
    done = []
    with ThreadPoolExecutor(os.cpu_count()) as hunters:
        for mutant, found in zip(mutants, hunters.map(hunt, mutants), strict=True):
            tell(f"{mutant.name}: {found or 'SURVIVED'}")
            done.append((mutant, found))
    return done


QUICK: Final = (
    "silence is called not open",
    "an ack answers those who wait for proof",
    "an answered request stays in its table",
    "a nonce is the time and nothing else",
    "a reply goes out twice",
)
"""Those of each commit: found within seconds, each by another oracle."""
