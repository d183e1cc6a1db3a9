"""How popular the experts of a skewed router are: a truncated power law, drawn a few times and averaged.

Counter-based random numbers make the draws, so that a shape always has the same load.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hwsim.kernel.random import Stream

DRAWS = 12
MOST_SHARE = 0.8  # of all tokens, at the most popular expert before scaling


@lru_cache(maxsize=4096)
def _popularity(experts: int, alpha: float, low: float, high: float) -> np.ndarray:
    """Draws of how popular each expert is, each summing to 1; powers go through ``math``, as streams do."""
    power = 1 - alpha
    rows = []
    for draw in range(DRAWS):
        u = Stream(0, f"experts-{draw}").uniform(experts).tolist()
        if abs(power) < 1e-6:
            found = [low * (high / low) ** x for x in u]
        else:
            a, b = low**power, high**power
            found = [(a + (b - a) * x) ** (1 / power) for x in u]
        total = math.fsum(found)
        rows.append([x / total for x in found])
    return np.array(rows)


def busiest(
    tokens: int, experts: int, top_k: int, local: int, alpha: float, blocks: tuple[int, ...]
) -> tuple[float, float, tuple[float, ...]]:
    """Token copies of the busiest rank, its active experts, and copies padded to whole tiles of each of ``blocks``."""
    loads = _loads(tokens, experts, top_k, local, alpha)
    padded = tuple(float((np.ceil(loads / block) * block).sum()) / DRAWS for block in blocks)
    return float(loads.sum()) / DRAWS, max(1.0, float((loads > 0).sum()) / DRAWS), padded


def _loads(tokens: int, experts: int, top_k: int, local: int, alpha: float) -> np.ndarray:
    """Tokens of each expert of the rank with most, by draw: popularity between 1 and 80 % of the tokens, dealt out.

    No expert gets more than all tokens; what is over goes to the others.  Less than one token is there or not.
    """
    copies = tokens * top_k
    low, high = (1.0, tokens * MOST_SHARE) if copies > experts and tokens > 2 else (0.01, 2.0)
    loads = _popularity(experts, alpha, low, high) * copies
    for _ in range(3):
        over = np.maximum(loads - tokens, 0).sum(axis=1, keepdims=True)
        loads = np.minimum(loads, tokens)
        room = tokens - loads
        loads = loads + over * room / np.maximum(room.sum(axis=1, keepdims=True), 1e-9)
    groups = loads[:, : experts // local * local].reshape(DRAWS, -1, local)
    rows = np.arange(DRAWS)
    best = groups.sum(axis=2).argmax(axis=1)
    chosen = groups[rows, best]
    dice = np.array([Stream(1, f"experts-{draw}").uniform(local) for draw in range(DRAWS)])
    found = np.where(chosen < 1, (dice < chosen) * 1.0, np.round(chosen))
    found[found.sum(axis=1) == 0, 0] = 1
    return found
