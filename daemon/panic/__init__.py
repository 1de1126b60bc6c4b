"""`canceld panic`: the second program, for the day on which the daemon is dead, hung or not believed.

It cancels everything at every enabled venue with neither daemon nor ZeroMQ, and latches the kill switch. Its sweep is
its own on purpose, although engine/sweep.py decides the same: whatever is wrong in the daemon's sweep must not be wrong
here too, and blocking steps, one thread a venue, are read in one sitting by whoever has to believe them. What the two
conclude from the same venue is compared by tests/panic/test_both_sweeps.py.
"""
