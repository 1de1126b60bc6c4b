"""What an agent makes of its daemon's `status`."""

from typing import Any

from .follower import Local


def local_of(status: dict[str, Any]) -> Local:
    """How the switch stands."""
    kill = status.get("kill") or {}
    return Local(
        latched=bool(kill.get("latched")),
        start=str(status.get("started_ns", "")),
        pulls=int(kill.get("pulls", 0)),
        reason=str(kill.get("reason", "")),
        who=str(kill.get("who", "")),
    )


def told_of(status: dict[str, Any] | None) -> dict[str, Any]:
    """The members of a Report that tell of the daemon; None where it does not answer."""
    kill = (status or {}).get("kill") or {}
    latched = bool(kill.get("latched"))
    under = {name: str(part.get("state")) for name, part in (kill.get("venues") or {}).items()}
    return {
        "reached": status is not None,
        "latched": latched,
        "venues": under if latched else {},
        "can_cancel": {
            name: part.get("state") != "down" and part.get("mode") != "maintenance"
            for name, part in ((status or {}).get("venues") or {}).items()
        },
        "drill_age_s": (kill.get("drill") or {}).get("age_s"),
    }


def shown(status: dict[str, Any] | None) -> Any:
    """What of a status others are told at once when it changes."""
    told = told_of(status)
    return told["reached"], told["latched"], told["venues"], told["can_cancel"]


def can_renew(status: dict[str, Any] | None) -> bool:
    """Whether the daemon answers, is not latched, and reaches a venue: else another one had better keep the timers."""
    if status is None or (status.get("kill") or {}).get("latched"):
        return False
    return any(part.get("state") in ("up", "degraded") for part in (status.get("venues") or {}).values())
