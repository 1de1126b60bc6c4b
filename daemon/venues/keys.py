"""What a Spot key's permissions mean for a canceller: what will not work, and what it should not be able to do."""

from typing import Final, NamedTuple

from ..contract.evidence import RestKey

EXPIRY_NOTICE_S: Final = 30 * 86_400
"""How long before its end a key is spoken of."""

# The venue's words. Source: REST "Get API Key Info"; public clients for those the page's sample lacks.
_CANCEL: Final = "close-trades"
_TRADE: Final = "modify-trades"
_WEBSOCKET: Final = "create-ws-token"
_QUERY: Final = "query-open-trades"
_MONEY: Final = frozenset(
    {"withdraw-funds", "add-withdraw-address", "update-withdraw-address", "add-funds", "earn-funds"}
)


class Rights(NamedTuple):
    """What a key can do for us. `lacks` and `remarks` are lines for people, most pressing first.

    `lacks`: what will not work. `remarks`: what the key should not be able to do, and its end. Both are empty for a key
    that just fits.
    """

    cancels: bool
    sessions: bool
    witness: bool
    lacks: tuple[str, ...]
    remarks: tuple[str, ...]


def rights_of(key: RestKey, now_s: float) -> Rights:
    """The rights in what the venue says of the key. now_s: Unix seconds.

    Permissions we do not know are of no interest: new ones must not stop a start. Either trading permission cancels by
    the REST pages; an older support page asks for both, so the start-up probe and not this is the last word.
    """
    held = frozenset(key.permissions)
    cancels = _CANCEL in held or _TRADE in held
    sessions, witness = _WEBSOCKET in held, _QUERY in held
    lacks, remarks = [], []
    if not cancels:
        lacks.append(f"the key cannot cancel: it has neither {_CANCEL} nor {_TRADE}")
    if not sessions:
        lacks.append(f"the key opens no WebSocket session, only REST is left: it lacks {_WEBSOCKET}")
    if not witness:
        lacks.append(f"the key cannot see orders, cancels stay without proof: it lacks {_QUERY}")
    if money := sorted(held & _MONEY):
        remarks.append(f"the key can move money, which a canceller must not: {', '.join(money)}")
    if _TRADE in held:
        remarks.append(f"the key can place orders ({_TRADE}), which a canceller does not need")
    if key.valid_until_s is not None and key.valid_until_s - now_s < EXPIRY_NOTICE_S:
        remarks.append(f"the key ends in {max(0.0, key.valid_until_s - now_s) / 86_400:.1f} days")
    if not key.ip_allowlist:
        remarks.append("the key works from every address: it has no allow-list")
    return Rights(cancels, sessions, witness, tuple(lacks), tuple(remarks))
