"""Time of state-space and linear-attention layers: a state per row read and written, and products within chunks."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.cost.gemm import Bodies


@dataclass(frozen=True, slots=True)
class ScanLaw:
    """``T = fixed + (Tc**p + Tm**p)**(1/p)``: a chunked scan multiplies within chunks, a decode step moves the state.

    ``Tc = flop / (peak * e_c)``, ``Tm = bytes / (bandwidth * e_m)``.  Simplification: the chunks of one row run one
    after another in a fraction of the time that the products take, so their order costs nothing.
    """

    bandwidth: float
    compute_efficiency: float
    memory_efficiency: float
    fixed: float
    exponent: float

    def body(
        self, tokens: int, flop_per_token: float, bytes_per_token: float, state_bytes: float, peak: float
    ) -> Bodies:
        """Seconds of one layer over ``tokens`` tokens; ``state_bytes`` are read and written for all rows together."""
        compute = tokens * flop_per_token / (peak * self.compute_efficiency)
        memory = (tokens * bytes_per_token + 2 * state_bytes) / (self.bandwidth * self.memory_efficiency)
        p = self.exponent
        return Bodies(self.fixed + (compute**p + memory**p) ** (1 / p), compute, memory)
