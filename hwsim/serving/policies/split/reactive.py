"""A split that follows what was observed: more SMs for whoever is behind, one step at a time.

While decode's last pace misses ``tpot`` it gets ``step`` more of the SMs; while it keeps it and prompts wait, prefill
does.  Simplification: the pace is that of the batch under way, without the competition for memory.
"""

from __future__ import annotations

from typing import Any

from hwsim.serving.side_by_side import Side


class Reactive:
    """Steps of ``step`` between ``least`` and the rest."""

    def __init__(self, parameters: Any) -> None:
        self.tpot: float = parameters.tpot
        self.step: float = parameters.step
        self.least: float = parameters.least

    def share(self, now: float, side: Side) -> float:
        """One step towards whoever is behind."""
        if side.rows and side.decode_seconds(1 - now) > self.tpot:
            return max(now - self.step, self.least)
        if side.backlog:
            return min(now + self.step, 1 - self.least)
        return now


PART = Reactive
