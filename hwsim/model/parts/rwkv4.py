"""RWKV-4 time mixing: an exponential moving average per channel (arXiv 2305.13048)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Rwkv4(Scan):
    """Receptance, key, value and output matrices of the hidden size; about ``15*d`` FLOP per token, elementwise."""

    width: int
    tensor_cores = False

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Three by columns, the output by rows."""
        width = self.width // ranks
        return (Product("rkv", 3 * width, hidden), Product("out", hidden, width))

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Decay, first-token bonus, and three mixing vectors."""
        return 2 * (self.width // ranks) + 3 * hidden

    def misfit(self, ranks: int) -> str:
        """The width must divide."""
        return f"{self.width} channels do not divide over the ranks" if self.width % ranks else ""

    def state(self, ranks: int = 1) -> State:
        """Five vectors, those of channel mixing included."""
        return State(5 * (self.width // ranks))

    def step_flop(self, ranks: int = 1) -> float:
        """Exponentials and averages of each channel."""
        return 15.0 * (self.width // ranks)
