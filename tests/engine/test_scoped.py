"""One command for a scope: what it cancels, what it leaves, what it waits for, and what it says in the end."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canceld.contract.evidence import OrderState, OrderTerms
from canceld.contract.ids import Target, Venue
from canceld.contract.outcomes import (
    SAFE,
    Acked,
    Canceled,
    Closed,
    NotOpen,
    Outcome,
    Refused,
    Rejected,
    Settlement,
    Unknown,
)
from canceld.contract.selectors import Selector
from canceld.engine.instants import MS
from canceld.engine.resting import Resting
from canceld.engine.scope import Moment, Own, ScopeAt
from canceld.engine.scope_verdict import UNSETTLED
from canceld.engine.scoped import GAP_NS, GRACE_NS, CancelThese, Done, FireMarket, Patience, ScopedCancel
from canceld.engine.sweep import Look

STRATEGIES = {"mm-1": Own("mm1-", frozenset({7}))}
DEADLINE_NS = 2_000 * MS
UTC_NS = 1_700_000_000_000_000_000
HEDGE_NS = 400 * MS
PATIENT = Patience(HEDGE_NS)


def told(order_id: str, **changes: Any) -> OrderState:
    """An order as a stream describes it: a buy of BTC/USD under no name, unless told otherwise."""
    symbol, side = changes.pop("symbol", "BTC/USD"), changes.pop("side", "buy")
    whole = changes.pop("whole", True)
    terms = OrderTerms(symbol, side, "1") if whole else None
    return OrderState(order_id, "open", symbol=symbol if whole else None, terms=terms, **changes)


class Desk:
    """A command for a scope, with a book under it and a clock beside it."""

    def __init__(
        self,
        *scope: Selector,
        book: Sequence[OrderState] = (),
        venue: Venue = "spot",
        proof: bool = False,
        witnessed: bool = True,
        patience: Patience = PATIENT,
    ) -> None:
        self.now_ns = 0
        self.book = Resting(100)
        for state in book:
            self.book.apply(state, 0)
        moment = Moment(0, UTC_NS)
        at = ScopeAt(venue, scope, STRATEGIES)
        self.command = ScopedCancel(at, self.book, patience, proof=proof, as_of=moment, deadline_ns=DEADLINE_NS)
        self.venue = venue
        self.command.begin(0, witnessed=witnessed)

    def effects(self) -> list[Any]:
        effects, self.command.effects = self.command.effects, []
        return effects

    def cancels(self) -> set[Any]:
        """What was asked to be cancelled since the last look at the effects, which held nothing else."""
        effects = self.effects()
        assert all(isinstance(effect, CancelThese) for effect in effects), effects
        return {target.value for effect in effects for target in effect.targets}

    def settle(self, order_id: str, outcome: Outcome, error: str | None = None) -> None:
        if isinstance(outcome, Canceled | Closed):
            state = "canceled" if isinstance(outcome, Canceled) else outcome.state
            self.book.apply(OrderState(order_id, state, filled_qty=outcome.filled_qty), self.now_ns)
        target = Target("order_id", order_id)
        settlement = Settlement(
            venue=self.venue, target=target, outcome=outcome, route="ws", order_id=order_id, attempts=1, error=error
        )
        self.command.settled(target, settlement, self.now_ns)

    def look(self, *states: OrderState) -> None:
        """Answer the look that was asked for by exactly these open orders."""
        (effect,) = self.effects()
        assert isinstance(effect, Look)
        for state in states:
            self.book.apply(state, self.now_ns, by_list=True)
        listed = {state.order_id for state in states}
        self.book.vanish(listed, self.now_ns)
        self.command.look_answered(effect.number, listed, self.now_ns)

    def open(self, state: OrderState) -> None:
        self.book.apply(state, self.now_ns)
        self.command.opened(state.order_id, self.now_ns)

    def wait_until(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.command.on_time(now_ns)

    def answer(self) -> Settlement:
        """The one answer, after which the command asks for nothing more."""
        *_, done = self.effects()
        assert isinstance(done, Done)
        assert self.command.done
        return done.settlement


def test_what_fits_is_cancelled_and_nothing_else() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1"), told("A-2", side="sell"), told("A-3")])
    assert desk.cancels() == {"A-1", "A-3"}
    desk.settle("A-1", Acked())
    desk.settle("A-3", Acked())
    answer = desk.answer()
    assert answer.outcome == Acked()
    assert (answer.count, answer.order_ids, answer.residual, answer.unsure) == (2, ("A-1", "A-3"), (), ())


def test_that_nothing_fits_is_said_after_a_look() -> None:
    desk = Desk(Selector(userref=7), book=[told("A-1")])
    desk.look(told("A-1"))
    answer = desk.answer()
    assert answer.outcome == NotOpen()
    assert (answer.count, answer.attempts) == (0, 0)


def test_that_nothing_fits_is_unknown_where_no_list_came_by_the_deadline() -> None:
    """An order was placed a moment before, and its event is still on the way: the stream's word is no proof."""
    desk = Desk(Selector(userref=7), book=[told("A-1")])
    desk.effects()
    desk.wait_until(DEADLINE_NS + GRACE_NS)
    assert isinstance(desk.answer().outcome, Unknown)


