"""Weights as a stack of residual blocks of about one bit each, loaded until a memory budget is full.

Block bytes of an ``m x n`` matrix are ``m n / 8 + 2 k (m + n)``: signs, and ``k`` singular vectors in 16 bit.  A pass
reads the loaded blocks of every matrix; when the budget changes at run time, blocks are loaded from, or dropped to,
storage (``reload``: a pass that first loads the difference to ``budget_before``).  Source: BitStack, arXiv 2410.23918.
Simplification: blocks are spread evenly over layers, not in the order of their importance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

RANK = 16
DEEPEST = 16  # residual blocks per matrix


class WeightBlocks:
    """A model whose blocks fill a budget."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.get("batch", 1))
        self.at = str(job.get("backend", "gpu0"))
        self.budget = float(job.need("budget"))
        self.before = float(job.get("budget_before", self.budget))
        fixed = self.fixed_bytes()
        self.depth = max(0.0, min(DEEPEST, (self.budget - fixed) / (self.block_bytes() * job.sizes.layers)))
        self.depth_before = max(0.0, min(DEEPEST, (self.before - fixed) / (self.block_bytes() * job.sizes.layers)))

    def matrices(self) -> list[tuple[int, int]]:
        """Shapes of the matrices of a layer."""
        sizes = self.job.sizes
        query, kv = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
        shapes = [(sizes.hidden, query), (sizes.hidden, kv), (sizes.hidden, kv), (query, sizes.hidden)]
        return shapes + [(sizes.hidden, sizes.neurons)] * sizes.matrices

    def block_bytes(self) -> float:
        """One residual block of every matrix of a layer."""
        return sum(m * n / 8 + 2 * RANK * (m + n) for m, n in self.matrices())

    def fixed_bytes(self) -> float:
        """Tables, which stay in 16 bit."""
        sizes = self.job.sizes
        return 2 * 2 * sizes.vocabulary * sizes.hidden

    def hold(self, site: Site) -> None:
        """Loaded blocks and tables."""
        pool = site.store(self.at).pool
        pool.hold("tables", int(self.fixed_bytes()))
        pool.hold("blocks", int(self.depth * self.block_bytes() * self.job.sizes.layers))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Blocks that the new budget has room for come first, layer by layer beside the pass."""
        run = _Blocks(self, site, step)
        yield Segment(self.job.sizes.layers * repeats, run.layer, ahead=2, repeats=True, name="layer")


class _Blocks:
    """Works of one layer."""

    def __init__(self, pattern: WeightBlocks, site: Site, step: Step) -> None:
        sizes, executor = pattern.job.sizes, site.executor
        reads = pattern.depth * pattern.block_bytes()
        parameters = sum(m * n for m, n in pattern.matrices())
        cache = step.rows * (step.past + step.new) * sizes.kv_bytes
        # every block is expanded: its low-rank product and its signs
        expand = pattern.depth * 2.0 * RANK * parameters
        flop = 2.0 * step.tokens * parameters + expand
        self.compute = site.compute("layer", pattern.at, flop, reads + cache)
        more = max(pattern.depth - pattern.depth_before, 0.0) * pattern.block_bytes()
        self.load: Any = None
        if more and step.past == 0:  # the budget changed before this pass
            source = next(place for place in ("ssd", "flash") if site.known(place))
            self.load = site.copy("block load", source, pattern.at, more)
        self.streams = executor.stream("load"), executor.stream("compute")

    def layer(self, executor: Executor, index: int) -> None:
        load: Task | None = None
        if self.load is not None:
            load = executor.task("block load", self.streams[0], self.load)
        executor.task("layer", self.streams[1], self.compute, (load,))


PART = WeightBlocks
