"""A strategy, as the bench needs one: a plain blocking DEALER that asks for cancels and takes times.

The same code asks the daemon and the floors, in JSON. Run as a process, it is one of the crowd:
`python -m tests.bench.asker ENDPOINT NUMBER`, NUMBER keeping the order ids of the processes apart.
"""

import gc
import sys
import time
from typing import Final, NamedTuple

import msgspec
import zmq

from . import lines

PATIENCE_MS: Final = 20_000
"""Longest wait for a reply: a bench that lost one fails instead of hanging."""

DEADLINE_MS: Final = 10_000
"""Of every command: far away, so that a busy machine changes times and not outcomes."""


class Reply(msgspec.Struct):
    """What is read of a reply."""

    id: int
    outcome: str


class Asked(NamedTuple):
    """One cancel; CLOCK_MONOTONIC ns."""

    order_id: str
    asked_ns: int
    answered_ns: int
    outcome: str


class Asker:
    """One client socket. Command ids count up, and each names its own order."""

    def __init__(self, endpoint: str, number: int) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
        self._socket.setsockopt(zmq.SNDTIMEO, PATIENCE_MS)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)
        self._number = number
        self._count = 0
        self._decode = msgspec.json.Decoder(Reply).decode

    def close(self) -> None:
        self._socket.close()

    def request(self, command: dict[str, object]) -> dict[str, object]:
        """Any other command, and its reply."""
        self._count += 1
        self._socket.send(msgspec.json.encode({**command, "id": self._count}))
        reply: dict[str, object] = msgspec.json.decode(self._socket.recv())
        return reply

    def paced(self, count: int, gap_s: float, *, deadline_ms: int = DEADLINE_MS, urgent: bool = False) -> list[Asked]:
        """One cancel at a time, `gap_s` apart."""
        asked = []
        for _ in range(count):
            order_id, payload = self._next(deadline_ms, urgent=urgent)
            asked_ns = time.monotonic_ns()
            self._socket.send(payload)
            answer = self._socket.recv()
            answered_ns = time.monotonic_ns()
            asked.append(Asked(order_id, asked_ns, answered_ns, self._decode(answer).outcome))
            time.sleep(gap_s)
        return asked

    def windowed(self, count: int, window: int) -> float:
        """`count` cancels with `window` of them in flight all the time; seconds. Raises unless all are acked."""
        payloads = [self._next(DEADLINE_MS)[1] for _ in range(count)]
        send, recv, decode = self._socket.send, self._socket.recv, self._decode
        begun = time.monotonic_ns()
        for payload in payloads[:window]:
            send(payload)
        for payload in payloads[window:]:
            if decode(recv()).outcome != "acked":
                raise RuntimeError("a cancel of the bench was not acked")
            send(payload)
        for _ in range(min(window, count)):
            if decode(recv()).outcome != "acked":
                raise RuntimeError("a cancel of the bench was not acked")
        return (time.monotonic_ns() - begun) / 1e9

    def longest_pause_ms(self, count: int, window: int, pid: int) -> float:
        """As `windowed`; the longest that no reply came although that process was at work, ms.

        At work as its own processor time has it: where the machine gave its core to others, that is no pause of it.
        """
        # The clock of another process, as clock_getcpuclockid(3) makes it.
        clock = (~pid << 3) | 2
        send, recv, decode = self._socket.send, self._socket.recv, self._decode
        for _ in range(window):
            send(self._next(DEADLINE_MS)[1])
        longest_ns = 0
        before_ns, worked_ns = time.monotonic_ns(), time.clock_gettime_ns(clock)
        for number in range(count):
            if decode(recv()).outcome != "acked":
                raise RuntimeError("a cancel of the bench was not acked")
            now_ns, works_ns = time.monotonic_ns(), time.clock_gettime_ns(clock)
            pause_ns = min(now_ns - before_ns, works_ns - worked_ns)
            longest_ns = max(longest_ns, pause_ns)
            before_ns, worked_ns = now_ns, works_ns
            if number < count - window:
                send(self._next(DEADLINE_MS)[1])
        return longest_ns / 1e6

    def hammer(self, duration_s: float, window: int) -> int:
        """As many cancels as go through in that time, `window` in flight; how many that was."""
        until_ns = time.monotonic_ns() + int(duration_s * 1e9)
        sent = done = 0
        while done < sent or time.monotonic_ns() < until_ns:
            while sent - done < window and time.monotonic_ns() < until_ns:
                self._socket.send(self._next(DEADLINE_MS)[1])
                sent += 1
            if done < sent:
                self._socket.recv()
                done += 1
        return done

    def send(self, count: int, gap_s: float = 0.0, *, deadline_ms: int = DEADLINE_MS) -> dict[int, tuple[str, int]]:
        """Send `count` cancels without waiting for answers; `collect` takes what this returns."""
        ready = [(*self._next(deadline_ms), self._count) for _ in range(count)]
        sent = {}
        for order_id, payload, id in ready:
            sent[id] = order_id, time.monotonic_ns()
            self._socket.send(payload)
            if gap_s:
                time.sleep(gap_s)
        return sent

    def crowd(self, due_ns: int, count: int) -> tuple[float, float, list[str]]:
        """Send `count` cancels that share a deadline; ms after its own of the first and the last reply, and outcomes.

        The first is negative where a reply came before the deadline of its command.
        """
        due_at: dict[str, int] = {}
        sent: dict[int, tuple[str, int]] = {}
        for _ in range(count):
            deadline_ms = max((due_ns - time.monotonic_ns()) // 1_000_000, 1)
            order_id, payload = self._next(deadline_ms)
            asked_ns = time.monotonic_ns()
            sent[self._count] = order_id, asked_ns
            due_at[order_id] = asked_ns + deadline_ms * 1_000_000
            self._socket.send(payload)
        asked = self.collect(sent)
        late_ms = [(one.answered_ns - due_at[one.order_id]) / 1e6 for one in asked]
        return min(late_ms), max(late_ms), sorted({one.outcome for one in asked})

    def collect(self, sent: dict[int, tuple[str, int]]) -> list[Asked]:
        """Wait for the answers to everything that `send` sent."""
        asked = []
        for _ in range(len(sent)):
            answer = self._socket.recv()
            answered_ns = time.monotonic_ns()
            reply = self._decode(answer)
            asked.append(Asked(*sent[reply.id], answered_ns, reply.outcome))
        return asked

    def _next(self, deadline_ms: int, *, urgent: bool = False) -> tuple[str, bytes]:
        self._count += 1
        order_id = f"OBENCH-{self._number:05}-{self._count:07}"
        command = {
            "type": "cancel",
            "id": self._count,
            "venue": "spot",
            "order_id": order_id,
            "deadline_ms": deadline_ms,
            **({"urgent": True} if urgent else {}),
        }
        return order_id, msgspec.json.encode(command)


def main() -> None:
    asker = Asker(sys.argv[1], int(sys.argv[2]))
    gc.disable()

    def burst(at_ns: int, count: int) -> list[Asked]:
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / 1e9)
        return asker.collect(asker.send(count))

    lines.serve({}, {"burst": burst, "hammer": asker.hammer, "crowd": asker.crowd})


if __name__ == "__main__":
    main()
