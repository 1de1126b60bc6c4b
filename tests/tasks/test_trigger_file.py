"""The file `kill` on a real disk: whatever lies there pulls the switch, and no re-arm passes over it.

The clumsy operator: writes it twice in a blink, makes a directory, a pipe or a dangling link of it, takes the right to
read it away, removes the whole state directory. Each time the switch is latched, and what lies there is named.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from canceld.contract.commands import Rearm
from canceld.engine.latch import parse_latch
from canceld.tasks.events import Events
from canceld.tasks.killswitch import KillSwitch
from canceld.tasks.latch_file import LATCH_FILE
from canceld.tasks.scoping import Scoping
from canceld.tasks.trigger_file import TRIGGER_FILE
from canceld.transport.clock import VirtualClock
from canceld.transport.disk import Directory, Identity
from canceld.transport.entropy import SeededEntropy
from canceld.transport.memory.zeromq import MemoryBus

PATIENCE_S = 5.0


class Asker:
    """Asks for the re-arm and keeps the reply."""

    id = 1

    def __init__(self) -> None:
        self.reply: Mapping[str, Any] | None = None

    def answer(self, reply: Mapping[str, Any]) -> None:
        self.reply = reply


class Scene:
    """A switch without venues over a real directory."""

    def __init__(self, root: Path, nursery: trio.Nursery) -> None:
        self.root = root
        self.clock = VirtualClock()
        self.events = Events(MemoryBus().publisher("ipc:///run/canceld/events.sock", mode=0o660), self.clock)
        self.switch = KillSwitch(
            {}, Directory(root), self.clock, SeededEntropy(1), self.events, Scoping({}, self.clock, {})
        )
        nursery.start_soon(self.switch.run)

    @property
    def trigger(self) -> Path:
        return self.root / TRIGGER_FILE

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - what is waited for happens on the disk
                await trio.sleep(0.01)

    async def ask(self, **fields: Any) -> Mapping[str, Any]:
        asker = Asker()
        self.switch.rearm(asker, Rearm(id=1, **fields), "tester", self.clock.monotonic_ns() + 5_000_000_000)
        await self.until(lambda: asker.reply is not None)
        assert asker.reply is not None
        return asker.reply

    async def rearm(self) -> Mapping[str, Any]:
        told = await self.ask()
        return await self.ask(confirm=told["code"], reason="over") if "code" in told else told

    async def settled(self) -> None:
        """Latched, stored, and the trigger gone."""
        await self.until(lambda: self.switch.latched and self.switch.durable and not os.path.lexists(self.trigger))


@pytest.fixture
def scene(tmp_path: Path, nursery: trio.Nursery) -> Scene:
    return Scene(tmp_path, nursery)


async def test_a_second_file_in_the_same_moment_is_heeded_and_taken_away(scene: Scene) -> None:
    scene.trigger.write_text("a")
    await trio.sleep(0.1)
    scene.trigger.write_text("b")
    await scene.settled()
    await trio.sleep(0.3)
    await scene.settled()
    assert (await scene.rearm())["latched"] is False
    await trio.sleep(0.3)
    assert not scene.switch.latched
    scene.trigger.write_text("in earnest")
    await scene.settled()
    assert scene.switch.status()["reason"] == "in earnest"


async def test_every_file_counts_while_the_last_one_cannot_be_removed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that is written over the one that stays is a pull of its own, and the re-arm names the file."""
    monkeypatch.setattr(Directory, "remove", _never)
    for number in (1, 2, 3):
        scene.trigger.write_text(f"number {number}")
        await scene.until(lambda number=number: scene.switch.pulls == number)  # type: ignore[misc]
    await trio.sleep(0.3)
    assert scene.switch.pulls == 3
    refusal = await scene.rearm()
    assert refusal["outcome"] == "refused"
    assert str(scene.trigger) in refusal["detail"]
    monkeypatch.undo()
    await scene.settled()
    assert (await scene.rearm())["latched"] is False


