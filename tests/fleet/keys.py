"""Keys of users of a test's bus."""

import secrets

import nkeys


def seed_and_key() -> tuple[str, str]:
    """A new user's seed and public key."""
    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    pair = nkeys.from_seed(bytearray(seed))
    return seed.decode(), pair.public_key.decode()
