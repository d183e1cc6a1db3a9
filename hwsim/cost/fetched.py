"""Steps that copy chosen blocks of KV from host memory: bytes over PCIe before attention can go on, layer by layer.

A row fetches once it is longer than what it sees at a time: ``min(n, w + 1) - min(n, w)`` is 1 from there on and 0
before, so the copies of all rows are affine in sums under two windows and macro-steps stay exact.  Simplifications:
a copy and the layer it is for do not overlap; what leaves the window goes to host memory beside everything else.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from hwsim.cost.derived import Derived
from hwsim.cost.price import Component, Demand, Pricer, StepPrice, StepShape, subticks


class FetchWork(NamedTuple):
    """What is copied on each rank: ``size`` bytes for a row in a step, and for each ``span`` tokens of a prompt.

    Rows and tokens beyond ``window`` fetch; ``token`` bytes of each new token go to host memory.  ``bandwidth`` is
    what a GPU gets while the engine is alone; ``ranks`` GPUs work alike.
    """

    window: int
    size: float
    span: int
    token: float
    bandwidth: float
    ranks: int


class FetchPricer(Derived):
    """The prices of a model that keeps old KV in host memory."""

    def __init__(self, inner: Pricer, work: FetchWork) -> None:
        super().__init__(inner)
        self.work = work

    def depends(self, shape: StepShape) -> Hashable:
        """Tokens beyond the window, and all new ones."""
        return self._far(shape), shape.rows + sum([new for new, _ in shape.chunks])

    def _far(self, shape: StepShape) -> int:
        """Tokens of prompts that see more than the window."""
        return sum([max(new + past - max(past, self.work.window), 0) for new, past in shape.chunks])

    def made(self, own: StepPrice, shape: StepShape) -> StepPrice:
        """The inner price with the copies of its rows and chunks."""
        work, windows = self.work, self.windows
        tokens = shape.rows + sum([new for new, _ in shape.chunks])
        size = self._far(shape) / work.span * work.size
        if not own.window_slopes and own.low > shape.rows * work.window:  # a piece for rows as long as their mean
            size += shape.rows * work.size
        time = subticks(size / work.bandwidth)
        slopes, amounts = [0] * len(own.window_slopes), [0.0] * len(own.window_slopes)
        if own.window_slopes and work.window + 1 in windows:
            each = subticks(work.size / work.bandwidth)
            more, less = windows.index(work.window + 1), windows.index(work.window)
            slopes[more], slopes[less] = each, -each
            amounts[more], amounts[less] = work.size * work.ranks, -work.size * work.ranks
        none = (0.0,) * len(own.window_slopes)
        return StepPrice(
            own.base + time,
            own.slope,
            host=own.host,
            low=own.low,
            limit=own.limit,
            components=(*own.components, Component("pcie", time, 0, tuple(slopes))),
            demands=(
                *own.demands,
                Demand("gpu.pcie.h2d", size * work.ranks, 0.0, tuple(amounts)),
                Demand("gpu.pcie.d2h", tokens * work.token * work.ranks, 0.0, none),
            ),
            source=own.source,
            window_slopes=tuple([a + b for a, b in zip(own.window_slopes, slopes, strict=True)]),
        )
