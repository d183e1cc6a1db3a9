"""Prices of a pipeline: a batch passes all stages in turn; its price is that of the slowest, with all beside it.

What one batch takes of a stage is the stage's own price (sending to the next one included); the price itself is how
fast batches can follow each other.
"""

from __future__ import annotations

from typing import Any

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.line import FAR
from hwsim.cost.price import StepPrice
from hwsim.cost.roofline import RooflinePricer
from hwsim.cost.roofline_price import OncePrice, RooflinePrice, Slope
from hwsim.model.sharding import Shard

Chunks = tuple[tuple[int, int], ...]


class StagesPrice(RooflinePrice):
    """A batch through ``stages``, in order: times are those of the slowest, amounts those of all together."""

    __slots__ = ("stages",)

    def __init__(self, stages: tuple[RooflinePrice, ...], slowest: RooflinePrice, host: int, low: int, limit: int):
        rise = _all(slowest.rise, [stage.rise for stage in stages])
        rises = tuple(_all(each, [stage.rises[j] for stage in stages]) for j, each in enumerate(slowest.rises))
        flop, size, link = (sum([stage.amounts[i] for stage in stages]) for i in range(3))
        amounts = (flop, size, link)
        super().__init__(
            slowest.times, rise, rises, slowest.base, host, amounts, slowest.source, slowest.hidden, low, limit
        )
        self.stages = stages


class OnceStagesPrice(StagesPrice, OncePrice):
    """One that holds from the moment it was asked for, while contexts only grow."""

    __slots__ = ()


class PipelinePricer(RooflinePricer):
    """Prices a replica whose layers are split over stages; takes what :class:`RooflinePricer` takes.

    Equal stages share a pricer.  A price holds while each stage's does and the slowest stays the slowest.
    """

    def __init__(self, shard: Shard, device: Accelerator, efficiency: Efficiency, **more: Any) -> None:
        super().__init__(shard, device, efficiency, **more)
        known: dict[object, RooflinePricer] = {}
        self._stages: list[RooflinePricer] = []
        for stage in shard.stages():
            key = (stage.kinds, stage.first, stage.last)
            if key not in known:
                known[key] = RooflinePricer(stage, device, efficiency, **more)
            self._stages.append(known[key])

    def outside(self) -> list[str]:
        """What any stage was asked for beyond the rows of its laws."""
        return list(dict.fromkeys(line for pricer in self._stages for line in pricer.outside()))

    def fresh(self, rows: int, chunks: Chunks, heads: int, context: int, windowed: tuple[int, ...]) -> RooflinePrice:
        """The price of a batch, worked out anew."""
        found: dict[int, RooflinePrice] = {}
        for pricer in self._stages:
            if id(pricer) not in found:
                found[id(pricer)] = pricer.fresh(rows, chunks, heads, context, windowed)
        stages = tuple([found[id(pricer)] for pricer in self._stages])
        low, limit = max([stage.low for stage in stages]), min([stage.limit for stage in stages])
        times = [stage.device(context, windowed) for stage in stages]
        slowest = stages[times.index(max(times))]
        for other in found.values():
            first, last = _holds(slowest, other, context, windowed)
            low, limit = max(low, first), min(limit, last)
        once = any(isinstance(stage, OncePrice) for stage in stages) or (bool(slowest.rises) and low == context)
        host = self._host_base + self._host_per_row * (rows + len(chunks))
        return (OnceStagesPrice if once else StagesPrice)(stages, slowest, host, low, limit)


def _all(slowest: Slope, stages: list[Slope]) -> Slope:
    """What a token of context adds: time in the slowest stage, amounts in all."""
    return Slope(slowest.hbm, slowest.tensor, sum([each.flop for each in stages]), sum([each.size for each in stages]))


def _holds(slowest: StepPrice, other: StepPrice, context: int, windowed: tuple[int, ...]) -> tuple[int, int]:
    """The contexts around ``context`` in which ``other`` is not slower than ``slowest``."""
    lead, rise = slowest.device(context, windowed) - other.device(context, windowed), other.slope - slowest.slope
    if slowest.window_slopes:
        rises = [a - b for a, b in zip(other.window_slopes, slowest.window_slopes, strict=True)]
        if rise == 0 and not any(rises):
            return 0, FAR
        growth = max(rise, 0) + sum(max(each, 0) for each in rises)
        return context, (context + lead // growth if growth else FAR)
    if rise > 0:
        return 0, context + lead // rise
    if rise < 0:
        return context - lead // -rise, FAR
    return 0, FAR