def test_an_order_that_cannot_be_told_is_looked_up_before_it_is_touched() -> None:
    """Of one order only the id came over the stream; the list tells that it is a sell, and it is left alone."""
    desk = Desk(Selector(side="buy"), book=[told("A-1", whole=False), told("A-2", whole=False)])
    desk.look(told("A-1", side="sell"), told("A-2"))
    assert desk.cancels() == {"A-2"}
    desk.settle("A-2", Acked())
    assert desk.answer().order_ids == ("A-2",)


def test_what_stays_untold_is_reported_never_cancelled_and_never_silently_left() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1", whole=False), told("A-2")])
    cancel, look = desk.effects()
    assert cancel == CancelThese((Target("order_id", "A-2"),))
    desk.settle("A-2", Acked())
    for state in (told("A-1", whole=False), told("A-2")):
        desk.book.apply(state, 1, by_list=True)
    desk.command.look_answered(look.number, {"A-1", "A-2"}, 1)
    answer = desk.answer()
    assert answer.unsure == ("A-1",)
    assert isinstance(answer.outcome, Unknown)
    assert answer.error is not None
    assert answer.count == 1


def test_lists_that_fail_are_asked_for_again_until_the_deadline() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1", whole=False)])
    for number in range(1, 9):
        assert desk.effects() == [Look(number)]
        desk.command.look_failed(number, "HTTP 502", desk.now_ns)
        desk.wait_until(number * GAP_NS)
    desk.wait_until(DEADLINE_NS + GRACE_NS)
    answer = desk.answer()
    assert isinstance(answer.outcome, Unknown)
    assert answer.unsure == ("A-1",)
    assert answer.error is not None
    assert answer.error.endswith("last heard: HTTP 502")


def test_without_a_stream_the_book_is_not_believed_to_be_whole() -> None:
    """Both sessions are down: what was known is cancelled at once, and a list tells what else there is."""
    desk = Desk(Selector(userref=7), book=[told("A-1", userref=7)], witnessed=False)
    first, second = desk.effects()
    assert first == CancelThese((Target("order_id", "A-1"),))
    assert second == Look(1)
    for state in (told("A-1", userref=7), told("A-2", userref=7), told("A-3", userref=8)):
        desk.book.apply(state, desk.now_ns, by_list=True)
    desk.command.look_answered(1, {"A-1", "A-2", "A-3"}, desk.now_ns)
    assert desk.cancels() == {"A-2"}
    desk.settle("A-1", Acked())
    desk.settle("A-2", Acked())
    assert desk.answer().count == 2


