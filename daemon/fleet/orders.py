"""What stands under the keys of a fleet's bucket: orders of operators, announcements of hosts, claims of a timer.

Each is one line of JSON with the signature of whoever wrote it, over its own bytes without the signature. Nothing that
comes off the bus is believed before `read` has checked it against the keys that this host's configuration names.

Keys: `kill.SCOPE` and `rearm.SCOPE.OPERATOR` are written by operators, `local.HOST.ACCOUNT`, `report.HOST.ACCOUNT` and
`code.HOST.ACCOUNT` by that host's agent, `timer.ACCOUNT` by whichever agent of the account holds or takes it. SCOPE is
`fleet`, `group.NAME` or `account.NAME`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

VERSION: Final = 1
"""Of this format. A line of another version is refused, and named."""

LINE_LIMIT: Final = 256 * 1024
"""Bytes of one entry; a longer one is refused unread."""

REASON_CHARS: Final = 512

Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
"""Of a fleet, group, account, host or operator: what may stand in a key of the bus."""

Counter: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """version, fleet: what it is for. by: the name of the operator or host. at_ns: Unix nanoseconds of its clock.
    counter: grows with everything that this signer writes, so that what is old cannot be said again."""

    version: int = VERSION
    fleet: Name
    by: Name
    at_ns: Counter
    counter: Counter


class KillOrder(_Signed, frozen=True, tag_field="type", tag="kill"):
    """Everything under `scope` is to be killed. from_host: where the operator typed it."""

    scope: str
    reason: str
    from_host: str = ""


class Approval(_Signed, frozen=True, tag_field="type", tag="rearm"):
    """One person's consent that the kill with this `kill` id is over. code: what the agent of code_host gave for it."""

    scope: str
    kill: str
    code: str
    code_host: Name
    code_account: Name
    reason: str = ""


class Codes(_Signed, frozen=True, tag_field="type", tag="codes"):
    """The one-time codes that an agent gave out, each as `code_mark` makes it; never the codes themselves."""

    marks: tuple[str, ...] = ()


class LocalKill(_Signed, frozen=True, tag_field="type", tag="local"):
    """Whether this host's daemon is latched by a kill of its own, one that no fleet order asked for."""

    account: Name
    latched: bool
    reason: str = ""
    who: str = ""


class Report(_Signed, frozen=True, tag_field="type", tag="report"):
    """How one daemon stands. standing: the ids of the kills that keep it latched. venues: how each stands under the
    kill. can_cancel: whether a cancel could leave for it."""

    account: Name
    reached: bool
    latched: bool
    groups: tuple[Name, ...] = ()
    standing: tuple[str, ...] = ()
    venues: dict[str, str] = {}
    can_cancel: dict[str, bool] = {}
    drill_age_s: float | None = None
    record_lag: int | None = None
    timer_owner: bool = False
    alerts: tuple[str, ...] = ()


class TimerClaim(_Signed, frozen=True, tag_field="type", tag="timer"):
    """This host keeps the dead man's timer of the account. given_up: it lets go of it, and who wants it may take it."""

    account: Name
    given_up: bool = False


Entry: TypeAlias = KillOrder | Approval | Codes | LocalKill | Report | TimerClaim
E = TypeVar("E", bound=Entry)


class Unfit(NamedTuple):
    """What came off the bus cannot be believed; `why` names the thing and the mend."""

    why: str


Sign: TypeAlias = Callable[[bytes], bytes]
"""The signature over these bytes, with the signer's own key."""

Check: TypeAlias = Callable[[str, bytes, bytes], bool]
"""Whether the holder of this public key signed these bytes so: key, bytes, signature."""


class Keys(NamedTuple):
    """The public keys that this host believes, by name."""

    operators: Mapping[str, str]
    hosts: Mapping[str, str]


class _Line(msgspec.Struct):
    body: msgspec.Raw
    sig: str


_encoder: Final = msgspec.json.Encoder(order="deterministic")


def write(entry: Entry, sign: Sign) -> bytes:
    """The entry as it goes onto the bus."""
    body = _encoder.encode(entry)
    return _encoder.encode({"body": msgspec.Raw(body), "sig": sign(body).hex()})


def read(raw: bytes, kind: type[E], keys: Keys, fleet: str, check: Check) -> E | Unfit:
    """An entry of this kind, if one whom we know signed it for this fleet. Never raises."""
    if len(raw) > LINE_LIMIT:
        return Unfit(f"longer than {LINE_LIMIT} bytes")
    try:
        line = msgspec.json.decode(raw, type=_Line)
        signature = bytes.fromhex(line.sig)
        version = msgspec.json.decode(line.body, type=dict[str, Any]).get("version")
        if version != VERSION:
            return Unfit(
                f"of version {version!r}, this program reads version {VERSION}: bring all hosts to one version"
            )
        entry = msgspec.json.decode(line.body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Unfit("not an entry of a fleet")
    if entry.fleet != fleet:
        return Unfit(f"signed for the fleet {entry.fleet}, not for {fleet}")
    whose, known = ("operator", keys.operators) if kind in (KillOrder, Approval) else ("host", keys.hosts)
    key = known.get(entry.by)
    if key is None:
        return Unfit(f"signed by the {whose} {entry.by}, whom [fleet.{whose}s] does not name")
    if not check(key, bytes(line.body), signature):
        return Unfit(f"not signed with the key that [fleet.{whose}s] has for {entry.by}")
    return entry


def kill_id(order: KillOrder) -> str:
    """What names this very order: it is the same on every host, and no other order has it."""
    return hashlib.sha256(_encoder.encode(order)).hexdigest()[:32]


def code_mark(code: str, scope: str, kill: str, operator: str) -> str:
    """What an agent publishes of a code: it fits this code for this person and this kill alone."""
    return hashlib.sha256("\n".join((code, scope, kill, operator)).encode("utf-8", "replace")).hexdigest()
