"""A REST endpoint under one key: refused nonces, and answers that are no verdict."""

import time
from collections.abc import Iterator

import pytest

from canceld.contract.evidence import Fault, RestAnswer, RestFailed, RestOrders, RestUnreadable
from canceld.panic import door
from canceld.panic.door import NONCE_JUMPS, RestDoor
from canceld.panic.report import Failed
from canceld.venues.spot_rest import Request

from .scripts import DIALLER, WHERE


class Nonces:
    def __init__(self) -> None:
        self.last = self.took = 0
        self.jumps = 0

    def draw(self) -> int:
        self.last += 1
        return self.last

    def overtaken(self) -> None:
        self.jumps += 1
        self.last += 100

    def taken(self) -> None:
        self.took = self.last


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked over HTTP; nothing is really sent, the decoder given to each call makes the answer."""
    asked: list[str] = []

    class Http:
        def __init__(self, *_: object) -> None: ...

        def make_ready(self, by_s: float) -> None: ...

        def exchange(self, method: str, path: str, headers: object, body: bytes, by_s: float) -> tuple[int, bytes]:
            asked.append(body.decode())
            return 200, body

    monkeypatch.setattr(door, "Http", Http)
    return asked


def numbered(nonce: int) -> Request:
    return Request("POST", "/", str(nonce).encode(), ())


def test_a_refused_nonce_is_answered_by_a_jump_and_another_try(http: list[str]) -> None:
    nonces = Nonces()
    stale = RestFailed(Fault.STALE_NONCE, "EAPI:Invalid nonce")
    answers: Iterator[RestAnswer] = iter([stale, RestOrders(())])
    assert RestDoor(DIALLER, WHERE, nonces).call(
        numbered, lambda *_: next(answers), time.monotonic() + 5
    ) == RestOrders(())
    assert (http, nonces.jumps, nonces.took) == (["1", "102"], 1, 102)
    with pytest.raises(Failed, match="EAPI:Invalid nonce") as failed:
        RestDoor(DIALLER, WHERE, nonces).call(numbered, lambda *_: stale, time.monotonic() + 5)
    assert (len(http), failed.value.hopeless) == (2 + 1 + NONCE_JUMPS, True)


@pytest.mark.parametrize(
    ("answer", "hopeless"),
    [
        (RestFailed(Fault.UNAVAILABLE, "redirect (HTTP 302)"), False),
        (RestFailed(Fault.PERMISSION, "EGeneral:Permission denied"), True),
        (RestUnreadable("HTTP 502"), False),
    ],
)
def test_an_answer_that_is_no_verdict_is_a_failed_step(
    http: list[str], answer: RestFailed | RestUnreadable, hopeless: bool
) -> None:
    with pytest.raises(Failed, match=r"^REST: ") as failed:
        RestDoor(DIALLER, WHERE, None).call(numbered, lambda *_: answer, time.monotonic() + 5)
    assert (http, failed.value.hopeless) == (["0"], hopeless)
