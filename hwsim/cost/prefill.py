"""Time of causal prefill attention: (query, key) pairs to multiply against keys and values to read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.cost.arithmetic import NUMBERS, coefficient, norm
from hwsim.cost.gemm import Bodies

BLOCK = 128  # queries that one block works on
HEAD_DIMS = (64, 128, 192, 256, 512)
NO_WINDOW = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillKernel:
    """``new`` tokens after ``past`` in each of some sequences, keys and values in one number format.

    ``T = floor + (W**p + L**p)**(1/p) + Tm``.  ``W``: the pairs' ``4*heads*head_dim`` FLOP, ``extra`` keys per query
    for masked halves of tiles, and ``block_time`` per block, spread over all SMs at ``share_<head_dim>`` of peak.
    ``L``: the longest block walks all keys (``tail`` times as fast as its share).  ``Tm``: writing new keys and
    values (``cache`` bytes per byte, ``row_time`` per token) and moving queries and outputs.  ``packed`` says how far
    query heads of a group share a block.  What exceeds ``l2_share`` of the L2 cache moves once more (``spill``).
    """

    sms: int
    bandwidth: float
    l2: float
    share_64: float = coefficient("share", 0.6, 0.05, 1)
    share_128: float = coefficient("share", 0.7, 0.05, 1)
    share_192: float = coefficient("share", 0.7, 0.01, 1)
    share_256: float = coefficient("share", 0.7, 0.05, 1)
    share_512: float = coefficient("share", 0.6, 0.02, 1)
    extra: float = coefficient("count", 300.0, 0.1, 4000)
    tail: float = coefficient("count", 1.0, 0.02, 4)
    block_time: float = coefficient("s", 1e-6, 1e-8, 1e-5)
    packed: float = coefficient("share", 0.5, 0.01, 0.99)
    cache: float = coefficient("count", 2.0, 0.3, 30)
    queries: float = coefficient("count", 0.5, 0.01, 20)
    row_time: float = coefficient("s", 2e-10, 1e-12, 2e-8)
    l2_share: float = coefficient("count", 0.5, 0.05, 3)
    spill: float = coefficient("count", 0.5, 0.01, 5)
    exponent: float = coefficient("count", 2.0, 1, 8)
    floor: float = coefficient("s", 9e-6, 3e-6, 2e-5)
    several: float = coefficient("s", 2e-6, 1e-8, 1e-5)

    def share(self, head_dim: Any, xp: Any = NUMBERS) -> Any:
        """Share of peak by head size, between the measured ones along the logarithm."""
        known = [math.log(getattr(self, f"share_{each}")) for each in HEAD_DIMS]
        knots = [math.log2(each) for each in HEAD_DIMS]
        at = xp.minimum(xp.maximum(xp.log2(head_dim), knots[0]), knots[-1])
        value = known[-1]
        for left, right, low, high in reversed(list(zip(knots, knots[1:], known, known[1:], strict=False))):
            value = xp.where(at <= right, low + (high - low) * (at - left) / (right - left), value)
        return xp.exp(value)

    def parts(
        self,
        sequences: Any,
        new: Any,
        past: Any,
        heads: Any,
        kv_heads: Any,
        head_dim: Any,
        peak: float,
        element: float,
        window: Any = 0,
        xp: Any = NUMBERS,
    ) -> tuple[Any, Any, Any]:
        """Seconds of the work spread over all SMs, of the longest block, and of moving data."""
        reach = xp.where(window > 0, window, NO_WINDOW)
        inside = xp.minimum(xp.maximum(reach - past, 0), new)  # queries that still see everything
        pairs2 = inside * (2 * past + inside) + 2 * (new - inside) * reach
        rate = peak / self.sms * self.share(head_dim, xp)
        packed = xp.where(new == 1, 1.0, self.packed)
        group = heads / kv_heads
        alone, together = heads * xp.ceil(new / BLOCK), kv_heads * xp.ceil(new * group / BLOCK)
        blocks = sequences * alone ** (1 - packed) * together**packed
        work = sequences * heads * (pairs2 + new * self.extra) * 2 * head_dim / rate / self.sms
        work = work + blocks * self.block_time / self.sms
        keys = xp.minimum(past + new, reach + BLOCK) + self.extra / 2
        longest = xp.minimum(new * group**packed, BLOCK) * keys * 4 * head_dim / rate * self.tail + self.block_time
        cached = sequences * new * kv_heads * head_dim * 2 * element
        moved = sequences * new * heads * head_dim * 4
        over = xp.maximum(cached + moved - self.l2_share * self.l2, 0.0)
        data = (cached * self.cache + moved * self.queries + over * self.spill) / self.bandwidth
        earlier = sequences * xp.minimum(past, reach) * kv_heads * head_dim * 2 * element / self.bandwidth
        return norm(self.exponent, work, longest), work, data + sequences * new * self.row_time + earlier

    def seconds(self, sequences: Any, new: Any, *shape: Any, window: Any = 0, xp: Any = NUMBERS) -> Any:
        """Seconds of a call as a benchmark sees it."""
        heads, kv_heads, head_dim, peak, element = shape
        total, _, data = self.parts(sequences, new, 0, heads, kv_heads, head_dim, peak, element, window, xp)
        return self.floor + xp.where(new > 1, self.several, 0.0) + total + data


@dataclass(frozen=True, slots=True)
class PrefillLaw:
    """Kernels by the number format of the cache; queries are in 16 bit."""

    kernels: Mapping[str, PrefillKernel]

    @property
    def floor(self) -> float:
        """Seconds of a kernel on next to nothing, launch included."""
        return self.kernels["bf16"].floor + self.kernels["bf16"].several

    def kernel(self, element: float) -> PrefillKernel:
        """The kernel for keys and values of ``element`` bytes."""
        return self.kernels.get("fp8", self.kernels["bf16"]) if element <= 1 else self.kernels["bf16"]

    def body(
        self,
        new: int,
        past: int,
        heads: float,
        kv_heads: float,
        head_dim: int,
        peak: float,
        kv_element_bytes: float,
        window: int | None = None,
    ) -> Bodies:
        """Seconds of one layer beyond ``floor`` for one sequence; a window caps the keys that a query sees."""
        kernel = self.kernel(kv_element_bytes)
        total, _, data = kernel.parts(
            1, new, past, heads, kv_heads, head_dim, peak, kv_element_bytes, window if window is not None else 0
        )
        return Bodies(total + data, total, data)
