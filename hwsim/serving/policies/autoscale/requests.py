"""As many replicas as it takes for each to have ``target`` unfinished requests (concurrency scaling, as Knative's)."""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar

from hwsim.serving.routing import Loads, Sees


class Requests:
    """Unfinished requests over the target."""

    sees: ClassVar[Sees] = "counts"

    def __init__(self, parameters: Any) -> None:
        self.target: float = parameters.target

    def desired(self, loads: Loads, parked: int, coming: int) -> int:
        """All unfinished requests, those without a replica included."""
        return ceil((sum(loads.requests) + parked) / self.target)


PART = Requests
