"""SGLang's disaggregation: decode reserves the whole prompt first, only then does prefill compute and send by chunks.

The router gives the request to both sides at once.  Prefill waits until decode has told its pages; the KV of a chunk
goes when the chunk is done (``unit: request`` waits for all of it).  The first output comes from prefill together with
the KV, so decode computes nothing twice.  Source: SGLang 0.5.23 ``disaggregation/``, as its docs describe it.
Simplification: decode's reservation test is that of its scheduler.
"""

from __future__ import annotations

from typing import Any


class Sglang:
    """Pre-allocation at decode, then prefill, then the transfer."""

    asks_at_arrival = True
    prefill_waits = True
    needs_room = True
    sends_first_output = True
    answers_first = False
    round_trips = 0

    def __init__(self, parameters: Any) -> None:
        self.streams: str | None = "chunk" if parameters.unit == "chunk" else None


PART = Sglang
