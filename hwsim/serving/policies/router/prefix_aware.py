"""The replica that was sent the longest prefix of the prompt, as long as loads are balanced (SGLang's router).

The router remembers what it has sent where (it does not look into the engines): if more than ``threshold`` of the
prompt is a prefix that some replica was sent, the least loaded of those with the longest prefix gets the request;
otherwise, or when the loads of all differ by more than ``imbalance`` requests, the least loaded of all.
Simplification: the memory is one least-recently-used list of ``capacity`` prefix blocks for all replicas.
Source of the rule: SGLang's cache-aware load balancer, as its docs describe it (MEMORY).
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.prefix_index import PrefixIndex
from hwsim.serving.routing import Loads, Seen, Sees
from hwsim.units import ticks


class PrefixAware:
    """Longest prefix first, unless that would unbalance the replicas."""

    sees: ClassVar[Sees] = "counts"

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.age = ticks(parameters.age)
        self.threshold: float = parameters.threshold
        self.imbalance: int = parameters.imbalance
        self.all = (1 << replicas) - 1
        self.index = PrefixIndex(parameters.capacity)
        self.last = -1

    def route(self, request: Seen, loads: Loads) -> int:
        """The chosen replica, which is remembered to have the prompt's prefix."""
        column, ids, choices = loads.requests, request.prefix_ids, loads.open
        every = len(choices) == len(column)
        held = column if every else [column[i] for i in choices]
        chosen = -1
        if ids and max(held) - min(held) <= self.imbalance:
            among = self.all if every else sum([1 << i for i in choices])
            depth, holders = self.index.deepest(ids, among)
            if depth * request.prefix_block > self.threshold * request.prompt_tokens:
                least = 0
                while holders:  # the first of those with the least
                    number = (holders & -holders).bit_length() - 1
                    if chosen < 0 or column[number] < least:
                        chosen, least = number, column[number]
                    holders &= holders - 1
        if chosen < 0:
            self.last = chosen = loads.least(column, self.last)
        if ids:
            self.index.add(ids, chosen)
        return chosen


PART = PrefixAware
