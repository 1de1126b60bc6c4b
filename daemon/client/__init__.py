"""What a strategy imports: `Client` blocks, `connect` is for asyncio, `open_client` for trio.

Only the contract is shared with the daemon. Each flavour is fetched when first asked for, so that a blocking program
does not pay for importing an event loop.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..contract.commands import LeaseScope, OrderRef
from ..contract.selectors import Selector
from .requests import COMMANDS_ENDPOINT, CONTROL_ENDPOINT, EVENTS_ENDPOINT, DaemonUnreachable
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
    from .async_events import AsyncEvents
    from .async_io import AsyncioClient, connect
    from .async_lease import AsyncLease
    from .async_trio import TrioClient, open_client
    from .blocking import Client
    from .blocking_events import Events
    from .blocking_lease import HeldLease
    from .events import (
        Alert,
        DeadmanEvent,
        Event,
        KillEvent,
        Late,
        LeaseEvent,
        OrderEnded,
        SessionChanged,
        Settled,
    )

__all__ = [
    "COMMANDS_ENDPOINT",
    "CONTROL_ENDPOINT",
    "EVENTS_ENDPOINT",
    "Alert",
    "AsyncEvents",
    "AsyncLease",
    "AsyncioClient",
    "CancelAllResult",
    "CancelResult",
    "Client",
    "CommandRefused",
    "DaemonUnreachable",
    "DeadmanEvent",
    "Event",
    "Events",
    "HeldLease",
    "KillEvent",
    "KillResult",
    "KilledVenue",
    "Late",
    "LeaseEvent",
    "LeaseResult",
    "LeaseScope",
    "OrderEnded",
    "OrderRef",
    "Pong",
    "RearmResult",
    "Selector",
    "SessionChanged",
    "Settled",
    "TrioClient",
    "VenueSweep",
    "connect",
    "open_client",
]


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name
    HOMES = {
        "Alert": "events",
        "AsyncEvents": "async_events",
        "AsyncLease": "async_lease",
        "AsyncioClient": "async_io",
        "Client": "blocking",
        "DeadmanEvent": "events",
        "Event": "events",
        "Events": "blocking_events",
        "HeldLease": "blocking_lease",
        "KillEvent": "events",
        "Late": "events",
        "LeaseEvent": "events",
        "OrderEnded": "events",
        "SessionChanged": "events",
        "Settled": "events",
        "TrioClient": "async_trio",
        "connect": "async_io",
        "open_client": "async_trio",
    }

    def __getattr__(name: str) -> Any:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{HOMES[name]}", __name__), name)
