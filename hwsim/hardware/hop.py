"""One link in one direction: what bytes on it take, and what it adds in time."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hwsim.hardware.curve import Curve

Takes = tuple[tuple[str, float], ...]  # capacities with the units that a byte takes of each


class Hop(NamedTuple):
    """One link in one direction.  ``peer`` bounds what passes between devices without touching memory (bytes/s)."""

    takes: Takes
    bandwidth: float = inf
    latency: float = 0.0
    message_overhead: float = 0.0
    by_size: Curve | None = None
    peer: float = inf
