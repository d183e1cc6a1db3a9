"""Mamba-2: a state-space layer with heads, as products of chunks in prefill (arXiv 2405.21060)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.parts.scan import Scan
from hwsim.model.product import Product, State, split


@dataclass(frozen=True, slots=True)
class Mamba2(Scan):
    """``heads`` of ``head_dim`` channels with ``state_size`` states, ``groups`` of heads sharing input and output.

    Decode ``5*H*P*N + 2*H*P`` FLOP per token, prefill in chunks of Q ``2*Q*(G*N + H*P) + 4*H*P*N`` (the four products
    of ``ssd_minimal.py``).  Groups repeat on ranks when there are fewer.  ``conv_bias`` and ``bias`` of projections.
    """

    heads: int
    head_dim: int
    state_size: int
    groups: int
    conv_kernel: int
    conv_bias: bool = True
    bias: bool = False
    gated_norm: bool = True
    chunk = 256

    def _sizes(self, ranks: int) -> tuple[int, int]:
        """Channels and states of all groups on a rank."""
        return self.heads // ranks * self.head_dim, split(self.groups, ranks) * self.state_size

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """Gate, channels, input and output of the state and step size come from one product."""
        inner, states = self._sizes(ranks)
        return (
            Product("in", 2 * inner + 2 * states + self.heads // ranks, hidden),
            Product("out", hidden, inner),
        )

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Convolution, decay, skip and bias of the step size per head, norm of the output."""
        inner, states = self._sizes(ranks)
        count = (inner + 2 * states) * (self.conv_kernel + (1 if self.conv_bias else 0))
        count += 3 * (self.heads // ranks) + (inner if self.gated_norm else 0)
        return count + (2 * inner + 2 * states + self.heads // ranks + hidden if self.bias else 0)

    def misfit(self, ranks: int) -> str:
        """Heads must divide; groups divide or repeat."""
        if self.heads % ranks:
            return f"{self.heads} state-space heads do not divide over the ranks"
        if self.groups % ranks and ranks % self.groups:
            return f"{self.groups} groups neither divide over {ranks} ranks nor repeat on them"
        return ""

    def state(self, ranks: int = 1) -> State:
        """``H*P*N`` states and ``kernel - 1`` columns of the convolution."""
        inner, states = self._sizes(ranks)
        return State(inner * self.state_size, (inner + 2 * states) * (self.conv_kernel - 1))

    def step_flop(self, ranks: int = 1) -> float:
        """The recurrence and the convolution."""
        inner, states = self._sizes(ranks)
        return 5.0 * inner * self.state_size + 2.0 * inner + 2.0 * (inner + 2 * states) * self.conv_kernel

    def chunk_flop(self, ranks: int = 1) -> float:
        """Four products per chunk and the convolution."""
        inner, states = self._sizes(ranks)
        products = 2.0 * self.chunk * (states + inner) + 4.0 * inner * self.state_size
        return products + 2.0 * (inner + 2 * states) * self.conv_kernel
