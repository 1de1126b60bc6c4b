"""What everything came to: as a map, as a table for people, and as an exit status."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..contract.ids import Venue
from ..settings import Settings
from ..transport.plain.line import Dialler
from ..verbs.exit_status import DONE, NOT_DONE, UNREACHABLE
from ..verbs.output import say, say_columns, say_residual
from .report import Report
from .state_files import Latching, StoredNonces


def exit_status_of(reports: Mapping[Venue, Report]) -> int:
    """0 flat everywhere, 1 where something is known to rest, else 3."""
    states = {report.state for report in reports.values()}
    # What is known to rest is the worse news, and the one that can be acted on.
    if "residual" in states:
        return NOT_DONE
    return UNREACHABLE if "unreachable" in states else DONE


def verdict_of(
    settings: Settings,
    latching: Latching,
    nonces: StoredNonces,
    dialler: Dialler,
    reports: Mapping[Venue, Report],
    key_remarks: Sequence[str],
) -> dict[str, Any]:
    """The map that `--json` prints."""
    remarks = [*key_remarks]
    if "futures" in reports and reports["futures"].state == "unreachable" and not settings.futures.uws_url:
        remarks.append("futures.uws_url is not set: there is no second way to Futures")
    if nonces.fault is not None:
        remarks.append(f"the nonce mark: {nonces.fault}")
    if dialler.trust_fault is not None:
        remarks.append(f"tls.ca_file is left out: {dialler.trust_fault}")
    return {
        "type": "panic",
        "reason": latching.reason,
        "latched": latching.latched,
        "latch_error": latching.fault,
        "venues": {venue: venue_of(report) for venue, report in reports.items()},
        "remarks": remarks,
    }


def venue_of(report: Report) -> dict[str, Any]:
    """One venue of that map."""
    return {
        "state": report.state,
        "canceled": report.canceled,
        "residual": list(report.residual),
        "took_ms": None if report.took_s is None else round(report.took_s * 1000),
        "tried": dict(report.tried),
        "error": report.why,
    }


def print_table(verdict: dict[str, Any]) -> None:
    """The same for people: a table, then what still rests and why."""
    fault = verdict["latch_error"]
    say(f"kill switch {'latched' if verdict['latched'] else 'NOT latched'}{'' if fault is None else f': {fault}'}")
    rows = [["venue", "state", "canceled", "residual", "took"]]
    for venue, part in verdict["venues"].items():
        # Where nothing is known, nothing is not the number that rests.
        residual = "?" if part["state"] == "unreachable" else str(len(part["residual"]))
        took = "" if part["took_ms"] is None else f"{part['took_ms']} ms"
        rows.append([venue, part["state"], str(part["canceled"]), residual, took])
    say_columns(rows)
    for venue, part in verdict["venues"].items():
        say_residual(venue, part["residual"])
        if part["state"] != "flat":
            tried = ", ".join(f"{step} x{times}" for step, times in part["tried"].items()) or "nothing"
            say(f"{venue} {part['state']}: {part['error'] or 'out of time'}; tried: {tried}")
    for remark in verdict["remarks"]:
        say(f"note: {remark}")
