"""The command line: which verbs there are, and their exit status.

Exit status: 0 what was asked for happened, 1 it did not, 2 bad usage or configuration, 3 daemon or venue unreachable.
Every verb imports what it needs when it runs, so that `kill` and `cancel` start without the daemon's own libraries.
"""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from . import __version__
from .setup.parsers import add_setup
from .verbs.exit_status import NOT_DONE, UNREACHABLE, USAGE
from .verbs.fleet import add_fleet
from .verbs.output import complain, output_lost, prepare, say, say_json, show
from .verbs.scopes import add_members, add_scope
from .verbs.topics import TOPICS
from .verbs.usage import Parser

if TYPE_CHECKING:
    from .checks.findings import Finding
    from .verbs.check import Checked

INTERRUPTED: Final = 130
"""What a shell expects of a program ended by Ctrl-C. The answer was not awaited: nothing is said about the orders."""

VENUES: Final = ("spot", "prime", "futures")

OUTCOMES: Final = ("acked", "canceled", "closed", "not_open", "rejected", "unknown", "refused")

DEADLINE_MS: Final = (1, 60_000)

TIMEOUT_S: Final = (1, 3600)

LINES_LIMIT: Final = 1_000_000
"""Of the record's last lines, which are held in memory until the last one is known."""

EXPORTER: Final = "127.0.0.1:9742"
"""Where Prometheus finds the exporter unless told otherwise: this host alone, since nobody is asked who he is."""

# These parse their own arguments; here they only need to be known.
PASSED_ON: Final = {"sim": "canceld.sim.process", "demo": "canceld.demo.play", "bench": "canceld.verbs.bench"}

