"""When two runs stand the same: everything that may decide what comes, with times counted from now.

A digest leaves out what only counts (how often a thing happened), and the names that are drawn anew each time. It may
call two runs different that would go on alike, which costs time; it must not call two alike that would not.
"""

import enum
from collections import deque
from collections.abc import Mapping
from hashlib import blake2b
from types import BuiltinFunctionType, CodeType, CoroutineType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import msgspec

from canceld.engine.instants import FAR_NS

from .daemon import FIRST_REQID, KEYS
from .kernel import START_NS, UTC_START_NS, Kernel
from .run import Run

FIRST_LARGE: Final = START_NS // 2
"""Numbers from here on are instants; durations are far below."""

COUNTS: Final = frozenset(
    {
        "_begun", "_spoiled", "_entries", "_tick", "_next", "_rounds", "beats", "calls", "counts", "events", "lives",
        "placed", "pulls", "round_trips", "tokens", "_told", "_vanished", "arrived", "listed_ns", "_pulls",
        "answered_ns", "heard_ns", "idle_since", "reqids", "_reqids", "_settled", "utc_ns", "blamed", "was_flat_ns",
        "_ahead_ns", "venue_clock", "_venue_clock", "_world", "_state", "_events", "clock", "_clock", "kernel",
        "_kernel", "policy", "round_trip_ns", "_switch_ns", "_why", "_tried", "why", "last_error", "_dial_fault",
    }
)  # fmt: skip
"""What is only counted, told to people, or the same in every run."""

_SKIPPED: Final = (ModuleType, CodeType, BuiltinFunctionType, type)


class _Writer:
    """Writes one run down as a tree of plain values."""

    def __init__(self, kernel: Kernel) -> None:
        self._now_ns = kernel.now_ns
        self._utc_ns = kernel.utc_ns()
        self._seen: dict[int, int] = {}
        self._reqids: dict[int, int] = {}
        self._kept: list[Any] = []

    def write(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, str, bytes):
            return value
        if kind is int:
            return self._number(value)
        if kind is float:
            return round(value, 3)
        if isinstance(value, enum.Enum):
            return value.name
        if kind in (tuple, list, deque) or isinstance(value, tuple):
            return (kind.__name__, *map(self.write, value))
        if isinstance(value, (set, frozenset)):
            return ("set", *sorted((self.write(one) for one in value), key=repr))
        return self._object(value, kind)

    def _number(self, value: int) -> Any:
        if value == FAR_NS or abs(value) < FIRST_REQID:
            return value
        if value < FIRST_LARGE:
            return ("reqid", self._reqids.setdefault(value, len(self._reqids)))
        return ("utc", value - self._utc_ns) if value > UTC_START_NS // 2 else ("in", value - self._now_ns)

    def _object(self, value: Any, kind: type) -> Any:
        if isinstance(value, _SKIPPED) or value is KEYS:
            return kind.__name__
        if id(value) in self._seen:
            return ("again", self._seen[id(value)])
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if isinstance(value, Mapping):
            return ("map", *((self.write(key), self.write(one)) for key, one in value.items()))
        if isinstance(value, MethodType):
            return (value.__func__.__qualname__, self.write(value.__self__))
        if isinstance(value, FunctionType):
            cells = (cell.cell_contents for cell in value.__closure__ or ())
            return (value.__qualname__, *map(self.write, cells), *map(self.write, value.__defaults__ or ()))
        if isinstance(value, CoroutineType):
            return self._coroutine(value)
        return (kind.__name__, *self._fields(value))

    def _coroutine(self, value: CoroutineType) -> Any:
        frame = value.cr_frame
        if frame is None:
            return "over"
        told = tuple((name, self.write(one)) for name, one in sorted(frame.f_locals.items()) if name not in COUNTS)
        return (value.__qualname__, frame.f_lineno, told, self.write(value.cr_await))

    def _fields(self, value: Any) -> Any:
        if isinstance(value, msgspec.Struct):
            names = value.__struct_fields__
        else:
            slots = [name for one in type(value).__mro__ for name in getattr(one, "__slots__", ())]
            names = (*getattr(value, "__dict__", {}), *slots)
        for name in sorted(names):
            if name not in COUNTS:
                yield name, self.write(getattr(value, name, None))


def digest(run: Run) -> bytes:
    """Sixteen bytes that are the same for runs that stand the same."""
    writer = _Writer(run.kernel)
    agenda = [(at_ns, action) for at_ns, _, action in sorted(run.kernel.agenda, key=lambda one: one[:2])]
    exchange = run.exchange
    sweeps = [
        (sweep._begun - sweep._spoiled, sweep._rounds % 2)
        for sweep in (f.sweep for f in run.daemon.switch._fronts.values())
    ]
    tree = writer.write((run.daemon, exchange, run._disk.files, run._dials, sweeps, agenda))
    return blake2b(repr(tree).encode(), digest_size=16).digest()
