"""The times of the scribe, wherever it works."""

from typing import Final

SYNC_S: Final = 0.5
"""From the first write to the sync: with a disk that takes its time it is still within the second."""

RETRY_S: Final = 1.0
DRAIN_S: Final = 5.0
"""How long a scribe whose daemon is gone may take over what is left."""
