"""The bytes of a hand-over: which rank sends what to which, over which capacities, and what it costs beside that.

Every decode rank needs the KV of its heads once, so the bytes are tokens times a decode rank's KV bytes times decode
ranks: heads that decode replicates go to each replica, heads that prefill replicates are read once.  All rank pairs of
a request go together as one activity that takes every capacity of every pair's way; simplification: the slowest pair
sets the pace of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hwsim.hardware.fabric import Fabric
from hwsim.kernel.activity import Activity, Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.domain import Domain
from hwsim.units import TICKS_PER_SECOND

MOST_PHASES = 4096  # remembered for each way


class Connector(Protocol):
    """The order of events of one kind of hand-over (:mod:`hwsim.serving.disaggregation` says what follows from it)."""

    asks_at_arrival: bool  # decode gets the request at arrival, else when prefill has ended
    prefill_waits: bool  # prefill starts only when decode has reserved pages
    needs_room: bool  # bytes may go only when decode has reserved pages
    sends_first_output: bool  # the first output comes with the KV, else the last prompt token is computed again
    answers_first: bool  # the client has the first output from prefill, not from decode
    streams: str | None  # parts go before prefill has ended: by "layer" or by "chunk"
    round_trips: int  # control messages that must arrive before bytes flow


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds beside the bytes: per request and per contiguous piece; ``layers`` pieces a page, or one."""

    launch: float
    descriptor: float
    layers: int
    by_layer: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One engine as an end of a transfer: its GPUs by place, and the KV bytes of a token on each."""

    places: tuple[str, ...]
    bytes_per_token: float
    block_size: int


def rank_pairs(sources: int, targets: int, whole: float, source_bytes: float, target_bytes: float) -> list[tuple]:
    """(source rank, target rank, bytes per token) of every transfer between ranks.

    ``whole`` is what a token's KV takes without replication.  A target rank wants ``target_bytes``; sources that hold
    the same heads (replication: ``sources x source_bytes > whole``) are read in turn.
    """
    distinct = max(1, round(whole / source_bytes)) if source_bytes else 1
    copies = max(1, sources // distinct)
    pairs = []
    for target in range(targets):
        if target_bytes >= whole:  # a replicated (latent) cache, or one target: all distinct parts are needed
            needed = range(distinct)
        else:
            first = target * distinct // targets
            needed = range(first, max(first + 1, -(-(target + 1) * distinct // targets)))
        for part in needed:
            pairs.append((part * copies + target % copies, target, target_bytes / len(needed)))
    return pairs


class Ways:
    """What a token takes on the way from one engine to another: seconds alone, and amounts by capacity."""

    def __init__(self) -> None:
        self.units: dict[Capacity, float] = {}
        self.seconds = 0.0
        self.latency = 0.0
        self.asks: tuple[tuple[Capacity, float], ...] | None = None
        self.phases: dict[float, Phase] = {}  # by tokens: prompts of one length are sent again and again

    def add(self, capacities: Sequence[Capacity], per_byte: Sequence[float], size: float, rate: float) -> None:
        """A pair of ranks that moves ``size`` bytes of each token at ``rate`` at most."""
        for capacity, units in zip(capacities, per_byte, strict=True):
            self.units[capacity] = self.units.get(capacity, 0.0) + units * size
        self.seconds = max([self.seconds, size / rate, *(units / c.rate for c, units in self.units.items())])

    def phase(self, tokens: float) -> Phase:
        """``tokens`` tokens as a phase of an activity; what it asks for depends on the way alone."""
        found = self.phases.get(tokens)
        if found is not None:
            return found
        if self.asks is None:
            asks = [(c, min(c.rate, units / self.seconds)) for c, units in self.units.items() if units]
            self.asks = tuple(asks) if self.seconds else ()
        found = Phase(tokens * self.seconds * TICKS_PER_SECOND)
        if self.asks:
            found.amounts = tuple([(capacity, tokens * units) for capacity, units in self.units.items()])
            found.asks = self.asks
        if len(self.phases) == MOST_PHASES:
            self.phases.clear()
        self.phases[tokens] = found
        return found


class Mover:
    """Moves KV between engines of two pools, as activities on the capacities of their ways."""

    def __init__(
        self,
        domain: Domain,
        sources: Sequence[Side],
        targets: Sequence[Side],
        figures: Figures,
        whole: float,
        *,
        fabric: Fabric | None,
        bandwidth: float | None = None,
        latency: float = 0.0,
    ) -> None:
        self.domain = domain
        self.sources, self.targets = sources, targets
        self.figures = figures
        self.whole = whole
        self.fabric = fabric
        self.bandwidth = bandwidth
        self.latency = latency
        self.ports: dict[tuple[str, int], Capacity] = {}
        self.ways: dict[tuple[int, int], Ways] = {}
        self.bytes = 0.0
        self._token_bytes = [side.bytes_per_token * max(len(side.places), 1) for side in targets]

    def bytes_per_token(self, target: int) -> float:
        """What a token of a request brings to all ranks of an engine."""
        return self._token_bytes[target]

    def way(self, source: int, target: int) -> Ways:
        """The way between two engines, found once."""
        found = self.ways.get((source, target))
        if found is None:
            found = self.ways[source, target] = (
                self._own(source, target) if self.bandwidth else self._routed(source, target)
            )
        return found

    def _own(self, source: int, target: int) -> Ways:
        """A port of the given rate at each engine and direction."""
        assert self.bandwidth is not None
        way = Ways()
        ends = []
        for name in (("out", source), ("in", target)):
            if name not in self.ports:
                self.ports[name] = Capacity(f"handover.{name[0]}{name[1]}", self.bandwidth)
            ends.append(self.ports[name])
        way.add(ends, (1.0, 1.0), self.bytes_per_token(target), self.bandwidth)
        way.latency = self.latency
        return way

    def _routed(self, source: int, target: int) -> Ways:
        assert self.fabric is not None
        way = Ways()
        here, there = self.sources[source], self.targets[target]
        pairs = rank_pairs(len(here.places), len(there.places), self.whole, here.bytes_per_token, there.bytes_per_token)
        for first, second, size in pairs:
            route = self.fabric.route(here.places[first], there.places[second])
            way.add(route.capacities, route.per_byte, size, route.rate)
            way.latency = max(way.latency, route.latency_s + route.message_overhead_s)
        way.latency += self.latency
        return way

    def send(
        self,
        source: int,
        target: int,
        tokens: int,
        on_done: Callable[[Activity], object],
        *,
        round_trips: int,
        first: bool,
    ) -> None:
        """Start to move ``tokens`` tokens now; ``first``: the first part of a request, which is launched."""
        way, figures = self.way(source, target), self.figures
        pages = -(-tokens // self.targets[target].block_size)
        fixed = way.latency * (1 + round_trips)
        fixed += (figures.launch if first else 0.0) + figures.descriptor * pages * (
            figures.layers if figures.by_layer else 1
        )
        self.bytes += tokens * self._token_bytes[target]
        Activity(
            self.domain,
            "handover",
            fixed=round(fixed * TICKS_PER_SECOND),
            phases=(way.phase(tokens),),
            owner="handover",
            on_done=on_done,
        ).submit()
