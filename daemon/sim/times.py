"""Instants as the venue writes them. Input is unix seconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def rfc3339_up(unix_s: float) -> str:
    """Whole seconds, rounded up, as the dead man's switch reports its times: `2020-12-21T09:37:09Z`."""
    return datetime.fromtimestamp(math.ceil(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_down(unix_s: float) -> str:
    """Whole seconds, the fraction dropped."""
    return datetime.fromtimestamp(math.floor(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micros(unix_s: float) -> str:
    """Microseconds, as WebSocket v2 writes every time: `2023-09-21T14:36:57.428972Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def rfc3339_millis(unix_s: float) -> str:
    """Milliseconds, as Futures REST writes every time: `2020-07-22T13:26:20.806Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def rfc1123(unix_s: float) -> str:
    """As REST's Time call prints it: `Sun, 21 Mar 21 14:23:14 +0000`."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%a, %d %b %y %H:%M:%S +0000")
