"""What a person does about each class of refusal: the same words in an alert and in `canceld check --online`."""

from collections.abc import Mapping
from typing import Final

from .evidence import Fault

TROUBLE: Final = "the venue is in trouble: look at its status page and try again"

MENDS: Final[Mapping[Fault, str]] = {
    Fault.CREDENTIALS: "check that key and secret belong together, that the key has not ended, and its address list",
    Fault.LOCKOUT: "leave the key alone for 15 minutes: every further call prolongs it",
    Fault.PERMISSION: "give the key the rights to cancel and to query open orders",
    Fault.STALE_NONCE: "another program uses this key with higher nonces: give canceld a key of its own",
    Fault.STALE_TOKEN: "the venue took its own token for dead: try again",
    Fault.ROUTE_BUSY: "too many requests from this key or address: try again in a minute",
    Fault.THROTTLED: "too many orders and cancels on this account: try again in a minute",
    Fault.UNAVAILABLE: TROUBLE,
    Fault.TRANSIENT: TROUBLE,
    Fault.INVALID: "the venue does not take this request: check the URLs, and whether its API has changed",
    Fault.UNLISTED: "these words are in no table: check what the venue has changed",
    Fault.NOT_OPEN: "an order was spoken of where none was asked for: check the URLs",
}
