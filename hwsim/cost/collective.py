"""Time of collectives: the fastest of a few latency-plus-bandwidth algorithms by group size; nodes one level above."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hwsim.errors import FitError


class Algorithm(NamedTuple):
    """``alpha + factor * bytes / bandwidth`` for messages up to ``most`` bytes per rank.

    ``factor`` is the bytes on a rank's link per byte of message: ``n - 1`` in one shot, ``2(n-1)/n`` in two shots or
    on a ring.  ``alpha`` in seconds, measured in a captured graph (one launch included).
    """

    alpha: float
    bandwidth: float
    factor: float
    most: float


class Network(NamedTuple):
    """What one rank has towards other nodes: bytes/s per direction and seconds of a message."""

    bandwidth: float
    latency: float


PORT_400G = Network(50e9, 10e-6)  # one 400 Gb/s port per rank


@dataclass(frozen=True, slots=True)
class CollectiveLaw:
    """Least time over the algorithms of the group's size, as engines and NCCL's tuner choose.

    ``others`` holds algorithms of operations but all-reduce; without them they are rings at half its traffic.  A size
    that was not measured takes the next larger one's coefficients with its own factors.  Over several nodes a
    collective reduces inside each node first, crosses on every rank's own port and spreads again.  Nothing overlaps
    with compute (vLLM waits for each).  Simplification: ranks arrive together; no traffic of others.
    """

    algorithms: Mapping[int, tuple[Algorithm, ...]]
    others: Mapping[str, Mapping[int, tuple[Algorithm, ...]]] = field(default_factory=dict)
    network: Network = PORT_400G

    def all_reduce(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds to sum a message of ``size`` bytes over ``ranks``."""
        if ranks == 1:
            return 0.0
        if nodes == 1:
            return min(a.alpha + a.factor * size / a.bandwidth for a in self._of(ranks) if size <= a.most)
        inside = ranks // nodes
        around = self.reduce_scatter(inside, size) + self.all_gather(inside, size)
        return around + 2 * self._rail(nodes, size / inside)

    def all_gather(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds to gather ``size`` bytes in all on every rank."""
        return self._half("all_gather", ranks, size, nodes)

    def reduce_scatter(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds to sum a message of ``size`` bytes and leave each rank its share."""
        return self._half("reduce_scatter", ranks, size, nodes)

    def all_to_all(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds for each rank to send ``size`` bytes in all, spread evenly over the ranks."""
        if ranks == 1:
            return 0.0
        if nodes == 1:
            return self._ring("all_to_all", ranks, size)
        away = (nodes - 1) / nodes * size
        crossing = self.network.latency + away / self.network.bandwidth
        inside = ranks // nodes
        return max(self._ring("all_to_all", inside, size) if inside > 1 else 0.0, crossing)

    def p2p(self, size: float, nodes: int = 1) -> float:
        """Seconds to send ``size`` bytes from one rank to another, in one node or to the next."""
        if nodes > 1:
            return self.network.latency + size / self.network.bandwidth
        return min(a.alpha + size / a.bandwidth for a in self._open(self._of(2)))

    @staticmethod
    def link_bytes(ranks: int, size: float) -> float:
        """Bytes that one rank sends for an all-reduce: ``2(n-1)/n`` of the message, whatever the algorithm."""
        return 2 * (ranks - 1) / ranks * size

    # -- how -------------------------------------------------------------------------------------------------------

    def _half(self, operation: str, ranks: int, size: float, nodes: int) -> float:
        """All-gather and reduce-scatter: each moves ``(n-1)/n`` of the message."""
        if ranks == 1:
            return 0.0
        if nodes == 1:
            return self._ring(operation, ranks, size)
        inside = ranks // nodes
        return self._rail(nodes, size / inside) + (self._ring(operation, inside, size) if inside > 1 else 0.0)

    def _rail(self, nodes: int, size: float) -> float:
        """A ring over the nodes on each rank's own port: ``(N-1)`` steps of latency and ``(N-1)/N`` of the bytes."""
        return (nodes - 1) * self.network.latency + (nodes - 1) / nodes * size / self.network.bandwidth

    def _ring(self, operation: str, ranks: int, size: float) -> float:
        own = self.others.get(operation)
        if own:
            return min(a.alpha + a.factor * size / a.bandwidth for a in _sized(own, ranks))
        return min(a.alpha + (ranks - 1) / ranks * size / a.bandwidth for a in self._open(self._of(ranks)))

    def _of(self, ranks: int) -> tuple[Algorithm, ...]:
        return _sized(self.algorithms, ranks)

    @staticmethod
    def _open(found: tuple[Algorithm, ...]) -> tuple[Algorithm, ...]:
        return tuple(a for a in found if a.most == math.inf) or found


def _sized(algorithms: Mapping[int, tuple[Algorithm, ...]], ranks: int) -> tuple[Algorithm, ...]:
    """Algorithms of a group of ``ranks``, scaled from the next larger group that was measured."""
    sizes = sorted(size for size in algorithms if size >= ranks)
    if not sizes:
        raise FitError.of(
            "no all-reduce is known for this many ranks",
            where="tensor_parallel_size",
            got=str(ranks),
            expected=f"at most {max(algorithms, default=1)} ranks in one node",
        )
    known = sizes[0]
    if known == ranks:
        return algorithms[ranks]
    half = (known - 1) / known
    scale = {known - 1: ranks - 1, half: (ranks - 1) / ranks, 2 * half: 2 * (ranks - 1) / ranks}
    return tuple(a._replace(factor=scale.get(a.factor, a.factor)) for a in algorithms[known])
