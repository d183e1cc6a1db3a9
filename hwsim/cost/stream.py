"""Kernels that touch each byte once (norms, rotary embedding, activations, sampling): bytes over bandwidth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamLaw:
    """``T = ramp + bytes / (bandwidth * efficiency)`` after the launch.

    Simplification: all bytes move over HBM, though small activations stay in the L2 cache.
    """

    bandwidth: float
    efficiency: float
    ramp: float

    def body(self, size: float) -> float:
        """Seconds for one kernel that reads and writes ``size`` bytes in all."""
        return self.ramp + size / (self.bandwidth * self.efficiency)
