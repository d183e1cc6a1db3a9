"""Every whole length from ``min`` to ``max`` is as likely."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.units import parse


def draw(parameters: Mapping[str, Any], stream: Stream, count: int, start: int, folder: Path) -> np.ndarray:
    """Uniform whole numbers, both ends included."""
    low, high = (int(parse(parameters[name], "tokens")) for name in ("min", "max"))
    if high < low:
        raise ScenarioError.of("max is below min", where="workload", got=f"{low}..{high}", expected="min <= max")
    return low + (stream.uniform(count, start) * (high - low + 1)).astype(np.int64)


PART = draw