def _directory(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def _unreadable(path: Path) -> None:
    path.write_text("")
    path.chmod(0)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("make", [_directory, _fifo, _dangling, _unreadable, _huge])
async def test_whatever_lies_there_pulls(scene: Scene, make: Callable[[Path], None]) -> None:
    make(scene.trigger)
    await scene.until(lambda: scene.switch.latched)
    if make is _directory:
        refusal = await scene.rearm()
        assert str(scene.trigger) in refusal["detail"]
        scene.trigger.rmdir()
    await scene.settled()
    assert scene.switch.status()["trigger"] == "file"
    assert (await scene.rearm())["latched"] is False
    scene.trigger.write_text("again")
    await scene.until(lambda: scene.switch.latched)


@pytest.mark.parametrize(
    ("changed_ns", "when"),
    [(1_600_000_000_123_456_000, ", written 2020-09-13T12:26:40.123456Z"), (4 * 10**20, "")],
    ids=["in 2020", "beyond every calendar"],
)
async def test_whose_file_it_is_and_since_when_is_told_and_kept(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, changed_ns: int, when: str
) -> None:
    found = Directory.identity

    def identity(self: Directory, name: str) -> Identity | None:
        there = found(self, name)
        return None if there is None else there._replace(changed_ns=changed_ns)

    monkeypatch.setattr(Directory, "identity", identity)
    scene.trigger.write_text("whose is it")
    await scene.settled()
    who = f"uid {os.getuid()}{when}"
    assert scene.switch.status()["who"] == who
    latch = parse_latch((scene.root / LATCH_FILE).read_bytes())
    assert latch is not None
    assert latch.who == who


async def test_it_works_in_a_state_directory_that_was_removed_and_made_again(scene: Scene) -> None:
    scene.root.rmdir()
    await trio.sleep(0.3)
    scene.root.mkdir()
    scene.trigger.write_text("found again")
    await scene.settled()
    assert (scene.root / LATCH_FILE).is_file()


async def test_a_kill_without_a_state_directory_latches_and_is_stored_once_there_is_one(scene: Scene) -> None:
    scene.root.rmdir()
    scene.switch.pull("signal", "no disk")
    await trio.sleep(0.2)
    assert scene.switch.latched
    assert not scene.switch.durable
    scene.root.mkdir()
    await scene.settled()
    assert (scene.root / LATCH_FILE).is_file()


@pytest.mark.parametrize("make", [_directory, _fifo, _dangling])
async def test_a_latch_that_is_no_file_counts_as_latched_also_while_it_runs(
    scene: Scene, make: Callable[[Path], None]
) -> None:
    await trio.sleep(0.05)
    make(scene.root / LATCH_FILE)
    await scene.until(lambda: scene.switch.latched)
    assert scene.switch.status()["trigger"] == "unreadable"


async def test_a_trigger_that_comes_between_the_code_and_its_confirmation_is_not_passed_over(scene: Scene) -> None:
    scene.switch.pull("signal", "the first")
    await scene.settled()
    code = (await scene.ask())["code"]
    scene.trigger.write_text("the second")
    refusal = await scene.ask(confirm=code, reason="over")
    assert refusal["outcome"] == "refused"
    await scene.settled()
    assert scene.switch.latched


async def test_the_alert_about_a_rearm_goes_when_the_next_kill_latches(scene: Scene) -> None:
    scene.switch.pull("signal", "the first")
    await scene.settled()
    await scene.rearm()
    assert [one["what"] for one in scene.events.alerts] == ["the kill switch was re-armed"]
    scene.switch.pull("signal", "the second")
    assert [one["what"] for one in scene.events.alerts] == ["the kill switch is latched"]


async def _never(self: Directory, name: str) -> None:
    raise OSError("unreachable") if name != TRIGGER_FILE else _failed(self.root / name)


def _failed(path: Path) -> Exception:
    from canceld.transport.files import DiskFailed

    return DiskFailed(path, "Permission denied")
