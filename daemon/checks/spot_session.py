"""One session of Spot's dialects: the order stream, a ping, and a cancel. The Unified WebSocket is asked the same."""

from collections.abc import Sequence

from ..contract.evidence import Evidence, Orders, Pong, Subscribed, SubscriptionLost
from ..contract.ids import Target
from ..credentials import Secret
from ..engine.inflight import Reqids
from ..settings import Address
from ..tasks.connection import ADMIT_TIMEOUT_S
from ..tasks.session import Dialect
from ..transport.world import World
from .findings import Verdict, cancel_verdict, subscription_verdict, unreached
from .report import Report
from .routes import hear, hear_verdict, open_session


async def ask_on_session(
    report: Report,
    session: str,
    cancel: str,
    world: World,
    address: Address,
    dialect: Dialect,
    token: Secret[str],
    nobody: Target,
    *,
    with_snapshot: bool = False,
) -> None:
    """Subscribe, ping and cancel on a session of Spot's dialects. session, cancel: the names of the checks.

    with_snapshot: the confirmation alone does not do. Spot may have none to send where nothing is open.
    """
    reqids = Reqids(1)
    lost: list[SubscriptionLost] = []
    wanted = {Subscribed, Orders} if with_snapshot else {Subscribed}

    def read(frame: str | bytes) -> Sequence[Evidence]:
        return (dialect.decode(frame),)

    def admitted(evidence: Evidence) -> bool:
        wanted.discard(type(evidence))
        if isinstance(evidence, SubscriptionLost):
            lost.append(evidence)
        return not wanted or bool(lost)

    async with open_session(world, address) as socket:
        socket.send_now(dialect.subscribe_frame(token, reqids.draw()))
        if not await hear(socket, read, admitted, ADMIT_TIMEOUT_S) or lost:
            report.tell(session, subscription_verdict(lost[0] if lost else None, ADMIT_TIMEOUT_S))
            return
        ping, sent_ns = reqids.draw(), world.clock.monotonic_ns()
        socket.send_now(dialect.ping_frame(ping))
        if not await hear(socket, read, lambda evidence: evidence == Pong(ping), ADMIT_TIMEOUT_S):
            report.tell(session, unreached(f"no answer to a ping in {ADMIT_TIMEOUT_S} s"))
            return
        took_ms = (world.clock.monotonic_ns() - sent_ns) / 1e6
        report.tell(session, Verdict("ok", f"order stream confirmed, round trip {took_ms:.1f} ms"))
        reqid, sent_ns = reqids.draw(), world.clock.monotonic_ns()
        socket.send_now(dialect.cancel_frame(token, reqid, nobody))
        answer = await hear_verdict(socket, read, reqid)
        report.tell(cancel, cancel_verdict(answer, world.clock.monotonic_ns() - sent_ns))
