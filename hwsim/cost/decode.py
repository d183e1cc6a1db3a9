"""Time of decode attention: each row reads the keys and values of its context once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.cost.arithmetic import NUMBERS, coefficient, norm
from hwsim.cost.line import Line, chord


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeKernel:
    """One new token per row, keys and values in one number format.

    ``T = fixed + splitting + (items**p + Tm**p)**(1/p) + latency``.  An *item* is a KV head of a row, what a block
    works on: ``items = rows*kv_heads/SMs * block_time * (1 + g/group_half) * (head_dim/128)**head_power`` for ``g``
    query heads per KV head.  With few items a kernel cuts each context into up to ``SMs/items`` parts of at least
    ``least_part`` tokens and combines them.  ``Tm`` streams the KV of all rows; an SM alone reaches ``alone`` times
    its share of the bandwidth.  What fits in the L2 cache stays there between calls of a benchmark but not between
    the layers of a model.  ``latency``: the walk along one part.  Simplification: all rows as long as the mean.
    """

    sms: int
    bandwidth: float
    l2: float
    fixed: float = coefficient("s", 1e-5, 3e-6, 2e-5)
    block_time: float = coefficient("s", 2e-6, 1e-7, 2e-5)
    group_half: float = coefficient("count", 30.0, 4, 2000)
    head_power: float = coefficient("count", 0.5, 0.05, 2)
    memory: float = coefficient("share", 0.95, 0.3, 1.0)
    ramp: float = coefficient("s", 4e-6, 1e-8, 1.5e-5)
    alone: float = coefficient("count", 1.3, 0.3, 4)
    split_below: float = coefficient("count", 0.9, 0.2, 1.2)
    least_part: float = coefficient("count", 128.0, 16, 2048)
    combine: float = coefficient("s", 1e-6, 1e-9, 1e-5)
    token_time: float = coefficient("s", 2e-9, 1e-12, 1e-7)
    token_limit: float = coefficient("count", 500.0, 50, 1e5)
    window_pad: float = coefficient("count", 64.0, 1, 256)
    l2_share: float = coefficient("count", 0.9, 0.2, 2)
    l2_edge: float = coefficient("count", 6.0, 2, 30)
    l2_gain: float = coefficient("count", 2.0, 0.5, 10)
    l2_alone: float = coefficient("count", 1.5, 1, 10)
    exponent: float = coefficient("count", 2.0, 1, 8)

    def seconds(
        self,
        rows: Any,
        context: Any,
        heads: Any,
        kv_heads: Any,
        head_dim: Any,
        element: float,
        xp: Any = NUMBERS,
        *,
        window: Any = 0,
        warm: bool = False,
    ) -> Any:
        """Seconds for ``rows`` rows of ``context`` tokens each (``warm``: called again and again on the same KV)."""
        items = rows * kv_heads
        seen = xp.where((window > 0) & (context > window), window + self.window_pad, context)
        size = items * seen * 2 * head_dim * element
        parts = xp.minimum(xp.maximum(self.sms / items, 1.0), xp.maximum(1.0, seen / self.least_part))
        parts = xp.where(items < self.split_below * self.sms, parts, 1.0)
        busy = (1 + (self.sms / (self.alone * items * parts)) ** 2) ** -0.5
        stream = self.ramp + size / (self.bandwidth * self.memory * busy)
        if warm:
            hit = 1 / (1 + (size / (self.l2_share * self.l2)) ** self.l2_edge)
            inside = size / (self.bandwidth * self.l2_gain * xp.minimum(1.0, busy * self.l2_alone))
            stream = (1 - hit) * stream + hit * inside
        group = 1 + heads / kv_heads / self.group_half
        work = items / self.sms * self.block_time * group * (head_dim / 128) ** self.head_power
        latency = xp.minimum(seen / parts, self.token_limit) * self.token_time
        return self.fixed + self.combine * (1 - 1 / parts) + norm(self.exponent, work, stream) + latency


@dataclass(frozen=True, slots=True)
class DecodeLaw:
    """Kernels by the number format of the cache (``bf16``, ``fp8``)."""

    kernels: Mapping[str, DecodeKernel]

    def kernel(self, element: float) -> DecodeKernel:
        """The kernel for keys and values of ``element`` bytes."""
        return self.kernels.get("fp8", self.kernels["bf16"]) if element <= 1 else self.kernels["bf16"]

    def line(
        self, rows: int, context: int, heads: float, kv_heads: float, head_dim: int, kv_element_bytes: float
    ) -> Line:
        """Seconds of one layer for ``rows`` rows that hold ``context`` tokens together: the affine piece there."""
        kernel = self.kernel(kv_element_bytes)

        def seconds(total: float) -> float:
            each = max(total / rows, 1.0)
            return kernel.seconds(rows, each, heads, kv_heads, head_dim, kv_element_bytes)

        return chord(seconds, context)
