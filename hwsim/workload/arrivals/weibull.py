"""Weibull arrivals: independent gaps, heavier in the tail than exponential ones for a shape below 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.process import truth
from hwsim.workload.variates import weibull, weibull_first


def gaps(parameters: Mapping[str, Any], stream: Stream, count: int, start: int) -> np.ndarray:
    """Gaps of mean ``1/rate`` with the Weibull ``shape``."""
    mean = TICKS_PER_SECOND / float(parse(parameters["rate"], "1/s"))
    shape = float(parse(parameters["shape"], "number"))
    found = weibull(stream, shape, count, start)
    if start == 0 and count and truth(parameters.get("stationary", False)):
        found[0] = weibull_first(stream, shape)
    return np.rint(found * mean).astype(np.int64)


PART = gaps
