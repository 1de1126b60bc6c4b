"""The bounds that every connection to a venue keeps, whether its program has an event loop or blocks."""

from typing import Final

RESOLVE_TIMEOUT_S: Final = 3.0
"""The system's resolver gives up after tens of seconds; a session that dials cannot wait for that."""

ADDRESS_LIMIT: Final = 8
"""Addresses tried per dial: edges publish two to eight."""

HEAD_START_S: Final = 0.25
"""Head start of each address over the next (RFC 8305 section 5 recommends 250 ms)."""

CONNECT_TIMEOUT_S: Final = 3.0
"""All addresses together. Linux resends a SYN after 1 s and 3 s; a peer that missed both is not worth the third."""

TLS_TIMEOUT_S: Final = 3.0
"""Two round trips and a certificate check. Ten times the slowest honest handshake, short beside a reconnect's cap."""

USER_TIMEOUT_MS: Final = 5_000
"""A peer that acknowledges nothing we sent for this long is gone: venues expect signs of life within 5 s too."""

RECEIVE_SIZE: Final = 64 * 1024
"""What one read asks for. Large reads mean few system calls and few wake-ups in a burst of answers."""

LIST_LIMIT: Final = 256 * 1024 * 1024
"""Bytes of one list of open orders, the largest thing that a venue sends: 27 MB for 50,000 on Spot. A bound against
mistakes; what it holds is read in pieces, and let go when the last of them is."""

RESPONSE_LIMIT: Final = LIST_LIMIT
"""Body bytes of one HTTP answer. The largest honest ones are lists of open orders."""

HEAD_LIMIT: Final = 64 * 1024
"""Head bytes of one HTTP answer: four times what edges send with all their cookies and reports."""

INTERIM_LIMIT: Final = 8
"""Interim (1xx) answers before the final one; more is a peer that plays for time."""
