"""Poisson arrivals: independent exponential gaps at a mean rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream
from hwsim.units import TICKS_PER_SECOND, parse


def gaps(parameters: Mapping[str, Any], stream: Stream, count: int, start: int) -> np.ndarray:
    """Gaps before requests ``start`` … in whole ticks."""
    mean = TICKS_PER_SECOND / float(parse(parameters["rate"], "1/s"))
    return np.rint(stream.exponential(count, start) * mean).astype(np.int64)


PART = gaps
