"""What is kept for clients that do not read: bounded for all of them together, and given back."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
import trio
import trio.testing

from canceld.tasks import outbox
from canceld.tasks.outbox import CUT, REPLY_COST_BYTES, Outbox, Outlet
from canceld.transport.messages import Sent

REPLY: Final = b"x" * 100
ONE_BYTES: Final = len(REPLY) + REPLY_COST_BYTES


class Doors:
    """A router whose clients read when they are told to."""

    def __init__(self) -> None:
        self.reads: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.had: dict[bytes, int] = {}

    def send_nowait(self, identity: bytes, frames: Sequence[bytes]) -> Sent:
        if identity in self.gone:
            return Sent.GONE
        if identity not in self.reads:
            return Sent.FULL
        self.had[identity] = self.had.get(identity, 0) + 1
        return Sent.OK


class Told:
    """The alerts."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str]] = []

    def alert(self, severity: str, what: str, do: str) -> None:
        self.alerts.append((what, do))


class Question:
    def __init__(self, who: str) -> None:
        self.who = who


class Desk:
    def __init__(self) -> None:
        self.doors, self.told = Doors(), Told()
        self.outlet = Outlet("commands", self.doors)  # type: ignore[arg-type]
        self.outbox = Outbox([self.outlet], self.told)  # type: ignore[arg-type]

    def reply(self, client: int, count: int = 1) -> None:
        for _ in range(count):
            self.outbox.send(self.outlet, b"%d" % client, False, REPLY, Question(f"uid 1 pid {client}"))

    def kept(self, client: int) -> int:
        found = self.outlet.kept.get(b"%d" % client)
        return 0 if found is None else len(found.replies)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(outbox, "OUTBOX_TOTAL_BYTES", 100 * ONE_BYTES)
    return Desk()


async def test_many_that_never_read_take_no_more_than_the_bound_and_whoever_is_cut_is_named(
    autojump_clock: object, desk: Desk
) -> None:
    for client in range(40):
        desk.reply(client, 50)
        assert desk.outbox.kept_bytes <= 100 * ONE_BYTES
        await trio.sleep(0.01)
    assert [desk.kept(client) for client in range(40)] == [*([0] * 38), 50, 50]
    assert desk.outbox.undelivered == 38 * 50
    assert [do.split(" read none")[0] for what, do in desk.told.alerts if what == CUT] == [
        f"uid 1 pid {client}" for client in range(38)
    ]


async def test_one_that_takes_some_is_not_cut_before_one_that_takes_none(autojump_clock: object, desk: Desk) -> None:
    desk.reply(1, 50)
    await trio.sleep(1.0)
    desk.reply(2, 50)
    # The first one takes a few and is full again.
    sent, desk.doors.send_nowait = desk.doors.send_nowait, _taking(desk.doors, b"1", 10)  # type: ignore[method-assign]
    await trio.sleep(1.0)
    await desk.outbox.offer_kept(0.0)
    desk.doors.send_nowait = sent  # type: ignore[method-assign]
    assert desk.kept(1) == 40
    desk.reply(3, 20)
    assert (desk.kept(1), desk.kept(2), desk.kept(3)) == (40, 0, 20)


async def test_alone_it_keeps_what_it_has_and_loses_what_comes(autojump_clock: object, desk: Desk) -> None:
    desk.reply(1, 130)
    assert (desk.kept(1), desk.outbox.undelivered) == (100, 30)
    assert CUT not in {what for what, _ in desk.told.alerts}


@pytest.mark.parametrize("leaves", [True, False])
async def test_all_is_given_back_when_they_leave_or_read(autojump_clock: object, desk: Desk, leaves: bool) -> None:
    for client in range(4):
        desk.reply(client, 20)
    assert desk.outbox.kept_bytes == 80 * ONE_BYTES
    (desk.doors.gone if leaves else desk.doors.reads).update(b"%d" % client for client in range(4))
    await desk.outbox.offer_kept(0.0)
    assert desk.outbox.kept_bytes == 0
    assert desk.outlet.kept == {}
    assert desk.outbox.undelivered == (80 if leaves else 0)
    assert sum(desk.doors.had.values()) == (0 if leaves else 80)


def _taking(doors: Doors, identity: bytes, count: int) -> Any:
    left = [count]

    def send_nowait(asked: bytes, frames: Sequence[bytes]) -> Sent:
        if asked != identity or not left[0]:
            return Sent.FULL
        left[0] -= 1
        return Sent.OK

    return send_nowait
