"""One request on its way from prefill to decode, and the record of all such ways."""

from __future__ import annotations

from collections import deque

import numpy as np

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.journal import Journal
from hwsim.serving.request import Request


class Flight:
    """A request that one engine prefills (as ``leg``, with one output) and another decodes.  Times in subticks."""

    __slots__ = (
        "arrived",
        "asked",
        "chunks",
        "decode",
        "dropped",
        "leg",
        "moving",
        "prefill",
        "prefilled",
        "request",
        "reserved",
        "scheduled",
        "sent",
        "started",
        "tokens",
    )

    def __init__(self, request: Request, leg: Request, prefill: int) -> None:
        self.request = request
        self.leg = leg
        self.prefill = prefill
        self.decode = -1
        self.asked = -1  # when decode got the request
        self.scheduled = -1
        self.prefilled = -1
        self.reserved = -1  # when decode had pages for it
        self.started = -1  # when its first bytes were sent
        self.arrived = -1
        self.tokens = 0  # tokens of KV that have to go
        self.chunks: deque[tuple[int, int]] = deque()  # (end of a step, tokens computed by then), not yet sent
        self.sent = 0
        self.moving = 0  # parts under way
        self.dropped = False  # its KV is of no use any more: what is under way runs out

    def waits_for(self) -> str:
        """What has not happened, in words."""
        if self.prefilled < 0 and self.leg.status == "waiting" and self.asked >= 0 and self.reserved < 0:
            return f"pages at decode replica {self.decode}, before its prefill may start"
        if self.prefilled < 0:
            return f"prefill on replica {self.prefill}"
        if self.asked >= 0 and self.reserved < 0:
            return f"pages at decode replica {self.decode}, while it holds those of prefill replica {self.prefill}"
        return f"its KV on the way from replica {self.prefill} to {self.decode}"


def leg_of(request: Request) -> Request:
    """The prompt of a request (and what of its answer was delivered before) as one of prefill alone."""
    ids = request.prefix_ids
    if request.emitted and ids is not None:  # the last block may hold what was answered
        ids = ids[: request.prompt_tokens // request.prefix_block]
    leg = Request(
        request.index,
        request.arrival,
        request.known,
        1,
        priority=request.priority,
        prefix_ids=ids,
        prefix_block=request.prefix_block,
    )
    leg.keeps_kv = True
    return leg


class LegJournal(Journal):
    """The journal of prefill engines: what they execute counts, but their legs are no requests of their own."""

    __slots__ = ()

    def __init__(self, whole: Journal) -> None:
        super().__init__()
        self.packed, self.bounds, self.gaps = whole.packed, whole.bounds, whole.gaps

    def finished(self, replica: int, request: Request) -> None:
        """A leg ends: its request goes on elsewhere."""

    def rejected(self, replica: int, request: Request) -> None:
        """The cluster refuses the request itself."""


class Handovers:
    """One row per request that was handed over: where, how much, and when each thing happened."""

    COLUMNS = ("index", "prefill_replica", "decode_replica", "tokens", "bytes")
    TIMES = ("prefilled", "asked", "reserved", "started", "arrived")

    def __init__(self) -> None:
        self._rows: list[tuple[int, ...]] = []

    def add(self, flight: Flight, prefill: int, decode: int, size: float) -> None:
        """A flight that has arrived, between the replicas of these numbers."""
        self._rows.append(
            (
                flight.request.index,
                prefill,
                decode,
                flight.tokens,
                round(size),
                flight.prefilled >> SUBTICK_BITS,
                flight.asked >> SUBTICK_BITS,
                flight.reserved >> SUBTICK_BITS,
                flight.started >> SUBTICK_BITS,
                flight.arrived >> SUBTICK_BITS,
            )
        )

    def table(self) -> dict[str, np.ndarray]:
        """All rows as int64 columns, times in picoseconds."""
        names = (*self.COLUMNS, *self.TIMES)
        rows = np.array(self._rows, dtype=np.int64).reshape(-1, len(names))
        return {name: rows[:, i] for i, name in enumerate(names)}
