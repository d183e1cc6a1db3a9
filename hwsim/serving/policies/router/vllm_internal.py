"""vLLM's own balancer among data-parallel engines: a score from waiting, running and KV usage, refreshed at times.

Rule (vLLM 0.33): ``max(clients x own in flight, waiting + running) + 6 x waiting x max(0, kv_usage - 0.5)``, lowest
wins, rotating start; with ``version: 0.11`` it is ``4 x waiting + running``.  Statistics arrive every 100 ms; between
them the balancer counts what it has sent itself.  Simplification: one API server (one client).
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.routing import Loads, Seen, Sees
from hwsim.units import ticks


class VllmInternal:
    """Scores are taken anew when the view is refreshed and raised by what is sent meanwhile."""

    sees: ClassVar[Sees] = "engines"

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.age = ticks(parameters.age)
        self.old: bool = parameters.version == "0.11"
        self.view: Loads | None = None
        self.scores: list[float] = [0.0] * replicas
        self.sent: list[int] = [0] * replicas
        self.last = -1

    def route(self, request: Seen, loads: Loads) -> int:
        """The replica with the least score."""
        if loads is not self.view or not self.age:
            self.view = loads
            self.sent = [0] * len(self.scores)
            self.scores = [self._score(loads, i) for i in range(len(self.scores))]
        self.last = chosen = loads.least(self.scores, self.last)
        self.sent[chosen] += 1
        self.scores[chosen] = self._score(loads, chosen)
        return chosen

    def _score(self, loads: Loads, i: int) -> float:
        waiting, running = loads.waiting[i] + self.sent[i], loads.running[i]
        if self.old:
            return 4 * waiting + running
        in_flight = loads.requests[i] + self.sent[i] if self.age else loads.requests[i]
        return max(in_flight, waiting + running) + 6 * waiting * max(0.0, loads.kv_usage[i] - 0.5)


PART = VllmInternal
