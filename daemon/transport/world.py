"""Every door to the world in one value, so that whoever builds the daemon decides which world it lives in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .claims import UNCLAIMED, Claim
from .clock import Clock
from .collector import Collector
from .descriptors import PLENTY, Descriptors
from .disk import Directory
from .entropy import Entropy
from .messages import MessageBus
from .origins import Origin, nobody_knows
from .scribe import Scribe
from .wire import Wire

Dial: TypeAlias = Callable[[str, int], Awaitable[Wire]]
"""(host, port) to an encrypted, verified wire. Raises network.DialFailed; always ends."""


@dataclass(frozen=True, slots=True)
class World:
    """Time, randomness, network, local sockets and files. `directory` opens a directory by its path.

    `descriptors` counts those of this process; a world that has none runs short of none. `claim` calls a name this
    process's own among all of the host and raises claims.Held; a world of one process has nobody to keep it from.
    """

    clock: Clock
    entropy: Entropy
    dial: Dial
    bus: MessageBus
    directory: Callable[[str], Directory]
    descriptors: Callable[[], Descriptors] = lambda: PLENTY
    claim: Callable[[str], Claim] = lambda _: UNCLAIMED
    origin: Callable[[int, int], Awaitable[Origin | None]] = nobody_knows
    """(uid, pid) to what is known of a process."""

    host: Callable[[], Mapping[str, Any]] = dict
    """What is known of the host."""

    scribe: Callable[[str], Scribe | None] = lambda _: None
    """The directory of the state to who writes the record there, in a process of its own; None: nobody does."""

    real_time: bool = False
    """Whether time goes by itself: what is done to be fast is then worth doing."""

    collector: Collector | None = None
    """What looks for garbage when it is told to; None where that is left to the interpreter."""
