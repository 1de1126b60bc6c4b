"""A fleet of ten in a storm of its bus: three nodes, cut and healed, killed and started again.

    python -m tests.fleet --seconds 600 --seed 1
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fleet.storm import run


def main() -> int:
    """1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of the storm, after the calm")
    parser.add_argument("--calm", type=int, default=100, help="kills while all is well, before it")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="canceld-storm-") as name:
        judged = run(Path(name), asked.seed, asked.seconds, asked.calm)
    print(judged)
    for fault in judged.faults[:20]:
        print(fault)
    return 1 if judged.faults else 0


if __name__ == "__main__":
    sys.exit(main())
