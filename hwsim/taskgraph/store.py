"""Memory, or places of a bounded queue, that tasks take before they start and give back when others end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.kernel.memory import MemoryPool

if TYPE_CHECKING:
    from hwsim.kernel.clock import Clock


class Store:
    """A memory pool that tasks wait for, or with ``unit="count"`` the places of a buffer or queue.

    Waiting is in order of asking; who waits holds up everybody behind it that needs the same store.  ``capacity``
    None: unlimited, only the use is counted.
    """

    __slots__ = ("capacity", "index", "name", "pool", "unit")

    def __init__(self, name: str, capacity: int | None, clock: Clock, unit: str = "bytes") -> None:
        self.name = name
        self.capacity = capacity
        self.pool = MemoryPool(name, 1 << 100 if capacity is None else capacity, clock)
        self.unit = unit
        self.index = -1

    def __repr__(self) -> str:
        return f"Store({self.name!r}, {self.pool.used} of {self.capacity} {self.unit})"
