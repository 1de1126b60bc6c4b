"""The Prime engine beneath its wire: client ids, papers and what time does to a cancel under way."""

from __future__ import annotations

import random

import pytest

from canceld.sim.exchange import Exchange
from canceld.sim.faults import Faults
from canceld.sim.prime import CancelRequest, PrimeEngine, Report

ACCOUNT = "alice"


class Setting:
    """One engine whose clock the test moves; every report of the account is kept."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0
        rng = random.Random(5)
        self.exchange = Exchange(now=lambda: self.now_s, rng=rng)
        self.engine = PrimeEngine(exchange=self.exchange, now=lambda: self.now_s, rng=rng)
        self.faults = Faults(now=lambda: self.now_s, rng=rng)
        self.heard: list[Report] = []
        self.forget = self.engine.listen(ACCOUNT, self.heard.append)

    def place(self, cl_ord_id: str) -> str:
        return self.exchange.place(ACCOUNT, "prime", symbol="BTC-USD", cl_ord_id=cl_ord_id).order_id

    def cancel(self, cl_ord_id: str, *, account: str = ACCOUNT, order_id: str | None = None, orig: str = "") -> None:
        request = CancelRequest("BTC-USD", cl_ord_id, order_id, None if order_id else orig)
        linger = self.faults.take("linger")
        self.engine.cancel(account, request, linger=linger, rejected=None)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(report.row["ExecType"], report.row["OrdStatus"]) for report in self.heard]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_another_accounts_order_is_nobodys(setting: Setting) -> None:
    order_id = setting.place("mine")
    setting.heard.clear()
    setting.cancel("c1", account="bob", order_id=order_id)
    assert setting.told == []
    [report] = setting.engine.reports("bob")
    assert (report.row["ExecType"], report.row["OrderID"]) == ("CancelRejected", "NONE")
    assert len(setting.exchange.open_orders()) == 1


def test_the_client_id_the_order_began_with_names_it_while_a_cancel_is_under_way(setting: Setting) -> None:
    setting.faults.inject({"kind": "linger", "seconds": 5, "times": 1})
    setting.place("mine")
    setting.cancel("c1", orig="mine")
    setting.cancel("c2", orig="mine")
    assert setting.told[-2:] == [("PendingCancel", "PendingCancel"), ("CancelRejected", "PendingCancel")]
    state = setting.engine.states(ACCOUNT)[0].row
    assert (state["ClOrdID"], state["OrigClOrdID"], state["ExecType"]) == ("c1", "mine", "PendingCancel")


def test_a_lingering_cancel_is_carried_out_when_due_and_not_before(setting: Setting) -> None:
    setting.faults.inject({"kind": "linger", "seconds": 5, "times": 1})
    setting.cancel("c1", order_id=setting.place("mine"))
    assert setting.engine.next_due_s() == setting.now_s + 5
    setting.now_s += 4.9
    setting.engine.advance()
    assert len(setting.exchange.open_orders()) == 1
    setting.now_s += 0.1
    setting.engine.advance()
    assert setting.told[-1] == ("Canceled", "Canceled")
    assert setting.engine.next_due_s() is None


def test_a_lingering_cancel_leaves_an_order_alone_that_filled_meanwhile(setting: Setting) -> None:
    setting.faults.inject({"kind": "linger", "seconds": 5, "times": 1})
    setting.cancel("c1", order_id=setting.place("mine"))
    setting.exchange.fill(setting.exchange.open_orders()[0])
    setting.now_s += 5
    setting.engine.advance()
    assert setting.told[-1] == ("Trade", "Filled")


def test_a_client_id_stays_used_after_its_order_has_ended(setting: Setting) -> None:
    setting.cancel("c1", order_id=setting.place("mine"))
    second = setting.place("other")
    setting.cancel("c1", order_id=second)
    assert setting.heard[-1].row["CxlRejReason"] == "DuplicateClOrdID"


def test_who_has_left_hears_nothing(setting: Setting) -> None:
    setting.forget()
    setting.forget()
    setting.place("mine")
    assert setting.heard == []
