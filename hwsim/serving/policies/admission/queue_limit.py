"""Turns a request away when too many wait at its replica (vLLM's and SGLang's queue limits, a proxy's 429)."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.serving.routing import Loads, Seen, Sees


class QueueLimit:
    """At most ``waiting`` requests may wait at a replica; those as urgent as ``exempt`` are let in all the same."""

    sees: ClassVar[Sees] = "engines"

    def __init__(self, parameters: Any) -> None:
        self.waiting: int = parameters.waiting
        self.exempt: int | None = parameters.exempt

    def refusal(self, request: Seen, replica: int, loads: Loads) -> str | None:
        """The queue at the chosen replica decides."""
        if self.exempt is not None and request.priority <= self.exempt:
            return None
        return f"{self.waiting} requests wait already" if loads.waiting[replica] >= self.waiting else None


PART = QueueLimit
