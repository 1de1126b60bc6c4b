"""The arguments of the programs that speak to other hosts; what they do is in fleet/."""

import argparse
from collections.abc import Callable
from typing import Any, Final

WAIT_S: Final = 20.0


def add_fleet(verbs: Any, run: Callable[[argparse.Namespace], int]) -> None:
    """`ship`, `agent` and `fleet …`. run: imports the module that `asked.module` names, and calls its `run`."""
    ship = verbs.add_parser("ship", help="copy the record elsewhere, line by line, as it is written")
    _add_config(ship)
    ship.add_argument("--to", metavar="FILE", help="a file of lines instead of the bus; -: the standard output")
    ship.add_argument("--position", metavar="FILE", help="with --to -: where to keep how far it got")
    ship.add_argument("--once", action="store_true", help="to the present end of the record, then end")
    ship.add_argument("--make", action="store_true", help="make the stream of this record, once, and end")
    ship.add_argument(
        "--max-bytes", type=int, default=-1, metavar="N", help="of the stream that is made; default: none"
    )
    _add_json(ship)
    ship.set_defaults(run=run, acts=True, module="ship", verb="ship")

    agent = verbs.add_parser("agent", help="this daemon's part in a fleet: kills, re-arming, timers; own process")
    _add_config(agent)
    agent.add_argument("--before-start", action="store_true", help="latch a daemon that is to start beside a kill")
    agent.set_defaults(run=run, acts=True, module="agent_verb", verb="agent")

    fleet = verbs.add_parser("fleet", help="one kill for many daemons; an operator's own key signs it")
    kinds = fleet.add_subparsers(title="verbs", required=True, metavar="VERB", dest="what")
    make = kinds.add_parser("make", help="make the fleet's bucket, once")
    kill = kinds.add_parser("kill", help="kill everything in the fleet, and wait until every daemon is flat")
    kill.add_argument("--reason", metavar="TEXT", help="goes into every record")
    kill.add_argument("--wait", type=float, default=WAIT_S, metavar="S", help="for so long (default: %(default)s)")
    status = kinds.add_parser("status", help="how every daemon stands")
    status.add_argument("--watch", action="store_true", help="once a second, until Ctrl-C")
    rearm = kinds.add_parser("rearm", help="end a kill: two persons, each with a one-time code from a host")
    rearm.add_argument("--code", metavar="HOST:ACCOUNT:CODE", help="what the first step has printed")
    rearm.add_argument("--reason", metavar="TEXT", help="goes into every record")
    for one in (kill, rearm):
        scope = one.add_mutually_exclusive_group()
        scope.add_argument("--group", metavar="NAME", help="the daemons of a group alone")
        scope.add_argument("--account", metavar="NAME", help="the daemons of an account alone")
    for one in (make, kill, status, rearm):
        _add_config(one)
        _add_json(one)
        one.set_defaults(run=run, acts=True, module="fleet_verb", verb="fleet")


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="the daemon's configuration, with its [fleet]")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, one message per line")
