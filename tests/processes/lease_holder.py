"""A strategy that holds a lease, as a process of its own, until it is told to end, stopped or killed.

Called as `python -m tests.processes.lease_holder ENDPOINT NAME TTL_MS SCOPE`, SCOPE as JSON. It prints a line once it
holds the lease, and ends cleanly at the end of its stdin.
"""

import json
import sys

from canceld.client import Client, LeaseScope


def main(endpoint: str, name: str, ttl_ms: int, scope: str) -> None:
    entries = [LeaseScope(**entry) for entry in json.loads(scope)]
    with Client(endpoint, deadline_ms=5000) as client, client.holding(name, ttl_ms, scope=entries):
        print("held", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