def test_an_order_born_meanwhile_is_met() -> None:
    desk = Desk(Selector(symbol="BTC/USD"), book=[told("A-1")])
    assert desk.cancels() == {"A-1"}
    desk.open(told("A-2"))
    desk.open(told("A-3", symbol="ETH/USD"))
    assert desk.cancels() == {"A-2"}
    desk.settle("A-1", Acked())
    assert not desk.command.done
    desk.settle("A-2", Acked())
    assert desk.answer().order_ids == ("A-1", "A-2")
    desk.open(told("A-4"))
    assert desk.effects() == [], "it was answered: what is placed now was not meant"


def test_an_age_counts_from_when_the_command_came() -> None:
    """A trader who cancels what is older than a second does not mean the quotes that he places next."""
    old, young = UTC_NS / 1e9 - 2, UTC_NS / 1e9
    desk = Desk(Selector(older_than_ms=1_000), book=[told("A-1", opened_s=old), told("A-2", opened_s=young)])
    assert desk.cancels() == {"A-1"}
    desk.wait_until(DEADLINE_NS - 1)
    desk.open(told("A-3", opened_s=young + 0.1))
    assert desk.effects() == []


def test_proof_wants_a_list_that_was_asked_for_after_the_last_cancel() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1"), told("A-2", side="sell")], proof=True)
    assert desk.cancels() == {"A-1"}
    desk.settle("A-1", Canceled("0.5"))
    desk.look(told("A-2", side="sell"))
    answer = desk.answer()
    assert answer.outcome == Canceled("0.5")
    assert (answer.count, answer.filled_qty) == (1, "0.5")


def test_what_the_second_look_finds_is_cancelled_and_looked_for_again() -> None:
    """An order was placed before the command and the stream was slow to tell of it: born in the gap."""
    desk = Desk(Selector(side="buy"), book=[told("A-1")], proof=True)
    assert desk.cancels() == {"A-1"}
    desk.settle("A-1", Canceled())
    desk.look(told("A-9"))
    assert desk.cancels() == {"A-9"}
    desk.settle("A-9", Canceled())
    assert desk.effects() == [], "lists are not asked for without a pause"
    desk.wait_until(GAP_NS)
    desk.look()
    answer = desk.answer()
    assert answer.outcome == Canceled()
    assert answer.order_ids == ("A-1", "A-9")


def test_an_order_that_was_called_gone_and_is_listed_is_cancelled_again() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1")], proof=True)
    desk.effects()
    desk.settle("A-1", NotOpen())
    desk.look(told("A-1"))
    assert desk.cancels() == {"A-1"}
    desk.settle("A-1", Canceled())
    desk.wait_until(GAP_NS)
    desk.look()
    assert desk.answer().outcome == Canceled()


def test_where_a_session_tells_the_list_two_in_a_row_must_show_nothing() -> None:
    patience = Patience(HEDGE_NS, looks=2)
    desk = Desk(Selector(side="buy"), book=[told("A-1")], venue="prime", proof=True, patience=patience)
    desk.effects()
    desk.settle("A-1", Canceled())
    desk.look()
    assert not desk.command.done
    desk.wait_until(GAP_NS)
    desk.look()
    assert desk.answer().outcome == Canceled()


def test_a_list_that_cannot_be_had_is_no_proof() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1")], proof=True)
    desk.effects()
    desk.settle("A-1", Canceled())
    desk.wait_until(DEADLINE_NS + GRACE_NS)
    answer = desk.answer()
    assert isinstance(answer.outcome, Unknown)
    assert answer.count == 1


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([Acked(), Canceled()], Acked()),
        ([Closed("filled"), Canceled()], Acked()),
        ([Rejected("permission"), Acked()], Rejected("permission")),
        ([Rejected("permission"), Unknown(("ws",))], Unknown(("ws",))),
        ([Refused("no_route", ""), Refused("no_route", "")], Refused("no_route", "")),
        ([Refused("no_route", ""), Acked()], Unknown(("ws",))),
    ],
)
def test_the_most_careful_outcome_holds_for_all(outcomes: list[Outcome], worst: Outcome) -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1"), told("A-2")])
    for number, outcome in enumerate(outcomes, 1):
        desk.settle(f"A-{number}", outcome)
    assert desk.answer().outcome == worst


