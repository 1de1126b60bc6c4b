"""`python -m tests.hurt [SECONDS]`: the daemon over a lossy line, ten minutes unless told otherwise; 1 if it failed."""

import argparse
import sys

from .lossy import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hurt", description="The daemon over a lossy line.")
    parser.add_argument("seconds", nargs="?", type=float, default=600.0, help="for so long (600)")
    parser.add_argument("--gap", type=float, default=2.0, help="seconds from one fault to the next, on average (2)")
    parser.add_argument("--seed", type=int, default=1, help="which faults, in which sequence (1)")
    told = parser.parse_args()
    figures = run(told.seconds, told.gap, told.seed)
    print("\n".join(figures.lines()))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
