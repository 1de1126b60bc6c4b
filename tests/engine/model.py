"""A small venue that remembers what really rests, and everything that goes wrong between it and a desk."""

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random

from canceld.contract.evidence import (
    CancelAck,
    CancelAllAck,
    CancelReject,
    Evidence,
    Fault,
    Orders,
    OrderState,
    RestAnswer,
    RestCanceled,
    RestFailed,
    RestOrders,
    RestUnreadable,
)
from canceld.contract.ids import EVERYTHING, Reqid, Target
from canceld.contract.outcomes import SAFE, Acked, Canceled, Closed, Refused, Unknown
from canceld.engine.calls import Call
from canceld.engine.effects import Redial, RenewToken, Send
from canceld.engine.instants import FAR_NS, MS
from canceld.engine.lane import Lane
from canceld.engine.pursuits.pursuit import Pursuit
from canceld.engine.reactions import RULES

from .desk import OVERTAKE_MS, Desk, named, order, userref


class Order:
    """One order of the book. It is `placed` before it is `visible`: a cancel in between finds nothing."""

    def __init__(self, order_id: str, placed_ms: float, visible_ms: float, name: str | None, ref: int | None) -> None:
        self.order_id = order_id
        self.placed_ms = placed_ms
        self.visible_ms = visible_ms
        self.name = name
        self.ref = ref
        self.status = "open"
        self.ended_ms = 0.0

    def state(self) -> OrderState:
        status = self.status if self.status in ("open", "canceled", "filled") else None
        return OrderState(self.order_id, status, self.name, self.ref, filled_qty="0")  # type: ignore[arg-type]


class Asked:
    """A cancel that a client asked for."""

    def __init__(self, target: Target, proof: bool, asked_ms: float, deadline_ms: float) -> None:
        self.target = target
        self.proof = proof
        self.asked_ms = asked_ms
        self.deadline_ms = deadline_ms

    @property
    def window_ms(self) -> float:
        """Until when an order that appears late must still be found."""
        return self.asked_ms + min(OVERTAKE_MS, (self.deadline_ms - self.asked_ms) * 3 / 4)


