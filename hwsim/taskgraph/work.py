"""What a task costs: a fixed time and phases on capacities, described once and shared by all tasks that cost it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.kernel.activity import Phase

if TYPE_CHECKING:
    from hwsim.kernel.capacity import Capacity

KINDS = ("compute", "copy", "collective", "host", "allocate", "free", "event")


class Work:
    """``fixed`` ticks that nothing stretches, then ``phases`` one after the other.

    ``kind`` is one of ``KINDS``.  ``flop`` and ``size`` (bytes) are what the work is worth to whoever asks for TFLOP/s
    or bytes moved (from and to the places of ``route``); the
    phases say what it takes of capacities.  ``bound`` names what its time alone is limited by
    (``""``: its own latency).  ``count`` is the number of tasks of this work that have ended.
    """

    __slots__ = (
        "bound",
        "count",
        "fixed",
        "flop",
        "index",
        "kind",
        "known",
        "name",
        "phases",
        "quiet",
        "route",
        "size",
        "ticks",
    )

    def __init__(
        self,
        name: str,
        kind: str = "compute",
        *,
        fixed: int = 0,
        phases: Sequence[Phase] = (),
        flop: float = 0,
        size: float = 0,
        bound: str | None = None,
        route: tuple[str, str] | tuple[()] = (),
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"work {name}: unknown kind {kind}, expected one of {', '.join(KINDS)}")
        if fixed < 0:
            raise ValueError(f"work {name}: the fixed time must not be negative, got {fixed} ticks")
        self.name = name
        self.kind = kind
        self.fixed = fixed
        self.phases = tuple(phases)
        self.flop = flop
        self.size = size
        self.route = route
        self.ticks = fixed + sum([phase.ticks for phase in self.phases])
        self.bound = _slowest(self.phases) if bound is None else bound
        self.count = 0
        self.quiet = True  # nobody can contend with it: known once a stream has been seen to take it
        self.known: list[Any] = []  # streams that take it, as far as the executor has looked
        self.index = -1

    @classmethod
    def of(cls, name: str, ticks: int, kind: str = "compute", demands: Mapping[Capacity, float] | None = None) -> Work:
        """Work of one phase that takes ``ticks`` alone."""
        if demands:
            return cls(name, kind, phases=(Phase(ticks, demands),))
        return cls(name, kind, fixed=ticks)

    def amounts(self) -> dict[Capacity, float]:
        """What one task takes of each capacity."""
        total: dict[Capacity, float] = {}
        for phase in self.phases:
            for capacity, amount in phase.amounts:
                total[capacity] = total.get(capacity, 0) + amount
        return total

    def asks(self) -> dict[Capacity, float]:
        """The most that one task asks of each capacity, in units per second."""
        most: dict[Capacity, float] = {}
        for phase in self.phases:
            for capacity, units in phase.asks:
                most[capacity] = max(most.get(capacity, 0.0), units)
        return most

    def __repr__(self) -> str:
        return f"Work({self.name!r}, {self.kind}, {self.ticks} ticks)"


def _slowest(phases: Sequence[Phase]) -> str:
    """The capacity that the longest phase fills most when alone."""
    longest = max(phases, key=lambda phase: phase.alone, default=None)
    if longest is None or not longest.asks:
        return ""
    return max(longest.asks, key=lambda ask: ask[1] / ask[0].rate)[0].name
