"""Replicas take turns, whatever they are doing."""

from __future__ import annotations

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
        self.turn = next((i for i in loads.open if i > self.turn), loads.open[0])
        return self.turn


PART = RoundRobin
