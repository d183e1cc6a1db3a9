"""Evenly spaced arrivals, the first at time zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream
from hwsim.units import TICKS_PER_SECOND, parse


def gaps(parameters: Mapping[str, Any], stream: Stream, count: int, start: int) -> np.ndarray:
    """Equal gaps in whole ticks; none before the first request."""
    gap = round(TICKS_PER_SECOND / float(parse(parameters["rate"], "1/s")))
    out = np.full(count, gap, dtype=np.int64)
    if start == 0 and count:
        out[0] = 0
    return out


PART = gaps
