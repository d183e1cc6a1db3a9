"""A gated short convolution as the mixer of a layer (BASED, LFM2): in, convolve along the sequence, gate, out."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Convolution(Scan):
    """``branches`` products of ``inner`` channels from the input, one of them convolved with ``kernel`` taps."""

    inner: int
    kernel: int
    branches: int = 2
    bias: bool = False
    tensor_cores = False

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """In by columns, out by rows."""
        inner = self.inner // ranks
        return (Product("in", self.branches * inner, hidden), Product("out", hidden, inner))

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Taps, and biases of the three maps."""
        inner = self.inner // ranks
        return inner * self.kernel + (inner * (self.branches + 1) + hidden if self.bias else 0)

    def misfit(self, ranks: int) -> str:
        """Channels must divide."""
        return f"{self.inner} channels do not divide over the ranks" if self.inner % ranks else ""

    def state(self, ranks: int = 1) -> State:
        """The last ``kernel - 1`` columns."""
        return State(0, self.inner // ranks * (self.kernel - 1))

    def step_flop(self, ranks: int = 1) -> float:
        """Taps and gate."""
        return self.inner // ranks * (2.0 * self.kernel + 1)
