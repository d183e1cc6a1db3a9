"""Mooncake as vLLM uses it: both sides get the request at once; prefill writes when it is done and decode has asked.

Decode takes pages when the request heads its queue and sends their addresses to prefill; whichever of the two comes
last lets the transfer begin.  The last prompt token is computed again at decode and gives the first output.
Source: vLLM 0.33 MooncakeConnector, as its docs describe it.
"""

from __future__ import annotations

from typing import Any


class Mooncake:
    """The whole prompt in one write."""

    asks_at_arrival = True
    prefill_waits = False
    needs_room = True
    sends_first_output = False
    answers_first = False
    streams: str | None = None
    round_trips = 0

    def __init__(self, parameters: Any) -> None:
        pass


PART = Mooncake
