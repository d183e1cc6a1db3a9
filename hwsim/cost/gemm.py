"""Time of one matrix product on one GPU: compute in tiles and waves against streaming the weights, a p-norm of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

# Output tiles a library chooses from (rows, columns); the largest is the reference of the compute efficiency.
TILES = ((16, 128), (64, 64), (64, 128), (128, 128), (128, 256))
LARGEST_TILE = 128 * 256 / (128 + 256)
MOST_SPLITS = 8  # parts into which the depth of a product may be cut to fill the SMs


class Bodies(NamedTuple):
    """Seconds a kernel takes after its launch, and those of its two parts alone."""

    total: float
    compute: float
    memory: float


@dataclass(frozen=True, slots=True)
class GemmLaw:
    """``T = (Tc**p + Tm**p)**(1/p)`` after the launch.

    ``Tc = waves * 2*bm*bn*(k/splits + depth) / (peak/SMs * e)``, the least over tiles ``bm x bn`` and splits of the
    depth, with ``waves = ceil(tiles*splits / SMs)`` and ``e = compute * (1 + h/I0) / (1 + h/I)``: a small tile has a
    low intensity ``I = bm*bn/(bm+bn)``, ``I0`` is the largest tile's and ``h`` (``tile_half``) says how much that
    costs.  ``Tm = ramp + bytes / (bandwidth * e_m)``: filling and draining a kernel takes ``ramp``, so a small weight
    shard reaches less bandwidth.  Simplification: one kernel family for all shapes; L2 hits are not modelled.
    """

    sms: int
    bandwidth: float
    memory_efficiency: float
    ramp: float
    tile_half: float
    depth: float
    exponent: float
    compute: Mapping[str, float]

    def body(self, m: int, n: int, k: int, peak: float, dtype: str, weight_bytes: float, activation: int) -> Bodies:
        """Seconds of ``out[m, n] = in[m, k] @ weight[k, n]`` at ``peak`` FLOP/s of ``dtype``."""
        compute = self._compute(m, n, k) * self.sms / (peak * self.compute[dtype])
        bytes_moved = weight_bytes + activation * m * (n + k)
        memory = self.ramp + bytes_moved / (self.bandwidth * self.memory_efficiency)
        p = self.exponent
        return Bodies((compute**p + memory**p) ** (1 / p), compute, memory)

    def _compute(self, m: int, n: int, k: int) -> float:
        """FLOP that the busiest SM executes, at the efficiency of the largest tile."""
        best = float("inf")
        sms, depth = self.sms, self.depth
        for rows, columns, work in _tile_work(self.tile_half):
            tiles = -(-m // rows) * -(-n // columns)
            flop = -(-tiles // sms) * work * (k + depth)
            if flop < best:
                best = flop
            splits = 1
            while tiles * splits < sms and splits < MOST_SPLITS:
                splits *= 2
                flop = -(-tiles * splits // sms) * work * (k / splits + depth)
                if flop < best:
                    best = flop
        return best


@cache
def _tile_work(tile_half: float) -> tuple[tuple[int, int, float], ...]:
    """Tiles with the FLOP that one costs per step of depth, at the efficiency of the largest."""
    largest = 1 + tile_half / LARGEST_TILE
    return tuple((r, c, 2 * r * c * (1 + tile_half * (r + c) / (r * c)) / largest) for r, c in TILES)
