"""Units and bounds of instants: every time in the engine is monotonic, in nanoseconds."""

MS = 1_000_000

FAR_NS = 2**63 - 1
"""No time: later than any deadline."""