def test_silence_until_the_deadline_is_unknown_and_names_what_rests() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1"), told("A-2")])
    desk.settle("A-1", Acked())
    desk.wait_until(DEADLINE_NS + GRACE_NS)
    answer = desk.answer()
    assert isinstance(answer.outcome, Unknown)
    assert (answer.count, answer.residual) == (1, ("A-2",))


# ---------------------------------------------------------------- a cancel-all for one symbol

FIRES = Patience(HEDGE_NS, markets=True)


def test_a_symbol_that_is_meant_whole_goes_by_the_venues_own_request() -> None:
    """It meets an order too of which nobody has told; an order of another symbol in the scope goes by its id."""
    scope = (Selector(symbol="PF_XBTUSD"), Selector(symbol="PF_ETHUSD", side="sell"))
    book = [told("A-1", symbol="PF_XBTUSD"), told("A-2", symbol="PF_ETHUSD", side="sell")]
    desk = Desk(*scope, book=book, venue="futures", patience=FIRES)
    assert desk.effects() == [FireMarket("PF_XBTUSD"), CancelThese((Target("order_id", "A-2"),))]
    desk.settle("A-2", Canceled())
    ended = [OrderState("A-1", "canceled"), OrderState("A-9", "canceled")]
    for state in ended:
        desk.book.apply(state, 1)
    desk.command.market_answered("PF_XBTUSD", ended, 1)
    answer = desk.answer()
    assert answer.outcome == Acked()
    assert (answer.count, set(answer.order_ids or ())) == (3, {"A-1", "A-2", "A-9"})


def test_what_the_request_for_a_symbol_left_is_cancelled_by_its_id() -> None:
    book = [told("A-1", symbol="PF_XBTUSD"), told("A-2", symbol="PF_XBTUSD")]
    desk = Desk(Selector(symbol="pf_xbtusd"), book=book, venue="futures", patience=FIRES)
    assert desk.effects() == [FireMarket("pf_xbtusd")]
    desk.book.apply(OrderState("A-1", "canceled"), 1)
    desk.command.market_answered("pf_xbtusd", [OrderState("A-1", "canceled")], 1)
    assert desk.cancels() == {"A-2"}


@pytest.mark.parametrize("silent", [True, False])
def test_a_request_for_a_symbol_that_fails_or_is_silent_is_followed_by_the_orders_ids(silent: bool) -> None:
    desk = Desk(Selector(symbol="PF_XBTUSD"), book=[told("A-1", symbol="PF_XBTUSD")], venue="futures", patience=FIRES)
    assert desk.effects() == [FireMarket("PF_XBTUSD")]
    if silent:
        desk.wait_until(HEDGE_NS)
    else:
        desk.command.market_failed("PF_XBTUSD", "HTTP 503", 1)
    assert desk.cancels() == {"A-1"}
    desk.settle("A-1", Canceled())
    assert desk.answer().outcome == Acked()


@pytest.mark.parametrize("outcome", [Closed("filled"), NotOpen()])
def test_orders_that_had_ended_are_told_after_a_look(outcome: Outcome) -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1")])
    desk.effects()
    desk.settle("A-1", outcome)
    desk.look()
    assert desk.answer().outcome == outcome


# ---------------------------------------------------------------- whatever happens


