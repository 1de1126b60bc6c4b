"""`python -m tests.hostile`: what each hostile neighbour costs a good client, measured in turns with quiet.

It measures, it does not judge: a machine of few cores shares them among the daemon, the exchange, the good client and
the neighbour, and what the neighbour takes of them is in the figures too.
"""

import argparse
import tempfile
from pathlib import Path

from tests.processes.stage import Exchange, Service

from .neighbours import KINDS, kinds
from .trial import HEAD, line_of, trial


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, metavar="N", help="turns of each neighbour")
    parser.add_argument("--cancels", type=int, default=100, metavar="N", help="in each turn, in quiet and beside it")
    parser.add_argument("--only", choices=tuple(KINDS), help="one neighbour")
    options = parser.parse_args()
    print(HEAD, flush=True)
    for kind, _ in kinds():
        if options.only not in (None, kind):
            continue
        with tempfile.TemporaryDirectory(prefix="canceld-test-") as name:
            exchange = Exchange(Path(name))
            service = Service(Path(name), exchange.told)
            try:
                service.start()
                print(line_of(trial(kind, exchange, service, options.rounds, options.cancels)), flush=True)
            finally:
                service.end()
                exchange.end()
    print("\n" + "\n".join(f"{kind}: {what}" for kind, what in kinds()))


if __name__ == "__main__":
    main()
