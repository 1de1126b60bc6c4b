"""Ids of orders that cannot exist: what a cancel that proves something is for."""

import uuid
from typing import Final

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def txid_of_nobody(random: bytes) -> str:
    """A well-formed order id that no order has: Kraken's own begin with O. random: 11 bytes."""
    letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in random)
    return f"CHECKS-{letters[:5]}-{letters[5:]}"


def uuid_of_nobody(random: bytes) -> str:
    """An order id that no order has, for venues that use UUIDs. random: 16 bytes."""
    return str(uuid.UUID(bytes=random, version=4))
