"""Time of collectives: latency plus bytes over bus bandwidth, by operation, group size and protocol; nodes above."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hwsim.errors import FitError

CUSTOM_LIMIT = 8 << 20  # bytes up to which engines use their own all-reduce kernels


class Stretch(NamedTuple):
    """One protocol: ``alpha + factor * bytes / bandwidth`` for messages up to ``most`` bytes.

    ``factor`` is the bytes on a rank's link per byte of message in a ring (2(n-1)/n for an all-reduce, else (n-1)/n),
    so ``bandwidth`` is the bus bandwidth.  ``alpha`` in seconds, launch in a graph included.
    """

    most: float
    alpha: float
    bandwidth: float


class Network(NamedTuple):
    """What one rank has towards other nodes: bytes/s per direction and seconds of a message."""

    bandwidth: float
    latency: float


PORT_400G = Network(50e9, 10e-6)  # one 400 Gb/s port per rank
Curves = Mapping[int, tuple[Stretch, ...]]


def factor(operation: str, ranks: int) -> float:
    """Bytes on a rank's link per byte of message."""
    return (2 if "all_reduce" in operation else 1) * (ranks - 1) / ranks


def reached(places: int, choices: int) -> float:
    """Distinct of ``places`` that ``choices`` independent draws meet."""
    return places * (1 - (1 - 1 / places) ** choices)


def along(stretches: tuple[Stretch, ...], factor: float, size: float) -> float:
    """Seconds at ``size``; a library that changes protocol may lose time at once but never gains any."""
    last = len(stretches) - 1
    index = min(bisect_left([each.most for each in stretches], size), last)
    time = 0.0
    for each in stretches[: index + 1]:
        time = max(time, each.alpha + factor * min(size, each.most) / each.bandwidth)
    final = stretches[index]
    return max(time, final.alpha + factor * size / final.bandwidth)


@dataclass(frozen=True, slots=True)
class CollectiveLaw:
    """Curves by operation and group size, as engines and NCCL's tuner choose.

    ``all_reduce`` is an engine's own kernel in a captured graph with NCCL above, ``eager_all_reduce`` with the launch
    path, ``nccl_all_reduce`` NCCL alone.  A group size that was not measured takes the next one's bus bandwidth, and
    its latency in proportion to the steps.  ``borrowed`` engine kernels give way to the device's own NCCL curve where
    that is faster.  Over several nodes a collective works inside each node, then on every rank's own port.  Nothing
    overlaps with compute (vLLM waits for each).  Simplification: ranks arrive together; no traffic of others.
    """

    curves: Mapping[str, Curves]
    borrowed: bool = False
    network: Network = PORT_400G

    def all_reduce(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds to sum a message of ``size`` bytes over ``ranks``."""
        if ranks == 1:
            return 0.0
        if nodes > 1:
            inside = max(1, ranks // nodes)
            around = self.reduce_scatter(inside, size) + self.all_gather(inside, size)
            return around + 2 * self._rail(nodes, size / inside)
        if "all_reduce" not in self.curves or (self.borrowed and size > CUSTOM_LIMIT):
            return self.inside("nccl_all_reduce", ranks, size)
        own = self.inside("all_reduce", ranks, size)
        return min(own, self.inside("nccl_all_reduce", ranks, size)) if self.borrowed else own

    def all_gather(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds to gather ``size`` bytes in all on every rank."""
        return self._half("all_gather", ranks, size, nodes)

    def reduce_scatter(self, ranks: int, size: float, nodes: int = 1) -> float:
        """Seconds to sum a message of ``size`` bytes and leave each rank its share."""
        return self._half("reduce_scatter", ranks, size, nodes)

    def all_to_all(self, ranks: int, size: float, nodes: int = 1, choices: int = 1) -> float:
        """Seconds for each rank to send ``size`` bytes in all, spread evenly over the ranks.

        Of ``choices`` copies of a token those for ranks of one node cross to it once and part there (two-stage
        forwarding, as DeepEP's): fewer bytes leave a node than ranks are reached.
        """
        if ranks == 1:
            return 0.0
        if nodes == 1:
            return self.inside("all_to_all", ranks, size)
        inside, away = max(1, ranks // nodes), (nodes - 1) / nodes * size
        shared = reached(nodes, choices) / reached(ranks, choices)
        crossing = self.network.latency + away * shared / self.network.bandwidth
        forwarded = size - away if choices == 1 else size
        return max(self.inside("all_to_all", inside, forwarded) if inside > 1 else 0.0, crossing)

    def p2p(self, size: float, nodes: int = 1) -> float:
        """Seconds to send ``size`` bytes from one rank to another, in one node or to the next."""
        if nodes > 1:
            return self.network.latency + size / self.network.bandwidth
        return self.inside("all_gather", 2, 2 * size)  # half of it crosses the link, in one direction

    @staticmethod
    def link_bytes(ranks: int, size: float) -> float:
        """Bytes that one rank sends for an all-reduce: ``2(n-1)/n`` of the message, whatever the algorithm."""
        return 2 * (ranks - 1) / ranks * size

    def inside(self, operation: str, ranks: int, size: float) -> float:
        """Seconds of an operation among ``ranks`` of one node."""
        curves = self.curves.get(operation)
        if not curves:
            raise FitError.of(
                f"no {operation.replace('_', '-')} is known among these devices",
                where="tensor_parallel_size",
                got=str(ranks),
                expected="a device with measured collectives, or one rank",
            )
        known = min((each for each in curves if each >= ranks), default=max(curves))
        time = along(curves[known], factor(operation, ranks), size)
        return time if known >= ranks else time + (ranks / known - 1) * curves[known][0].alpha

    def _half(self, operation: str, ranks: int, size: float, nodes: int) -> float:
        """All-gather and reduce-scatter: each moves ``(n-1)/n`` of the message."""
        if ranks == 1:
            return 0.0
        if nodes == 1:
            return self.inside(operation, ranks, size)
        inside = max(1, ranks // nodes)
        return self._rail(nodes, size / inside) + (self.inside(operation, inside, size) if inside > 1 else 0.0)

    def _rail(self, nodes: int, size: float) -> float:
        """A ring over the nodes on each rank's own port: ``(N-1)`` steps of latency and ``(N-1)/N`` of the bytes."""
        return (nodes - 1) * self.network.latency + (nodes - 1) / nodes * size / self.network.bandwidth
