"""Prefill and decode on the same GPUs: KV stays where it is, and only who works with it changes."""

from __future__ import annotations

from typing import Any


class InPlace:
    """No bytes move; prefill gives the first output, decode goes on when it has pages."""

    asks_at_arrival = False
    prefill_waits = False
    needs_room = True
    sends_first_output = True
    answers_first = True
    streams: str | None = None
    round_trips = 0

    def __init__(self, parameters: Any) -> None:
        pass


PART = InPlace