class World:
    """A venue with a book of its own, whose news come late and in pieces; the command sees only what it tells."""

    def __init__(self, rng: random.Random, venue: Venue, scope: Sequence[Selector], proof: bool) -> None:
        self.rng = rng
        self.venue = venue
        self.now_ns = 0
        self.truth: dict[str, OrderState] = {}
        self.meant: dict[str, bool] = {}
        self.born_ns: dict[str, int] = {}
        self.canceled_by_us: list[str] = []
        self.touched: set[str] = set()
        self.taken_in_silence: set[str] = set()
        self.lists_failed = False
        self.listed_ns = 0
        self.events: list[tuple[int, int, Any]] = []
        self.tick = 0
        self.answer: Settlement | None = None
        self.whole = ScopeAt(venue, scope, STRATEGIES)
        self.proof = proof
        self.book = Resting(1_000)
        for _ in range(rng.randrange(6)):
            self.place(rng.random() < 0.7)
        patience = Patience(HEDGE_NS, markets=venue == "futures", looks=2 if venue == "prime" else 1)
        moment = Moment(0, UTC_NS)
        self.command = ScopedCancel(self.whole, self.book, patience, proof=proof, as_of=moment, deadline_ns=DEADLINE_NS)
        self.command.begin(0, witnessed=True)
        self.carry_out()

    def later(self, low_ms: int, high_ms: int, what: Any) -> None:
        self.tick += 1
        self.events.append((self.now_ns + self.rng.randint(low_ms, high_ms) * MS, self.tick, what))

    def place(self, told_already: bool) -> None:
        order_id = f"A-{len(self.meant)}"
        state = told(
            order_id,
            symbol=self.rng.choice(["BTC/USD", "ETH/USD"]),
            side=self.rng.choice(["buy", "sell"]),
            cl_ord_id=self.rng.choice(["mm1-", "mm2-", "x"]) + str(len(self.meant)),
            userref=self.rng.choice([None, 7, 8]) if self.venue == "spot" else None,
            opened_s=UTC_NS / 1e9 - self.rng.choice([0, 10]) + self.now_ns / 1e9,
        )
        self.truth[order_id] = state
        self.born_ns[order_id] = self.now_ns
        whole = Resting(2)
        whole.apply(state, 0)
        row = whole.get(order_id)
        assert row is not None
        self.meant[order_id] = self.whole.fit(row, Moment(0, UTC_NS)).value == "meant"
        piece = OrderState(order_id, "open") if self.rng.random() < 0.3 else state
        if told_already:
            self.book.apply(piece, self.now_ns)
        else:
            self.later(0, 300, ("opened", piece))

    def carry_out(self) -> None:
        while self.command.effects:
            effects, self.command.effects = self.command.effects, []
            for effect in effects:
                match effect:
                    case CancelThese(targets=targets):
                        for target in targets:
                            self.touched.add(str(target.value))
                            self.later(1, 200, ("cancel", target))
                    case FireMarket(symbol=symbol):
                        self.later(1, 600, ("fire", symbol))
                    case Look(number=number):
                        listed = list(self.truth.values())
                        self.later(1, 200, ("list", number, listed, self.now_ns))
                    case Done(settlement=settlement):
                        assert self.answer is None, "answered twice"
                        self.answer = settlement

    def end(self, order_id: str, status: Any) -> None:
        if self.truth.pop(order_id, None) is not None:
            self.later(0, 100, ("ended", OrderState(order_id, status)))

    def happen(self, what: Any) -> None:
        match what:
            case ("opened", state):
                if self.book.get(state.order_id) is None:
                    self.book.apply(state, self.now_ns)
                    self.command.opened(state.order_id, self.now_ns)
            case ("ended", state):
                self.book.apply(state, self.now_ns)
            case ("cancel", target):
                order_id = str(target.value)
                outcome: Outcome = NotOpen()
                if order_id in self.truth:
                    self.canceled_by_us.append(order_id)
                    self.end(order_id, "canceled")
                    outcome = Canceled() if self.proof else Acked()
                    if self.proof:
                        self.book.apply(OrderState(order_id, "canceled"), self.now_ns)
                settlement = Settlement(venue=self.venue, target=target, outcome=outcome, order_id=order_id, route="ws")
                self.command.settled(target, settlement, self.now_ns)
            case ("fire", symbol):
                taken = [OrderState(i, "canceled") for i, state in self.truth.items() if state.symbol == symbol]
                for state in taken:
                    self.touched.add(state.order_id)
                    self.canceled_by_us.append(state.order_id)
                    if self.now_ns >= HEDGE_NS:
                        self.taken_in_silence.add(state.order_id)
                    self.end(state.order_id, "canceled")
                    self.book.apply(state, self.now_ns)
                self.command.market_answered(symbol, taken, self.now_ns)
            case ("list", number, listed, asked_ns):
                if self.rng.random() < 0.2:
                    self.lists_failed = True
                    self.command.look_failed(number, "HTTP 502", self.now_ns)
                    return
                for state in listed:
                    self.book.apply(state, self.now_ns, by_list=True)
                self.listed_ns = asked_ns
                names = {state.order_id for state in listed}
                self.book.vanish(names, asked_ns)
                self.command.look_answered(number, names, self.now_ns)

    def run(self) -> Settlement:
        while self.answer is None:
            due = min(self.events, default=None)
            if due is None or self.command.wake_ns <= due[0]:
                self.now_ns = max(self.now_ns, self.command.wake_ns)
                self.command.on_time(self.now_ns)
            else:
                self.events.remove(due)
                self.now_ns = max(self.now_ns, due[0])
                self.happen(due[2])
            if self.rng.random() < 0.2 and self.truth:
                self.end(self.rng.choice(sorted(self.truth)), "filled")
            if self.rng.random() < 0.15 and len(self.meant) < 30:
                self.place(False)
            self.carry_out()
            assert self.now_ns <= DEADLINE_NS + GRACE_NS
        return self.answer


