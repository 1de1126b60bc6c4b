"""The story of a record: whose way a line is on, what a session's life looked like, and that nothing is markup."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from canceld.report.page import page
from canceld.report.story import ORDERS_LIMIT, STEPS_LIMIT, Story, Way

TS = "2026-11-30T23:59:{:09.6f}Z"


def line(at_s: float, kind: str, **members: Any) -> dict[str, Any]:
    return {"n": 1, "ts": TS.format(at_s), "monotonic_ns": int(at_s * 1e9), "kind": kind, **members, "prev": "0" * 64}


def told(*records: dict[str, Any]) -> Story:
    story = Story()
    for record in records:
        story.take(record)
    story.end()
    return story


def drawn(story: Story) -> str:
    return "".join(page(story, verdict="whole", made="2026-12-01T00:00:00Z"))


def cancel(at_s: float, id: str, order_id: str) -> dict[str, Any]:
    return line(at_s, "command", type="cancel", venue="spot", order_id=order_id, id=id, uid=1000, pid=7)


def outcome(at_s: float, id: str, order_id: str, told: str, **members: Any) -> dict[str, Any]:
    times = {"received_ns": 1_000_000_000, "answered_ns": 1_001_500_000}
    return line(at_s, "outcome", id=id, venue="spot", order_id=order_id, outcome=told, route="ws", **times, **members)


def way(story: Story, name: str) -> Way:
    [found] = [way for way in story.ways() if way.name == name]
    return found


def test_the_way_of_an_order_has_its_frames_its_answers_and_its_outcome_and_nobody_elses() -> None:
    """Two orders are cancelled side by side. The ack names the request alone, and it is on the right order's way."""
    story = told(
        cancel(1.0, "a", "OAAAAA-AAAAA-AAAAAA"),
        cancel(1.1, "b", "OBBBBB-BBBBB-BBBBBB"),
        line(
            1.2,
            "frame_out",
            session="spot-0",
            frame='{"event":"cancelOrder","txid":["OAAAAA-AAAAA-AAAAAA"],"reqid":11}',
        ),
        line(
            1.3,
            "frame_out",
            session="spot-0",
            frame='{"event":"cancelOrder","txid":["OBBBBB-BBBBB-BBBBBB"],"reqid":12}',
        ),
        line(1.4, "frame_in", session="spot-0", frame='{"event":"cancelOrderStatus","reqid":12,"status":"ok"}'),
        line(1.5, "decision", what="hedge", venue="spot", order_id="OAAAAA-AAAAA-AAAAAA", why="no answer in 250 ms"),
        outcome(1.6, "b", "OBBBBB-BBBBB-BBBBBB", "acked"),
        outcome(3.0, "a", "OAAAAA-AAAAA-AAAAAA", "unknown"),
    )
    kinds = {
        name: [step.kind for step in way(story, name).steps] for name in ("OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB")
    }
    assert kinds["OAAAAA-AAAAA-AAAAAA"] == ["command", "frame_out", "decision", "outcome"]
    assert kinds["OBBBBB-BBBBB-BBBBBB"] == ["command", "frame_out", "frame_in", "outcome"]
    assert [way.name for way in story.ways()] == ["OAAAAA-AAAAA-AAAAAA", "OBBBBB-BBBBB-BBBBBB"], "trouble comes first"
    assert story.outcomes == {("spot", "acked"): 1, ("spot", "unknown"): 1}


def test_a_session_that_was_lost_and_a_kill_are_spans_of_the_time_line() -> None:
    story = told(
        line(0.0, "start", version="1"),
        line(0.5, "session", name="spot-0", state="dialling"),
        line(1.0, "session", name="spot-0", state="live"),
        line(5.0, "session", name="spot-0", state="down", why="reset by peer"),
        line(6.0, "kill", state="latched", trigger="command", reason="the feed is wrong", who="uid 0 pid 1"),
        line(9.0, "stop"),
    )
    assert [(span.state, round(span.ended_s - span.begun_s, 3)) for span in story.spans["spot-0"]] == [
        ("dialling", 0.5), ("live", 4.0), ("down", 4.0),
    ]  # fmt: skip
    [latched] = story.spans["kill switch"]
    assert (latched.state, latched.why, round(latched.ended_s - latched.begun_s)) == ("latched", "the feed is wrong", 3)
    shown = drawn(story)
    assert "reset by peer" in shown
    assert "the feed is wrong" in shown


def test_what_is_left_out_is_counted() -> None:
    many = [cancel(1 + n / 1e6, f"c{n}", f"O{n:05}-AAAAA-AAAAAA") for n in range(ORDERS_LIMIT + 3)]
    again = [outcome(2 + n / 1e6, "c0", "O00000-AAAAA-AAAAAA", "acked") for n in range(STEPS_LIMIT + 4)]
    shown = drawn(told(*many, *again))
    assert "3 more orders are not shown" in shown
    assert "5 more lines are in the record" in shown


def test_an_empty_time_is_a_page_too() -> None:
    assert drawn(told(line(1.0, "start", version="1"))).endswith("</body></html>\n")


@given(st.text(min_size=1), st.text(min_size=1))
def test_what_others_wrote_is_never_markup_nor_painting(reason: str, why: str) -> None:
    """A kill's reason and a venue's error come from outside: no tag of theirs, no control character gets through."""
    plain = drawn(
        told(line(0.0, "start"), line(1.0, "kill", state="latched", reason="x"), line(2.0, "alert", what="x", do="x"))
    )
    hostile = drawn(
        told(
            line(0.0, "start"), line(1.0, "kill", state="latched", reason=reason), line(2.0, "alert", what=why, do=why)
        )
    )
    assert hostile.count("<") == plain.count("<")
    assert all(letter.isprintable() or letter == "\n" for letter in hostile)
