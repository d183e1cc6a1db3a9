"""Linear attention with a decay per head (lightning attention of MiniMax-01, retention): a square state per head."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Linear(Scan):
    """Query, key, value and an output gate; ``4*h*e*e`` FLOP per token of state, ``4*h*e*Q`` inside a chunk.

    The output is normed over all heads.  Block size 256 as in the published kernels.
    """

    heads: int
    head_dim: int
    gate: bool = True
    norm: bool = True
    chunk = 256

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Heads are split."""
        width = self.heads // ranks * self.head_dim
        gate = (Product("gate", width, hidden),) if self.gate else ()
        return (Product("qkv", 3 * width, hidden), *gate, Product("o", hidden, width))

    def small(self, hidden: int, ranks: int = 1) -> int:
        """The norm of the output."""
        return self.heads // ranks * self.head_dim if self.norm else 0

    def misfit(self, ranks: int) -> str:
        """Heads must divide."""
        return f"{self.heads} linear heads do not divide over the ranks" if self.heads % ranks else ""

    def state(self, ranks: int = 1) -> State:
        """``e*e`` per head."""
        return State(self.heads // ranks * self.head_dim * self.head_dim)

    def step_flop(self, ranks: int = 1) -> float:
        """Decay, update and read of the state."""
        return 5.0 * (self.heads // ranks) * self.head_dim * self.head_dim

    def chunk_flop(self, ranks: int = 1) -> float:
        """Inside the chunk and across chunks."""
        return 4.0 * (self.heads // ranks) * self.head_dim * (self.chunk + self.head_dim)
