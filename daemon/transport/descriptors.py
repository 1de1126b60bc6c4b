"""How many descriptors this process has open, and how many it may have. Every connection and file takes one."""

import os
import resource
from typing import Final, NamedTuple


class Descriptors(NamedTuple):
    """A count and the limit that the kernel enforces now, which is the soft one."""

    in_use: int
    limit: int


PLENTY: Final = Descriptors(0, 1 << 20)
"""Where a world has no descriptors: none are in use, and there is no end of them."""


def count_descriptors() -> Descriptors:
    """As it is now, in a microsecond; on a Linux older than 6.2 in some more, one for every three that are open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        # Linux 6.2 tells how many there are; before, they have to be counted.
        return Descriptors(os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")), limit)
    except OSError:
        # Not even one for the count; or no /proc: then nothing is known, and nobody is turned away for it.
        return Descriptors(limit if os.path.isdir("/proc/self") else 0, limit)


def raise_descriptor_limit() -> None:
    """Allow this process as many descriptors as it may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
