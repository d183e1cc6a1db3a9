"""Every request has the same length."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.kernel.random import Stream
from hwsim.units import parse


def draw(parameters: Mapping[str, Any], stream: Stream, count: int, start: int, folder: Path) -> np.ndarray:
    """``value`` tokens each."""
    return np.full(count, int(parse(parameters["value"], "tokens")), dtype=np.int64)


PART = draw
