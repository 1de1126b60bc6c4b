"""Request signatures: pure functions, checked by published vectors. Nothing here draws a nonce or reads a clock."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from ..credentials import Secret


def spot_signature(secret: Secret[bytes], path: str, nonce: str, body: bytes) -> str:
    """The API-Sign header of one private Spot REST call.

    path: as sent, without host or query (`/0/private/…`). nonce: the decimal text that also stands in the body.
    body: exactly the bytes sent; the signature is over them and not over what they mean.
    Source: Spot REST "Authentication".
    """
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.digest(secret.reveal(), path.encode() + digest, "sha512")).decode()


def futures_authent(secret: Secret[bytes], post_data: bytes, nonce: str, path: str) -> str:
    """The Authent header of one Futures REST call.

    post_data: the parameters exactly as sent, percent-encoded; empty for a GET without a query. nonce: as in the Nonce
    header, empty where none is sent. path: `/api/v3/…`, without the `/derivatives` that stands before it in the URL.
    Source: Futures "REST" guide.
    """
    return _futures_signature(secret, post_data + nonce.encode() + path.encode())


def futures_challenge(secret: Secret[bytes], challenge: str) -> str:
    """The signed_challenge of a private subscription on the Futures feed. Source: Futures "WebSockets" guide."""
    return _futures_signature(secret, challenge.encode())


def _futures_signature(secret: Secret[bytes], message: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.reveal(), hashlib.sha256(message).digest(), "sha512")).decode()


def prime_signature(secret: Secret[bytes], timestamp: str, host: str, path: str) -> str:
    """The ApiSign header of a Prime upgrade request.

    secret: its ASCII bytes as given, not decoded. timestamp: as in the ApiTimestamp header. host: bare, without scheme
    or port. The base64 is the URL-safe one: the page's prose does not say so, its sample code and the FIX logon sample
    do. Source: Prime WebSocket "Authentication".
    """
    message = f"GET\n{timestamp}\n{host}\n{path}"
    return base64.urlsafe_b64encode(hmac.digest(secret.reveal(), message.encode(), "sha256")).decode()


def prime_headers(
    key: Secret[str], secret: Secret[bytes], timestamp: str, host: str, path: str
) -> tuple[tuple[str, str], ...]:
    """What authenticates a Prime upgrade request; made at the time of the dial and never used again."""
    return (
        ("ApiKey", key.reveal()),
        ("ApiSign", prime_signature(secret, timestamp, host, path)),
        ("ApiTimestamp", timestamp),
    )


def prime_timestamp(utc_ns: int) -> str:
    """ApiTimestamp at `utc_ns` (Unix nanoseconds). In whole seconds with six zeros, as the page's sample sends it."""
    return f"{datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.000000Z"


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