SCOPES = st.lists(
    st.builds(
        Selector,
        symbol=st.none() | st.sampled_from(["BTC/USD", "ETH/USD"]),
        side=st.none() | st.sampled_from(["buy", "sell"]),
        cl_ord_id_prefix=st.none() | st.sampled_from(["mm1-", "mm2-"]),
        older_than_ms=st.none() | st.just(5_000),
        strategy=st.none() | st.just("mm-1"),
    ).filter(lambda selector: selector != Selector()),
    min_size=1,
    max_size=2,
)


@settings(max_examples=400)
@given(st.integers(0, 2**32), st.sampled_from(["spot", "prime", "futures"]), SCOPES, st.booleans())
def test_nothing_outside_is_touched_and_what_is_said_to_be_gone_is(
    seed: int, venue: Venue, scope: list[Selector], proof: bool
) -> None:
    world = World(random.Random(seed), venue, scope, proof)

    answer = world.run()

    outside = {order_id for order_id, meant in world.meant.items() if not meant}
    assert not world.touched & outside
    order_ids = answer.order_ids
    assert order_ids is not None
    assert answer.count == len(order_ids) == len(set(order_ids))
    assert set(order_ids) <= set(world.canceled_by_us)
    if not world.lists_failed and isinstance(answer.outcome, Unknown):
        assert answer.error == UNSETTLED or not answer.unsure, "the list would have told"
    if isinstance(answer.outcome, (*SAFE, Acked)):
        assert not answer.unsure
        missing = set(world.canceled_by_us) - set(order_ids)
        # What a request took that was given up as silent may be told after the answer.
        assert missing <= world.taken_in_silence, "an order that went is missing in the answer"
        inside_open = {order_id for order_id in world.truth if world.meant[order_id]}
        if proof:
            # Only what was placed since the last list was asked for may rest.
            assert not {order_id for order_id in inside_open if world.born_ns[order_id] < world.listed_ns}
        else:
            told_of = {order_id for order_id in inside_open if world.book.is_open(order_id)}
            assert not told_of, "an order of the scope was known to rest, and was left"


def test_a_list_that_was_asked_for_before_the_last_cancel_was_settled_proves_nothing() -> None:
    desk = Desk(Selector(side="buy"), book=[told("A-1"), told("A-2", whole=False)], proof=True)
    _, look = desk.effects()
    desk.now_ns = 1
    desk.settle("A-1", Canceled())
    desk.book.apply(told("A-2", side="sell"), 1)
    desk.command.look_answered(look.number, {"A-2"}, 1)
    assert not desk.command.done
    desk.wait_until(GAP_NS)
    desk.look(told("A-2", side="sell"))
    assert desk.answer().outcome == Canceled()
