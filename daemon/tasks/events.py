"""What happened, told to whoever listens at the event socket, and to the audit record.

It never waits, and nobody's slowness reaches the daemon.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import structlog

from ..contract.frames import outcome_map
from ..contract.ids import CommandID, Venue
from ..contract.outcomes import Settlement
from ..engine.resting import Row
from ..transport.clock import Clock, rfc3339
from ..transport.messages import Publisher

ALERT_PAUSE_NS: Final = 60_000_000_000
"""At most one alert per condition in this time: a flood of alerts is read by nobody."""

ALERTS_KEPT: Final = 100
"""Most conditions remembered for status."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_encode: Final = msgspec.json.Encoder().encode


class Note(Protocol):
    """A plain, cheap call that records one event: Journal.note."""

    def __call__(self, kind: str, /, **fields: Any) -> None: ...


def unrecorded(kind: str, /, **fields: Any) -> None:
    """For parts that run without a record."""


class Events:
    """Publishes to the topics of contract section 4, and remembers the latest alerts for `status`.

    `note` is for what only the record hears of: commands, frames, decisions.
    """

    def __init__(self, publisher: Publisher, clock: Clock, note: Note = unrecorded) -> None:
        self.note = note
        self._publisher = publisher
        self._clock = clock
        self._alerts: dict[str, dict[str, Any]] = {}
        self._alerted_ns: dict[str, int] = {}
        self._hushed = False
        self.started_ns = clock.monotonic_ns()
        self._counts: dict[str, int] = {}
        self._second = -1
        self._second_text = ""

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The latest alert of each condition, oldest first."""
        return list(self._alerts.values())

    @property
    def dropped(self) -> int:
        """Events that some subscriber lost because it did not read."""
        return self._publisher.dropped

    def outcome(self, outcome: Mapping[str, Any], strategy: str | None = None) -> None:
        """A command, of this strategy where it named one, was answered with this outcome."""
        if strategy is None:
            self.note("outcome", **outcome)
        else:
            self.note("outcome", strategy=strategy, **outcome)
        self._publish(f"outcome.{outcome['venue']}", outcome)

    def late(self, id: CommandID | None, received_ns: int | None, settlement: Settlement) -> None:
        """The venue settled a command after it had been answered `unknown`, or after the process that took it ended.

        received_ns: None when it was read on the clock of an earlier boot.
        """
        outcome = {**outcome_map(id, received_ns, settlement), "type": "late"}
        self.note("late", **outcome)
        self._publish(f"late.{settlement.venue}", outcome)

    def order(self, venue: Venue, row: Row) -> None:
        """An order ended, whoever ended it."""
        event: dict[str, Any] = {"type": "order", "venue": venue, "order_id": row.order_id, "state": row.status}
        for name in ("cl_ord_id", "userref", "symbol", "filled_qty", "reason"):
            value = getattr(row, name)
            if value is not None:
                event[name] = value
        self._publish(f"order.{venue}", event)

    def session(self, venue: Venue, name: str, state: str, why: str | None = None) -> None:
        """A session changed its state."""
        event: dict[str, Any] = {"type": "session", "venue": venue, "name": name, "state": state}
        if why is not None:
            event["why"] = why
        self.note("session", **event)
        self._publish(f"session.{venue}", event)

    def kill(self, event: Mapping[str, Any]) -> None:
        """Something happened to the kill switch."""
        if event["state"] == "rearmed":
            # The record's own word for it: from here on its files do not begin with a kill any more.
            self.note("rearm", latched=False, **event)
        else:
            self.note("kill", **event)
        self._publish("kill", {"type": "kill", **event})

    def lease(self, event: Mapping[str, Any]) -> None:
        """A lease was taken, changed, given back, restored, expired, or carried out; `state` says which."""
        self.note("lease", **event)
        self._publish("lease", {"type": "lease", **event})

    def deadman(self, event: Mapping[str, Any]) -> None:
        """Something happened to a venue's dead man's timer."""
        self.note("deadman", **event)
        self._publish(f"deadman.{event['venue']}", {"type": "deadman", **event})

    def hush(self) -> None:
        """The daemon closes its connections by itself: what ends from here on is nothing to act on."""
        self._hushed = True

    def alert(self, severity: str, what: str, do: str) -> None:
        """Something for a person to act on: what it is, and what to do. Repeats within a minute are not sent."""
        if self._hushed:
            return
        now_ns = self._clock.monotonic_ns()
        event = {"type": "alert", "severity": severity, "what": what, "do": do}
        self._alerts.pop(what, None)
        self._alerts[what] = {**event, "ts": rfc3339(self._clock.utc_ns())}
        if len(self._alerts) > ALERTS_KEPT:
            del self._alerts[next(iter(self._alerts))]
        if now_ns - self._alerted_ns.get(what, -ALERT_PAUSE_NS) < ALERT_PAUSE_NS:
            return
        if len(self._alerted_ns) >= ALERTS_KEPT:
            del self._alerted_ns[next(iter(self._alerted_ns))]
        self._alerted_ns[what] = now_ns
        tell = log.critical if severity == "critical" else log.warning
        # By this name the log knows what a person is to see: `journalctl -p warning` shows these lines and no others.
        tell("alert", severity=severity, what=what, do=do)
        self.note("alert", **event)
        self._publish("alert", event)

    def clear(self, what: str) -> None:
        """A condition is over."""
        self._alerts.pop(what, None)

    def _publish(self, topic: str, event: Mapping[str, Any]) -> None:
        """Publish one event, numbered within its topic: nothing is sent twice, so a gap is all that tells of a loss.

        What nobody listens to is counted as well: a subscriber that was away for a while is to see what it missed.
        """
        seq = self._counts[topic] = self._counts.get(topic, 0) + 1
        wire_topic = topic.encode()
        if not self._publisher.wants(wire_topic):
            return
        utc_ns = self._clock.utc_ns()
        second, rest_ns = divmod(utc_ns, 1_000_000_000)
        if second != self._second:
            # Most events share their second with the one before: only its fraction is made anew.
            self._second, self._second_text = second, rfc3339(second * 1_000_000_000)[:19]
        ts = f"{self._second_text}.{rest_ns // 1000:06d}Z"
        counted = {"seq": seq, "started_ns": self.started_ns}
        body = {**event, "ts": ts, "monotonic_ns": self._clock.monotonic_ns(), **counted}
        self._publisher.publish_nowait(wire_topic, _encode(body))
