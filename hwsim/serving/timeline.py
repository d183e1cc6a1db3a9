"""How an engine's alone time maps to wall time: piecewise linear, with one piece per rate of progress."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction


class Timeline:
    """Wall time (subticks) as a function of an engine's alone time: ``wall = wall0 + (alone - alone0) / x``.

    ``x`` is the rate at which shared capacities let the engine progress (1 when nothing is contended; then the map is
    an exact integer shift).  All pieces are kept, so that what was recorded in alone time is translated once, after
    the fact.  Rates are floats; a time is rounded to whole subticks once, where it is asked for.
    """

    __slots__ = ("alones", "rates", "walls")

    def __init__(self) -> None:
        self.alones = [0]
        self.walls = [0]
        self.rates = [1.0]

    @property
    def straight(self) -> bool:
        """True while wall time and alone time are the same."""
        return len(self.alones) == 1

    def wall(self, alone: int) -> int:
        """Wall time at alone time ``alone`` (rounded up, so that a deadline is not met early)."""
        i = bisect_right(self.alones, alone) - 1 if len(self.alones) > 1 else 0
        ahead, rate = alone - self.alones[i], self.rates[i]
        return self.walls[i] + (ahead if rate == 1.0 else -((-ahead) // Fraction(rate)))

    def alone(self, wall: int) -> int:
        """Alone time at the wall time ``wall`` of the latest piece (rounded down)."""
        ahead, rate = wall - self.walls[-1], self.rates[-1]
        return self.alones[-1] + (ahead if rate == 1.0 else int(ahead * Fraction(rate)))

    def alone_at(self, wall: int) -> int:
        """Alone time at any wall time, of whichever piece (rounded down)."""
        i = max(bisect_right(self.walls, wall) - 1, 0)
        ahead, rate = wall - self.walls[i], self.rates[i]
        return self.alones[i] + (ahead if rate == 1.0 else int(ahead * Fraction(rate)))

    def turn(self, wall: int, rate: float) -> None:
        """From wall time ``wall`` on, progress at ``rate``."""
        alone = self.alone(wall)
        if alone == self.alones[-1] and len(self.alones) > 1:
            self.walls[-1], self.rates[-1] = wall, rate
            return
        self.alones.append(alone)
        self.walls.append(wall)
        self.rates.append(rate)
