"""What this process holds in its memory, and who else may read it."""

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """No core dump, and no other process of this user may look into this one: keys lie in its memory.

    Where the system knows neither, nothing changes: a daemon that cannot hide is better than none. Source: prctl(2).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        return
