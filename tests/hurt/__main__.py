"""`python -m tests.hurt [SECONDS]`: the daemon over a lossy line, ten minutes unless told otherwise; 1 if it failed."""

import argparse
import os
import sys
from typing import Final

from .lossy import run
from .packets import cannot

_INSIDE: Final = "CANCELD_HURT_INSIDE"
"""Set where this runs in a network of its own already."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hurt", description="The daemon over a lossy line.")
    parser.add_argument("seconds", nargs="?", type=float, default=600.0, help="for so long (600)")
    parser.add_argument("--gap", type=float, default=2.0, help="seconds from one fault to the next, on average (2)")
    parser.add_argument("--seed", type=int, default=1, help="which faults, in which sequence (1)")
    parser.add_argument("--without-unified", action="store_true", help="Futures cancels by REST alone")
    told = parser.parse_args()
    why = cannot() if _INSIDE not in os.environ else ""
    if _INSIDE not in os.environ and not why:
        within = ("unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
        os.environ[_INSIDE] = "1"
        os.execvp(within[0], [*within, sys.executable, "-m", "tests.hurt", *sys.argv[1:]])
    if why:
        print(f"no packet is lost by itself: {why}")
    figures = run(told.seconds, told.gap, told.seed, packets=not why, unified=not told.without_unified)
    print("\n".join(figures.lines()))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
