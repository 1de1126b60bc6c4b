"""Tells the service manager how we are, over its datagram socket; without one, every call does nothing."""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """sd_notify without libsystemd. Never blocks and never raises: a deaf service manager must not stop the service.

    Source: systemd's sd_notify(3) and sd_watchdog_enabled(3).
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._watchdog_us = environment.get("WATCHDOG_USEC", "")
        self._watchdog_pid = environment.get("WATCHDOG_PID", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if name else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def watchdog_interval_s(self) -> float | None:
        """The silence after which we are killed (tell `alive` at half of it); None when nobody watches us."""
        for_us = self._watchdog_pid in ("", str(os.getpid()))
        return int(self._watchdog_us) / 1e6 if for_us and self._watchdog_us.isdecimal() else None

    # Each call below answers True when the kernel took the message, and False when nobody listens.

    def ready(self, text: str) -> bool:
        """Start-up, or a reload, is complete. text: the status line, which goes in the same datagram."""
        return self._tell("READY=1\n" + _status(text))

    def status(self, text: str) -> bool:
        """One line for people; a line break in it would be read as the next field, so it becomes a space."""
        return self._tell(_status(text))

    def alive(self) -> bool:
        """Put off the watchdog once more; call it only on proof of progress."""
        return self._tell("WATCHDOG=1")

    def reloading(self, monotonic_ns: int) -> bool:
        """To be followed by `ready` once done. monotonic_ns: CLOCK_MONOTONIC now; systemd asks for it."""
        return self._tell(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns // 1_000}")

    def stopping(self) -> bool:
        """The shutdown has begun."""
        return self._tell("STOPPING=1")

    def _tell(self, message: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), self._address)
        except (OSError, ValueError):  # full, gone, or a name that no socket can have
            return False
        return True


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())
