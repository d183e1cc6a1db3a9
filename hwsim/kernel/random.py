"""Counter-based random streams: element i of a stream depends on (seed, name, i) and on nothing else."""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    return x ^ (x >> np.uint64(31))


class Stream:
    """Random numbers by position: the same element whatever was drawn before, in whatever chunks, on any machine.

    Integers come from two rounds of splitmix64 over a hash of seed and name (Steele et al., 2014), floats from their
    upper 53 bits.  Logarithms go through Python's ``math``, not numpy, whose results may depend on CPU features.
    """

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()
        self._key = np.uint64(int.from_bytes(digest[:8], "little"))
        self._salt = np.uint64(int.from_bytes(digest[8:], "little"))

    def integers(self, count: int, start: int = 0) -> np.ndarray:
        """Uniform 64-bit integers at positions ``start`` to ``start + count``."""
        position = np.arange(start, start + count, dtype=np.uint64)
        return _mixed(_mixed(position * _GOLDEN + self._key) ^ self._salt)

    def uniform(self, count: int, start: int = 0) -> np.ndarray:
        """Uniform floats in [0, 1) with 53 random bits."""
        return (self.integers(count, start) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def exponential(self, count: int, start: int = 0) -> np.ndarray:
        """Exponential floats of mean 1."""
        log1p = math.log1p
        return np.array([-log1p(-u) for u in self.uniform(count, start).tolist()], dtype=np.float64)

    def normal(self, count: int, start: int = 0) -> np.ndarray:
        """Standard normal floats by inversion (one uniform each)."""
        inverse = NormalDist().inv_cdf
        half = 2.0**-54  # the middle of each of the 2^53 cells: never 0, never 1
        return np.array([inverse(u + half) for u in self.uniform(count, start).tolist()], dtype=np.float64)
