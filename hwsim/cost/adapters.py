"""LoRA adapters in a step: each weight matrix gets a detour through a low rank, with weights of each sequence's own.

Two small kernels per matrix read the weights of every adapter in the batch once and compute ``2 rank (k + n)`` FLOP per
token.  Simplifications: they run at the data sheet's rates; sequences of a step use different adapters, as many as may
be on the GPU; experts have none.  Source of the mechanism: Punica (arXiv:2310.18547), S-LoRA (arXiv:2311.03285).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from hwsim.cost.derived import Derived
from hwsim.cost.price import Component, Demand, Pricer, StepPrice, StepShape, subticks

KERNELS = 2  # per matrix: down to the rank, and up again


class AdapterWork(NamedTuple):
    """One adapter on one GPU: bytes, FLOP per token, kernels of a step; at most ``most`` adapters on the GPU.

    ``bandwidth``, ``peak`` and ``launch`` (seconds per kernel) are the GPU's; ``ranks`` how many GPUs work alike.
    """

    size: float
    flop: float
    kernels: int
    most: int
    bandwidth: float
    peak: float
    launch: float
    ranks: int


class AdapterPricer(Derived):
    """The prices of a model with adapters."""

    def __init__(self, inner: Pricer, work: AdapterWork) -> None:
        super().__init__(inner)
        self.work = work

    def depends(self, shape: StepShape) -> Hashable:
        """Sequences and tokens."""
        return shape.rows + len(shape.chunks), shape.rows + sum([new for new, _ in shape.chunks])

    def made(self, own: StepPrice, shape: StepShape) -> StepPrice:
        """The inner price with the detours of its tokens."""
        work = self.work
        sequences, tokens = shape.rows + len(shape.chunks), shape.rows + sum([new for new, _ in shape.chunks])
        size, flop = min(sequences, work.most) * work.size, tokens * work.flop
        reads, computes = size / work.bandwidth, flop / work.peak
        extra = {("hbm" if reads >= computes else "tensor"): subticks(max(reads, computes))}
        extra["launch"] = subticks(work.kernels * work.launch)
        parts = [part._replace(base=part.base + extra.pop(part.bound, 0)) for part in own.components]
        parts += [Component(bound, time, 0, (0,) * len(own.window_slopes)) for bound, time in extra.items()]
        more = {"gpu.hbm": size * work.ranks, "gpu.tensor": flop * work.ranks}
        demands = [need._replace(base=need.base + more.pop(need.capacity, 0.0)) for need in own.demands]
        demands += [Demand(capacity, amount, 0.0, (0.0,) * len(own.window_slopes)) for capacity, amount in more.items()]
        return StepPrice(
            sum([part.base for part in parts]),
            own.slope,
            host=own.host,
            low=own.low,
            limit=own.limit,
            components=tuple(parts),
            demands=tuple(demands),
            source=own.source,
            window_slopes=own.window_slopes,
        )
