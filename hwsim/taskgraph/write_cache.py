"""The fast part of a drive that takes writes first: bursts go at its speed until it is full, then at the drive's own.

It empties at the sustained rate, while it is written and while the drive is idle.  Simplification: writes count when
they are issued, and the drive as busy for as long as they take alone; reads do not keep the cache from emptying.
"""

from __future__ import annotations

from hwsim.hardware.storage import Drive
from hwsim.units import TICKS_PER_SECOND


class WriteCache:
    """State of one drive or volume: bytes that are in the cache, and the tick until which it is being written."""

    __slots__ = ("burst", "filled", "size", "sustained", "until")

    def __init__(self, burst: float, sustained: float, size: float) -> None:
        self.burst, self.sustained, self.size = burst, sustained, size
        self.filled = 0
        self.until = 0

    @classmethod
    def of(cls, drive: Drive) -> WriteCache | None:
        """That of a drive, None if it has none."""
        burst, size = drive.write_cache
        sustained = drive.write_bandwidth or 0.0
        return cls(burst, sustained, size) if size and burst > sustained > 0 else None

    def take(self, now: int, size: float) -> float:
        """Write ``size`` bytes from ``now`` on: what that takes over what it would at the sustained rate."""
        idle = max(now - self.until, 0) / TICKS_PER_SECOND
        self.filled = max(self.filled - round(idle * self.sustained), 0)
        kept = 1 - self.sustained / self.burst  # of a byte that is written, while the cache empties
        quick = min(size, (self.size - self.filled) / kept)
        seconds = quick / self.burst + (size - quick) / self.sustained
        self.filled = min(self.filled + round(quick * kept), int(self.size))
        self.until = max(self.until, now) + round(seconds * TICKS_PER_SECOND)
        return seconds / (size / self.sustained) if size else 1.0

    def state(self, now: int) -> tuple[int, int]:
        """All that what follows depends on: bytes in it, and for how long it has been written or left alone."""
        empty = -round(self.filled / self.sustained * TICKS_PER_SECOND) - 1  # alone for longer makes no difference
        return self.filled, max(self.until - now, empty)
