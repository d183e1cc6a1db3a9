"""Time of one matrix product on one GPU: compute in tiles and waves against streaming the weights, a p-norm of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hwsim.cost.arithmetic import NUMBERS, coefficient

# Output tiles a library chooses from (rows, columns), and parts into which it cuts the depth to fill the SMs.
TILES = ((16, 64), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256))
SPLITS = (1, 2, 4, 8, 16)
LEAST_DEPTH = 128  # a part of the depth is at least this long
PARTIAL_BYTES = 8  # a 32-bit partial sum is written and read


class Bodies(NamedTuple):
    """Seconds a kernel takes after its launch, and those of its two parts alone."""

    total: float
    compute: float
    memory: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmKernel:
    """``out[m, n] = in[m, k] @ weight[n, k]`` in one number format.

    ``T = launch + ramp + (Tc**p + Tm**p)**(1/p) + quantise``, the least over tiles ``bm x bn`` and splits ``s``.
    ``Tc = waves * (k/s * step + block_time)`` with ``step = 2*bm*bn*(1 + tile_half*(bm+bn)/(bm*bn)) / (peak/SMs *
    compute) + depth_time``: small tiles load more per FLOP.  ``waves`` lies between the mean work of an SM and that
    of the busiest (``quantum``).  Splits add ``split_time`` and the traffic of partial sums.  ``Tm`` streams weights
    and activations; with fewer blocks than SMs it slows down by ``occupancy``.  Formats below 16 bit round their
    activations in a kernel before: a fixed part, one along the depth, and one per row and element.  ``copies``: how
    many sets of weights go round; with so few that they stay in the L2 cache (``l2_share`` of it) they come from there.
    ``host``: the pace of a library that was measured without a graph.  Simplification: one kernel family per format.
    """

    sms: int
    bandwidth: float
    l2: float
    launch: float
    compute: float = coefficient("count", 0.85, 0.2, 1.2)
    tile_half: float = coefficient("count", 5.0, 0.01, 200)
    block_time: float = coefficient("s", 3e-7, 1e-9, 5e-6)
    depth_time: float = coefficient("s", 2e-10, 1e-13, 3e-9)
    split_time: float = coefficient("s", 1e-6, 1e-8, 8e-6)
    partial: float = coefficient("count", 0.2, 0.002, 5)
    quantum: float = coefficient("share", 0.7, 0.05, 0.999)
    memory: float = coefficient("share", 0.9, 0.4, 1.0)
    activations: float = coefficient("count", 0.5, 0.1, 2)
    occupancy: float = coefficient("count", 0.02, 1e-5, 2)
    l2_gain: float = coefficient("count", 3.0, 1, 10)
    l2_share: float = coefficient("count", 1.0, 0.2, 3)
    ramp: float = coefficient("s", 1e-6, 1e-7, 8e-6)
    exponent: float = coefficient("count", 3.0, 1.2, 8)
    round_fixed: float = coefficient("s", 2e-6, 1e-8, 8e-6, optional=True)
    round_depth: float = coefficient("s", 2e-10, 1e-13, 2e-8, optional=True)
    round_row: float = coefficient("s", 1e-6, 2e-8, 1e-5, optional=True)
    round_element: float = coefficient("s", 3e-10, 1e-12, 1e-8, optional=True)
    single_row: float = coefficient("s", 1e-8, 1e-10, 4e-5, optional=True)
    host: float = coefficient("s", 1e-4, 3e-5, 5e-4, optional=True)
    host_few: float = coefficient("s", 8e-5, 3e-5, 5e-4, optional=True)

    def parts(
        self, m: Any, n: Any, k: Any, peak: float, weights: Any, element: float, copies: float, xp: Any = NUMBERS
    ) -> tuple[Any, Any, Any]:
        """Seconds of the whole kernel without ``ramp`` and rounding, and of compute and memory alone."""
        sms, p, scalar = self.sms, self.exponent, xp is NUMBERS
        rate = peak / sms * self.compute
        hit = (self.l2 * self.l2_share - copies * weights) / (self.l2 * self.l2_share * 0.5)
        hit = xp.minimum(1.0, xp.maximum(0.0, hit))
        streamed = weights * (1 - hit * (1 - 1 / self.l2_gain)) + (m * n * 2 + m * k * element) * self.activations
        stream = streamed / (self.bandwidth * self.memory)
        spill = self.partial * PARTIAL_BYTES * m * n / self.bandwidth
        best = compute = memory = float("inf")
        for rows, columns in TILES:
            tiles = xp.ceil(m / rows) * xp.ceil(n / columns)
            step = 2 * rows * columns * (1 + self.tile_half * (rows + columns) / (rows * columns)) / rate
            step += self.depth_time
            for splits in SPLITS:
                if scalar and splits > 1 and (tiles >= sms or k < LEAST_DEPTH * splits):
                    break
                waves = tiles * splits / sms
                waves = xp.maximum(1.0, (1 - self.quantum) * waves + self.quantum * xp.ceil(waves))
                work = waves * (k / splits * step + self.block_time)
                load = stream * (1 + self.occupancy * sms / xp.minimum(tiles * splits, sms))
                if splits > 1:
                    work = work + self.split_time + splits * spill
                    if not scalar:
                        work = xp.where((tiles >= sms) | (k < LEAST_DEPTH * splits), 1e3, work)
                total = work**p + load**p
                better = total < best
                best = xp.where(better, total, best)
                compute, memory = xp.where(better, work, compute), xp.where(better, load, memory)
        return best ** (1 / p), compute, memory

    def rounding(self, m: Any, k: Any) -> Any:
        """Seconds of the kernel that rounds the activations to the format, launch included."""
        row = (self.round_row**2 + (self.round_element * k) ** 2) ** 0.5
        return self.round_fixed + self.round_depth * k + m / self.sms * row

    def seconds(
        self,
        m: Any,
        n: Any,
        k: Any,
        peak: float,
        weights: Any,
        element: float,
        copies: float,
        xp: Any = NUMBERS,
        rounds: bool = False,
        hosted: bool = False,
    ) -> Any:
        """Seconds of a call as a benchmark sees it: launch in a graph, or the host's pace (``hosted``), included."""
        total = self.launch + self.ramp + self.parts(m, n, k, peak, weights, element, copies, xp)[0]
        if rounds:
            total = total + self.rounding(m, k) + xp.where(m == 1, self.single_row, 0.0)
        if hosted:
            pace = xp.where(m <= 64, self.host_few, self.host) + xp.where(m == 1, self.single_row, 0.0)
            total = (total**6 + pace**6) ** (1 / 6)
        return total


