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
from functools import partial
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
    """A mistake: where `right` stands in a module, it says `wrong` instead.

    story: the test that finds it, where seeds are not meant to; its name as pytest takes it.
    """

    name: str
    module: str
    right: str
    wrong: str
    story: str = ""


ODD: Final = "tests/scenarios/kill/test_after_one_odd_answer.py"
BUSY: Final = "tests/scenarios/kill/test_nothing_stands_before_it.py"
FILE: Final = "tests/tasks/test_trigger_file.py"
LISTS: Final = "tests/scenarios/test_long_list.py"
"""Stories of the kill."""

STRAIGHT: Final = "tests/tasks/test_straight.py"
"""Stories of the straight line, where the long way has to be left in one step."""

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
        "canceld.engine.pursuits.spacing",
        "return max(times[-1] + SPACE_NS, counted)",
        "return counted - counted",
        "tests/engine/test_pacing.py::test_looks_that_contradict_refusals_do_not_make_a_loop",
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
        "canceld.tasks.hand",
        "                owner.late(settlement)",
        "                pass",
    ),
    Mutant(
        "what was cut short by a crash is canceled before anybody looked",
        "canceld.tasks.unsettled",
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
        "a prefix matches too much",
        "canceld.engine.scope",
        "row.cl_ord_id.startswith(name)",
        "row.cl_ord_id.startswith(name[:2])",
    ),
    Mutant(
        "a side is forgotten on one venue",
        "canceld.engine.scope",
        "_is(row.terms.side == selector.side)",
        '_is(row.terms.side == selector.side or self.venue == "futures")',
    ),
    Mutant(
        "an order born in the gap is left behind",
        "canceld.engine.scoped",
        "told = looked or (self._witnessed and self._took_some)",
        "told = looked or self._witnessed",
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
        "canceld.desks",
        "Reqids(world.clock.utc_ns() // 1000)",
        "Reqids(1)",
    ),
    Mutant("a nonce is the time and nothing else", "canceld.engine.nonces", "if follows else self._last + 1", ""
           " if True else 0"),
    Mutant(
        "a lost answer is called unsent",
        "canceld.tasks.rest_exchange",
        "raise CallFailed(lost.detail, left=True) from None",
        "raise CallFailed(lost.detail, left=False) from None",
    ),
    Mutant("the handshake has no bound", "canceld.tasks.connection", "HANDSHAKE_TIMEOUT_S: Final = 5.0",
           "HANDSHAKE_TIMEOUT_S: Final = 5e9"),
    Mutant("the subscription has no bound", "canceld.tasks.connection", "ADMIT_TIMEOUT_S: Final = 5.0",
           "ADMIT_TIMEOUT_S: Final = 5e9"),
    Mutant("silence on a socket is borne for ever", "canceld.tasks.conversation", "    silence_s = 5.0",
           "    silence_s = 5e9"),
    Mutant(
        "each frame of several leaves twice",
        "canceld.tasks.session",
        "            self._send(socket, *frames)",
        "            self._send(socket, *frames, *(frames if len(frames) > 1 else ()))",
    ),
    Mutant(
        "the straight line forgets that somebody else is after the order",
        "canceld.engine.pursuits.straight",
        "if target in docket.pursued or docket.effects",
        "if docket.effects",
    ),
    Mutant(
        "the straight line forgets a cancel whose write failed",
        "canceld.tasks.straight",
        "            self._enter(asked, desk, line, reqid, target, start_ns + allowed_ns)\n            _account",
        "            _account",
        f"{STRAIGHT}::test_a_cancel_whose_write_fails_is_entered_before_its_session_is_down",
    ),
    Mutant(
        "the straight line answers whoever waits for proof",
        "canceld.engine.pursuits.straight",
        "if waiter.proof or key.kind",
        "if key.kind",
    ),
    Mutant(
        "the straight line sends the same order's cancel twice in a burst",
        "canceld.tasks.straight",
        "            self._taken.add((command.venue, order_id))\n",
        "",
        f"{STRAIGHT}::test_of_one_burst_an_order_is_cancelled_once",
    ),
    Mutant(
        "lost connections are dialled without a pause or a budget",
        "canceld.tasks.connection",
        "            await self._pause(delay_s)",
        "            self._parts.budget._attempts.clear()\n            await self._pause(0.01)",
    ),
    Mutant(
        "a reply goes out twice",
        "canceld.tasks.replies",
        "        self._outbox.send(asked.outlet, asked.identity, asked.enveloped, payload, asked)\n",
        "        for _ in range(2):\n"
        "            self._outbox.send(asked.outlet, asked.identity, asked.enveloped, payload, asked)\n",
    ),
    Mutant(
        "who joins a command in flight is forgotten",
        "canceld.tasks.tickets",
        "            self.joined = [place]",
        "            self.joined = []",
    ),
    Mutant(
        "an id may be used again for anything",
        "canceld.tasks.replies",
        "if not known.is_for(asked.command):",
        "if False:",
    ),
    Mutant("an id is not remembered", "canceld.engine.replays", "return known if known is not None and",
           "return known if False and known is not None and"),
    Mutant("what comes too late is sent all the same", "canceld.tasks.admission", "elif deadline_ns <= now_ns:",
           "elif False:"),
    Mutant("the doors stay open while nobody reads", "canceld.app", "                self.gateway.close()\n", ""),
    Mutant(
        "whoever still waits when it stops is not answered",
        "canceld.app",
        "                desk.dispatcher.give_up()\n",
        "                pass\n",
    ),
    Mutant("the alarm is late", "canceld.tasks.hand", "ALARM_SLACK_S: Final = 0.000_05",
           "ALARM_SLACK_S: Final = 0.2"),
    Mutant("a restart forgets the latch", "canceld.tasks.latch_file", "self.switch = Switch(latch)",
           "self.switch = Switch(None)"),
    Mutant(
        "a damaged latch counts as none",
        "canceld.engine.latch",
        'return Latch(trigger="unreadable", reason=f"the latch file {read.why}")',
        "return None",
        "tests/engine/test_latch.py::test_start_with_an_unreadable_file_is_latched",
    ),
    Mutant(
        "a kill is confirmed before the latch is stored",
        "canceld.tasks.killswitch",
        "        self._file.trip(latch)\n        log.error(\"kill\"",
        "        self._switch.trip(latch)\n        log.error(\"kill\"",
    ),
    Mutant("a state directory serves two", "canceld.app", '[self._directory.lock("lock"), *self._socket_locks()]',
           "[]"),
    Mutant(
        "a kill waits as long as anybody after a refused key",
        "canceld.engine.gate",
        "        if pressing is None:\n            return self._until_ns",
        "        if True:\n            return self._until_ns",
        f"{ODD}::test_a_key_refused_on_spot_while_both_sockets_are_down_does_not_hold_the_kill_back",
    ),
    Mutant(
        "a key is given up after one odd answer",
        "canceld.engine.gate",
        "return not self._refused",
        "return False",
        f"{ODD}::test_one_odd_answer_to_one_cancel_does_not_disarm_futures",
    ),
    Mutant(
        "a page of the edge accuses the key",
        "canceld.venues.futures_rest",
        "401: Fault.UNAVAILABLE, 403: Fault.ROUTE_BUSY}",
        "401: Fault.CREDENTIALS, 403: Fault.CREDENTIALS}",
        "tests/venues/test_futures_rest.py",
    ),
    Mutant(
        "a kill's pauses grow without an end",
        "canceld.engine.gate",
        "8_000, 15_000)",
        "8_000, 150_000)",
        f"{ODD}::test_a_key_that_is_refused_for_a_while_is_tried_again_after_a_pause_that_grows",
    ),
    Mutant(
        "a kill pulled anew waits for the old pause",
        "canceld.tasks.rest_lane",
        "            self._exchanges.pulled()",
        "            pass",
        f"{ODD}::test_a_kill_pulled_anew_does_not_wait_for_the_pause",
    ),
    Mutant(
        "a kill waits for a token that was asked for before it",
        "canceld.tasks.session",
        "            self._fetching.cancel()\n",
        "            pass\n",
        f"{ODD}::test_a_token_that_was_asked_for_before_the_kill_holds_no_socket_back",
    ),
    Mutant(
        "with the calls of REST spent nobody proves a venue empty",
        "canceld.engine.pursuits.rest",
        "            self._families.list_on_sessions(now_ns)\n",
        "            pass\n",
        "tests/scenarios/test_cancel_all.py"
        "::test_asked_again_and_again_it_is_proved_by_a_session_once_no_call_can_be_spared",
    ),
    Mutant(
        "a pause outlives the answer that shows it needless",
        "canceld.engine.gate",
        "        shortened = [pause.shorten() for pause in self._pauses.values()]\n",
        "        shortened = [False]\n",
        "tests/engine/test_gate.py",
    ),
    Mutant(
        "a look from before the last cancel counts",
        "canceld.engine.sweep",
        "            self._empty = self._empty + 1 if number > self._spoiled else 0\n",
        "            self._empty += 1\n",
        "tests/engine/test_sweep.py",
    ),
    Mutant(
        "a cancel-all that nobody answered keeps its session from the next one",
        "canceld.engine.sweep",
        "(free or self._live[self._rounds % max(len(self._live), 1) :])[:1]",
        "free[:1]",
        "tests/engine/test_sweep.py",
    ),
    Mutant(
        "REST is trusted to a session that was never heard",
        "canceld.engine.sweep",
        "        trusted = any(lane in self._answering for lane in lanes)\n",
        "        trusted = bool(lanes)\n",
        "tests/engine/test_sweep.py",
    ),
    Mutant(
        "sessions wait out their pause under a kill",
        "canceld.tasks.hand",
        "            session.hurry()",
        "            pass",
        f"{ODD}::test_sessions_that_were_turned_away_are_dialled_at_once",
    ),
    Mutant(
        "a session that is turned away under a kill stays away",
        "canceld.engine.backoff",
        "        if pressing:\n",
        "        if False:\n",
        f"{ODD}::test_while_a_kill_is_on_a_session_is_dialled_every_fifteen_seconds_at_least",
    ),
    Mutant(
        "a venue that takes every dial is stayed away from",
        "canceld.engine.backoff",
        "if self._live_ns is not None and pace_s is not None:",
        "if False:",
        "tests/engine/test_backoff.py",
    ),
    Mutant(
        "a process that starts again has forgotten its dials",
        "canceld.desks",
        'before_ns=spent.before("dial", CONNECT_WINDOW_NS),',
        "",
        "tests/scenarios/crash/test_crash_loop.py",
    ),
    Mutant(
        "a token that fails is asked for again at once",
        "canceld.engine.token_calls",
        "PAUSES_S: Final = (1, 2, 4, 8, 16, 30)",
        "PAUSES_S: Final = (0,)",
        "tests/scenarios/test_token_calls.py",
    ),
    Mutant(
        "each reconnect fetches a token, whatever the calls are needed for",
        "canceld.engine.budget",
        "return use in NEVER_WITHHELD or level + 1 + RESERVES[use] <=",
        "return use in NEVER_WITHHELD or use.endswith('token') or level + 7 <=",
        "tests/scenarios/test_token_calls.py",
    ),
    Mutant(
        "of two daemons the silent one counts as if it had nothing",
        "canceld.client.merging",
        '"unknown" if told.sent else "refused"',
        '"refused"',
        "tests/client/test_merging.py",
    ),
    Mutant(
        "a userref is asked of both daemons at once",
        "canceld.client.pairing",
        'how if requests[0].repeatable or how.way != "race" else',
        "how if True else",
        "tests/client/test_pair.py",
    ),
    Mutant(
        "cancels that are sent again and again keep the question from being asked",
        "canceld.engine.pursuits.rest",
        "self._again >= AGAIN_LIMIT",
        "False",
        "tests/scenarios/test_userrefs_in_one_batch.py",
    ),
    Mutant(
        "a number for many userrefs is told as each one's own",
        "canceld.engine.pursuits.batches",
        'if pursuit.key.kind == "userref":',
        "if False:",
        "tests/scenarios/test_userrefs_in_one_batch.py",
    ),
    Mutant(
        "a call for a token that a kill gave up stays counted as under way",
        "canceld.tasks.token_desk",
        "            if not over:\n                self._calls.dropped()",
        "            pass",
        "tests/scenarios/kill/test_token_call_under_way.py",
    ),
    Mutant(
        "queries take the call that opens the only session",
        "canceld.engine.budget",
        '"first token": 0, "settle": 2,',
        '"settle": 0, "first token": 2,',
        "tests/engine/test_budget.py",
    ),
    Mutant(
        "a dial that found no address is counted as one",
        "canceld.engine.backoff",
        "            self._attempts.pop()\n",
        "            pass\n",
        "tests/engine/test_backoff.py",
    ),
    Mutant(
        "a kill has no dials of its own",
        "canceld.engine.backoff",
        "limit = self._limit if pressing else",
        "limit =",
        f"{BUSY}::test_a_dial_budget_that_others_have_spent_leaves_enough_for_it",
    ),
    Mutant(
        "single cancels wait although the venue takes them",
        "canceld.engine.sweep",
        "self._turned_away and not self._orders.single_took",
        "self._turned_away",
        f"{BUSY}::test_where_only_single_cancels_are_taken_they_are_sent",
    ),
    Mutant(
        "a drill takes the place of a kill's look",
        "canceld.engine.pursuits.rest",
        "if not (_asks_same(one, call) and _is_of(one, owner))",
        "if not _asks_same(one, call)",
        "tests/engine/pursuits/test_rest.py::test_an_urgent_call_in_another_matter_takes_no_place",
    ),
    Mutant(
        "a silent venue holds up all who could hear its first answer",
        "canceld.tasks.rest_lane",
        "URGENT: Final = 8",
        "URGENT: Final = 1",
        f"{BUSY}::test_a_venue_that_was_silent_is_flat_within_a_second_of_its_first_answer",
    ),
    Mutant(
        "of two kill files only the first counts",
        "canceld.tasks.trigger_file",
        "elif there != self._pulled:",
        "elif self._pulled is None:",
        f"{FILE}::test_every_file_counts_while_the_last_one_cannot_be_removed",
    ),
    Mutant(
        "a kill file that stayed once is not removed again",
        "canceld.tasks.trigger_file",
        "elif self._stored() and trio.current_time() >= self._remove_at:",
        "elif self._stored() and not self._remove_at:",
        f"{FILE}::test_every_file_counts_while_the_last_one_cannot_be_removed",
    ),
    Mutant(
        "a re-arm passes over a kill file",
        "canceld.tasks.killswitch",
        "if forbids is not None and self.latched:",
        "if False:",
        f"{FILE}::test_every_file_counts_while_the_last_one_cannot_be_removed",
    ),
    Mutant(
        "a latch that is no file is none while it runs",
        "canceld.tasks.latch_file",
        "                return None  # it was there a moment ago\n            return _unreadable(failed)",
        "                return None\n            return None",
        f"{FILE}::test_a_latch_that_is_no_file_counts_as_latched_also_while_it_runs",
    ),
    Mutant(
        "the alert about a re-arm outlives it",
        "canceld.tasks.killswitch",
        "            self._events.clear(self._rearmed)",
        "            pass",
        f"{FILE}::test_the_alert_about_a_rearm_goes_when_the_next_kill_latches",
    ),
    Mutant(
        "an unfinished list on a session counts as whole",
        "canceld.venues.pieces",
        "yield Orders(told.orders, snapshot=False)",
        "yield Orders(told.orders, snapshot=True)",
        f"{LISTS}::test_a_long_list_leaves_the_book_as_the_venue_has_it",
    ),
    Mutant(
        "an unfinished list by REST counts as whole",
        "canceld.venues.pieces",
        "yield RestPart(told.orders)",
        "yield told",
        f"{LISTS}::test_a_long_list_that_is_asked_for_leaves_the_book_as_the_venue_has_it",
    ),
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


