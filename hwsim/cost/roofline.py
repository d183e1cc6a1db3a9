"""A step's time from the model and the hardware: kernel after kernel, each by its roofline law."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.launch import CaptureSizes
from hwsim.cost.mixing import Chunk, Mixing, Rise
from hwsim.cost.price import SUBTICKS_PER_SECOND, StepPrice, StepShape, subticks
from hwsim.cost.roofline_price import FLAT, OncePrice, RooflinePrice, Slope, summed
from hwsim.cost.tally import Tally, Totals
from hwsim.cost.work import PassWork, Work
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.scan import Scan
from hwsim.model.sharding import Shard

FULL, PIECEWISE, EAGER = range(3)  # one graph for the step; graphs between attention kernels; no graph
MOST_KEPT = 4096
MOST_CHUNKS = 1 << 16
ATTENTION_LAUNCHES = 4  # per block between graphs: query/key reshape, cache write, attention, next graph
FAR = 1 << 62


# What depends on one count, in subticks rounded once: HBM, tensor, NVLink and launch time and the host's time to issue
# the kernels; then FLOP, HBM bytes and link bytes of all ranks.
_Part = tuple[int, int, int, int, int, float, float, float]


class _Rows(NamedTuple):
    """Decode rows through all mixers: subticks by bound, FLOP and bytes, what contexts add, where it holds."""

    hbm: int
    tensor: int
    launch: int
    flop: float
    size: float
    rise: Slope
    rises: tuple[Slope, ...]
    low: int
    limit: int


class RooflinePricer:
    """Prices the steps of one replica: ``shard`` on each of ``tensor_parallel_size`` equal devices.

    Products and small kernels depend on the tokens of the batch, the head on the sampled rows, decode attention on
    rows and summed context, prefill attention on each chunk.  Batches of decodes up to the largest captured size run
    padded in one CUDA graph, mixed ones in graphs between attention kernels, larger ones are launched by the host and
    wait for it when it is slower (a price then has two pieces).  Nothing overlaps with a collective.
    ``host_base`` and ``host_per_row`` (seconds) are the engine's own time per step and request in it.
    ``expert_load``: token copies of the busiest expert rank over the mean.  ``gpus_per_node``: where nodes end.

    ``windows`` are the sliding windows that bind below ``max_model_len``.  An engine that keeps the sums of contexts
    under them passes those; else rows count as equally long, exact while all are on one side of a window.
    """

    def __init__(
        self,
        shard: Shard,
        device: Accelerator,
        efficiency: Efficiency,
        *,
        capture_sizes: Iterable[int] = (),
        host_base: float = 0.0,
        host_per_row: float = 0.0,
        max_model_len: int | None = None,
        expert_load: float | None = None,
        gpus_per_node: int | None = None,
    ) -> None:
        self.shard, self.device, self.efficiency = shard, device, efficiency
        self.windows = tuple(w for w in shard.model.windows if max_model_len is None or w < max_model_len)
        self.source = sources(shard, efficiency)
        self._work = PassWork(shard, device, efficiency, expert_load=expert_load, gpus_per_node=gpus_per_node)
        self._mixing = Mixing(shard, device, efficiency, self._work.head_peak, self.windows)
        captured = CaptureSizes(capture_sizes)
        self._captured = [captured.padded(tokens) for tokens in range(captured.largest + 1 if captured.sizes else 0)]
        self._host_base, self._host_per_row = subticks(host_base), subticks(host_per_row)
        self._decodes: dict[int, RooflinePrice] = {}
        self._pieces: dict[tuple[StepShape, int], RooflinePrice] = {}
        self._blocks: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._heads: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._encoders: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._rows: dict[int, _Rows] = {}
        self._chunks: dict[tuple[int, int], Chunk] = {}
        self._table: dict[StepShape, RooflinePrice] = {}
        self._recent: list[RooflinePrice] = []
        self._gone: list[RooflinePrice] = []
        self._tally = Tally()
        self._encodes = bool(shard.model.encoder)
        launch = efficiency.launch
        self._floor = subticks(self._mixing.floor)
        self._late = subticks((launch.eager - launch.graph) * self._mixing.layers)

    # -- the price of a shape ------------------------------------------------------------------------------------

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = ()) -> StepPrice:
        """The price of ``shape``; decode batches and shapes that may repeat come from a table."""
        rows, chunks, heads = shape
        if windowed:
            return self._under_windows(shape, context, windowed)
        if not chunks and heads == rows:
            price = self._decodes.get(rows)
            if price is None or not price.low <= context <= price.limit:
                price = self._decodes[rows] = self._piece(shape, context)
            return price
        if chunks and chunks[0][1]:  # a prompt goes on: such a shape hardly comes again
            price = self.fresh(rows, chunks, heads, context, ())
            self._keep(price)
            return price
        price = self._table.get(shape)
        if price is None or not price.low <= context <= price.limit:
            price = self._table[shape] = self.fresh(rows, chunks, heads, context, ())
            self._keep(price)
        return price

    def _under_windows(self, shape: StepShape, context: int, windowed: tuple[int, ...]) -> RooflinePrice:
        """The price for a caller that keeps sums under windows; a piece of the host's pace is good for once."""
        price = self._table.get(shape)
        if price is None or not price.low <= context <= price.limit:
            price = self.fresh(*shape, context, windowed)
            if not isinstance(price, OncePrice):
                self._table[shape] = price
            self._keep(price)
        return price

    def _keep(self, price: RooflinePrice) -> None:
        recent = self._recent
        recent.append(price)
        if len(recent) == MOST_KEPT:
            self._retire()

    def _retire(self) -> None:
        """Empty the table.  Counts are folded one turn after a price left it: the engine may still add to its last."""
        self._tally.add(*summed(self._gone))
        for price in self._gone:
            price.steps = price.contexts = 0
            price.windowed[:] = [0] * len(price.windowed)
        self._gone, self._recent, self._table = self._recent, [], {}

    def _piece(self, shape: StepShape, context: int) -> RooflinePrice:
        """The piece of a decode price that holds at ``context``; pieces are kept, as their counts go on."""
        fresh = self.fresh(*shape, context, ())
        return self._pieces.setdefault((shape, fresh.low), fresh)

    def fresh(
        self,
        rows: int,
        chunks: tuple[tuple[int, int], ...],
        heads: int,
        context: int,
        windowed: tuple[int, ...],
    ) -> RooflinePrice:
        """The price of a shape worked out anew; ``price`` is the same from tables."""
        tokens = rows
        tensor = stream = pair_flop = read = 0.0
        known = self._chunks
        for chunk in chunks:
            tokens += chunk[0]
            compute, memory, work, size = known.get(chunk) or self._chunk(chunk)
            tensor += compute
            stream += memory
            pair_flop += work
            read += size
        if self._encodes and chunks:  # prompts are the encoder's; the decoder starts with one token for each
            encoded, tokens = tokens - rows, rows + len(chunks)
        else:
            encoded = 0
        captured = self._captured
        if tokens + encoded >= len(captured):
            size, mode = tokens, EAGER
        else:
            size, mode = captured[tokens], PIECEWISE if chunks else FULL
        hbm, tensor_time, nvlink, launch, issue, flop, size_bytes, link_bytes = self._blocks[mode].get(
            size
        ) or self._block_part(size, mode)
        hbm2, tensor2, nvlink2, launch2, issue2, flop2, size2, link2 = self._heads[mode].get(heads) or self._head_part(
            heads, mode
        )
        part = self._rows.get(rows)
        if part is None or not part[7] <= context <= part[8]:
            part = self._row_part(rows, context)
        hbm3, tensor3, fixed, flop3, size3, rise, rises, low, limit = part
        if chunks and fixed < self._floor:
            fixed = self._floor
        if mode:
            fixed += self._late
        if encoded:
            extra = self._encoders[mode].get(encoded) or self._encoder_part(encoded, mode)
            hbm, tensor_time, nvlink = hbm + extra[0], tensor_time + extra[1], nvlink + extra[2]
            launch, issue, flop = launch + extra[3], issue + extra[4], flop + extra[5]
            size_bytes, link_bytes = size_bytes + extra[6], link_bytes + extra[7]
        hbm += hbm2 + hbm3 + round(stream)
        tensor_time += tensor2 + tensor3 + round(tensor)
        times = (hbm, tensor_time, nvlink + nvlink2, launch + launch2 + fixed)
        amounts = (flop + flop2 + flop3 + pair_flop, size_bytes + size2 + size3 + read, link_bytes + link2)
        host = self._host_base + self._host_per_row * (rows + len(chunks))
        base = hbm + tensor_time + times[2] + times[3]
        issue += issue2
        if rises and not windowed:
            return self._equal_rows(rows, times, amounts, part, issue, host, context)
        if base >= issue:
            return RooflinePrice(times, rise, rises, base, host, amounts, self.source, False, low, limit)
        return self._paced(times, rise, rises, issue, host, amounts, context, windowed, low, limit)

    def _equal_rows(
        self,
        rows: int,
        times: tuple[int, int, int, int],
        amounts: tuple[float, float, float],
        part: _Rows,
        issue: int,
        host: int,
        context: int,
    ) -> RooflinePrice:
        """The price when nobody keeps sums under windows: rows are as long as their mean, all short or all beyond."""
        rise, low, limit = part.rise, part.low, part.limit
        hbm, tensor, nvlink, launch = times
        flop, size, link = amounts
        for window, each in zip(self.windows, part.rises, strict=True):
            full = rows * window
            if context <= full:
                rise = rise.plus(each)
                limit = min(limit, full)
            else:
                hbm, tensor = hbm + each.hbm * full, tensor + each.tensor * full
                flop, size = flop + each.flop * full, size + each.size * full
                low = max(low, full + 1)
        times = (hbm, tensor, nvlink, launch)
        amounts, base = (flop, size, link), sum(times)
        if base >= issue:
            return RooflinePrice(times, rise, (), base, host, amounts, self.source, False, low, limit)
        return self._paced(times, rise, (), issue, host, amounts, context, (), low, limit)

    def _paced(
        self,
        times: tuple[int, int, int, int],
        rise: Slope,
        rises: tuple[Slope, ...],
        issue: int,
        host: int,
        amounts: tuple[float, float, float],
        context: int,
        windowed: tuple[int, ...],
        low: int,
        limit: int,
    ) -> RooflinePrice:
        """The host issues kernels one by one and the device waits: two pieces, which meet where the device is slower.

        With sums under windows a piece is good for the contexts in which it must hold, whatever those sums become.
        """
        base, slope, source = sum(times), rise.hbm + rise.tensor, self.source
        short = issue - base
        if rises:
            growth = slope + sum(each.hbm + each.tensor for each in rises)
            short -= slope * context + sum((r.hbm + r.tensor) * seen for r, seen in zip(rises, windowed, strict=True))
            if short <= 0:
                return OncePrice(times, rise, rises, base, host, amounts, source, False, context, limit)
            limit = min(limit, context + (short // growth if growth else FAR))
            late = times[3] + issue - base
            times = (*times[:3], late)
            return OncePrice(times, rise, rises, issue, host, amounts, source, True, context, limit)
        crossing = -(-short // slope) if slope else FAR
        if context >= crossing:
            return RooflinePrice(times, rise, (), base, host, amounts, source, False, max(low, crossing), limit)
        times = (*times[:3], times[3] + short)
        return RooflinePrice(times, rise, (), issue, host, amounts, source, True, low, min(limit, crossing - 1))

    # -- parts that depend on one count --------------------------------------------------------------------------

    def _block_part(self, tokens: int, mode: int) -> _Part:
        launch = self.efficiency.launch
        work = self._work.blocks(tokens, launch.eager if mode == EAGER else launch.graph)
        layers = self._mixing.layers
        issued = (0, layers * ATTENTION_LAUNCHES, work.kernels + layers)[mode]
        part = self._blocks[mode][tokens] = self._part(work, issued)
        return part

    def _encoder_part(self, tokens: int, mode: int) -> _Part:
        launch = self.efficiency.launch
        work = self._work.encoder(tokens, launch.eager if mode == EAGER else launch.graph)
        part = self._encoders[mode][tokens] = self._part(work, work.kernels if mode == EAGER else 0)
        return part

    def _head_part(self, rows: int, mode: int) -> _Part:
        launch = self.efficiency.launch
        work = self._work.head(rows, launch.graph if mode == FULL else launch.eager)
        part = self._heads[mode][rows] = self._part(work, 0 if mode == FULL else work.kernels)
        return part

    def _part(self, work: Work, issued: int) -> _Part:
        ranks = self.shard.tensor_parallel_size
        return (
            subticks(work.hbm),
            subticks(work.tensor),
            subticks(work.nvlink),
            subticks(work.launch),
            subticks(issued * self.efficiency.launch.host),
            work.flop * ranks,
            work.hbm_bytes * ranks,
            work.link_bytes * ranks,
        )

    def _chunk(self, chunk: tuple[int, int]) -> Chunk:
        """Attention and scans of a prompt chunk, and an encoder's pass: seconds become subticks."""
        if len(self._chunks) >= MOST_CHUNKS:
            self._chunks.clear()
        found = self._mixing.chunk(*chunk)
        ticks = SUBTICKS_PER_SECOND
        part = Chunk(found.compute * ticks, found.memory * ticks, found.flop, found.size)
        self._chunks[chunk] = part
        return part

    def _row_part(self, rows: int, context: int) -> _Rows:
        """Mixers of decode rows around a summed context."""
        if not rows:
            part = _Rows(0, 0, 0, 0.0, 0.0, FLAT, (FLAT,) * len(self.windows), 0, FAR)
        else:
            launch, fixed, rise, windows, low, limit = self._mixing.rows(rows, context)
            part = _Rows(
                subticks(fixed.memory),
                subticks(fixed.compute),
                subticks(launch),
                fixed.flop,
                fixed.size,
                _slope(rise),
                tuple(_slope(each) for each in windows),
                low,
                limit,
            )
        self._rows[rows] = part
        return part

    # -- what was executed ---------------------------------------------------------------------------------------

    def prices(self) -> Iterator[StepPrice]:
        """All prices still kept that have counted something."""
        return (price for price in self._kept() if price.steps)

    def _kept(self) -> Iterable[RooflinePrice]:
        return chain(self._pieces.values(), self._recent, self._gone)

    def totals(self) -> Totals:
        """Device subticks by bound and amounts by capacity of all that was executed."""
        return self._tally.totals(*summed(self._kept()))


def _slope(rise: Rise) -> Slope:
    return Slope(subticks(rise.memory), subticks(rise.compute), rise.flop, rise.size)


def sources(shard: Shard, efficiency: Efficiency) -> str:
    """Where prices come from: the file of coefficients, and laws that another device's coefficients stand in for."""
    sections = {"mla": Mla, "scan": Scan}
    used = [name for name, kind in sections.items() if any(isinstance(block.mixer, kind) for _, block in shard.kinds)]
    if shard.experts:
        used.append("moe")
    own = efficiency.sections["gemm"]
    lent = [f"{name} of {efficiency.sections[name]}" for name in used if efficiency.sections[name] != own]
    return efficiency.source + (f"; {', '.join(lent)}" if lent else "")
