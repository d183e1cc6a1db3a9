"""Linear attention by a Taylor feature map (BASED, arXiv 2402.18668)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Taylor(Scan):
    """Queries and keys of ``feature_dim`` p become ``1 + p + p**2`` features; values keep the width of a head.

    State ``h*F*(v+1)``; decode ``4*h*F*(v+1)`` FLOP per token, prefill ``2*Q*h*(p+v) + 4*h*F*v``.
    """

    heads: int
    feature_dim: int
    head_dim: int
    chunk = 64

    @property
    def features(self) -> int:
        """Width of the feature map."""
        return 1 + self.feature_dim + self.feature_dim**2

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Heads are split."""
        heads = self.heads // ranks
        return (
            Product("qkv", heads * (2 * self.feature_dim + self.head_dim), hidden),
            Product("o", hidden, heads * self.head_dim),
        )

    def small(self, hidden: int, ranks: int = 1) -> int:
        """None."""
        return 0

    def misfit(self, ranks: int) -> str:
        """Heads must divide."""
        return f"{self.heads} linear heads do not divide over the ranks" if self.heads % ranks else ""

    def state(self, ranks: int = 1) -> State:
        """Summed features times values, and summed features."""
        return State(self.heads // ranks * self.features * (self.head_dim + 1))

    def step_flop(self, ranks: int = 1) -> float:
        """Update and read of the state."""
        return 4.0 * (self.heads // ranks) * self.features * (self.head_dim + 1)

    def chunk_flop(self, ranks: int = 1) -> float:
        """Quadratic inside a chunk, the state across chunks."""
        heads = self.heads // ranks
        inside = 2.0 * self.chunk * heads * (self.feature_dim + self.head_dim)
        return inside + 4.0 * heads * self.features * self.head_dim
