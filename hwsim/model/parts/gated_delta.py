"""Gated DeltaNet: linear attention whose state forgets and corrects itself (Qwen3-Next, Qwen3.5, Kimi-Linear)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class GatedDelta(Scan):
    """``value_heads`` states of ``key_dim x value_dim``; key heads are shared by groups of value heads.

    Decode about ``7*Hv*K*V`` FLOP per token, prefill in chunks of Q ``Hv*(6*K*V + 2*Q*(3*K + 2*V))`` (chunk 64 of the
    reference code).  The projection holds query, key, value, output gate, and two numbers per value head.
    """

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    conv_kernel: int
    chunk = 64

    def _sizes(self, ranks: int) -> tuple[int, int]:
        return self.key_heads // ranks * self.key_dim, self.value_heads // ranks * self.value_dim

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """All heads are split."""
        keys, values = self._sizes(ranks)
        return (
            Product("qkvz", 2 * keys + 2 * values, hidden),
            Product("ba", 2 * (self.value_heads // ranks), hidden),
            Product("out", hidden, values),
        )

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Convolution without bias, decay and step bias per head, one norm that all heads share."""
        keys, values = self._sizes(ranks)
        return (2 * keys + values) * self.conv_kernel + 2 * (self.value_heads // ranks) + self.value_dim

    def misfit(self, ranks: int) -> str:
        """Key and value heads must divide."""
        for heads, what in ((self.key_heads, "key"), (self.value_heads, "value")):
            if heads % ranks:
                return f"{heads} linear {what} heads do not divide over the ranks"
        return ""

    def state(self, ranks: int = 1) -> State:
        """One matrix per value head and ``kernel - 1`` columns of the convolution."""
        keys, values = self._sizes(ranks)
        return State(values * self.key_dim, (2 * keys + values) * (self.conv_kernel - 1))

    def step_flop(self, ranks: int = 1) -> float:
        """The recurrence and the convolution."""
        keys, values = self._sizes(ranks)
        return 7.0 * values * self.key_dim + 2.0 * (2 * keys + values) * self.conv_kernel

    def chunk_flop(self, ranks: int = 1) -> float:
        """Products of a chunk and the convolution."""
        keys, values = self._sizes(ranks)
        heads = self.value_heads // ranks
        inside = 2.0 * self.chunk * (3 * self.key_dim + 2 * self.value_dim)
        return heads * (6.0 * self.key_dim * self.value_dim + inside) + 2.0 * (2 * keys + values) * self.conv_kernel
