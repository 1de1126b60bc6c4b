"""The exit statuses, the same for every verb."""

from typing import Final

DONE: Final = 0
"""What was asked for happened."""

NOT_DONE: Final = 1
"""It did not: rejected, unknown, orders left resting, a record that is broken."""

USAGE: Final = 2
"""The command line or the configuration cannot be used."""

UNREACHABLE: Final = 3
"""The daemon, the venue or the record could not be reached."""
