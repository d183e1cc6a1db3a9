"""Gamma arrivals: independent gaps with a chosen burstiness, as ``vllm bench serve --burstiness`` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.process import shape_of, truth, unit_gaps
from hwsim.workload.variates import gamma_first


def gaps(parameters: Mapping[str, Any], stream: Stream, count: int, start: int) -> np.ndarray:
    """Shape ``burstiness`` (or ``cv`` to the power -2) and mean ``1/rate``; 1 is Poisson, less is burstier."""
    mean = TICKS_PER_SECOND / float(parse(parameters["rate"], "1/s"))
    shape = shape_of(parameters)
    found = unit_gaps(shape, stream, count, start)
    if start == 0 and count and truth(parameters.get("stationary", False)):
        found[0] = gamma_first(stream, shape)
    return np.rint(found * mean).astype(np.int64)


PART = gaps
