"""Turns a request away when its replica has too many unfinished ones (a gateway's concurrency limit)."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.serving.routing import Loads, Seen, Sees


class Concurrency:
    """At most ``limit`` unfinished requests on a replica; those as urgent as ``exempt`` are let in all the same."""

    sees: ClassVar[Sees] = "counts"

    def __init__(self, parameters: Any) -> None:
        self.limit: int = parameters.limit
        self.exempt: int | None = parameters.exempt

    def refusal(self, request: Seen, replica: int, loads: Loads) -> str | None:
        """What the gateway has sent there and not yet seen answered decides."""
        if self.exempt is not None and request.priority <= self.exempt:
            return None
        return f"{self.limit} requests are unfinished already" if loads.requests[replica] >= self.limit else None


PART = Concurrency
