"""RWKV-6 time mixing: linear attention with a decay that depends on the token (arXiv 2404.05892)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Rwkv6(Scan):
    """Heads of ``head_dim`` with a square state each; low-rank terms make mixing and decay depend on the token.

    ``mix_rank`` and ``decay_rank`` are the ranks of those terms (five mixings, one decay).  About ``7*d*head_dim``
    FLOP per token; chunked in prefill like other linear attention.
    """

    width: int
    head_dim: int = 64
    mix_rank: int = 32
    decay_rank: int = 64
    chunk = 64

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Receptance, key, value and gate by columns, output by rows; low-rank terms on every rank."""
        width = self.width // ranks
        return (
            Product("rkvg", 4 * width, hidden),
            Product("out", hidden, width),
            Product("mix_down", 5 * self.mix_rank, hidden),
            Product("mix_up", 5 * hidden, self.mix_rank),
            Product("decay_down", self.decay_rank, hidden),
            Product("decay_up", width, self.decay_rank),
        )

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Six mixing vectors, decay, bonus, and the norm of the heads."""
        return 6 * hidden + 4 * (self.width // ranks)

    def misfit(self, ranks: int) -> str:
        """Heads must divide."""
        heads = self.width // self.head_dim
        return f"{heads} heads do not divide over the ranks" if heads % ranks else ""

    def state(self, ranks: int = 1) -> State:
        """A square per head, and the last token of both mixings."""
        return State(self.width // ranks * self.head_dim, 2 * self.width)

    def step_flop(self, ranks: int = 1) -> float:
        """Update and read of the state."""
        return 7.0 * (self.width // ranks) * self.head_dim

    def chunk_flop(self, ranks: int = 1) -> float:
        """Scores and values inside a chunk, update and read of the state."""
        return (self.width // ranks) * (4.0 * self.head_dim + 4.0 * self.chunk)