# Formats without own rows take those of a neighbour: the same units work on them.
STANDS_FOR = {"fp16": "bf16", "int8": "fp8", "fp8_block": "fp8", "fp4": "fp8"}
WIDE = ("bf16", "fp16")
# Formats that were measured without a graph, at the host's pace: their rows do not tell what starting a kernel and
# rounding a few rows take in a graph.  The format whose rows do.
HOSTED = {"fp8_block": "fp8"}


@dataclass(frozen=True, slots=True)
class GemmLaw:
    """Products by number format; a format without own coefficients takes its neighbour's as a share of its own peak."""

    kernels: Mapping[str, GemmKernel]

    @property
    def compute(self) -> Mapping[str, float]:
        """Number formats with a law, and the share of peak that their largest tiles reach."""
        own = {dtype: kernel.compute for dtype, kernel in self.kernels.items()}
        return {each: own[other] for each, other in STANDS_FOR.items() if other in own} | own

    def kernel(self, dtype: str) -> GemmKernel:
        """The law of a number format or of the one that stands for it."""
        while dtype not in self.kernels:
            dtype = STANDS_FOR[dtype]
        return self.kernels[dtype]

    def body(
        self,
        m: int,
        n: int,
        k: int,
        peak: float,
        dtype: str,
        weight_bytes: float,
        activation: float,
        *,
        rounded: bool = False,
    ) -> Bodies:
        """Seconds after the launch of ``out[m, n] = in[m, k] @ weight[k, n]`` at ``peak`` FLOP/s of ``dtype``.

        Weights come from HBM (a model's layers are far larger than the L2 cache).  Formats below 16 bit include the
        kernel that rounds the activations, unless the kernel before left them ``rounded``.
        """
        kernel = self.kernel(dtype)
        element = activation if dtype in WIDE else min(activation, 1.0)
        total, compute, memory = kernel.parts(m, n, k, peak, weight_bytes, element, float("inf"))
        ramp, rounding = kernel.ramp, 0.0 if dtype in WIDE or rounded else kernel.rounding(m, k)
        if dtype in HOSTED and HOSTED[dtype] in self.kernels:
            other = self.kernels[HOSTED[dtype]]
            ramp, rounding = min(ramp, other.ramp), min(rounding, other.rounding(m, k))
        total += ramp + rounding
        return Bodies(max(total, compute, memory), compute, memory)
