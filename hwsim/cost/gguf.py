"""Products of llama.cpp: vector kernels read weights where they lie, batches multiply what was unpacked before.

Few rows go through kernels that dot packed weights with 8-bit activations: memory decides, and how many bytes the
cores have in flight.  Many rows multiply in 16 bit; packed weights are unpacked to 16 bit through memory first (CUDA
and HIP: a library's product follows) or inside the kernel (Metal).  Simplification: one kernel for every packed format.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.cost.arithmetic import coefficient, norm
from hwsim.cost.gemm import Bodies
from hwsim.cost.routing import load

VECTOR_ROWS = 8  # rows up to which llama.cpp takes its vector kernels
WIDE_BYTES = 2.0  # of an unpacked weight
COMPUTES = ("bf16", "fp16", "fp32", "fp8", "int8")  # formats of models that end up as GGUF


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufKernel:
    """``T = ramp + (Tc**p + Tm**p)**(1/p) + Tu`` of one product.

    ``Tm`` streams the weights at ``((bandwidth*memory)**-q + (sms*clock*in_flight)**-q)**(-1/q)``: a core keeps only
    so many loads in flight, so a few slow cores cannot draw what a wide memory delivers; ``packed`` is what is left of
    that where weights have to be taken apart.  ``Tc``: FLOP at ``compute`` of the peak of 16-bit products with 16-bit
    sums (twice the data sheet's 16-bit peak on cards that sum in 32 bit at half rate: ``wide``), or ``inside`` of it
    where the kernel unpacks as it goes.  ``Tu``: with ``passes`` 1, unpacking reads the packed weights and writes them
    in 16 bit.  Rows move in 32 bit.
    """

    sms: int
    bandwidth: float
    clock: float
    wide: float
    memory: float = coefficient("share", 0.9, 0.3, 1.0)
    in_flight: float = coefficient("count", 6.0, 1.0, 40.0)
    packed: float = coefficient("share", 0.8, 0.2, 1.0)
    sharpness: float = coefficient("count", 4.0, 1.0, 12.0)
    compute: float = coefficient("share", 0.5, 0.05, 1.0)
    inside: float = coefficient("share", 0.9, 0.2, 1.0)
    passes: float = coefficient("count", 1.0, 0.0, 1.0)
    row_bytes: float = coefficient("count", 8.0, 2.0, 64.0)
    ramp: float = coefficient("s", 2e-6, 1e-7, 2e-5)
    exponent: float = coefficient("count", 4.0, 1.0, 8.0)

    def rate(self, element: float) -> float:
        """Bytes/s at which weights of ``element`` bytes come from memory."""
        flying = self.sms * self.clock * self.in_flight * (self.packed if element < WIDE_BYTES else 1.0)
        return 1 / norm(self.sharpness, 1 / (self.bandwidth * self.memory), 1 / flying)

    def parts(self, rows: float, weights: float, size: float, moved: float) -> tuple[float, float, float]:
        """Seconds of compute, of memory, and of unpacking.

        ``weights`` are those that are read (``size`` bytes), ``rows`` how often each multiplies, ``moved`` elements of
        inputs and outputs.
        """
        element = size / max(weights, 1.0)
        stream = (size + moved * self.row_bytes) / self.rate(element)
        packed = element < WIDE_BYTES
        share = self.compute * (self.inside if packed and not self.passes else 1.0)
        compute = 2.0 * rows * weights / (self.wide * share)
        if not packed or rows <= VECTOR_ROWS or not self.passes:
            return compute, stream, 0.0
        return compute, stream, self.passes * (size + WIDE_BYTES * weights) / self.rate(WIDE_BYTES)

    def total(self, compute: float, memory: float, unpacking: float) -> float:
        """Seconds of one kernel after its launch."""
        return self.ramp + norm(self.exponent, compute, memory) + unpacking


@dataclass(frozen=True, slots=True)
class GgufGemmLaw:
    """Products of one format or another: what differs is how many bytes a weight has."""

    law: GgufKernel

    @property
    def compute(self) -> dict[str, float]:
        """Number formats that can be priced, and the share of peak that large products reach."""
        return dict.fromkeys(COMPUTES, self.law.compute)

    def kernel(self, dtype: str) -> GgufKernel:
        """The one law."""
        return self.law

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
        """Seconds after the launch of ``out[m, n] = in[m, k] @ weight[k, n]``; rounding is part of these kernels."""
        compute, memory, unpacking = self.law.parts(m, n * k, weight_bytes, m * (n + k))
        return Bodies(self.law.total(compute, memory, unpacking), compute, memory + unpacking)


@dataclass(frozen=True, slots=True)
class GgufMoeLaw:
    """Routed experts as products of the experts that tokens meet, by the same kernels (``MUL_MAT_ID``)."""

    law: GgufKernel

    def kernel(self, dtype: str, element: float) -> GgufKernel:
        """The one law."""
        return self.law

    def name(self, dtype: str, element: float) -> str:
        """The name of that law."""
        return "gguf"

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
        """Seconds of one layer on the busiest of ``ranks`` that share ``experts``; arguments as for ``MoeLaw``."""
        found = load(max(tokens, 1), experts, top_k, ranks, routing)
        copies = found.assigned * (1.0 if load_factor is None else load_factor)
        weights = found.active * matrices * hidden * intermediate
        compute, memory, unpacking = self.law.parts(
            copies / found.active, weights, weights * weight_element_bytes, copies * matrices * (hidden + intermediate)
        )
        ramps = self.law.ramp * (matrices - 1)  # a product each
        return Bodies(ramps + self.law.total(compute, memory, unpacking), compute, memory + unpacking)
