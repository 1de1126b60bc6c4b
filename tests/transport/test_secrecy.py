"""Nobody who runs as the same user reads the keys out of our memory, neither from a dump nor beside us."""

import subprocess
import sys

PROGRAM = """
import ctypes, resource
from canceld.transport.secrecy import keep_memory_private
get = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
before = get()
keep_memory_private()
print(before, get(), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_process_is_not_dumpable_any_more() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout == "1 0 0 0\n"
