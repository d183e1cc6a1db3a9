"""The replica that is forecast to keep the request's limits, and of those the one with most time to spare.

For each open replica TTFT is forecast as the time of all prompt tokens that are still to be computed there, the
request's own included, and TPOT as one decode step with one more row.  Of the replicas that keep both limits the one
with the earliest first token is chosen, or with ``pack`` the one with the latest (so that others stay free for long
prompts); if none keeps them, the one that exceeds them least.  Simplification: costs are known exactly; what the
prefix cache holds is not taken off.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.routing import Loads, Seen, Sees
from hwsim.units import ticks


class SloAware:
    """Forecasts of TTFT and TPOT against limits."""

    sees: ClassVar[Sees] = "engines"

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.ttft: float = parameters.ttft
        self.tpot: float | None = parameters.tpot
        self.pack: bool = parameters.pack
        self.age = ticks(parameters.age)

    def route(self, request: Seen, loads: Loads) -> int:
        """Keeps both limits first, then time to spare; equal ones in order of number."""
        outlook = loads.outlook
        assert outlook is not None
        best, chosen = None, loads.open[0]
        for number in loads.open:
            first = outlook.prefill(number, loads.backlog[number] + request.prompt_tokens, loads)
            excess = first / self.ttft
            if self.tpot is not None:
                excess = max(excess, outlook.decode(number, loads) / self.tpot)
            rank = (1, excess) if excess > 1 else (0, -first if self.pack else first)
            if best is None or rank < best:
                best, chosen = rank, number
        return chosen


PART = SloAware
