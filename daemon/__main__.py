"""`python -m canceld` and the command `canceld`: the first lines that run."""

import sys

from .transport.early import take_early


def main() -> int:
    """Run one verb; gives the exit status. Whoever starts the daemon may signal it from here on."""
    if sys.argv[1:2] == ["run"]:
        take_early()
    from .cli import main as run_verb

    return run_verb()


if __name__ == "__main__":
    sys.exit(main())