def plant(name: str, among: Sequence[Mutant] = MUTANTS) -> None:
    """Make the mistake in this process. Must come before anything of the daemon is imported."""
    mutant = next(mutant for mutant in among if mutant.name == name)
    assert mutant.module not in sys.modules, f"{mutant.module} is imported already"
    sys.meta_path.insert(0, _Finder(mutant))


def hunt(mutant: Mutant, package: str = "tests.simulation") -> str | None:
    """What found it, in one line; None when it survived. Runs in a process of its own. Raises RuntimeError.

    package: whose `--mutant` does the hunting, where the mistake has no story of its own.
    """
    seeds = [sys.executable, "-m", package, "--mutant", mutant.name]
    command = [sys.executable, "-m", "tests.simulation.planted", mutant.name] if mutant.story else seeds
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


def hunt_all(
    mutants: Sequence[Mutant], tell: Callable[[str], None], package: str = "tests.simulation"
) -> list[tuple[Mutant, str | None]]:
    """Hunt for many, as many at once as there are processors; each with what found it."""
    done = []
    with ThreadPoolExecutor(os.cpu_count()) as hunters:
        for mutant, found in zip(mutants, hunters.map(partial(hunt, package=package), mutants), strict=True):
            tell(f"{mutant.name}: {found or 'SURVIVED'}")
            done.append((mutant, found))
    return done


QUICK: Final = (
    "silence is called not open",
    "an ack answers those who wait for proof",
    "an answered request stays in its table",
    "a nonce is the time and nothing else",
    "a reply goes out twice",
    "a kill waits as long as anybody after a refused key",
    "of two kill files only the first counts",
)
"""Those of each commit: found within seconds, each by another oracle."""
