"""DistServe: prefill answers with the first output at once, and decode pulls the KV when it has room.

The first token goes to the client from the prefill instance; the decode instance queues the request when prefill has
ended, and goes on with the second token once the KV is there.  Pages stay at prefill until they have been read, which
is the buffer that absorbs bursts.  Source: DistServe (arXiv:2401.09670), section 4.3.
"""

from __future__ import annotations

from typing import Any


class DistServe:
    """The whole prompt in one read."""

    asks_at_arrival = False
    prefill_waits = False
    needs_room = True
    sends_first_output = True
    answers_first = True
    streams: str | None = None
    round_trips = 1

    def __init__(self, parameters: Any) -> None:
        pass


PART = DistServe
