"""A strategy as a process of its own: reads order ids from stdin, cancels each over the blocking client, and tells.

Called as `python -m tests.processes.strategy ENDPOINT`; stdin is one JSON list, stdout one JSON list of
`[id, order_id, outcome, route]`, one entry for each answer that came.
"""

import json
import sys

from canceld.client import Client, OrderRef

PIPELINED = 0.5
"""This share goes out in one burst, the rest one by one."""


def main(endpoint: str) -> None:
    order_ids: list[str] = json.load(sys.stdin)
    burst = int(len(order_ids) * PIPELINED)
    with Client(endpoint, strategy="four at once", deadline_ms=5000) as client:
        results = client.cancel_many("spot", [OrderRef(order_id=one) for one in order_ids[:burst]])
        results += [client.cancel("spot", order_id=one) for one in order_ids[burst:]]
    print(json.dumps([[one.id, one.target.value, one.name, one.route] for one in results]))


if __name__ == "__main__":
    main(sys.argv[1])
