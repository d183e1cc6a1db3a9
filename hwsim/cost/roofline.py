"""A step's time from the model and the hardware: kernel after kernel, each by its roofline law."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.launch import CaptureSizes
from hwsim.cost.line import FAR
from hwsim.cost.mixing import Mixing
from hwsim.cost.outside import outside
from hwsim.cost.price import StepPrice, StepShape, subticks
from hwsim.cost.roofline_price import OncePrice, RooflinePrice, Slope, summed
from hwsim.cost.step_parts import EAGER, FULL, PIECEWISE, Fixed, StepParts
from hwsim.cost.tally import Tally, Totals
from hwsim.cost.work import PassWork
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.scan import Scan
from hwsim.model.sharding import Shard

MOST_KEPT = 4096
NO_LAYERS: Mapping[str, float] = {}


class RooflinePricer:
    """Prices the steps of one replica: ``shard`` on each of ``tensor_parallel_size`` equal devices.

    Products and small kernels depend on the tokens of the batch, the head on the sampled rows, decode attention on
    rows and summed context, prefill attention on each chunk.  Batches of decodes up to the largest captured size run
    padded in one CUDA graph, mixed ones in graphs between attention kernels, larger ones are launched by the host and
    wait for it when it is slower (a price then has two pieces).  Nothing overlaps with a collective.
    ``host_base`` and ``host_per_row`` (seconds) are the engine's own time per step and request in it,
    ``host_per_kernel`` what issuing a kernel that is in no graph takes it (None: a bare launch), ``host_per_layer``
    what a layer of a kind (``mla``, ``scan``) takes beyond its kernels; ``kernel_start`` is what a kernel in a graph
    takes to start (None: as measured without dependent launches), ``fused`` what runs inside other kernels.
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
        prompts_in_graphs: bool = True,
        host_base: float = 0.0,
        host_per_row: float = 0.0,
        host_per_kernel: float | None = None,
        host_per_layer: Mapping[str, float] = NO_LAYERS,
        kernel_start: float | None = None,
        fused: Collection[str] = (),
        max_model_len: int | None = None,
        expert_load: float | None = None,
        gpus_per_node: int | None = None,
    ) -> None:
        ideal = getattr(device, "ideal", ())  # times that a what-if takes away
        if "host" in ideal:
            host_base = host_per_row = 0.0
            host_per_kernel, host_per_layer = None, NO_LAYERS
        if kernel_start is not None:
            efficiency = efficiency.with_start(kernel_start)
        if "launch" in ideal:
            efficiency = efficiency.without_launches()
            host_per_kernel, host_per_layer = None, NO_LAYERS
        self.shard, self.device, self.efficiency = shard, device, efficiency
        self.windows = tuple(w for w in shard.model.windows if max_model_len is None or w < max_model_len)
        self.source = sources(shard, efficiency)
        node = gpus_per_node
        work = PassWork(shard, device, efficiency, expert_load=expert_load, gpus_per_node=node, fused=fused)
        pace = efficiency.launch.host if host_per_kernel is None else host_per_kernel
        beyond = sum(count * host_per_layer.get(kind_of(block.mixer), 0.0) for count, block in shard.kinds)
        self._parts = StepParts(work, Mixing(shard, device, efficiency, work.head_peak, self.windows), pace, beyond)
        self._fixed, self._chunks = self._parts.known, self._parts.chunks
        captured = CaptureSizes(capture_sizes)
        self._with_prompts = PIECEWISE if prompts_in_graphs else EAGER
        self._captured = [captured.padded(tokens) for tokens in range(captured.largest + 1 if captured.sizes else 0)]
        self._host_base, self._host_per_row = subticks(host_base), subticks(host_per_row)
        self._decodes: dict[int, RooflinePrice] = {}
        self._pieces: dict[tuple[StepShape, int], RooflinePrice] = {}
        self._lows: dict[int, list[tuple[int, int, RooflinePrice]]] = {}  # pieces by decode rows, in order
        self._table: dict[StepShape, RooflinePrice] = {}
        self._recent: list[RooflinePrice] = []
        self._gone: list[RooflinePrice] = []
        self._tally = Tally()
        self._encodes = bool(shard.model.encoder)

    # -- the price of a shape ------------------------------------------------------------------------------------

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = ()) -> StepPrice:
        """The price of ``shape``; decode batches and shapes that may repeat come from a table."""
        rows, chunks, heads = shape
        if windowed:
            return self._under_windows(shape, context, windowed)
        if not chunks and heads == rows:
            price = self._decodes.get(rows)
            if price is None or not price.low <= context <= price.limit:
                price = self._decodes[rows] = self._known(rows, context) or self._piece(shape, context)
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
        found = self._pieces.setdefault((shape, fresh.low), fresh)
        if found is fresh:
            insort(self._lows.setdefault(shape.rows, []), (fresh.low, len(self._pieces), fresh))
        return found

    def _known(self, rows: int, context: int) -> RooflinePrice | None:
        """The piece for ``context`` if it was worked out before: batches of one size come with all contexts."""
        lows = self._lows.get(rows)
        if lows is None:
            return None
        place = bisect_right(lows, (context, FAR)) - 1
        piece = lows[place][2] if place >= 0 else None
        return piece if piece is not None and context <= piece.limit else None

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
            compute, memory, work, size = known.get(chunk) or self._parts.chunk(chunk)
            tensor += compute
            stream += memory
            pair_flop += work
            read += size
        encoded = 0
        if self._encodes and chunks:  # prompts are the encoder's; the decoder starts with one token for each
            encoded, tokens = tokens - rows, rows + len(chunks)
        captured = self._captured
        mode = self._with_prompts if chunks else FULL
        if mode == EAGER or tokens + encoded >= len(captured):
            size, mode = tokens, EAGER
        else:
            size = captured[tokens]
        key = (rows, heads, size, mode, encoded, not chunks)
        fixed = self._fixed.get(key)
        if fixed is None or not fixed[8] <= context <= fixed[9]:
            fixed = self._parts.fixed(key, context)
        hbm, tensor_time, nvlink, launch, issue, flop, size_bytes, link, low, limit, rise, rises = fixed
        hbm += round(stream)
        tensor_time += round(tensor)
        times = (hbm, tensor_time, nvlink, launch)
        amounts = (flop + pair_flop, size_bytes + read, link)
        host = self._host_base + self._host_per_row * (rows + len(chunks))
        base = hbm + tensor_time + nvlink + launch
        if rises and not windowed:
            return self._equal_rows(rows, times, amounts, fixed, host, context)
        if base >= issue:
            return RooflinePrice(times, rise, rises, base, host, amounts, self.source, False, low, limit)
        return self._paced(times, rise, rises, issue, host, amounts, context, windowed, low, limit)

    def _equal_rows(
        self,
        rows: int,
        times: tuple[int, int, int, int],
        amounts: tuple[float, float, float],
        fixed: Fixed,
        host: int,
        context: int,
    ) -> RooflinePrice:
        """The price when nobody keeps sums under windows: rows are as long as their mean, all short or all beyond."""
        issue, (low, limit, rise, rises) = fixed[4], fixed[8:]
        hbm, tensor, nvlink, launch = times
        flop, size, link = amounts
        for window, each in zip(self.windows, rises, strict=True):
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

    # -- what was executed ---------------------------------------------------------------------------------------

    def prices(self) -> Iterator[StepPrice]:
        """All prices still kept that have counted something."""
        return (price for price in self._kept() if price.steps)

    def _kept(self) -> Iterable[RooflinePrice]:
        return chain(self._pieces.values(), self._recent, self._gone)

    @property
    def parts(self) -> StepParts:
        """What prices are added up from."""
        return self._parts

    def outside(self) -> list[str]:
        """Laws that were asked for more than they were fitted on, one line each."""
        return outside(self)

    def totals(self) -> Totals:
        """Device subticks by bound and amounts by capacity of all that was executed."""
        return self._tally.totals(*summed(self._kept()))


def kind_of(mixer: object) -> str:
    """The name of a kind of token mixer: ``mla``, ``scan``, or nothing."""
    return next((name for name, kind in (("mla", Mla), ("scan", Scan)) if isinstance(mixer, kind)), "")


def sources(shard: Shard, efficiency: Efficiency) -> str:
    """Where prices come from: the file of coefficients, and laws that another device's coefficients stand in for."""
    sections = {"mla": Mla, "scan": Scan}
    used = [name for name, kind in sections.items() if any(isinstance(block.mixer, kind) for _, block in shard.kinds)]
    if shard.experts:
        used.append("moe")
    own = efficiency.sections["gemm"]
    lent = [f"{name} of {efficiency.sections[name]}" for name in used if efficiency.sections[name] != own]
    return efficiency.source + (f"; {', '.join(lent)}" if lent else "")
