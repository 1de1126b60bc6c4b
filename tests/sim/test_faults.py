"""Describing and matching faults; what they do on the wire is told in test_websocket.py and test_server.py."""

from __future__ import annotations

import random
from typing import Any

import pytest

from canceld.sim.faults import AT_ONCE, KINDS, BadFault, Fault, Faults


class Setting:
    """Faults with a clock the test moves and a record of what struck at once."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.struck: list[Fault] = []
        self.faults = Faults(now=lambda: self.now_s, rng=random.Random(3), strike=self.struck.append)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_fault_without_times_strikes_until_cleared(setting: Setting) -> None:
    setting.faults.inject({"kind": "drop_event"})
    assert all(setting.faults.take("drop_event") for _ in range(10))
    setting.faults.clear()
    assert setting.faults.take("drop_event") is None


def test_times_counts_strikes(setting: Setting) -> None:
    setting.faults.inject({"kind": "ack_error", "times": 2, "error": "EService:Busy"})
    assert [bool(setting.faults.take("ack_error")) for _ in range(3)] == [True, True, False]


def test_for_s_lets_a_fault_lapse(setting: Setting) -> None:
    setting.faults.inject({"kind": "no_heartbeat", "for_s": 5})
    setting.now_s = 4.9
    assert setting.faults.take("no_heartbeat")
    setting.now_s = 5.0
    assert setting.faults.take("no_heartbeat") is None


def test_session_route_and_match_narrow_a_fault(setting: Setting) -> None:
    setting.faults.inject({"kind": "duplicate_ack", "session": 1, "route": "spot_ws", "match": "cancelOrder"})
    here: dict[str, Any] = {"session": 1, "route": "spot_ws", "operation": "cancelOrder"}
    assert setting.faults.take("duplicate_ack", **here)
    for elsewhere in ({"session": 0}, {"route": "spot_ws_v2"}, {"operation": "cancelAll"}):
        assert setting.faults.take("duplicate_ack", **(here | elsewhere)) is None


def test_fraction_strikes_about_that_often(setting: Setting) -> None:
    setting.faults.inject({"kind": "drop_event", "fraction": 0.3})
    struck = sum(setting.faults.take("drop_event") is not None for _ in range(1000))
    assert 250 < struck < 350


def test_so_many_go_by_before_it_strikes(setting: Setting) -> None:
    setting.faults.inject({"kind": "ack_error", "match": "cancelOrder", "skip": 2, "times": 1})
    elsewhere = setting.faults.take("ack_error", operation="addOrder")
    here = [setting.faults.take("ack_error", operation="cancelOrder") is not None for _ in range(4)]
    assert elsewhere is None
    assert here == [False, False, True, False]


@pytest.mark.parametrize("kind", sorted(set(AT_ONCE) - {"maintenance"}))
def test_without_match_these_strike_at_once_and_with_it_they_wait(setting: Setting, kind: str) -> None:
    setting.faults.inject({"kind": kind})
    assert [fault.kind for fault in setting.struck] == [kind]
    assert setting.faults.take(kind, operation="cancelOrder") is None
    setting.faults.inject({"kind": kind, "match": "cancelOrder", "times": 1})
    assert len(setting.struck) == 1
    assert setting.faults.take(kind, operation="cancelOrder")


def test_a_lasting_fault_is_felt_until_it_lapses_or_is_cleared(setting: Setting) -> None:
    setting.faults.inject({"kind": "half_open", "for_s": 5})
    [fault] = setting.struck
    setting.faults.last(fault)
    assert setting.faults.lasts(fault)
    setting.now_s = 5.0
    assert not setting.faults.lasts(fault)
    setting.faults.inject({"kind": "half_open"})
    setting.faults.last(setting.struck[1])
    setting.faults.clear("half_open")
    assert not setting.faults.lasts(setting.struck[1])


@pytest.mark.parametrize(
    ("fault", "member"),
    [
        ({}, "kind"),
        ({"kind": "earthquake"}, "kind"),
        ({"kind": "delay", "second": 1}, "second"),
        ({"kind": "delay", "seconds": "1"}, "seconds"),
        ({"kind": "delay", "seconds": True}, "seconds"),
        ({"kind": "delay", "seconds": -1}, "seconds"),
        ({"kind": "delay", "times": 0}, "times"),
        ({"kind": "reset_sockets", "effect": "sideways"}, "effect"),
        ({"kind": "maintenance"}, "for_s"),
        ({"kind": "market_status", "mode": "closed"}, "mode"),
        ({"kind": "rest_error", "form": "long"}, "form"),
        ({"kind": "removal_shape", "shape": "round"}, "shape"),
        ({"kind": "cancel_rejected", "bears": "nothing"}, "bears"),
        ({"kind": "linger", "fill": "some"}, "fill"),
        ({"kind": "linger", "fill": "-1"}, "fill"),
        ({"kind": "split_snapshot", "rows": 0}, "rows"),
    ],
)
def test_what_is_no_fault_is_refused_by_name(setting: Setting, fault: dict[str, Any], member: str) -> None:
    with pytest.raises(BadFault, match=member):
        setting.faults.inject([{"kind": "drop_event"}, fault])
    assert setting.faults.take("drop_event") is None, "a list with a bad fault injects none"


def test_every_kind_can_be_injected_bare(setting: Setting) -> None:
    for kind in KINDS:
        setting.faults.inject({"kind": kind, "for_s": 1.0})
