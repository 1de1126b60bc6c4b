"""`python -m canceld` is `canceld`."""

import sys

from .cli import main

sys.exit(main())
