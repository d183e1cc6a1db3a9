"""Prices of a pipeline: a step is a round of micro-batches through the stages, at the pace of the slowest stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.line import FAR
from hwsim.cost.price import StepPrice
from hwsim.cost.roofline import RooflinePricer
from hwsim.cost.roofline_price import OncePrice, RooflinePrice, Slope
from hwsim.model.sharding import Shard

Chunks = tuple[tuple[int, int], ...]
Batch = tuple[int, Chunks, int]  # decode rows, chunks, sampled rows


class PipelinePricer(RooflinePricer):
    """Prices a replica whose layers are split over stages; takes what :class:`RooflinePricer` takes.

    An engine keeps as many micro-batches in flight as there are stages, and a request is in one of them.  So what an
    engine step computes goes through the pipeline as a round: decode rows are dealt out evenly, a prompt chunk is cut
    into pieces that follow each other.  With a micro-batch for every stage a round takes the sum of their times in
    the slowest stage (sending to the next one included); with fewer it takes one passage through all stages.
    Simplification: micro-batches are as large as the largest, rounds follow each other without a gap.
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
        self.depth = shard.layout.pipeline_parallel_size

    def outside(self) -> list[str]:
        """What any stage was asked for beyond the rows of its laws."""
        return list(dict.fromkeys(line for _, pricer in self._stages for line in pricer.outside()))

    def fresh(self, rows: int, chunks: Chunks, heads: int, context: int, windowed: tuple[int, ...]) -> RooflinePrice:
        """The price of a round, worked out anew."""
        count = self.depth if chunks else min(self.depth, max(rows, 1))
        share, shares = context // count, tuple(seen // count for seen in windowed)
        batches = list(_dealt(rows, chunks, heads, count))
        rounds = [
            [(n, pricer.fresh(*batch, share, shares)) for n, pricer in self._stages]
            for batch in (batches if chunks else batches[:1])
        ]
        alike = 1 if chunks else count  # how many micro-batches one of ``rounds`` stands for
        taken: list[tuple[int, RooflinePrice]] = []
        low, limit = 0, FAR
        for stages in rounds:
            for _, price in stages:
                low, limit = max(low, price.low), min(limit, price.limit)
            if count < self.depth:
                taken += stages
                continue
            times = [price.device(share, shares) for _, price in stages]
            slowest = stages[times.index(max(times))][1]
            taken.append((alike, slowest))
            for _, other in stages:
                first, last = _holds(slowest, other, share, shares)
                low, limit = max(low, first), min(limit, last)
        return self._summed(rounds, taken, alike, count, rows + len(chunks), (low, limit, share))

    def _summed(
        self,
        rounds: list[list[tuple[int, RooflinePrice]]],
        taken: list[tuple[int, RooflinePrice]],
        alike: int,
        count: int,
        requests: int,
        holds: tuple[int, int, int],
    ) -> RooflinePrice:
        """One price: times of those ``taken``, amounts of all stages; each micro-batch has its share of the context."""
        low, limit, share = holds
        everyone = [(n * alike, price) for stages in rounds for n, price in stages]
        windows = range(len(everyone[0][1].rises))
        rise = _rise([(n, p, p.rise) for n, p in taken], [(n, p.rise) for n, p in everyone], count)
        rises = tuple(
            _rise([(n, p, p.rises[j]) for n, p in taken], [(n, p.rises[j]) for n, p in everyone], count)
            for j in windows
        )
        hbm, tensor, nvlink, launch = (sum(n * price.times[i] for n, price in taken) for i in range(4))
        flop, size, link = (sum(n * price.amounts[i] for n, price in everyone) for i in range(3))
        once = any(isinstance(price, OncePrice) for _, price in everyone) or (bool(rises) and low == share)
        kind = OncePrice if once else RooflinePrice
        host = self._host_base + self._host_per_row * requests
        times, base = (hbm, tensor, nvlink, launch), hbm + tensor + nvlink + launch
        last = FAR if limit >= FAR else limit * count + count - 1
        return kind(times, rise, rises, base, host, (flop, size, link), self.source, False, low * count, last)


def _dealt(rows: int, chunks: Chunks, heads: int, count: int) -> Iterator[Batch]:
    """The micro-batches of a round: equal shares of the rows, a piece of each chunk."""
    rest = max(heads - rows, 0)  # prompts that end are sampled where their last piece is
    each, sampled = -(-rows // count), -(-min(heads, rows) // count)
    cut = [(new, past, -(-new // count)) for new, past in chunks]
    for index in range(count):
        pieces = tuple(
            (min(size, new - index * size), past + index * size) for new, past, size in cut if index * size < new
        )
        yield each, pieces, sampled + (rest if index == count - 1 else 0)


def _rise(taken: list[tuple[int, RooflinePrice, Slope]], everyone: list[tuple[int, Slope]], count: int) -> Slope:
    """What a token of the round's context adds: one of ``count`` micro-batches has it."""
    hbm = sum(n * slope.hbm for n, price, slope in taken if not price.hidden)
    tensor = sum(n * slope.tensor for n, price, slope in taken if not price.hidden)
    flop, size = sum(n * slope.flop for n, slope in everyone), sum(n * slope.size for n, slope in everyone)
    return Slope(hbm // count, tensor // count, flop / count, size / count)


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
