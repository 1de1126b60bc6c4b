"""Request signatures: pure functions, checked by published vectors. Nothing here draws a nonce or reads a clock."""

import base64
import hashlib
import hmac

from ..credentials import Secret


def spot_signature(secret: Secret[bytes], path: str, nonce: str, body: bytes) -> str:
    """The API-Sign header of one private Spot REST call.

    path: as sent, without host or query (`/0/private/…`). nonce: the decimal text that also stands in the body.
    body: exactly the bytes sent; the signature is over them and not over what they mean.
    Source: Spot REST "Authentication".
    """
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.digest(secret.reveal(), path.encode() + digest, "sha512")).decode()


def decode_spot_secret(text: str) -> bytes:
    """The key bytes in a private key as Kraken shows it.

    Strict: a clipped or mangled paste must stop start-up, since every request signed with it counts towards a lockout.
    Raises ValueError, whose text never holds any of the secret.
    """
    try:
        secret = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("the private key is not base64; copy it again, whole and without spaces") from None
    if not secret:
        raise ValueError("the private key is empty")
    return secret
