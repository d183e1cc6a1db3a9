"""A closed loop: a fixed number of clients, each with one request at a time; arrivals follow from the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream


def gaps(parameters: Mapping[str, Any], stream: Stream, count: int, start: int) -> np.ndarray:
    """No times of its own: who serves the clients knows when they send."""
    return np.zeros(count, dtype=np.int64)


PART = gaps
