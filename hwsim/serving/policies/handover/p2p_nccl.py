"""vLLM's P2P NCCL connector (up to 0.11): prefill sends every layer as it computes it, into a buffer at decode.

The proxy pairs both sides at arrival and asks decode when prefill has ended; the KV then lies in decode's buffer or is
still on its way.  The last prompt token is computed again at decode.  Source: vLLM 0.11 P2pNcclConnector, as its docs
describe it.  Simplification: the buffer is large enough.
"""

from __future__ import annotations

from typing import Any


class P2pNccl:
    """Layer by layer during the forward pass."""

    asks_at_arrival = False
    prefill_waits = False
    needs_room = False
    sends_first_output = False
    answers_first = False
    round_trips = 0

    def __init__(self, parameters: Any) -> None:
        self.streams: str | None = parameters.unit if parameters.unit == "layer" else None


PART = P2pNccl
