"""From a host name to a connected wire: resolve, connect, encrypt, each with its own bound.

A stall is found by the phase it happens in, so each phase has a timeout of its own and none waits for ever.

This file keeps no connection, does not retry a whole dial and does not decide when to dial again.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Final, Literal

import trio

from .limits import (
    ADDRESS_LIMIT,
    CONNECT_TIMEOUT_S,
    HEAD_START_S,
    RESOLVE_TIMEOUT_S,
    TLS_TIMEOUT_S,
    USER_TIMEOUT_MS,
)
from .tls import start_tls
from .wire import SocketWire, Wire

# The same once earlier answers are known: the last good addresses nearly always still work, and going on with them
# beats waiting for a resolver that is in trouble. A healthy one answers in a tenth of this.
RESOLVE_PATIENCE_S: Final = 0.5

# Look-ups may hang in their threads long after we have stopped waiting. They have their own limit, so that an outage
# of DNS cannot use up the threads that write to disk.
RESOLVER_THREADS: Final = 4

# Names remembered. A process talks to a handful of hosts.
NAME_LIMIT: Final = 64

# Addresses that may fail their TLS handshake in one dial: one may be wrong, or its edge ill, while the next is fine.
TLS_TRIES: Final = 2

# Idle connections: first probe after 5 s, then every 2 s, gone after 3 without an answer (11 s in all).
KEEPALIVE_IDLE_S: Final = 5
KEEPALIVE_INTERVAL_S: Final = 2
KEEPALIVE_PROBES: Final = 3

Phase = Literal["resolve", "connect", "tls"]

# (family, socket address as the socket module wants it)
Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

# (host, port) → addresses, best first. Blocks; runs in a thread. OSError when the name cannot be resolved.
Lookup = Callable[[str, int], list[Address]]


class DialFailed(Exception):
    """No connection. phase: how far it came. detail: for people."""

    def __init__(self, phase: Phase, detail: str) -> None:
        super().__init__(phase, detail)
        self.phase: Phase = phase
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.phase}: {self.detail}"


def system_lookup(host: str, port: int) -> list[Address]:
    """Ask the system's resolver, which orders the answer by RFC 6724."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found if len(address) in (2, 4)]  # type: ignore[misc]


