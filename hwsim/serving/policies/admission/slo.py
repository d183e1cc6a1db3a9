"""Turns a request away when it would miss its limits: early rejection from a forecast (as in Mooncake's Conductor).

TTFT is forecast as the time of all prompt tokens that are still to be computed at the replica, the request's own
included; TPOT as one decode step with one more row.  Simplification: the forecast knows the costs exactly, but neither
what the cache holds nor how long answers get.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.serving.routing import Loads, Seen, Sees


class Slo:
    """Refuses what is forecast to take more than ``margin`` times a limit."""

    sees: ClassVar[Sees] = "engines"

    def __init__(self, parameters: Any) -> None:
        self.ttft: float | None = parameters.ttft
        self.tpot: float | None = parameters.tpot
        self.margin: float = parameters.margin
        self.exempt: int | None = parameters.exempt

    def refusal(self, request: Seen, replica: int, loads: Loads) -> str | None:
        """The first limit that would be missed."""
        if self.exempt is not None and request.priority <= self.exempt:
            return None
        assert loads.outlook is not None
        if self.ttft is not None:
            tokens = loads.backlog[replica] + request.prompt_tokens
            if loads.outlook.prefill(replica, tokens, loads) > self.margin * self.ttft:
                return "the first token would come too late"
        if self.tpot is not None and loads.outlook.decode(replica, loads) > self.margin * self.tpot:
            return "tokens would come too slowly"
        return None


PART = Slo
