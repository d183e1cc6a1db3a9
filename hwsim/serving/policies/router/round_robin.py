"""Replicas take turns, whatever they are doing."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.routing import Loads, Seen, Sees


class RoundRobin:
    """The first request goes to the first replica."""

    sees: ClassVar[Sees] = "nothing"
    age = 0

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.turn = -1

    def route(self, request: Seen, loads: Loads) -> int:
        """The next open replica in turn."""
        held = loads.open
        place = bisect_right(held, self.turn)
        self.turn = held[place] if place < len(held) else held[0]
        return self.turn


PART = RoundRobin
