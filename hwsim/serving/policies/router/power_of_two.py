"""The less loaded of two replicas drawn at random (Mitzenmacher 2001)."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.policies.router.random import Draws
from hwsim.serving.routing import Loads, Seen, Sees
from hwsim.units import ticks


class PowerOfTwo:
    """Two different replicas are drawn; of equally loaded ones the first gets the request."""

    sees: ClassVar[Sees] = "counts"

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.by: str = parameters.by
        self.age = ticks(parameters.age)
        self.draws = Draws(stream)

    def route(self, request: Seen, loads: Loads) -> int:
        """The less loaded of the two."""
        column = loads.requests if self.by == "requests" else loads.tokens
        choices = loads.open
        first = int(self.draws.next() * len(choices))
        second = int(self.draws.next() * (len(choices) - 1))
        if len(choices) == 1:
            return choices[0]
        if second >= first:
            second += 1
        first, second = choices[first], choices[second]
        return second if column[second] < column[first] else first


PART = PowerOfTwo
