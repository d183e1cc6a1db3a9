"""Time of causal prefill attention: (query, key) pairs to multiply against keys and values to read."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.cost.gemm import Bodies


@dataclass(frozen=True, slots=True)
class PrefillLaw:
    """``new`` tokens after ``past``: ``T = floor + (Tc**p + Tm**p)**(1/p)``.

    ``Tc = 4*h*e_head * (new*past + new*(new + extra)/2) / (peak * efficiency)``: ``extra`` keys per query stand for
    masked halves of tiles and the start of each query tile, so short prompts reach less.  ``Tm`` streams the KV of
    all ``past + new`` tokens.
    """

    bandwidth: float
    efficiency: float
    memory_efficiency: float
    extra: float
    floor: float
    exponent: float

    def body(
        self,
        new: int,
        past: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        peak: float,
        kv_element_bytes: float,
        window: int | None = None,
    ) -> Bodies:
        """Seconds of one layer beyond ``floor``; a window caps the keys that a query sees."""
        seen = past + new
        pairs2 = new * (past + seen + self.extra)
        if window is not None and seen > window:
            inside = max(0, min(new, window - past))  # queries that still see everything
            pairs2 = inside * (2 * past + inside) + 2 * (new - inside) * window + new * self.extra
            seen = min(seen, window + new)
        compute = 2.0 * heads * head_dim * pairs2 / (peak * self.efficiency)
        memory = 2.0 * kv_heads * head_dim * kv_element_bytes * seen / (self.bandwidth * self.memory_efficiency)
        p = self.exponent
        return Bodies((compute**p + memory**p) ** (1 / p), compute, memory)
