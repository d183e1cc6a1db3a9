"""Prices of a pipeline: stages follow each other, the slowest sets the pace, a step takes the sum to come out."""

from __future__ import annotations

from typing import Any

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.price import StepPrice
from hwsim.cost.roofline import RooflinePricer
from hwsim.cost.roofline_price import OncePrice, RooflinePrice, Slope
from hwsim.model.sharding import Shard


class PipelinePricer(RooflinePricer):
    """Prices a replica whose layers are split over stages; takes what :class:`RooflinePricer` takes.

    The device time of a step is that of its slowest stage (sending to the next one included): the pace at which
    batches follow each other when all stages are busy.  ``passage`` is what a step takes beyond that until it has
    gone through all stages (sums under windows as when it was asked for).  Amounts are those of all stages.
    """

    def __init__(self, shard: Shard, device: Accelerator, efficiency: Efficiency, **more: Any) -> None:
        super().__init__(shard, device, efficiency, **more)
        self._stages: list[tuple[int, RooflinePricer]] = []
        known: dict[object, int] = {}
        for stage in shard.stages():
            key = (stage.kinds, stage.first, stage.last)
            if key in known:
                count, pricer = self._stages[known[key]]
                self._stages[known[key]] = (count + 1, pricer)
                continue
            known[key] = len(self._stages)
            self._stages.append((1, RooflinePricer(stage, device, efficiency, **more)))

    def stage_prices(
        self,
        rows: int,
        chunks: tuple[tuple[int, int], ...],
        heads: int,
        context: int,
        windowed: tuple[int, ...] = (),
    ) -> list[tuple[int, RooflinePrice]]:
        """Distinct stages with how many there are of each and what the step takes there."""
        return [(n, pricer.fresh(rows, chunks, heads, context, windowed)) for n, pricer in self._stages]

    def fresh(
        self,
        rows: int,
        chunks: tuple[tuple[int, int], ...],
        heads: int,
        context: int,
        windowed: tuple[int, ...],
    ) -> RooflinePrice:
        """The price of the slowest stage, with the amounts of all, where no other is slower."""
        stages = self.stage_prices(rows, chunks, heads, context, windowed)
        times = [price.device(context, windowed) for _, price in stages]
        slowest = stages[times.index(max(times))][1]
        low, limit = slowest.low, slowest.limit
        for _, other in stages:
            first, last = _holds(slowest, other, context, windowed)
            low, limit = max(low, other.low, first), min(limit, other.limit, last)
        kind = (
            OncePrice if any(isinstance(price, OncePrice) for _, price in stages) or low == context else RooflinePrice
        )
        price = kind(
            slowest.times,
            _amounts(slowest.rise, [(n, each.rise) for n, each in stages]),
            tuple(_amounts(rise, [(n, each.rises[j]) for n, each in stages]) for j, rise in enumerate(slowest.rises)),
            slowest.base,
            slowest.host,
            (
                sum(n * each.amounts[0] for n, each in stages),
                sum(n * each.amounts[1] for n, each in stages),
                sum(n * each.amounts[2] for n, each in stages),
            ),
            self.source,
            slowest.hidden,
            low,
            limit,
        )
        whole = sum(n * time for (n, _), time in zip(stages, times, strict=True)) - max(times)
        price.passage_slope = sum(n * each.slope for n, each in stages) - slowest.slope
        price.passage = whole - price.passage_slope * context
        return price


def _amounts(slope: Slope, stages: list[tuple[int, Slope]]) -> Slope:
    flop = sum(count * each.flop for count, each in stages)
    return Slope(slope.hbm, slope.tensor, flop, sum(count * each.size for count, each in stages))


def _holds(slowest: StepPrice, other: StepPrice, context: int, windowed: tuple[int, ...]) -> tuple[int, int]:
    """The contexts around ``context`` in which ``other`` is not slower than ``slowest``."""
    lead, rise = slowest.device(context, windowed) - other.device(context, windowed), other.slope - slowest.slope
    if slowest.window_slopes:
        rises = [a - b for a, b in zip(other.window_slopes, slowest.window_slopes, strict=True)]
        if rise == 0 and not any(rises):
            return 0, 1 << 62
        growth = max(rise, 0) + sum(max(each, 0) for each in rises)
        return context, (context + lead // growth if growth else 1 << 62)
    if rise > 0:
        return 0, context + lead // rise
    if rise < 0:
        return context - lead // -rise, 1 << 62
    return 0, 1 << 62
