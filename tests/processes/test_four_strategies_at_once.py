"""Four strategies, four interpreters, 200 orders: the plain day, on real sockets, with the wire read afterwards."""

import json
import subprocess
import sys

from tests.processes.stage import ROOT, Exchange, Service

STRATEGIES = 4
ORDERS = 200
WITHIN_S = 15


def test_every_cancel_is_answered_once_and_every_frame_is_as_the_page_has_it(
    exchange: Exchange, service: Service
) -> None:
    order_ids = exchange.place(ORDERS)
    with service.listen(exchange) as subscriber:
        strategies = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.processes.strategy", service.commands],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(STRATEGIES)
        ]
        try:
            answers: list[list[str]] = []
            for strategy, share in zip(strategies, (order_ids[n::STRATEGIES] for n in range(STRATEGIES)), strict=True):
                assert strategy.stdin is not None
                strategy.stdin.write(json.dumps(share))
                strategy.stdin.flush()
            for strategy in strategies:
                # They all stand ready by now or soon; end-of-file is what they start at.
                assert strategy.stdin is not None
                strategy.stdin.close()
                strategy.stdin = None
            for strategy in strategies:
                out, complaints = strategy.communicate(timeout=WITHIN_S)
                assert (strategy.returncode, complaints) == (0, "")
                answers += json.loads(out)
        finally:
            for strategy in strategies:
                strategy.kill()
                strategy.wait()
        told = [event["id"] for event in subscriber.await_count("outcome.spot", ORDERS)]

    assert sorted(order_id for _, order_id, _, _ in answers) == sorted(order_ids)
    assert {outcome for _, _, outcome, _ in answers} <= {"acked", "canceled"}
    # A client drops a second answer in silence; the event socket would show it.
    assert sorted(told) == sorted(id for id, _, _, _ in answers)
    assert exchange.resting() == []
    _check_frames(exchange, order_ids)
    status = service.status(detail=True)
    assert status["in_flight"] == 0
    assert status["alerts"] == []


def _check_frames(exchange: Exchange, order_ids: list[str]) -> None:
    """Source: Spot WebSocket v1 "Cancel Order", Request tab; `reqid` is the optional member that we always send."""
    frames = [one for one in exchange.log() if one["operation"] == "cancelOrder"]
    assert {one["route"] for one in frames} == {"spot_ws"}
    for frame in (one["body"] for one in frames):
        assert frame.keys() == {"event", "token", "reqid", "txid"}
        assert frame["event"] == "cancelOrder"
        assert type(frame["reqid"]) is int
        assert isinstance(frame["token"], str)
        assert frame["token"]
        [txid] = frame["txid"]
        assert isinstance(txid, str)
    assert sorted(one["body"]["txid"][0] for one in frames) == sorted(order_ids)
    assert len({one["body"]["reqid"] for one in frames}) == ORDERS
    # No cancel needed a second way.
    assert not [one for one in exchange.log() if one["route"] == "spot_rest" and "Cancel" in one["operation"]]
