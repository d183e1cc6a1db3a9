"""Mamba-1: a selective scan, elementwise over channels and states (arXiv 2312.00752)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State


@dataclass(frozen=True, slots=True)
class Mamba(Scan):
    """``inner`` channels with ``state_size`` states each, a short convolution, a step size of rank ``dt_rank``.

    ``norms``: norms on step size and state projections (Jamba).  Recurrence about ``9*D*N`` FLOP per token, outside
    the tensor cores in prefill too.
    """

    inner: int
    state_size: int
    conv_kernel: int
    dt_rank: int
    norms: bool = False
    conv_bias: bool = True
    tensor_cores = False

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """In by columns, the rest by rows of the channels."""
        inner, low = self.inner // ranks, self.dt_rank + 2 * self.state_size
        return (
            Product("in", 2 * inner, hidden),
            Product("x", low, inner),
            Product("dt", inner, self.dt_rank),
            Product("out", hidden, inner),
        )

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Convolution, bias of the step size, decay ``A`` and skip ``D``."""
        inner = self.inner // ranks
        count = inner * (self.conv_kernel + (1 if self.conv_bias else 0)) + inner + inner * self.state_size + inner
        return count + (self.dt_rank + 2 * self.state_size if self.norms else 0)

    def misfit(self, ranks: int) -> str:
        """Channels must divide."""
        return f"{self.inner} channels do not divide over the ranks" if self.inner % ranks else ""

    def state(self, ranks: int = 1) -> State:
        """``D*N`` states and ``kernel - 1`` columns of the convolution."""
        inner = self.inner // ranks
        return State(inner * self.state_size, inner * (self.conv_kernel - 1))

    def step_flop(self, ranks: int = 1) -> float:
        """About ``9*D*N`` and the convolution."""
        inner = self.inner // ranks
        return 9.0 * inner * self.state_size + 2.0 * inner * self.conv_kernel
