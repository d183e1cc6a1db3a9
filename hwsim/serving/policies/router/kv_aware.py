"""The replica with the least work left after what it has cached: new prefill tokens plus tokens that are active there.

``cost = scale x max(0, raw - overlap) + active``, least wins, equal ones take turns.  ``raw`` is the prompt and the
prompts that the replica has still to compute, ``active`` the prompts of all its unfinished requests and this one;
``overlap`` counts what is cached on the GPU in full and what lies below at a credit, beyond what the GPU has.  What
replicas hold is known from their own events, in one index for all of them that is walked once per request; without
such events, from what was sent.
Source: NVIDIA Dynamo 1.6.1's cost function and its default credits (temperature 0, no decay of the credit).
Simplification: tokens instead of blocks, and a prefix shared by active requests counts for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.prefix_index import PrefixIndex
from hwsim.serving.routing import Loads, Seen, Sees
from hwsim.units import ticks


class KvAware:
    """Least prefill and active tokens after cached ones."""

    sees: ClassVar[Sees] = "counts"

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.age = ticks(parameters.age)
        self.scale: float = parameters.prefill_load_scale
        self.credits: tuple[float, float, float] = (
            parameters.device_credit,
            parameters.host_credit,
            parameters.disk_credit,
        )
        self.replicas = replicas
        self.index = PrefixIndex(parameters.capacity)
        self.last = -1

    def route(self, request: Seen, loads: Loads) -> int:
        """The chosen replica."""
        chains, prompt, block = request.chains, request.prompt_tokens, request.prefix_block
        depths = self.index.reached(chains, self.replicas) if chains else [0] * self.replicas
        device, host, disk = self.credits
        best, least, last = -1, 0.0, self.last
        below, prefilling, tokens = loads.below, loads.prefilling, loads.tokens
        for number in loads.open:
            cached = min(depths[number] * block, prompt)
            overlap = device * cached
            for start, end, drive in below[number]:
                if end > cached:
                    overlap += (disk if drive else host) * (end - max(start, cached))
            raw = prompt + prefilling[number]
            cost = self.scale * max(0.0, raw - overlap) + prompt + tokens[number]
            if best < 0 or cost < least or (cost == least and best <= last < number):  # equal ones take turns
                best, least = number, cost
        self.last = best
        if chains:
            self.index.hold(chains, best)
        return best

    def stored(self, chains: Sequence[int], replica: int) -> None:
        """It holds these blocks."""
        self.index.hold(chains, replica)

    def lost(self, chains: Sequence[int], replica: int) -> None:
        """It loses these blocks, and with each the way to those behind it."""
        self.index.drop(chains, replica)

    def emptied(self, replica: int) -> None:
        """It has failed, and holds nothing."""
        self.index.clear(replica)


PART = KvAware
