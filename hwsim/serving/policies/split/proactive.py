"""Nexus: the split is searched with the cost model before work is done, and changed only if that is worth it.

While less than ``kv_switch`` of decode's KV memory is in use, prefill is made as fast as it can be with decode at most
``beta`` times slower than on all SMs; beyond that decode is made as fast as it can be with prefill at most ``alpha``
times slower, so that memory is freed.  A change of less than ``delta`` is not made.  The search goes down from the most
that the favoured side could have, by ``grain``.  Source: Nexus (arXiv:2507.06608); the values of its constants are not
published.  Simplification: the model leaves out that the two compete for memory.
"""

from __future__ import annotations

from typing import Any

from hwsim.serving.side_by_side import Side


class Proactive:
    """Constrained minimisation over shares of SMs."""

    def __init__(self, parameters: Any) -> None:
        self.alpha: float = parameters.alpha
        self.beta: float = parameters.beta
        self.delta: float = parameters.delta
        self.kv_switch: float = parameters.kv_switch
        self.grain: float = parameters.grain

    def share(self, now: float, side: Side) -> float:
        """The share that the model asks for, or the present one if it is near."""
        wanted = self._wanted(side)
        return wanted if abs(wanted - now) >= self.delta else now

    def _wanted(self, side: Side) -> float:
        if not side.rows or not side.backlog:  # whoever is alone gets nearly all
            return 1 - self.grain if side.backlog else self.grain
        best = 1 - self.grain
        if side.kv_usage <= self.kv_switch:
            limit = self.beta * side.decode_seconds(1.0)
            while best > self.grain and side.decode_seconds(1 - best) > limit:
                best -= self.grain
            return max(best, self.grain)
        limit = self.alpha * side.prefill_seconds(1.0)
        while best > self.grain and side.prefill_seconds(1 - best) > limit:
            best -= self.grain
        return 1 - max(best, self.grain)


PART = Proactive
