"""A step's time from the model and the hardware: kernel after kernel, each by its roofline law."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.launch import CaptureSizes
from hwsim.cost.price import SUBTICKS_PER_SECOND, StepPrice, StepShape, subticks
from hwsim.cost.roofline_price import RooflinePrice, summed
from hwsim.cost.tally import Tally, Totals
from hwsim.cost.work import PassWork, Work
from hwsim.errors import FitError
from hwsim.model.sharding import Shard

FULL, PIECEWISE, EAGER = range(3)  # one graph for the step; graphs between attention kernels; no graph
MOST_KEPT = 4096
ATTENTION_LAUNCHES = 4  # per block between graphs: query/key reshape, cache write, attention, next graph
FAR = 1 << 62


# What depends on one count, in subticks rounded once: HBM, tensor, NVLink and launch time and the host's time to issue
# the kernels; then FLOP, HBM bytes and link bytes of all ranks.
_Part = tuple[int, int, int, int, int, float, float, float]
# Decode attention of some rows, all blocks: fixed subticks; subticks, FLOP and bytes per token; contexts it holds for.
_Rows = tuple[int, int, float, float, int, int]


class RooflinePricer:
    """Prices the steps of one replica: ``shard`` on each of ``tensor_parallel_size`` equal devices.

    Products and small kernels depend on the tokens of the batch, the head on the sampled rows, decode attention on
    rows and summed context, prefill attention on each chunk.  Batches of decodes up to the largest captured size run
    padded in one CUDA graph, mixed ones in graphs between attention kernels, larger ones are launched by the host and
    wait for it when it is slower (a price then has two pieces).  Two all-reduces per block, nothing overlapped.
    ``host_base`` and ``host_per_row`` (seconds) are the engine's own time per step and request in it.

    A model with a sliding window is refused unless ``max_model_len`` stays within it: a summed context does not say
    how much of each row lies in the window.
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
    ) -> None:
        window = shard.model.sliding_window
        if window is not None and (max_model_len is None or max_model_len > window):
            raise FitError.of(
                f"{shard.model.hf_id} attends within a sliding window of {window} tokens, which is not priced yet",
                where="serve.max_model_len",
                got="longer" if max_model_len is None else str(max_model_len),
                expected=f"at most {window}, where the window never binds",
            )
        self.shard, self.device, self.efficiency = shard, device, efficiency
        self.source = efficiency.source
        self._work = PassWork(shard, device, efficiency)
        captured = CaptureSizes(capture_sizes)
        self._captured = [captured.padded(tokens) for tokens in range(captured.largest + 1 if captured.sizes else 0)]
        self._host_base, self._host_per_row = subticks(host_base), subticks(host_per_row)
        self._decodes: dict[int, RooflinePrice] = {}
        self._pieces: dict[tuple[StepShape, int], RooflinePrice] = {}
        self._blocks: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._heads: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._rows: dict[int, _Rows] = {}
        self._table: dict[StepShape, RooflinePrice] = {}
        self._recent: list[RooflinePrice] = []
        self._gone: list[RooflinePrice] = []
        self._tally = Tally()
        self._set_attention()

    def _set_attention(self) -> None:
        """Constants of attention: subticks (all blocks of a rank) per half pair and byte, amounts over all ranks."""
        shard, model = self.shard, self.shard.model
        layers, ranks = model.num_hidden_layers, shard.tensor_parallel_size
        law, launch = self.efficiency.prefill, self.efficiency.launch
        flop = 4.0 * layers * shard.attention_heads * model.head_dim
        half_pair = flop / (self._work.head_peak * law.efficiency) / 2 * SUBTICKS_PER_SECOND
        self._kv_bytes = shard.kv_bytes_per_token
        seconds = self._kv_bytes / (self.device.hbm_bandwidth * law.memory_efficiency)
        byte = seconds * SUBTICKS_PER_SECOND
        self._attention = (law.extra, half_pair, byte, law.exponent, 1 / law.exponent)
        self._half_pair_flop, self._token_bytes = flop * ranks / 2, float(self._kv_bytes * ranks)
        self._floor = subticks(law.floor * layers)
        self._late = subticks((launch.eager - launch.graph) * layers)

    # -- the price of a shape ------------------------------------------------------------------------------------

    def price(self, shape: StepShape, context: int) -> StepPrice:
        """The price of ``shape``; decode batches and shapes that may repeat come from a table."""
        rows, chunks, heads = shape
        if not chunks and heads == rows:
            price = self._decodes.get(rows)
            if price is None or not price.low <= context <= price.limit:
                price = self._decodes[rows] = self._piece(shape, context)
            return price
        if chunks and chunks[0][1]:  # a prompt goes on: such a shape hardly comes again
            price = self._fresh(rows, chunks, heads, context)
            recent = self._recent
            recent.append(price)
            if len(recent) == MOST_KEPT:
                self._retire()
            return price
        price = self._table.get(shape)
        if price is None or not price.low <= context <= price.limit:
            price = self._table[shape] = self._fresh(rows, chunks, heads, context)
            self._recent.append(price)
            if len(self._recent) == MOST_KEPT:
                self._retire()
        return price

    def _retire(self) -> None:
        """Empty the table.  Counts are folded one turn after a price left it: the engine may still add to its last."""
        self._tally.add(*summed(self._gone))
        for price in self._gone:
            price.steps = price.contexts = 0
        self._gone, self._recent, self._table = self._recent, [], {}

    def _piece(self, shape: StepShape, context: int) -> RooflinePrice:
        """The piece of a decode price that holds at ``context``; pieces are kept, as their counts go on."""
        fresh = self._fresh(*shape, context)
        return self._pieces.setdefault((shape, fresh.low), fresh)

    def _fresh(self, rows: int, chunks: tuple[tuple[int, int], ...], heads: int, context: int) -> RooflinePrice:
        tokens = rows
        tensor = stream = 0.0
        pairs = read = 0
        extra, pair, byte, exponent, root = self._attention
        for new, past in chunks:
            tokens += new
            seen = past + new
            keys = past + seen
            compute, memory = new * (keys + extra) * pair, seen * byte
            time = (compute**exponent + memory**exponent) ** root
            if compute >= memory:
                tensor += time
            else:
                stream += time
            pairs += new * (keys + 1)
            read += seen
        captured = self._captured
        if tokens >= len(captured):
            size, mode = tokens, EAGER
        else:
            size, mode = captured[tokens], PIECEWISE if chunks else FULL
        blocks = self._blocks[mode].get(size) or self._block_part(size, mode)
        head = self._heads[mode].get(heads) or self._head_part(heads, mode)
        part = self._rows.get(rows)
        if part is None or not part[4] <= context <= part[5]:
            part = self._row_part(rows, context)
        fixed, rise, pair_flop, token_bytes, low, limit = part
        if chunks and fixed < self._floor:
            fixed = self._floor
        if mode:
            fixed += self._late
        hbm, tensor_time, nvlink, launch, issue, flop, size_bytes, link_bytes = blocks
        hbm2, tensor2, nvlink2, launch2, issue2, flop2, size2, link2 = head
        hbm += hbm2 + round(stream)
        tensor_time += tensor2 + round(tensor)
        nvlink += nvlink2
        launch += launch2 + fixed
        issue += issue2
        base = hbm + tensor_time + nvlink + launch
        amounts = (
            flop + flop2 + pairs * self._half_pair_flop,
            size_bytes + size2 + read * self._token_bytes,
            link_bytes + link2,
            pair_flop,
            token_bytes,
        )
        host = self._host_base + self._host_per_row * (rows + len(chunks))
        if base >= issue:
            times = (hbm, tensor_time, nvlink, launch)
            return RooflinePrice(times, rise, base, host, amounts, self.source, False, low, limit)
        # The host issues kernels one by one and the device waits: two pieces, which meet at ``crossing``.
        crossing = -((base - issue) // rise) if rise else FAR
        if context >= crossing:
            times = (hbm, tensor_time, nvlink, launch)
            return RooflinePrice(times, rise, base, host, amounts, self.source, False, max(low, crossing), limit)
        times = (hbm, tensor_time, nvlink, launch + issue - base)
        return RooflinePrice(times, rise, issue, host, amounts, self.source, True, low, min(limit, crossing - 1))

    # -- parts that depend on one count --------------------------------------------------------------------------

    def _block_part(self, tokens: int, mode: int) -> _Part:
        launch = self.efficiency.launch
        work = self._work.blocks(tokens, launch.eager if mode == EAGER else launch.graph)
        layers = self.shard.model.num_hidden_layers
        issued = (0, layers * ATTENTION_LAUNCHES, work.kernels + layers)[mode]
        part = self._blocks[mode][tokens] = self._part(work, issued)
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

    def _row_part(self, rows: int, context: int) -> _Rows:
        """Decode attention of all blocks around a summed context."""
        if not rows:
            part = (0, 0, 0.0, 0.0, 0, FAR)
        else:
            shard, model = self.shard, self.shard.model
            layers = model.num_hidden_layers
            line = self.efficiency.decode.line(
                rows, context, shard.attention_heads, shard.kv_heads, model.head_dim, model.kv_format.bytes
            )
            fixed, rise = subticks(line.fixed * layers), subticks(line.per_token * layers)
            part = (fixed, rise, 2 * self._half_pair_flop, self._token_bytes, line.low, line.limit)
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
