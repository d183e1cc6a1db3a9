"""Time of a fused layer of routed experts on one rank: the experts that tokens meet, each padded to whole tiles."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.cost.gemm import Bodies


@dataclass(frozen=True, slots=True)
class MoeLaw:
    """``T = fixed + (Tc**p + Tm**p)**(1/p)`` of the busiest rank.

    ``active``: experts that at least one of the rank's tokens meets, ``E*(1 - (1 - k/E)**tokens)`` for a router that
    spreads evenly.  ``Tm`` streams their three matrices and the activations; ``Tc`` multiplies every expert's tokens,
    padded by half a ``block`` each.
    """

    bandwidth: float
    compute_efficiency: float
    memory_efficiency: float
    block: float
    fixed: float
    exponent: float

    def body(
        self,
        tokens: int,
        experts: int,
        top_k: int,
        hidden: int,
        intermediate: int,
        weight_element_bytes: float,
        activation: float,
        peak: float,
        dtype: str = "bf16",
        ranks: int = 1,
        load: float | None = None,
    ) -> Bodies:
        """Seconds of one layer on the busiest of ``ranks`` that share ``experts``.

        ``tokens``: of all ranks together, before the choice of ``top_k``; ``intermediate``: width on this rank;
        ``load``: assignments of the busiest rank over the mean (1 or None: even).
        """
        local = experts / ranks
        skew = 1.0 if load is None else load
        assigned = tokens * top_k / ranks * skew
        active = local * (1 - (1 - min(1.0, top_k / experts)) ** (tokens * skew))
        padded = assigned + active * self.block / 2 if assigned else 0.0
        matrices = 3 * hidden * intermediate
        compute = 2 * padded * matrices / (peak * self.compute_efficiency)
        moved = active * matrices * weight_element_bytes + assigned * (2 * hidden + 3 * intermediate) * activation
        memory = moved / (self.bandwidth * self.memory_efficiency)
        p = self.exponent
        return Bodies(self.fixed + (compute**p + memory**p) ** (1 / p), compute, memory)
