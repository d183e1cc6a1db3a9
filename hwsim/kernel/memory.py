"""A memory pool whose bytes are held by named owners, with the high-water mark and who made it."""

from __future__ import annotations

from hwsim.errors import FitError, nearest
from hwsim.kernel.clock import Clock
from hwsim.units import format_quantity, seconds


class MemoryPool:
    """Bytes of one memory by owner; exact accounting, no fragmentation.

    ``used`` and ``free`` are bytes now; ``peak``, ``peak_time`` (ticks) and ``owners_at_peak`` tell of the first
    time the use was highest.
    """

    __slots__ = ("_peak_owners", "capacity", "clock", "name", "owners", "peak", "peak_time", "used")

    def __init__(self, name: str, capacity: int, clock: Clock) -> None:
        if capacity < 0:
            raise ValueError(f"memory {name}: the capacity must not be negative, got {capacity} bytes")
        self.name = name
        self.capacity = capacity
        self.clock = clock
        self.used = 0
        self.owners: dict[str, int] = {}  # bytes held now, in order of first holding
        self.peak = 0
        self.peak_time = 0
        self._peak_owners: dict[str, int] | None = {}  # None: the peak is now, so look at owners

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self.capacity - self.used

    @property
    def owners_at_peak(self) -> dict[str, int]:
        """Bytes by owner when the use was highest."""
        if self._peak_owners is None:
            return dict(self.owners)
        return dict(self._peak_owners)

    def hold(self, owner: str, size: int) -> None:
        """Give ``size`` bytes to ``owner``; ``FitError`` naming everybody's share if they are not there."""
        if size < 0:
            raise ValueError(f"memory {self.name}: {owner} asks for {size} bytes")
        used = self.used + size
        if used > self.capacity:
            raise FitError.of(
                f"memory {self.name} is over its capacity of {_bytes(self.capacity)}",
                where=f"at {seconds(self.clock.now):.6g} s",
                got=f"{owner} asks for {_bytes(size)} more; {self._holders()}",
                expected=f"at most {_bytes(self.free)}",
            )
        self.used = used
        self.owners[owner] = self.owners.get(owner, 0) + size
        if used > self.peak:
            self.peak = used
            self.peak_time = self.clock.now
            self._peak_owners = None

    def release(self, owner: str, size: int | None = None) -> None:
        """Take ``size`` bytes (all of them if left out) back from ``owner``; ``ValueError`` if it holds less."""
        held = self.owners.get(owner, 0)
        size = held if size is None else size
        if size < 0 or size > held or (owner not in self.owners and size):
            known = nearest(owner, self.owners) if owner not in self.owners else ""
            hint = f" (did you mean {known}?)" if known else ""
            raise ValueError(
                f"memory {self.name}: {owner} releases {size} bytes but holds {held}{hint}; {self._holders()}"
            )
        if self._peak_owners is None:  # the peak is over: remember who made it
            self._peak_owners = dict(self.owners)
        self.used -= size
        if size == held:
            self.owners.pop(owner, None)
        else:
            self.owners[owner] = held - size

    def _holders(self) -> str:
        shares = [f"{owner} {_bytes(size)}" for owner, size in self.owners.items()]
        return "held: " + (", ".join(shares) or "nothing")


def _bytes(size: int) -> str:
    return f"{format_quantity(size, 'bytes')}"
