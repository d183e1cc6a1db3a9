"""A dense feed-forward network: up (and gate), an activation, down."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.product import Product


@dataclass(frozen=True, slots=True)
class Dense:
    """``gated`` has two matrices into the inner width (SwiGLU, GeGLU), plain ones one; biases on all or none.

    ``receptance`` adds a square matrix and two mixing vectors (the channel mixing of RWKV).
    """

    intermediate_size: int
    gated: bool = True
    bias: bool = False
    receptance: bool = False

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Up by columns, down by rows."""
        width = self.intermediate_size // ranks
        up = Product("gate_up", 2 * width, hidden, "ffn") if self.gated else Product("up", width, hidden, "ffn")
        square = (Product("receptance", hidden // ranks, hidden, "ffn"),) if self.receptance else ()
        return (up, Product("down", hidden, width, "ffn"), *square)

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Biases of the inner width are split, that of the output is on every rank."""
        count = 2 * hidden if self.receptance else 0
        if not self.bias:
            return count
        return count + (2 if self.gated else 1) * (self.intermediate_size // ranks) + hidden

    def misfit(self, ranks: int) -> str:
        """Why the width does not divide over the ranks; empty when it does."""
        width = self.intermediate_size
        return f"intermediate_size {width} does not divide over the ranks" if width % ranks else ""
