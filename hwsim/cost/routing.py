"""How many tokens the experts of the busiest rank get: evenly dealt, drawn at random, or skewed as a power law.

A skewed router is a fixed draw of expert popularity from a truncated power law, averaged over a few draws made with
counter-based random numbers, so that a shape always has the same load.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

BLOCKS = (8, 16, 32, 64, 128, 256)  # rows of a tile that a kernel may pad an expert's tokens to


class Load(NamedTuple):
    """The busiest rank: token copies, experts that get any, and copies padded to whole tiles of ``BLOCKS``."""

    assigned: float
    active: float
    padded: tuple[float, ...]


@lru_cache(maxsize=1 << 16)
def load(tokens: int, experts: int, top_k: int, ranks: int = 1, routing: str = "uniform") -> Load:
    """``routing``: ``uniform`` (each token draws its experts), ``balanced`` or ``power_law_<alpha>``."""
    local = max(1, experts // ranks)
    copies = tokens * top_k
    if routing == "uniform":
        return _uniform(tokens, experts, top_k, local)
    if routing == "balanced":
        each = copies / experts
        return _equal(each, local) if each >= 1 else _equal(1.0, max(1, round(each * local)))
    from hwsim.cost.popularity import busiest  # needs numpy, which few scenarios do before they run

    return Load(*busiest(tokens, experts, top_k, local, float(routing.removeprefix("power_law_")), BLOCKS))


def _equal(each: float, experts: int) -> Load:
    """As many tokens for every expert."""
    return Load(each * experts, float(experts), tuple(math.ceil(each / block) * block * experts for block in BLOCKS))


def _uniform(tokens: int, experts: int, top_k: int, local: int) -> Load:
    """Binomial counts: an expert is active if any token chose it; its last tile is half full on average."""
    share = min(1.0, top_k / experts)
    active = max(1.0, local * (1 - (1 - share) ** tokens))
    mean = max(1.0, local * tokens * share / active)
    return Load(active * mean, active, tuple(active * max(block, mean + block / 2) for block in BLOCKS))
