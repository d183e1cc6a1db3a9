"""A random stream that goes with another one: draws through it are rank-correlated with draws through the other."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from hwsim.kernel.random import Stream


class Coupled(Stream):
    """A Gaussian copula: normals ``rho * leader + sqrt(1 - rho^2) * own``, uniforms by their distribution function.

    The rank (Spearman) correlation r of the two is that of a bivariate normal, so ``rho = 2 sin(pi r / 6)``.
    """

    def __init__(self, seed: int, name: str, leader: Stream, rank_correlation: float) -> None:
        super().__init__(seed, name)
        self.leader = leader
        self.rho = max(-1.0, min(1.0, 2 * math.sin(math.pi * rank_correlation / 6)))

    def normal(self, count: int, start: int = 0) -> np.ndarray:
        """Standard normal floats that follow the leader's."""
        rest = math.sqrt(1 - self.rho**2)
        return self.rho * self.leader.normal(count, start) + rest * np.array(self._own(count, start))

    def uniform(self, count: int, start: int = 0) -> np.ndarray:
        """Uniform floats in [0, 1) that follow the leader's."""
        if self.rho == 0:
            return super().uniform(count, start)
        forward = NormalDist().cdf
        return np.minimum(np.array([forward(z) for z in self.normal(count, start).tolist()]), 1 - 2.0**-53)

    def _own(self, count: int, start: int) -> list[float]:
        inverse, half = NormalDist().inv_cdf, 2.0**-54
        return [inverse(u + half) for u in super().uniform(count, start).tolist()]
