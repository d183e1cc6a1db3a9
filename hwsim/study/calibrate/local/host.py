"""The CPU's matrix products by size and the copy bandwidth of its memory, with numpy and what it is linked to."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

SIZES = (64, 256, 512, 1024, 2048)


def best(action: Callable[[], object], seconds: float) -> float:
    """Least seconds of one call, over as many as fit in ``seconds``: others on the machine only add time."""
    action()
    least, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        action()
        now = time.perf_counter()
        least = min(least, now - start)
        if now > end:
            return least


def measure_products(sizes: tuple[int, ...], seconds: float) -> dict[int, float]:
    """FLOP/s of square float32 products by side."""
    found: dict[int, float] = {}
    for side in sizes:
        a = np.ones((side, side), np.float32)
        b, out = a.copy(), np.empty_like(a)
        found[side] = 2.0 * side**3 / best(lambda a=a, b=b, out=out: np.matmul(a, b, out=out), seconds)
    return found


def measure_copies(sizes: tuple[int, ...], seconds: float) -> dict[int, float]:
    """Bytes/s read plus written by copying arrays of so many bytes."""
    found: dict[int, float] = {}
    for size in sizes:
        source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
        found[size] = 2.0 * size / best(lambda s=source, t=target: np.copyto(t, s), seconds)
    return found
