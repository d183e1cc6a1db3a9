"""Each replica is as likely, independently for each request."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.routing import Loads, Seen, Sees

CHUNK = 4096


class Draws:
    """Uniform numbers in [0, 1), one after the other."""

    __slots__ = ("_drawn", "_left", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._drawn = 0
        self._left: list[float] = []

    def next(self) -> float:
        """The next number of the stream."""
        if not self._left:
            self._left = self._stream.uniform(CHUNK, self._drawn).tolist()[::-1]
            self._drawn += CHUNK
        return self._left.pop()


class Random:
    """An open replica drawn at random."""

    sees: ClassVar[Sees] = "nothing"
    age = 0

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.draws = Draws(stream)

    def route(self, request: Seen, loads: Loads) -> int:
        """The drawn replica."""
        return loads.open[int(self.draws.next() * len(loads.open))]


PART = Random
