"""Long contexts with the KV cache in host memory: blocks that look relevant are fetched, the rest stays away.

Per layer the query is compared with one representative per block (on the GPU), the best ``retrieved`` blocks of
``block`` tokens that the GPU's cache does not hold are copied over PCIe, and attention runs over initial, local and
retrieved tokens; with ``prefetch`` the copies of a layer run under the layer before, chosen by the query of that.
Source: the mechanism of block retrieval as in InfLLM, arXiv 2402.04617.  Simplification: a mean share ``reuse`` of the
retrieved blocks is on the GPU already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

GPU, CPU = "gpu0", "dram"


class KvRetrieval:
    """A model on the GPU with its cache in DRAM."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.get("batch", 1))
        self.block = int(job.get("block", 128))
        self.retrieved = int(job.get("retrieved", 16))
        self.local = int(job.get("local", 4096))
        self.prefetch = bool(job.get("prefetch", True))

    def hold(self, site: Site) -> None:
        """Weights."""
        sizes = self.job.sizes
        site.store(GPU).pool.hold("weights", int((sizes.attention + sizes.ffn) * sizes.layers * sizes.weight_bytes))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Layer after layer."""
        sizes = self.job.sizes
        near = min(step.past + step.new, self.local + self.retrieved * self.block)
        far = step.past + step.new - min(step.past + step.new, self.local)
        site.store(GPU).pool.hold("kv", int(step.rows * near * sizes.kv_bytes * sizes.layers))
        site.store(CPU).pool.hold("kv", int(step.rows * far * sizes.kv_bytes * sizes.layers))
        run = _Retrieve(self, site, step, near, far)
        yield Segment(sizes.layers * repeats, run.layer, ahead=2, repeats=True, name="layer")


class _Retrieve:
    """Works of one layer."""

    def __init__(self, pattern: KvRetrieval, site: Site, step: Step, near: int, far: int) -> None:
        job, sizes, executor = pattern.job, pattern.job.sizes, site.executor
        self.prefetch = pattern.prefetch
        blocks = far // pattern.block
        # one representative key per block and KV head
        keys = step.rows * blocks * sizes.kv_bytes / 2
        self.rank = job.attention(site, "rank blocks", GPU, step.tokens * blocks / 2, keys) if blocks else None
        fresh = 1 - float(job.facts.get("reuse") or 0.0)
        moved = step.rows * min(pattern.retrieved, blocks) * pattern.block * sizes.kv_bytes * fresh
        self.fetch: Any = site.copy("fetch blocks", CPU, GPU, moved) if moved else None
        pairs = step.rows * step.new * near if step.past else step.pairs
        self.scores = job.attention(site, "attention", GPU, pairs, step.rows * near * sizes.kv_bytes)
        out = step.tokens * sizes.kv_bytes
        self.spill = site.copy("spill", GPU, CPU, out) if far else None
        self.dense = job.dense(site, "layer", GPU, step.tokens, sizes.attention + sizes.active_ffn)
        self.gpu, self.up, self.down = (executor.stream(name) for name in ("gpu", "fetch", "spill"))

    def layer(self, executor: Executor, index: int) -> None:
        ranked: Task | None = None
        if self.rank is not None:
            ranked = executor.task("rank blocks", self.gpu, self.rank)
        dense = executor.task("layer", self.gpu, self.dense, (ranked,)) if self.prefetch else None
        fetched: Task | None = None
        if self.fetch is not None:
            fetched = executor.task("fetch blocks", self.up, self.fetch, (ranked,))
        executor.task("attention", self.gpu, self.scores, (fetched, dense))
        if dense is None:
            dense = executor.task("layer", self.gpu, self.dense)
        if self.spill is not None:
            executor.task("spill", self.down, self.spill, (dense,))


PART = KvRetrieval
