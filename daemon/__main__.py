"""`python -m daemon` is `canceld`."""

import sys

from .cli import main

sys.exit(main())
