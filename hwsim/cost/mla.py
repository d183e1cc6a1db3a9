"""Time of multi-head latent attention: one latent per token shared by all heads, absorbed in decode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.cost.arithmetic import NUMBERS, coefficient, norm
from hwsim.cost.gemm import Bodies
from hwsim.cost.line import Line, chord

HEAD_BLOCK = 64  # query heads that one block works on
QUERY_BLOCK = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class MlaDecodeKernel:
    """One new token per row against latents in one number format.

    ``T = fixed + combining + items + (Tm**p + Tc**p + latency**p)**(1/p)``.  An item is a row and up to 64 heads;
    ``Tc = 2*heads*(2*latent + rope)`` FLOP a token for at least ``least_heads`` heads; ``Tm`` reads each latent once.
    A kernel that ``splits`` cuts contexts into parts of at least ``least_part`` tokens; ``latency`` walks one part.
    """

    sms: int
    bandwidth: float
    l2: float
    fixed: float = coefficient("s", 1e-5, 3e-6, 2e-5)
    block_time: float = coefficient("s", 3e-6, 5e-8, 3e-5)
    combine: float = coefficient("s", 5e-7, 1e-9, 4e-6)
    least_heads: float = coefficient("count", 32.0, 1, 128)
    splits: float = coefficient("count", 1.0, 1e-3, 4)
    least_part: float = coefficient("count", 128.0, 16, 4096)
    memory: float = coefficient("share", 0.8, 0.2, 1)
    compute: float = coefficient("share", 0.6, 0.02, 1)
    token_time: float = coefficient("s", 1e-8, 1e-11, 3e-7)
    l2_share: float = coefficient("count", 0.7, 0.1, 2)
    l2_edge: float = coefficient("count", 5.0, 2, 20)
    l2_gain: float = coefficient("count", 1.5, 0.5, 10)
    exponent: float = coefficient("count", 3.0, 1, 8)

    def seconds(
        self,
        rows: Any,
        context: Any,
        heads: Any,
        latent: int,
        rope: int,
        peak: float,
        element: float,
        xp: Any = NUMBERS,
        warm: bool = False,
    ) -> Any:
        """Seconds for ``rows`` rows of ``context`` tokens each (``warm``: called again and again on the same KV)."""
        items = rows * xp.maximum(1.0, heads / HEAD_BLOCK)
        parts = xp.minimum(xp.maximum(self.sms * self.splits / items, 1.0), xp.maximum(1.0, context / self.least_part))
        size = rows * context * (latent + rope) * element
        stream = size / (self.bandwidth * self.memory)
        if warm:
            hit = 1 / (1 + (size / (self.l2_share * self.l2)) ** self.l2_edge)
            stream = (1 - hit) * stream + hit * size / (self.bandwidth * self.l2_gain)
        wide = xp.maximum(heads, self.least_heads)
        compute = 2 * rows * wide * context * (2 * latent + rope) / (peak * self.compute)
        walk = context / parts * self.token_time
        combine = xp.where(parts > 1, self.combine * xp.log2(1 + context / 1024), 0.0)
        return self.fixed + combine + items / self.sms * self.block_time + norm(self.exponent, stream, compute, walk)


@dataclass(frozen=True, slots=True, kw_only=True)
class MlaPrefillKernel:
    """Causal prefill with keys and values expanded per head; as for plain attention, and one pass over their bytes."""

    sms: int
    bandwidth: float
    compute: float = coefficient("share", 0.6, 0.05, 1)
    extra: float = coefficient("count", 100.0, 0.1, 4000)
    block_time: float = coefficient("s", 2e-6, 5e-8, 2e-5)
    tail: float = coefficient("count", 0.8, 0.05, 4)
    data: float = coefficient("count", 1.0, 1e-3, 20)
    row_time: float = coefficient("s", 1e-10, 1e-12, 2e-8)
    droop: float = coefficient("count", 0.05, 1e-4, 1)
    exponent: float = coefficient("count", 2.0, 1, 8)
    fixed: float = coefficient("s", 1.4e-5, 3e-6, 2.5e-5)

    def parts(
        self, sequences: Any, new: Any, past: Any, heads: Any, nope: int, rope: int, value: int, peak: float, xp: Any
    ) -> tuple[Any, Any]:
        """Seconds of multiplying pairs and of moving data; ``droop``: loss per doubling beyond 8192 tokens."""
        rate, width = peak / self.sms * self.compute, nope + rope + value
        blocks = sequences * heads * xp.ceil(new / QUERY_BLOCK)
        work = sequences * heads * new * (2 * past + new + self.extra) * width / rate / self.sms
        work = work + blocks * self.block_time / self.sms
        longest = xp.minimum(new, QUERY_BLOCK) * (past + new + self.extra / 2) * 2 * width / rate * self.tail
        droop = 1 + self.droop * xp.maximum(0.0, xp.log2((past + new) / 8192))
        pairs = norm(self.exponent, work, longest + self.block_time) * droop
        size = sequences * heads * 2 * (new * (3 * (nope + rope) + 2 * value) + past * width)
        return pairs, size * self.data / self.bandwidth + sequences * new * self.row_time


@dataclass(frozen=True, slots=True)
class MlaLaw:
    """Decode and prefill kernels by the number format of the cache."""

    decode: Mapping[str, MlaDecodeKernel]
    prefill: Mapping[str, MlaPrefillKernel]

    @property
    def decode_memory(self) -> float:
        """Share of the bandwidth that decode reaches."""
        return self.decode["bf16"].memory

    @property
    def decode_compute(self) -> float:
        """Share of the peak that decode reaches."""
        return self.decode["bf16"].compute

    @property
    def decode_floor(self) -> float:
        """Seconds of a decode kernel on next to nothing, launch included."""
        return self.decode["bf16"].fixed

    @property
    def prefill_compute(self) -> float:
        """Share of the peak that prefill reaches."""
        return self.prefill["bf16"].compute

    @property
    def prefill_floor(self) -> float:
        """Seconds of a prefill kernel on next to nothing, launch included."""
        return self.prefill["bf16"].fixed

    @property
    def exponent(self) -> float:
        """How far compute and memory overlap in decode."""
        return self.decode["bf16"].exponent

    def line(
        self, rows: int, context: int, heads: int, latent: int, rope: int, peak: float, kv_element_bytes: float
    ) -> Line:
        """Seconds of one layer for ``rows`` rows of ``context`` tokens together: the affine piece there."""
        kernel = _of(self.decode, kv_element_bytes)

        def seconds(total: float) -> float:
            return kernel.seconds(rows, max(total / rows, 1.0), heads, latent, rope, peak, kv_element_bytes)

        return chord(seconds, context)

    def body(
        self,
        new: int,
        past: int,
        heads: int,
        nope: int,
        rope: int,
        value: int,
        peak: float,
        kv_element_bytes: float,
    ) -> Bodies:
        """Seconds of one layer of causal prefill beyond ``prefill_floor``."""
        pairs, data = _of(self.prefill, kv_element_bytes).parts(1, new, past, heads, nope, rope, value, peak, NUMBERS)
        return Bodies(pairs + data, pairs, data)


def _of(kernels: Mapping[str, Any], element: float) -> Any:
    return kernels.get("fp8", kernels["bf16"]) if element <= 1 else kernels["bf16"]