class Network:
    """Dials. Remembers what worked, for the day DNS fails or lies."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        # Written by look-up threads too, which is safe: each write replaces one whole value.
        self._resolved: dict[tuple[str, int], list[Address]] = {}
        self._worked: dict[tuple[str, int], Address] = {}
        self._resolver_threads = trio.CapacityLimiter(RESOLVER_THREADS)

    async def dial(self, host: str, port: int, *, tls: ssl.SSLContext | None) -> Wire:
        """A connected wire to `host`, verified under that name when `tls` is given.

        tls: from tls.client_context. None gives plain text and is refused for anything but loopback.
        The address that last worked is tried beside those of the name.
        Raises DialFailed, at the latest after the phases' timeouts together.
        """
        candidates = await self._resolve(host, port)
        worked = self._worked.get((host, port))
        if worked is not None and worked not in candidates:
            candidates = [*candidates, worked]
        if tls is None and not all(ipaddress.ip_address(address[0]).is_loopback for _, address in candidates):
            raise DialFailed("connect", f"plain text is for loopback only, not for {host}")
        tries = 0
        while True:
            tries += 1
            address, connected = await self._connect(candidates)
            try:
                wire = await self._encrypt(SocketWire(connected), host, tls)
            except DialFailed:
                candidates = [other for other in candidates if other != address]
                if not candidates or tries == TLS_TRIES:
                    raise
            else:
                if len(self._worked) < NAME_LIMIT or (host, port) in self._worked:
                    self._worked[host, port] = address
                return wire

    async def _encrypt(self, wire: SocketWire, host: str, tls: ssl.SSLContext | None) -> Wire:
        if tls is None:
            return wire
        # start_tls closes the wire when it fails or is cancelled.
        try:
            with trio.fail_after(TLS_TIMEOUT_S):
                return await start_tls(wire, tls, host)
        except trio.TooSlowError:
            raise DialFailed("tls", f"no TLS handshake with {host} in {TLS_TIMEOUT_S} s") from None
        except trio.BrokenResourceError as error:
            raise DialFailed("tls", str(error)) from error

    async def _resolve(self, host: str, port: int) -> list[Address]:
        literal = numeric_address(host, port)
        if literal is not None:
            return [literal]
        known = self._resolved.get((host, port))
        patience_s = RESOLVE_TIMEOUT_S if known is None else RESOLVE_PATIENCE_S
        fault = f"no answer for {host} in {patience_s} s"
        with trio.move_on_after(patience_s):
            try:
                return await trio.to_thread.run_sync(
                    self._look_up, host, port, abandon_on_cancel=True, limiter=self._resolver_threads
                )
            except (OSError, UnicodeError) as error:
                fault = f"{host}: {error}"
        # A look-up that answered after an earlier dial gave up on it has left its answer meanwhile.
        known = self._resolved.get((host, port))
        if known is None:
            raise DialFailed("resolve", fault)
        return known

    def _look_up(self, host: str, port: int) -> list[Address]:
        """In a thread. Leaves the answer for later dials even when nobody waits for it any more."""
        addresses = alternate_families(self._lookup(host, port))[:ADDRESS_LIMIT]
        if not addresses:
            raise OSError("the name has no address")
        if len(self._resolved) < NAME_LIMIT or (host, port) in self._resolved:
            self._resolved[host, port] = addresses
        return addresses

    async def _connect(self, addresses: list[Address]) -> tuple[Address, socket.socket]:
        """Happy eyeballs (RFC 8305): each address a little later than the one before, or as soon as that one failed."""
        winner: list[tuple[Address, socket.socket]] = []
        faults: list[str] = []

        async def attempt(address: Address, failed: trio.Event, race: trio.CancelScope) -> None:
            try:
                connected = await connect_socket(address)
            except OSError as error:
                faults.append(f"{address[1][0]}: {error}")
                failed.set()
                return
            if winner:
                connected.close()
            else:
                winner.append((address, connected))
                race.cancel()

        try:
            with trio.move_on_after(CONNECT_TIMEOUT_S):
                async with trio.open_nursery() as nursery:
                    for address in addresses:
                        failed = trio.Event()
                        nursery.start_soon(attempt, address, failed, nursery.cancel_scope)
                        with trio.move_on_after(HEAD_START_S):
                            await failed.wait()
        except BaseException:
            # Cancelled, it leaves the nursery as a group.
            for _, connected in winner:
                connected.close()
            raise
        if winner:
            return winner[0]
        raise DialFailed("connect", "; ".join(faults) or f"no answer to SYN in {CONNECT_TIMEOUT_S} s")


def numeric_address(host: str, port: int) -> Address | None:
    """`host` as it stands when it is an address and not a name: needs no thread, and no resolver that works."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return (socket.AF_INET6 if version == 6 else socket.AF_INET), (host, port)


def alternate_families(addresses: list[Address]) -> list[Address]:
    """The same addresses, families taking turns (RFC 8305 section 4), the first family first, repeats dropped.

    One family may be a black hole; then the second attempt already has the other.
    """
    distinct = list(dict.fromkeys(addresses))
    first = [address for address in distinct if address[0] is distinct[0][0]]
    other = [address for address in distinct if address[0] is not distinct[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, other)) if address is not None]


async def connect_socket(address: Address) -> socket.socket:
    """A connected, non-blocking TCP socket, tuned for small urgent messages. OSError when refused or unreachable."""
    family, where = address
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        fault = connecting.connect_ex(where)
        if fault == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(connecting)
            fault = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault:
            raise OSError(fault, os.strerror(fault))
    except BaseException:
        connecting.close()
        raise
    return connecting
