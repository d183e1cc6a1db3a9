"""NIXL as vLLM uses it: decode pulls (RDMA READ) once prefill has ended, or prefill pushes into registered pages.

Pull: prefill runs with one output and keeps its pages; then the request queues at decode, gets pages for all that is
not cached there when it heads the queue, and reads.  Push: decode is asked at arrival and registers its pages first;
prefill writes.  The last prompt token is computed again at decode and gives the first output.  ``unit: layer`` lets
the layers go while prefill computes, which needs pages at decode early, so decode is asked at arrival.
Source: vLLM 0.33 NixlConnector, as its docs describe it.  Simplification: leases never run out.
"""

from __future__ import annotations

from typing import Any


class Nixl:
    """One READ per source rank and request."""

    prefill_waits = False  # for pages at decode
    needs_room = True  # bytes go to pages, not to a buffer
    sends_first_output = False
    answers_first = False

    def __init__(self, parameters: Any) -> None:
        self.streams: str | None = parameters.unit if parameters.unit == "layer" else None
        self.asks_at_arrival: bool = parameters.mode == "push" or self.streams is not None
        self.round_trips = 1 if parameters.mode == "pull" else 0  # a READ asks, then bytes come


PART = Nixl