Verb = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit status. Bad input is one line on stderr, never a traceback.

    What happened decides the status of a verb that acts. Only of one that is there to print is lost output a failure.
    """
    prepare()
    arguments = list(sys.argv[1:] if argv is None else argv)
    acts = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that is not interactive starts its background jobs so. An interrupt sent to a verb is meant for it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if arguments and arguments[0] in PASSED_ON:
            status = _pass_on(arguments[0], arguments[1:])
        else:
            asked = make_parser().parse_args(arguments)
            acts = asked.acts
            verb: Verb = asked.run
            status = verb(asked)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (KeyboardInterrupt, EOFError):
        complain("interrupted before the answer was here")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone, like `head` does. The interpreter would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_DONE
    lost = output_lost()
    if lost is None or acts:
        return status
    if not isinstance(lost, BrokenPipeError):
        complain(f"the rest of the output is lost: {lost}")
    return status or NOT_DONE


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="canceld",
        description="A persistent cancel daemon for Kraken: one honest answer per cancel, with a deadline.",
        epilog="exit status: 0 done, 1 not done, 2 bad usage or configuration, 3 daemon or venue unreachable",
    )
    parser.add_argument("--version", action="version", version=f"canceld {__version__}")
    parser.set_defaults(acts=False)
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    run = verbs.add_parser("run", help="run the daemon")
    run.add_argument("--config", required=True, metavar="FILE")
    run.set_defaults(run=_run)

    check = verbs.add_parser("check", help="say what `run` would do with a configuration; touches no network")
    check.add_argument("--config", required=True, metavar="FILE")
    check.add_argument(
        "--online",
        action="store_true",
        help="then sign in at every venue, and prove the right to cancel with an order that cannot exist",
    )
    _add_json(check)
    check.set_defaults(run=_check)

    verbs.add_parser("sim", help="run the simulated exchange alone", add_help=False)
    verbs.add_parser("demo", help="watch the daemon at work on a simulated exchange", add_help=False)
    verbs.add_parser("bench", help="measure where the time of a cancel goes, on this machine", add_help=False)

    cancel = verbs.add_parser("cancel", help="cancel orders")
    cancel.add_argument("venue", choices=VENUES, metavar="VENUE", help="|".join(VENUES))
    cancel.add_argument("ids", nargs="+", metavar="ID", help="the venue's order ids, unless a flag says otherwise")
    kinds = cancel.add_mutually_exclusive_group()
    for kind, text in (("cl_ord_id", "the IDs are client order ids"), ("userref", "the IDs are userrefs (Spot)")):
        kinds.add_argument(f"--{kind.replace('_', '-')}", dest="kind", action="store_const", const=kind, help=text)
    cancel.add_argument("--symbol", help="of the orders; only Prime needs it, for orders it has not seen open")
    _add_until(cancel)
    _add_talk(cancel)
    cancel.set_defaults(run=_talk("cancel"), kind="order_id", acts=True)

    cancel_all = verbs.add_parser("cancel-all", help="cancel everything open on one venue, or on every enabled one")
    cancel_all.add_argument("venue", nargs="?", choices=VENUES, metavar="VENUE", help="|".join(VENUES))
    add_scope(cancel_all)
    cancel_all.add_argument("--dry-run", action="store_true", help="cancel nothing: tell what would be")
    _add_until(cancel_all)
    _add_talk(cancel_all)
    cancel_all.set_defaults(run=_talk("cancel_all"), acts=True)

    kill = verbs.add_parser("kill", help="pull the kill switch: cancel everything, and keep cancelling until re-armed")
    kill.add_argument("--reason", metavar="TEXT", help="goes into the record; any text, or none")
    kill.add_argument(
        "--drill", action="store_true", help="cancel nothing: walk the whole path with orders that cannot exist"
    )
    kill.add_argument("--venue", dest="venues", action="append", choices=VENUES, metavar="VENUE", help="default: all")
    _add_talk(kill, deadline_ms=10_000)
    kill.set_defaults(run=_talk("kill"), acts=True)

    rests = verbs.add_parser("rests", help="which orders are open, as the daemon knows it")
    rests.add_argument("venue", nargs="?", choices=VENUES, metavar="VENUE", help="|".join(VENUES))
    add_members(rests)
    rests.add_argument("--fresh", action="store_true", help="ask every venue first")
    _add_talk(rests)
    rests.set_defaults(run=_talk("rests"))

    kill_scope = verbs.add_parser("kill-scope", help="cancel what a scope means, and keep cancelling it until re-armed")
    kill_scope.add_argument("--reason", required=True, metavar="TEXT", help="goes into the record")
    add_scope(kill_scope, required=True)
    kill_scope.add_argument("--dry-run", action="store_true", help="latch nothing: tell what it means now")
    _add_talk(kill_scope, deadline_ms=10_000)
    kill_scope.set_defaults(run=_talk("kill_scope"), acts=True)

    rearm = verbs.add_parser("rearm", help="re-arm the kill switch, in two steps")
    rearm.add_argument("--confirm", metavar="CODE", help="the second step, with the code that the first one gave")
    rearm.add_argument("--reason", metavar="TEXT", help="goes into the record; asked for at a terminal")
    rearm.add_argument("--force", action="store_true", help="although orders still rest; goes into the record")
    _add_talk(rearm)
    rearm.set_defaults(run=_talk("rearm"), acts=True)

    status = verbs.add_parser("status", help="how the daemon is")
    status.add_argument("--detail", action="store_true", help="with counters and latencies")
    _add_talk(status)
    status.add_argument(
        "--check", action="store_true", help="exit status 0: can cancel everywhere, 1: degraded or latched, 3: cannot"
    )
    status.set_defaults(run=_talk("status"))

    watch = verbs.add_parser("watch", help="how the daemon is and what it does, live; ends with q or Ctrl-C")
    watch.add_argument("--once", action="store_true", help="print one picture and end")
    watch.add_argument("--events", metavar="ENDPOINT", help="of the event socket; else beside the other one")
    _add_where(watch)
    watch.set_defaults(run=_talk("watch"))

    panic = verbs.add_parser("panic", help="cancel everything without a daemon, straight at the venues; latches")
    panic.add_argument("--config", required=True, metavar="FILE")
    panic.add_argument("--reason", default="", metavar="TEXT", help="goes into the record; any text, or none")
    panic.add_argument(
        "--timeout-s", type=_timeout_s, default=30, metavar="S", help="how long a venue is swept at most (default: 30)"
    )
    _add_json(panic)
    panic.set_defaults(run=_panic, acts=True)

    journal = verbs.add_parser("journal", help="read, filter and verify the audit record; needs no running daemon")
    journal.add_argument("--config", required=True, metavar="FILE", help="the daemon's configuration: its state.dir")
    journal.add_argument("--since", metavar="T", help="2026-01-31, 2026-01-31T12:00:00Z, or 15m (s, m, h, d) ago")
    journal.add_argument("--until", metavar="T", help="the same")
    journal.add_argument("--order", metavar="ID", help="order id, client order id or userref; frames are looked into")
    journal.add_argument("--strategy", metavar="S", help="what is recorded with this strategy's name")
    journal.add_argument("--outcome", metavar="O", choices=OUTCOMES, help=", ".join(OUTCOMES))
    journal.add_argument("--id", metavar="ID", help="of the command")
    journal.add_argument(
        "--kind", dest="kinds", action="append", metavar="K", help="command, decision, kill; may be repeated"
    )
    journal.add_argument("--venue", choices=VENUES, metavar="VENUE", help="|".join(VENUES))
    journal.add_argument("--who", metavar="W", help="a uid or pid, or words of who it was: command line, unit, login")
    journal.add_argument("--last", type=_count, metavar="N", help="the last N lines of what is wanted")
    journal.add_argument("--follow", action="store_true", help="go on with what is written; ends with Ctrl-C")
    journal.add_argument("--frames", action="store_true", help="with frames, which --json and --kind have anyhow")
    journal.add_argument("--verify", action="store_true", help="find changed, missing and moved lines: status 1")
    journal.add_argument(
        "--against",
        metavar="URL",
        help="with --verify: compare it with what was shipped to the bus; fleet: its [fleet]",
    )
    _add_json(journal)
    journal.set_defaults(run=_journal)

    report = verbs.add_parser("report", help="what happened in a time, as one HTML file; needs no running daemon")
    report.add_argument("--config", required=True, metavar="FILE", help="the daemon's configuration: its state.dir")
    report.add_argument("--since", required=True, metavar="T", help="as `journal` takes it: 1h, 2026-01-31T12:00:00Z")
    report.add_argument("--until", metavar="T", help="the same")
    report.add_argument("--out", required=True, metavar="FILE", help="the file to write; one that is there is replaced")
    _add_json(report)
    report.set_defaults(run=_report)

    add_fleet(verbs, _fleet)

    exporter = verbs.add_parser("exporter", help="tell Prometheus how the daemon is; a process of its own")
    exporter.add_argument("--listen", default=EXPORTER, metavar="HOST:PORT", help=f"default: {EXPORTER}")
    _add_where(exporter)
    exporter.set_defaults(run=_exporter)

    add_setup(verbs)
    help_ = verbs.add_parser("help", help="pages for operators and for those who write strategies")
    help_.add_argument("topic", nargs="?", choices=list(TOPICS), metavar="TOPIC", help=", ".join(TOPICS))
    _add_json(help_)
    help_.set_defaults(run=_help)

    schema = verbs.add_parser("schema", help="print the JSON Schema of the messages between strategies and the daemon")
    _add_json(schema)
    schema.set_defaults(run=_schema)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, one message per line")


def _add_until(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until",
        choices=("ack", "proof"),
        default="ack",
        help="answer at the venue's acceptance (default), or at the proof that the order left the book",
    )


def _add_talk(parser: argparse.ArgumentParser, *, deadline_ms: int | None = None) -> None:
    parser.add_argument("--deadline-ms", type=_deadline_ms, default=deadline_ms, metavar="MS", help="1..60000")
    _add_where(parser)


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--endpoint", help="of the daemon's socket, like ipc:///run/canceld/commands.sock")
    where.add_argument("--config", metavar="FILE", help="the daemon's configuration, to find its socket")
    _add_json(parser)


def _deadline_ms(text: str) -> int:
    least, most = DEADLINE_MS
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {least}..{most} milliseconds")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LINES_LIMIT:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1..{LINES_LIMIT} lines")
    return int(text)


def _timeout_s(text: str) -> int:
    least, most = TIMEOUT_S
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {least}..{most} seconds")
    return int(text)


def _complain(error: object) -> int:
    complain(error)
    return USAGE


def _talk(name: str) -> Verb:
    def talk(asked: argparse.Namespace) -> int:
        try:
            from .verbs import ask

            module = importlib.import_module(f".verbs.{name}", __package__)
        except ImportError as error:
            # Another distribution has overwritten a part of it, say. Panic needs less than anybody else.
            complain(f"this installation is broken: {error}; to cancel everything, try canceld panic --config FILE")
            return UNREACHABLE
        # Re-arming is for those alone who may open the control socket.
        doors = ask.CONTROL_ONLY if name == "rearm" else ask.OPERATORS
        asked.otherwise = getattr(module, "otherwise", None)
        check_usage = getattr(module, "check_usage", None)
        try:
            if check_usage is not None:
                check_usage(asked)
            return ask.run(getattr(module, name), doors, asked)
        except ask.UsageFault as fault:
            return _complain(fault)

    return talk


def _run(asked: argparse.Namespace) -> int:
    from . import process

    return process.main(asked.config)


def _pass_on(name: str, rest: Sequence[str]) -> int:
    try:
        return int(importlib.import_module(PASSED_ON[name]).main(rest))
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "canceld":
            raise
        return _complain(f"{name} needs the package {missing.name}; install kraken-canceld[sim]")


def _check(asked: argparse.Namespace) -> int:
    from .verbs.check import CheckFailed, check

    try:
        checked = check(asked.config, os.environ)
        findings = _ask_venues(checked) if asked.online else None
    except CheckFailed as error:
        return _complain(error)
    if asked.json:
        import msgspec

        online = {} if findings is None else {"online": msgspec.to_builtins(findings)}
        say_json(checked.shown | online)
    else:
        say(f"{asked.config}: good; `canceld run` would start with")
        _print_tree(checked.shown, 1)
        for one in findings or ():
            say(f"{one.level:<4}  {one.venue:<7}  {one.check:<15}  {one.told}{one.mend and f'; {one.mend}'}")
    if findings is None:
        return 0
    from .checks.findings import exit_status

    return exit_status(findings)


def _ask_venues(checked: "Checked") -> "list[Finding]":
    import trio

    from .checks.online import check_online
    from .process import real_world
    from .settings import BadSettings
    from .verbs.check import CheckFailed

    try:
        world = real_world(checked.settings)
    except BadSettings as error:
        raise CheckFailed(str(error)) from None
    try:
        return trio.run(check_online, checked.settings, checked.credentials, world)
    except BaseExceptionGroup as group:
        # A nursery wraps what ends it; Ctrl-C has its own exit status.
        if group.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        raise


def _print_tree(found: dict[str, Any], depth: int) -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            say(f"{'  ' * depth}{name}")
            _print_tree(value, depth + 1)
        elif value is not None and name != "config":
            say(f"{'  ' * depth}{name} = {', '.join(value) if isinstance(value, list) else value}")


def _panic(asked: argparse.Namespace) -> int:
    from .panic import verb

    return verb.main(asked.config, asked.reason, asked.timeout_s, asked.json)


def _journal(asked: argparse.Namespace) -> int:
    from .verbs import journal

    if asked.against is None:
        return journal.run(asked)
    try:
        from .fleet import against
    except ModuleNotFoundError as missing:
        if missing.name != "nats":
            raise
        return _complain("--against needs the package nats-py; install kraken-canceld[fleet]")
    return against.run(asked)


def _report(asked: argparse.Namespace) -> int:
    from .verbs.report import report

    return report(asked)


def _fleet(asked: argparse.Namespace) -> int:
    try:
        module = importlib.import_module(f".fleet.{asked.module}", __package__)
    except ModuleNotFoundError as missing:
        if missing.name not in ("nats", "nkeys", "nacl"):
            raise
        return _complain(f"{asked.verb} needs the package nats-py; install kraken-canceld[fleet]")
    run: Verb = module.run
    return run(asked)


def _exporter(asked: argparse.Namespace) -> int:
    try:
        from .verbs import exporter
    except ModuleNotFoundError as missing:
        if missing.name != "prometheus_client":
            raise
        return _complain("exporter needs the package prometheus-client; install kraken-canceld[exporter]")
    from .verbs.ask import UsageFault

    try:
        return exporter.exporter(asked)
    except UsageFault as fault:
        return _complain(fault)


def _help(asked: argparse.Namespace) -> int:
    from .verbs.help import help_

    return help_(asked)


def _schema(asked: argparse.Namespace) -> int:
    import msgspec

    from .verbs.schema import wire_schema

    if asked.json:
        say_json(wire_schema())
        return 0
    for line in msgspec.json.format(msgspec.json.encode(wire_schema()), indent=2).decode().splitlines():
        show(line)
    return 0
