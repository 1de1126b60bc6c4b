"""What a strategy imports: `Client` blocks, `open_client` is for trio. Only the contract is shared with the daemon.

Both names are fetched when first asked for, so that a blocking program does not pay for importing trio.
"""

from typing import TYPE_CHECKING, Any

from ..contract.commands import LeaseScope, OrderRef
from .requests import COMMANDS_ENDPOINT, CONTROL_ENDPOINT, DaemonUnreachable
from .results import (
    CancelAllResult,
    CancelResult,
    CommandRefused,
    KilledVenue,
    KillResult,
    LeaseResult,
    Pong,
    RearmResult,
    VenueSweep,
)

if TYPE_CHECKING:
    from .async_lease import AsyncLease
    from .async_trio import TrioClient, open_client
    from .blocking import Client
    from .blocking_lease import HeldLease

__all__ = [
    "COMMANDS_ENDPOINT",
    "CONTROL_ENDPOINT",
    "AsyncLease",
    "CancelAllResult",
    "CancelResult",
    "Client",
    "CommandRefused",
    "DaemonUnreachable",
    "HeldLease",
    "KillResult",
    "KilledVenue",
    "LeaseResult",
    "LeaseScope",
    "OrderRef",
    "Pong",
    "RearmResult",
    "TrioClient",
    "VenueSweep",
    "open_client",
]


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name

    def __getattr__(name: str) -> Any:
        if name == "Client":
            from .blocking import Client

            return Client
        if name == "HeldLease":
            from .blocking_lease import HeldLease

            return HeldLease
        if name == "AsyncLease":
            from .async_lease import AsyncLease

            return AsyncLease
        if name in ("TrioClient", "open_client"):
            from . import async_trio

            return getattr(async_trio, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
