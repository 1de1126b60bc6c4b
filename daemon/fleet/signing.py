"""Signatures of a fleet: nkeys, as the bus itself uses them (Ed25519)."""

import base64
from collections.abc import Mapping
from typing import Final

import nkeys  # type: ignore[import-untyped]
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from ..settings import BadSettings
from .orders import Keys, Sign

KEY_BYTES: Final = 32


class Signer:
    """Whoever writes onto the bus. The seed is in no repr."""

    def __init__(self, seed: str, known: Mapping[str, str], table: str) -> None:
        """known: public keys by name, one of which has to be this seed's. Raises BadSettings."""
        try:
            self._pair = nkeys.from_seed(bytearray(seed.encode()))
            public = self._pair.public_key.decode()
        except Exception as error:
            # nkeys tells by exceptions of its own, which may hold the seed.
            raise BadSettings(f"fleet.signing: holds no nkey seed ({type(error).__name__})") from None
        names = [name for name, key in known.items() if key == public]
        if not names:
            raise BadSettings(f"fleet.signing: its public key {public} is not in [fleet.{table}]; enter it there")
        self.name = names[0]

    @property
    def sign(self) -> Sign:
        """Signs bytes."""
        return self._signed

    def _signed(self, data: bytes) -> bytes:
        signature: bytes = self._pair.sign(data)
        return signature


def check(public: str, data: bytes, signature: bytes) -> bool:
    """Whether the holder of this public key signed these bytes so. Never raises."""
    try:
        # A prefix, the key, and two bytes of checksum, in base 32 without its padding.
        raw = base64.b32decode(public + "=" * (-len(public) % 8))
        if len(raw) != KEY_BYTES + 3 or not nkeys.valid_public_prefix_byte(raw[0]):
            return False
        VerifyKey(raw[1:-2]).verify(data, signature)
    except (ValueError, TypeError, CryptoError):
        return False
    return True


def keys_of(operators: Mapping[str, str], hosts: Mapping[str, str]) -> Keys:
    """The keys that the configuration names."""
    return Keys(dict(operators), dict(hosts))
