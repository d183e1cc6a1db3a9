"""How many tokens the experts of the busiest rank get: evenly dealt, drawn at random, or skewed as a power law.

A skewed router is a fixed draw of expert popularity from a truncated power law, averaged over a few draws made with
counter-based random numbers, so that a shape always has the same load.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hwsim.kernel.random import Stream

BLOCKS = (8, 16, 32, 64, 128, 256)  # rows of a tile that a kernel may pad an expert's tokens to
DRAWS = 12
MOST_SHARE = 0.8  # of all tokens, at the most popular expert before scaling


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
        loads = np.full((1, local), each) if each >= 1 else np.ones((1, max(1, round(each * local))))
    else:
        loads = _busiest(tokens, experts, top_k, local, float(routing.removeprefix("power_law_")))
    draws = len(loads)
    padded = tuple(float((np.ceil(loads / block) * block).sum()) / draws for block in BLOCKS)
    return Load(float(loads.sum()) / draws, max(1.0, float((loads > 0).sum()) / draws), padded)


def _uniform(tokens: int, experts: int, top_k: int, local: int) -> Load:
    """Binomial counts: an expert is active if any token chose it; its last tile is half full on average."""
    share = min(1.0, top_k / experts)
    active = max(1.0, local * (1 - (1 - share) ** tokens))
    mean = max(1.0, local * tokens * share / active)
    return Load(active * mean, active, tuple(active * max(block, mean + block / 2) for block in BLOCKS))


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


def _busiest(tokens: int, experts: int, top_k: int, local: int, alpha: float) -> np.ndarray:
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
