"""What a step is added up from, in subticks, kept by the counts that each part depends on."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from hwsim.cost.line import FAR
from hwsim.cost.mixing import Chunk, Mixing, Rise
from hwsim.cost.price import SUBTICKS_PER_SECOND, subticks
from hwsim.cost.roofline_price import FLAT, Slope
from hwsim.cost.work import PassWork, Work
from hwsim.model.gemm import Experts

FULL, PIECEWISE, EAGER = range(3)  # one graph for the step; graphs between attention kernels; no graph
MOST_CHUNKS = 1 << 16
ATTENTION_LAUNCHES = 4  # per block between graphs: query/key reshape, cache write, attention, next graph

# Decode rows, sampled rows, size of the graph, how it is launched, encoder tokens, whether there is no prompt chunk.
Key = tuple[int, int, int, int, int, bool]
# What depends on one count, in subticks rounded once: HBM, tensor, NVLink and launch time and the host's time to issue
# the kernels; then FLOP, HBM bytes and link bytes of all ranks.
_Part = tuple[int, int, int, int, int, float, float, float]


# A step without its prompt chunks: subticks by bound and to issue, amounts, contexts it holds for, what they add.
Fixed = tuple[int, int, int, int, int, float, float, float, int, int, Slope, tuple[Slope, ...]]


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


class StepParts:
    """Blocks by tokens, head by sampled rows, mixers by decode rows, prompt chunks: each priced once.

    ``pace``: seconds the host needs to issue one kernel that is in no graph, ``beyond``: and to issue the layers of a
    step besides.
    """

    def __init__(self, work: PassWork, mixing: Mixing, pace: float, beyond: float = 0.0) -> None:
        self._work, self._mixing, self._pace = work, mixing, pace
        self._beyond = subticks(beyond)
        self.known: dict[Key, Fixed] = {}
        self.chunks: dict[tuple[int, int], Chunk] = {}
        self._blocks: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._heads: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._encoders: tuple[dict[int, _Part], ...] = ({}, {}, {})
        self._rows: dict[int, tuple[list[int], list[_Rows]]] = {}  # by their number: where pieces begin, and the pieces
        launch = work.efficiency.launch
        self._floor = subticks(mixing.floor)
        self._longest = 0.0  # tokens that a decode row was priced with
        self._late = subticks((launch.eager - launch.graph) * mixing.layers)

    def fixed(self, key: Key, context: int) -> Fixed:
        """All of a step but its prompt chunks: blocks, head and mixers of decode rows, kept by the counts in it."""
        rows, heads, size, mode, encoded, alone = key
        parts = [
            self._blocks[mode].get(size) or self._block_part(size, mode),
            self._heads[mode].get(heads) or self._head_part(heads, mode),
        ]
        if encoded:
            parts.append(self._encoders[mode].get(encoded) or self._encoder_part(encoded, mode))
        row = None
        if rows in self._rows:
            lows, pieces = self._rows[rows]
            place = bisect_right(lows, context) - 1
            row = pieces[place] if place >= 0 else None
        if row is None or context > row.limit:
            row = self._row_part(rows, context)
        hbm, tensor, nvlink, issue, flop, moved, link = row.hbm, row.tensor, 0, 0, row.flop, row.size, 0.0
        launch = (row.launch if alone else max(row.launch, self._floor)) + (self._late if mode else 0)
        for part in parts:
            hbm, tensor, nvlink = hbm + part[0], tensor + part[1], nvlink + part[2]
            launch, issue = launch + part[3], issue + part[4]
            flop, moved, link = flop + part[5], moved + part[6], link + part[7]
        if len(self.known) >= MOST_CHUNKS:
            self.known.clear()
        edges = (row.low, row.limit, row.rise, row.rises)
        found = self.known[key] = (hbm, tensor, nvlink, launch, issue, flop, moved, link, *edges)
        return found

    # -- what was priced -----------------------------------------------------------------------------------------

    def tokens(self) -> list[int]:
        """Tokens of the batches that blocks were priced for."""
        return [size for known in self._blocks for size in known]

    def extents(self) -> list[tuple[str, float]]:
        """The most decode rows at a time, and the longest context of a row."""
        rows = max(self._rows, default=0)
        return [("rows", rows), ("tokens", self._longest)] if rows else []

    def expert_format(self, experts: Experts) -> str:
        """The law that fused experts were priced by."""
        return self._work.expert_law(experts.format)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _block_part(self, tokens: int, mode: int) -> _Part:
        launch = self._work.efficiency.launch
        work = self._work.blocks(tokens, launch.eager if mode == EAGER else launch.graph)
        layers = self._mixing.layers
        issued = (0, layers * ATTENTION_LAUNCHES, work.kernels + layers)[mode]
        part = self._part(work, issued)
        if mode == EAGER:
            part = (*part[:4], part[4] + self._beyond, *part[5:])
        self._blocks[mode][tokens] = part
        return part

    def _encoder_part(self, tokens: int, mode: int) -> _Part:
        launch = self._work.efficiency.launch
        work = self._work.encoder(tokens, launch.eager if mode == EAGER else launch.graph)
        part = self._encoders[mode][tokens] = self._part(work, work.kernels if mode == EAGER else 0)
        return part

    def _head_part(self, rows: int, mode: int) -> _Part:
        launch = self._work.efficiency.launch
        work = self._work.head(rows, launch.graph if mode == FULL else launch.eager)
        part = self._heads[mode][rows] = self._part(work, 0 if mode == FULL else work.kernels)
        return part

    def _part(self, work: Work, issued: int) -> _Part:
        ranks = self._work.shard.tensor_parallel_size
        return (
            subticks(work.hbm),
            subticks(work.tensor),
            subticks(work.nvlink),
            subticks(work.launch),
            subticks(issued * self._pace),
            work.flop * ranks,
            work.hbm_bytes * ranks,
            work.link_bytes * ranks,
        )

    def chunk(self, chunk: tuple[int, int]) -> Chunk:
        """Attention and scans of a prompt chunk, and an encoder's pass: seconds become subticks."""
        if len(self.chunks) >= MOST_CHUNKS:
            self.chunks.clear()
        found = self._mixing.chunk(*chunk)
        ticks = SUBTICKS_PER_SECOND
        part = Chunk(found.compute * ticks, found.memory * ticks, found.flop, found.size)
        self.chunks[chunk] = part
        return part

    def _row_part(self, rows: int, context: int) -> _Rows:
        """Mixers of decode rows around a summed context."""
        self._longest = max(self._longest, context / rows if rows else 0.0)
        if not rows:
            part = _Rows(0, 0, 0, 0.0, 0.0, FLAT, (FLAT,) * len(self._mixing.windows), 0, FAR)
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
        lows, pieces = self._rows.setdefault(rows, ([], []))
        place = bisect_right(lows, part.low)
        lows.insert(place, part.low)
        pieces.insert(place, part)
        return part


def _slope(rise: Rise) -> Slope:
    return Slope(subticks(rise.memory), subticks(rise.compute), rise.flop, rise.size)
