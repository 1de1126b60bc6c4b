"""Cancels one order with pyzmq and the standard library alone: `python bare.py ENDPOINT ORDER_ID`.

Prints the outcome. Exit status: 0 with an answer, 1 without one; an order without an answer is to be treated as live.
"""

import json
import os
import sys
import time

import zmq

CONNECT_MS = 500
DEADLINE_MS = 1000
ANSWER_MS = DEADLINE_MS + 400
"""The daemon answers within the deadline, with `unknown` at the worst; its answer gets a little longer."""


def main(endpoint: str, order_id: str) -> None:
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0  # ends at once, and takes along what was not sent
    socket.immediate = True  # nothing is queued for a daemon that is down, and carried out when it is back
    socket.sndtimeo = CONNECT_MS
    socket.rcvtimeo = ANSWER_MS
    socket.connect(endpoint)
    sent_ns = time.monotonic_ns()
    command = {
        "type": "cancel",
        "id": f"bare-{os.getpid()}-{sent_ns}",  # one of its own for each command: the same id gets the same answer
        "venue": "spot",
        "order_id": order_id,
        "deadline_ms": DEADLINE_MS,
        "sent_ns": sent_ns,  # the deadline counts from here, wherever the command waited since
    }
    try:
        socket.send(json.dumps(command).encode())
    except zmq.Again:
        sys.exit(f"no daemon at {endpoint}: nothing was sent")
    try:
        reply = json.loads(socket.recv())
    except zmq.Again:
        sys.exit(f"no answer for {order_id}: treat it as live")
    print(reply["outcome"])


if __name__ == "__main__":
    main(*sys.argv[1:])
