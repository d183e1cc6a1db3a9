"""Time of an all-reduce inside a node: the fastest of a few latency-plus-bandwidth algorithms, by group size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class AllReduceLaw:
    """Least time over the algorithms of the group's size, as engines and NCCL's tuner choose.

    A size that was not measured takes the next larger one's coefficients with its own factors.  Nothing overlaps with
    compute (vLLM waits for each).  Simplification: ranks arrive together; no traffic of others.
    """

    algorithms: Mapping[int, tuple[Algorithm, ...]]

    def _of(self, ranks: int) -> tuple[Algorithm, ...]:
        sizes = sorted(size for size in self.algorithms if size >= ranks)
        if not sizes:
            raise FitError.of(
                "no all-reduce is known for this many ranks",
                where="tensor_parallel_size",
                got=str(ranks),
                expected=f"at most {max(self.algorithms, default=1)} ranks in one node",
            )
        if sizes[0] == ranks:
            return self.algorithms[ranks]
        scale = {sizes[0] - 1: ranks - 1, 2 * (sizes[0] - 1) / sizes[0]: 2 * (ranks - 1) / ranks}
        return tuple(a._replace(factor=scale.get(a.factor, a.factor)) for a in self.algorithms[sizes[0]])

    def all_reduce(self, ranks: int, size: float) -> float:
        """Seconds to sum a message of ``size`` bytes over ``ranks``."""
        if ranks == 1:
            return 0.0
        return min(a.alpha + a.factor * size / a.bandwidth for a in self._of(ranks) if size <= a.most)

    def all_gather(self, ranks: int, size: float) -> float:
        """Seconds to gather ``size`` bytes in all on every rank: half the traffic of an all-reduce of that size."""
        if ranks == 1:
            return 0.0
        rings = [a for a in self._of(ranks) if a.most == float("inf")]
        return min(a.alpha + (ranks - 1) / ranks * size / a.bandwidth for a in rings)

    @staticmethod
    def link_bytes(ranks: int, size: float) -> float:
        """Bytes that one rank sends for an all-reduce: ``2(n-1)/n`` of the message, whatever the algorithm."""
        return 2 * (ranks - 1) / ranks * size
