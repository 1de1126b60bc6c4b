"""Which keys a daemon calls its own, and when it goes on although somebody else does."""

import os
from typing import Any

import pytest

from canceld.credentials import Credentials, Keys, Secret
from canceld.tasks.events import Events
from canceld.tasks.key_owner import KeyOwner, KeyTaken, fingerprint
from canceld.transport.claims import Claim, Held, Holder
from canceld.transport.clock import VirtualClock
from canceld.transport.memory.zeromq import MemoryBus
from tests.scenarios.world import EVENTS

STRANGER = Holder(os.geteuid() + 1, 4242)


def keys(key: str) -> Keys:
    return Keys(Secret(key), Secret(bytes(64)))


class Host:
    """Who holds which name."""

    def __init__(self) -> None:
        self.held: dict[str, Holder | None] = {}

    def claim(self, name: str) -> Claim:
        if name in self.held:
            raise Held(self.held[name])
        self.held[name] = Holder(os.geteuid(), os.getpid())
        return _Claim(self, name)


class _Claim:
    def __init__(self, host: Host, name: str) -> None:
        self._host, self._name = host, name

    def release(self) -> None:
        del self._host.held[self._name]


@pytest.fixture
def host() -> Host:
    return Host()


def told(owner: KeyOwner, events: Events) -> list[str]:
    owner.tell(events)
    return [alert["what"] for alert in events.alerts]


@pytest.fixture
async def events() -> Events:
    def note(kind: str, **fields: Any) -> None:
        pass

    return Events(MemoryBus().publisher(EVENTS, mode=0o660), VirtualClock(), note)


def test_the_fingerprint_shows_nothing_of_the_key() -> None:
    one = fingerprint(keys("a key"))
    assert one == fingerprint(keys("a key")) != fingerprint(keys("a kez"))
    assert len(one) == 32
    assert int(one, 16)


def test_each_key_is_claimed_once_and_all_are_let_go(host: Host) -> None:
    owner = KeyOwner(host.claim)
    owner.take(Credentials(spot=keys("one"), prime=keys("two"), futures=keys("one")), whatever=False)
    assert host.held.keys() == {fingerprint(keys("one")), fingerprint(keys("two"))}
    owner.release()
    assert host.held == {}


def test_a_key_of_another_daemon_stops_the_start_and_nothing_stays_claimed(host: Host) -> None:
    theirs = fingerprint(keys("two"))
    host.held[theirs] = Holder(os.geteuid(), 4242)
    with pytest.raises(KeyTaken, match=r"the prime key \(uid \d+ pid 4242\); stop that one"):
        KeyOwner(host.claim).take(Credentials(spot=keys("one"), prime=keys("two")), whatever=False)
    assert host.held.keys() == {theirs}


@pytest.mark.parametrize("holder", [STRANGER, None])
async def test_whoever_may_not_end_us_does_not_stop_the_start_either(
    host: Host, events: Events, monkeypatch: pytest.MonkeyPatch, holder: Holder | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 995)
    host.held[fingerprint(keys("one"))] = None if holder is None else Holder(1000, 4242)
    owner = KeyOwner(host.claim)
    owner.take(Credentials(spot=keys("one")), whatever=False)
    [what] = told(owner, events)
    assert what.startswith("spot: another program uses this key: ")


async def test_for_a_kill_it_goes_on_and_a_key_of_its_own_ends_the_alert(host: Host, events: Events) -> None:
    host.held[fingerprint(keys("one"))] = Holder(os.geteuid(), 4242)
    owner = KeyOwner(host.claim)
    owner.take(Credentials(spot=keys("one")), whatever=True)
    assert told(owner, events) == [f"spot: another program uses this key: uid {os.geteuid()} pid 4242"]
    owner.take(Credentials(spot=keys("two")), whatever=True)
    assert told(owner, events) == []
    assert fingerprint(keys("two")) in host.held
