"""Ids of orders that cannot exist: what a cancel that only proves the way is for."""

import uuid
from typing import Final

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def txid_of_nobody(word: str, random: bytes) -> str:
    """A well-formed Spot order id that no order has: Kraken's own begin with O and are no words.

    word: 6 capital letters that name who asks. random: 11 bytes.
    """
    letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in random)
    return f"{word}-{letters[:5]}-{letters[5:]}"


def uuid_of_nobody(random: bytes) -> str:
    """An order id that no order has, for venues that use UUIDs. random: 16 bytes."""
    return str(uuid.UUID(bytes=random, version=4))
