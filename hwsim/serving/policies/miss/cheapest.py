"""As many stretches of the prefix are loaded as give the shortest time until the prompt is computed.

``seconds[k]`` is the time until the first ``k + 1`` stretches (one per tier, in order of the prompt) have been loaded,
``recompute(k)`` the time to compute what is left of the prompt once ``k`` of them are there.  Simplification: both are
what this request alone would take after what is already queued on the same ways; others that would gain from a GPU
that computes less do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def cheapest(seconds: Sequence[float], recompute: Callable[[int], float]) -> int:
    """The number of stretches with the least sum; the fewest of equal ones."""
    best, least = 0, recompute(0)
    for count, time in enumerate(seconds, 1):
        total = time + recompute(count)
        if total < least:
            best, least = count, total
    return best


PART = cheapest
