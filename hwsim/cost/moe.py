"""Time of a fused layer of routed experts on one rank: the experts that tokens meet, each padded to whole tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.cost.arithmetic import NUMBERS, coefficient, norm
from hwsim.cost.gemm import Bodies
from hwsim.cost.routing import BLOCKS, load


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeKernel:
    """Both products, activation and permutation of the experts of a rank, in one format.

    ``T = fixed + token_time*tokens + expert_time*active + (Tc**p + Tm**p)**(1/p) + Tr + Ta`` of the busiest rank.
    ``Tc`` multiplies every expert's tokens, padded to tiles of about ``block`` times their mean (between ``least`` and
    ``most`` rows); a small tile reaches ``block/(block + block_half)`` of the efficiency.  ``Tm`` streams the matrices
    of the active experts.  ``Tr``: activations read again for each column of tiles once they outgrow the L2 cache.
    ``Ta``: activations read and written once.  Copies for other ranks' experts cost ``foreign_compute`` of a copy and
    ``foreign_data`` of its bytes, in kernels that walk over them.
    """

    sms: int
    bandwidth: float
    l2: float
    compute: float = coefficient("share", 0.6, 0.05, 1)
    block: float = coefficient("count", 1.0, 0.2, 4)
    least: float = coefficient("count", 16.0, 8, 128)
    most: float = coefficient("count", 128.0, 32, 256)
    block_half: float = coefficient("count", 20.0, 0.1, 300)
    memory: float = coefficient("share", 0.85, 0.3, 1)
    occupancy: float = coefficient("count", 0.05, 1e-4, 3)
    l2_share: float = coefficient("count", 0.5, 0.1, 2)
    l2_edge: float = coefficient("count", 4.0, 2, 20)
    l2_gain: float = coefficient("count", 2.0, 1, 10)
    again: float = coefficient("count", 0.05, 1e-4, 3)
    again_share: float = coefficient("count", 0.5, 0.05, 10)
    data: float = coefficient("count", 1.0, 0.01, 10)
    foreign_data: float = coefficient("count", 1.0, 1e-4, 10)
    foreign_compute: float = coefficient("count", 0.05, 1e-4, 1.3)
    exponent: float = coefficient("count", 3.0, 1, 8)
    fixed: float = coefficient("s", 1.5e-5, 2e-6, 1.2e-4)
    token_time: float = coefficient("s", 5e-10, 1e-13, 2e-8)
    expert_time: float = coefficient("s", 1e-8, 1e-10, 5e-6)

    def parts(
        self,
        tokens: Any,
        assigned: Any,
        active: Any,
        padded: Any,
        foreign: Any,
        hidden: Any,
        intermediate: Any,
        matrices: Any,
        element: float,
        peak: float,
        xp: Any = NUMBERS,
        warm: bool = False,
    ) -> tuple[Any, Any, Any]:
        """Seconds of compute and of memory, and of all that overlaps with neither.

        ``padded``: copies in whole tiles by size, as in :data:`BLOCKS`; ``matrices`` is 3 with a gate, else 2.
        """
        size = active * matrices * hidden * intermediate * element
        tile = xp.log2(xp.maximum(assigned / active, 1.0) * self.block)
        tile = xp.minimum(xp.maximum(tile, xp.log2(self.least)), xp.log2(self.most))
        copies = _between(tile - 3, padded, xp) + self.foreign_compute * foreign
        rate = peak * self.compute / (1 + self.block_half / 2**tile)
        compute = 2 * copies * matrices * hidden * intermediate / rate
        narrow = self.sms / (active * (3 * intermediate + hidden) / 128)
        memory = size / (self.bandwidth * self.memory)
        if warm:
            hit = 1 / (1 + (size / (self.l2_share * self.l2)) ** self.l2_edge)
            memory = (1 - hit) * memory + hit * size / (self.bandwidth * self.l2_gain)
        memory = memory * (1 + self.occupancy * narrow)
        walked = assigned + self.foreign_compute * foreign
        columns = hidden * xp.ceil((matrices - 1) * intermediate / 128) + intermediate * xp.ceil(hidden / 128)
        outgrown = xp.maximum(0.0, 1 - self.again_share * self.l2 / (tokens * hidden * 2))
        again = walked * columns * 2 * outgrown * self.again
        data = (
            walked * (2 * hidden + matrices * intermediate) * 2 * self.data + foreign * hidden * 2 * self.foreign_data
        )
        other = self.fixed + self.token_time * tokens + self.expert_time * active + (again + data) / self.bandwidth
        return compute, memory, other

    def seconds(self, *shape: Any, xp: Any = NUMBERS) -> Any:
        """Seconds of a call as a benchmark sees it, weights in L2 where they fit; arguments as for :meth:`parts`."""
        compute, memory, other = self.parts(*shape, xp=xp, warm=True)
        return other + norm(self.exponent, compute, memory)


def _between(at: Any, padded: Any, xp: Any) -> Any:
    """Padded copies for a tile between two of :data:`BLOCKS`."""
    value = padded[-1]
    for index in reversed(range(len(BLOCKS) - 1)):
        low, high = padded[index], padded[index + 1]
        value = xp.where(at <= index + 1, low + (high - low) * (at - index), value)
    return value


# Formats without own rows take those of a neighbour.
STANDS_FOR = {
    "fp16": "bf16",
    "int8": "fp8",
    "fp8_block": "fp8",
    "fp4": "fp8",
    "int4": "bf16",
    "mxfp4": "int4",
    "mxfp4_mxfp8": "mxfp4",
}


@dataclass(frozen=True, slots=True)
class MoeLaw:
    """Kernels by number format: ``bf16``, ``fp8``, ``fp8_block``, ``fp4``, and ``int4`` weights alone."""

    kernels: Mapping[str, MoeKernel]

    def kernel(self, dtype: str, element: float) -> MoeKernel:
        """The law of a format; 16-bit compute on weights of less than a byte is ``int4``."""
        return self.kernels[self.name(dtype, element)]

    def name(self, dtype: str, element: float) -> str:
        """Its name, or that of the neighbour that stands for it."""
        if dtype in ("bf16", "fp16") and element < 0.9:
            dtype = "int4"
        while dtype not in self.kernels:
            dtype = STANDS_FOR[dtype]
        return dtype

    def body(
        self,
        tokens: int,
        experts: int,
        top_k: int,
        hidden: int,
        intermediate: int,
        weight_element_bytes: float,
        activation: float,
        peak: float,
        dtype: str = "bf16",
        ranks: int = 1,
        load_factor: float | None = None,
        routing: str = "uniform",
        matrices: int = 3,
        *,
        dispatched: bool = False,
    ) -> Bodies:
        """Seconds of one layer on the busiest of ``ranks`` that share ``experts``.

        ``tokens``: of all ranks together, before the choice of ``top_k``; ``intermediate``: width on this rank;
        ``load_factor``: token copies of the busiest rank over the mean (1 or None: as ``routing`` says).
        ``dispatched``: a rank was sent the tokens of its own experts only (all-to-all), so it walks over no others.
        """
        found = load(max(tokens, 1), experts, top_k, ranks, routing)
        factor = 1.0 if load_factor is None else load_factor
        kernel = self.kernel(dtype, weight_element_bytes)
        assigned = found.assigned * factor
        foreign = 0.0 if dispatched else max(0.0, tokens * top_k - assigned)
        compute, memory, other = kernel.parts(
            min(tokens, assigned) if dispatched else tokens,
            assigned,
            found.active,
            [each * factor for each in found.padded],
            foreign,
            hidden,
            intermediate,
            matrices,
            weight_element_bytes,
            peak,
        )
        return Bodies(other + norm(kernel.exponent, compute, memory), compute, memory)