class Simulation(Desk):
    """Clients, a book, two sessions and a REST lane with everything that goes wrong between them, from one seed.

    Each kind of fault is switched off in some runs, so that the others are seen without it. Whatever the engine answers
    is held against the book at that moment.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.entries = 0
        self.book: dict[str, Order] = {}
        self.asked: dict[int, Asked] = {}
        self.outcomes: Counter[str] = Counter()
        self.left: list[tuple[float, Target]] = []
        self.userref_sends: dict[Pursuit, list[Reqid]] = {}
        self.settled_reqids: set[Reqid] = set()
        self.epoch = {0: 0, 1: 0}
        self.stalled: dict[Lane, bool] = {0: False, 1: False}
        self.token_dead: dict[Lane, bool] = {0: False, 1: False}
        self.next_event_ms: dict[Lane, float] = {0: 0.0, 1: 0.0}
        self.maintenance = False
        self.rest_down = False
        self.rest_busy = 0
        odds = {
            "request lost": 0.08,
            "answer lost": 0.08,
            "answer twice": 0.1,
            "event lost": 0.03,
            "slow": 0.1,
            "throttled": 0.06,
            "busy": 0.04,
            "forbidden": 0.03,
            "transient": 0.05,
            "unlisted": 0.03,
            "rest not left": 0.1,
            "rest lost": 0.1,
            "rest unreadable": 0.06,
            "listing lags": 0.2,
        }
        self.odds = {fault: p if self.random.random() < 0.6 else 0.0 for fault, p in odds.items()}
        super().__init__()
        self.pursuits.policy = self.pursuits.policy._replace(named_ends=True)

    # ---------------------------------------------------------------- time

    def chance(self, fault: str) -> bool:
        return self.random.random() < self.odds[fault]

    def at(self, delay_ms: float, action: Callable[[], None]) -> None:
        self.entries += 1
        heapq.heappush(self.agenda, (self.now_ms + delay_ms, self.entries, action))

    def delay_ms(self) -> float:
        return self.random.uniform(200, 900) if self.chance("slow") else self.random.uniform(1, 40)

    def run(self) -> None:
        r = self.random
        for lane in (0, 1):
            if r.random() < 0.8:
                self.connect(lane)
        for _ in range(r.randint(4, 14)):
            self.at(r.uniform(0, 3000), self.place)
        # A list of open orders counts against old orders only, so some runs let the first ones grow old.
        start_ms = r.choice((0, 0, 2500))
        for _ in range(r.randint(4, 20)):
            self.at(start_ms + r.uniform(0, 3500), self.ask)
        for _ in range(r.randint(0, 6)):
            self.at(start_ms + r.uniform(0, 3500), self.fill)
        for trouble in (self.lose_session, self.stall, self.kill_token, self.maintain, self.stop_rest):
            for _ in range(r.choice((0, 0, 1, 2))):
                self.at(start_ms + r.uniform(0, 3500), trouble)
        steps = 0
        while self.agenda or self.pursuits.next_wake_ns != FAR_NS:
            steps += 1
            assert steps < 20_000, "the run does not come to an end"
            wake_ns = self.pursuits.next_wake_ns
            if wake_ns != FAR_NS and (not self.agenda or wake_ns / MS <= self.agenda[0][0]):
                self.now_ms = max(self.now_ms, wake_ns / MS)
                self.pursuits.on_time(self.now_ns)
            else:
                self.now_ms, _, action = heapq.heappop(self.agenda)
                action()
            self.carry_out()
        assert set(self.asked) == set(self.answers), "every command is answered"
        assert self.pursuits.idle, "nothing is left behind"
        assert self.pursuits.active == 0
        late = Counter(late.ticket for late in self.lates)
        assert all(n == 1 for n in late.values()), "late news is told once"
        assert all(isinstance(self.outcome(ticket), Unknown) for ticket in late)

    def carry_out(self) -> None:
        answered = set(self.answers)
        super().carry_out()
        for send in self.take():
            self.transmit(send)
        told, self.told = self.told, []
        for effect in told:
            if isinstance(effect, RenewToken):
                self.renew(effect.lane, self.epoch[effect.lane])
            elif isinstance(effect, Redial) and effect.lane in self.pursuits.live:
                self.disconnect(effect.lane)
        if self.rest_ready:
            self.rest_ready = 0
            self.at(0, self.call_rest)
        for ticket in sorted(set(self.answers) - answered):
            self.check(ticket)
        if self.pursuits.effects:
            self.carry_out()

    # ---------------------------------------------------------------- sessions

    def connect(self, lane: Lane) -> None:
        if lane in self.pursuits.live:
            return
        self.epoch[lane] += 1
        self.stalled[lane] = self.token_dead[lane] = False
        snapshot = tuple(o.state() for o in self.book.values() if self.rests(o))
        if self.random.random() < 0.5:
            self.pursuits.sessions.up(lane, self.now_ns)
            self.pursuits.sessions.evidence(lane, Orders(snapshot, snapshot=True), self.now_ns)
        else:
            self.pursuits.sessions.evidence(lane, Orders(snapshot, snapshot=True), self.now_ns)
            self.pursuits.sessions.up(lane, self.now_ns)
        self.carry_out()

    def disconnect(self, lane: Lane) -> None:
        if lane not in self.pursuits.live:
            return
        self.epoch[lane] += 1
        self.pursuits.sessions.down(lane, self.now_ns)
        self.at(self.random.uniform(1, 800), lambda: self.connect(lane))

    def lose_session(self) -> None:
        self.disconnect(self.random.choice((0, 1)))

    def stall(self) -> None:
        lane = self.random.choice((0, 1))
        self.stalled[lane] = True
        epoch = self.epoch[lane]
        self.at(self.random.uniform(300, 3000), lambda: self.disconnect(lane) if self.epoch[lane] == epoch else None)

    def kill_token(self) -> None:
        self.token_dead[self.random.choice((0, 1))] = True

    def renew(self, lane: Lane, epoch: int) -> None:
        def done() -> None:
            if self.epoch[lane] == epoch:
                if self.random.random() < 0.7:
                    self.token_dead[lane] = self.random.random() < 0.2
                    self.pursuits.sessions.token_renewed(lane, self.now_ns)
                else:
                    self.pursuits.sessions.token_failed(lane, self.now_ns)

        self.at(self.delay_ms() * 3, done)

    def maintain(self) -> None:
        self.maintenance = True
        if self.pursuits.live:
            self.pursuits.sessions.mode_changed("maintenance", self.now_ns)
        self.at(self.random.uniform(100, 1500), self.serve)

    def serve(self) -> None:
        self.maintenance = False
        self.pursuits.sessions.mode_changed("online", self.now_ns)

    def transmit(self, send: Send) -> None:
        self.left.append((self.now_ms, send.target))
        if send.target.kind == "userref":
            self.note_userref(send.reqid)
        if not self.stalled[send.lane] and not self.chance("request lost"):
            epoch = self.epoch[send.lane]
            self.at(self.delay_ms(), lambda: self.arrive(send, epoch))

    def note_userref(self, reqid: Reqid) -> None:
        attempt = self.pursuits.inflight.find(reqid)
        assert attempt is not None
        earlier = self.userref_sends.setdefault(attempt.of, [])
        assert all(r in self.settled_reqids for r in earlier), "a userref left again while the first may have worked"
        earlier.append(reqid)

    def arrive(self, send: Send, epoch: int) -> None:
        for answer in self.serve_cancel(send.reqid, send.target, self.token_dead[send.lane]):
            for _ in range(2 if self.chance("answer twice") else 1):
                if not self.chance("answer lost"):
                    self.at(self.delay_ms(), lambda answer=answer: self.say(send.lane, epoch, answer))  # type: ignore[misc]

    def say(self, lane: Lane, epoch: int, evidence: Evidence) -> None:
        if self.epoch[lane] == epoch and not self.stalled[lane]:
            if isinstance(evidence, CancelReject) and not RULES[evidence.fault].ambiguous:
                self.settled_reqids.add(evidence.reqid)
            self.pursuits.sessions.evidence(lane, evidence, self.now_ns)

    # ---------------------------------------------------------------- the book

    def rests(self, order: Order) -> bool:
        return order.status == "open" and order.visible_ms <= self.now_ms

    def place(self) -> None:
        r = self.random
        name = r.choice(("a", "b", None, None))
        if any(o.name == name and (o.status == "open" or self.now_ms < o.ended_ms + 10) for o in self.book.values()):
            name = None
        ref = r.choice((7, 8, None)) if name is None else None
        overtaken_ms = r.uniform(0, 150) if r.random() < 0.5 else 0
        new = Order(f"O-{len(self.book)}", self.now_ms, self.now_ms + overtaken_ms, name, ref)
        self.book[new.order_id] = new
        self.at(overtaken_ms, lambda: self.publish(new))

    def fill(self) -> None:
        resting = [o for o in self.book.values() if self.rests(o)]
        if resting:
            self.end(self.random.choice(resting), "filled")

    def end(self, order: Order, status: str) -> None:
        order.status = status
        order.ended_ms = self.now_ms
        self.publish(order)

    def publish(self, order: Order) -> None:
        state = order.state()
        for lane in self.pursuits.live:
            if self.stalled[lane] or self.chance("event lost"):
                continue
            at_ms = self.next_event_ms[lane] = max(self.next_event_ms[lane], self.now_ms + self.delay_ms())
            epoch = self.epoch[lane]
            news = Orders((state,), snapshot=False)
            self.at(at_ms - self.now_ms, lambda lane=lane, epoch=epoch, news=news: self.say(lane, epoch, news))  # type: ignore[misc]

    def hit(self, target: Target) -> list[Order]:
        kind, value = target
        found = [o for o in self.book.values() if self.rests(o)]
        if kind == "order_id":
            return [o for o in found if o.order_id == value]
        if kind == "cl_ord_id":
            return [o for o in found if o.name == value]
        return [o for o in found if kind == "all" or o.ref == value]

    def serve_cancel(self, reqid: Reqid, target: Target, token_dead: bool) -> list[Evidence]:
        def refuse(fault: Fault) -> CancelReject:
            return CancelReject(reqid, fault, fault.name)

        if token_dead:
            return [refuse(Fault.STALE_TOKEN)]
        if self.maintenance:
            return [refuse(Fault.UNAVAILABLE)]
        for fault, word in ((Fault.ROUTE_BUSY, "busy"), (Fault.PERMISSION, "forbidden")):
            if self.chance(word):
                return [refuse(fault)]
        for fault, word in ((Fault.TRANSIENT, "transient"), (Fault.UNLISTED, "unlisted")):
            if self.chance(word):
                if self.random.random() < 0.5:
                    for order_ in self.hit(target):
                        self.end(order_, "canceled")
                return [refuse(fault)]
        hit = self.hit(target)
        if target.kind == "all":
            for order_ in hit:
                self.end(order_, "canceled")
            return [CancelAllAck(reqid, len(hit))]
        if not hit:
            return [refuse(Fault.NOT_OPEN)]
        answers: list[Evidence] = []
        for order_ in hit:
            if self.chance("throttled"):
                answers.append(refuse(Fault.THROTTLED))
            else:
                self.end(order_, "canceled")
                answers.append(CancelAck(reqid, order_.order_id if self.random.random() < 0.3 else None))
        return answers

    # ---------------------------------------------------------------- REST

    def stop_rest(self) -> None:
        self.rest_down = True
        self.at(self.random.uniform(100, 2000), self.start_rest)

    def start_rest(self) -> None:
        self.rest_down = False

    def call_rest(self) -> None:
        while self.rest_busy < 2 and self.pursuits.rest.wants_call:
            call = self.pursuits.rest.next_call(self.now_ns)
            if call is None:
                return
            self.rest_busy += 1
            for attempt in call.attempts:
                if attempt.of.key.kind == "userref":
                    self.note_userref(attempt.reqid)
            if self.rest_down or self.chance("rest not left"):
                self.at(self.random.choice((0, 30)), lambda call=call: self.rest_over(call, None, False))  # type: ignore[misc]
            elif self.chance("rest lost"):
                self.note_left(call)
                self.at(self.random.uniform(50, 2500), lambda call=call: self.rest_over(call, None, True))  # type: ignore[misc]
            else:
                self.note_left(call)
                self.at(self.delay_ms(), lambda call=call: self.serve_rest(call))  # type: ignore[misc]

    def note_left(self, call: Call) -> None:
        self.left += [(self.now_ms, attempt.of.key) for attempt in call.attempts]

    def serve_rest(self, call: Call) -> None:
        answer: RestAnswer | None = self.rest_answer(call)
        lost = self.chance("rest lost")
        if self.chance("rest unreadable"):
            answer = RestUnreadable("HTTP 502")
        self.at(self.delay_ms(), lambda: self.rest_over(call, None if lost else answer, True))

    def rest_over(self, call: Call, answer: RestAnswer | None, left: bool) -> None:
        self.rest_busy -= 1
        refused = isinstance(answer, RestFailed) and not RULES[answer.fault].ambiguous
        if refused or not left or isinstance(answer, RestCanceled):
            self.settled_reqids.update(attempt.reqid for attempt in call.attempts)
        if answer is None:
            self.pursuits.rest.failed(call, left, "REST cannot be reached", self.now_ns)
        else:
            self.pursuits.rest.answered(call, answer, self.now_ns)
        self.at(0, self.call_rest)

    def rest_answer(self, call: Call) -> RestAnswer:
        if self.maintenance:
            return RestFailed(Fault.UNAVAILABLE, "EService:Unavailable")
        if self.chance("busy"):
            return RestFailed(Fault.ROUTE_BUSY, "EAPI:Rate limit exceeded")
        if call.form == "open_orders":
            lagging = self.now_ms - 100 if self.chance("listing lags") else self.now_ms
            return RestOrders(tuple(o.state() for o in self.hit(call.targets[0]) if o.visible_ms <= lagging))
        if call.form == "ended":
            lagging = self.now_ms - 100 if self.chance("listing lags") else self.now_ms
            past = [o for o in self.book.values() if o.status != "open"]
            ended = [o for o in past if call.since_ns / MS <= o.ended_ms <= lagging]
            names = {target.value for target in call.targets if target.kind == "cl_ord_id"}
            return RestOrders(tuple(o.state() for o in ended if not names or o.name in names))
        if call.form == "query":
            known = [o for i in call.order_ids if (o := self.book.get(i)) is not None and o.visible_ms <= self.now_ms]
            if len(known) < len(call.order_ids) and (len(call.order_ids) == 1 or self.random.random() < 0.5):
                return RestFailed(Fault.NOT_OPEN, "EOrder:Invalid order")
            return RestOrders(tuple(o.state() for o in known))
        targets = list(call.targets)
        count = 0
        for target in targets:
            if self.chance("throttled") and call.form != "batch":
                return RestFailed(Fault.THROTTLED, "EOrder:Rate limit exceeded")
            for order_ in self.hit(target):
                self.end(order_, "canceled")
                count += 1
        spoiled = call.form == "batch" and count < len(targets) and self.random.random() < 0.3
        if spoiled or (count == 0 and call.form != "all" and self.random.random() < 0.8):
            return RestFailed(Fault.NOT_OPEN, "EOrder:Invalid order")
        return RestCanceled(count, pending=False)

    # ---------------------------------------------------------------- clients

    def ask(self) -> None:
        r = self.random
        deadline_ms = self.now_ms + r.choice((50, 300, 1000, 2000, 3000))
        proof = r.random() < 0.4
        if r.random() < 0.1:
            tickets = []
            for _ in range(r.randint(2, 4)):
                target = order(r.choice([*self.book, "O-none"]))
                tickets.append((self.note(target, proof, deadline_ms), target))
            self.pursuits.submit_batch(tickets, proof, round(deadline_ms * MS), self.now_ns)
            return
        kind = r.random()
        if kind < 0.6:
            target = order(r.choice([*self.book, "O-none"]))
        elif kind < 0.75:
            target = named(r.choice(("a", "b")))
        elif kind < 0.92:
            target = userref(r.choice((7, 8)))
        else:
            target = EVERYTHING
        targets = [target] * r.choice((1, 1, 2))
        one = self.book.get(str(target.value))
        if one is not None and one.name is not None:
            targets.append(named(one.name))
            r.shuffle(targets)
        for target in targets:
            ticket = self.note(target, proof, deadline_ms)
            self.pursuits.submit(ticket, target, proof, round(deadline_ms * MS), self.now_ns)
            deadline_ms += r.choice((0, 500))

    def note(self, target: Target, proof: bool, deadline_ms: float) -> int:
        ticket = len(self.asked)
        self.asked[ticket] = Asked(target, proof, self.now_ms, deadline_ms)
        return ticket

    def check(self, ticket: int) -> None:
        """Hold one answer against the book."""
        asked = self.asked[ticket]
        settlement = self.answers[ticket]
        outcome = settlement.outcome
        what = f"ticket {ticket} {asked.target} at {self.now_ms:.3f}: {outcome}"
        self.outcomes[type(outcome).__name__] += 1
        assert self.now_ms <= asked.deadline_ms + 0.001, what
        assert not (asked.proof and isinstance(outcome, Acked)), what
        if isinstance(outcome, Refused):
            assert settlement.attempts == 0, what
            frames = [at for at, target in self.left if target == asked.target and asked.asked_ms <= at < self.now_ms]
            # A family's request serves those only who had asked when it left.
            assert not frames or asked.target.kind in ("userref", "all"), what
        if isinstance(outcome, SAFE):
            # An order that appears after the command's window is not what the command could find.
            for one in self.meant(asked):
                rests = one.status == "open" and one.visible_ms <= asked.window_ms
                assert not rests, f"{what}, but {one.order_id} rests or is about to"
        if asked.target.kind == "order_id":
            status = getattr(self.book.get(str(asked.target.value)), "status", None)
            if isinstance(outcome, Canceled | Acked):
                assert status == "canceled", what
            if isinstance(outcome, Closed) and outcome.state is not None:
                assert status == outcome.state, what

    def meant(self, asked: Asked) -> list[Order]:
        """The orders that must not rest after this command was told that nothing does."""
        kind, value = asked.target
        if kind == "order_id":
            return [o for o in self.book.values() if o.order_id == value]
        there = [o for o in self.book.values() if o.visible_ms <= asked.asked_ms]
        if kind == "cl_ord_id":
            return [o for o in there if o.name == value]
        return [o for o in there if kind == "all" or o.ref == value]
