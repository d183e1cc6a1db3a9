"""Layer streaming: weights come layer by layer from memory or a drive into ``buffers`` on the GPU, ahead of compute.

``synchronous`` copies and computes in turn (no prefetch); ``mapped`` lets a drive's pages fault in, 4 KB at a time and
one at a time, into page cache first.  The KV cache stays in the memory of what computes: a GPU's own, a CPU's DRAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

PAGE = 4096


class LayerStreaming:
    """A model whose weights lie in shares on GPU, DRAM, CXL memory and drives."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.get("batch", 1))
        self.synchronous = bool(job.get("synchronous", False))
        self.buffers = 1 if self.synchronous else int(job.get("buffers", 2))
        self.mapped = bool(job.get("mapped", False))
        self.at = str(job.get("backend", "gpu0"))
        self.home = "dram" if self.at.startswith("cpu") else self.at

    def hold(self, site: Site) -> None:
        """Resident weights, and the buffers."""
        sizes = self.job.sizes
        layer = (sizes.attention + sizes.ffn) * sizes.weight_bytes
        for place, share in self.job.shares("weights").items():
            if share and place not in ("ssd", "flash"):
                site.store(place).pool.hold("weights", int(share * layer * sizes.layers))
        resident = self.job.share("weights", self.home)
        if resident < 1:
            site.store(self.home).pool.hold("layer buffers", int(layer * self.buffers * (1 - resident)))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Layer after layer, without end between passes."""
        site.store(self.home).pool.hold(
            "kv", int(step.rows * (step.past + step.new) * self.job.sizes.kv_bytes * self.job.sizes.layers)
        )
        run = _Stream(self, site, step)
        for _ in range(repeats):
            yield Segment(self.job.sizes.layers, run.layer, ahead=self.buffers + 1, repeats=True, name="layer")
            yield Segment(1, run.head, ahead=self.buffers + 1, name="head")


class _Stream:
    """Copies and compute of a layer."""

    def __init__(self, pattern: LayerStreaming, site: Site, step: Step) -> None:
        job, sizes = pattern.job, pattern.job.sizes
        self.at, home = pattern.at, pattern.home
        executor = site.executor
        layer = (sizes.attention + sizes.ffn) * sizes.weight_bytes
        self.copies: list[tuple[Any, Any]] = []
        for place, share in job.shares("weights").items():
            if not share or place == home:
                continue
            how: dict[str, Any] = (
                {"io_size": PAGE, "queue_depth": 1} if pattern.mapped and place in ("ssd", "flash") else {}
            )
            if place in ("ssd", "flash") and site.known("dram") and home != "dram":
                self.copies.append(
                    (executor.stream(place), site.copy(f"read {place}", place, "dram", share * layer, **how))
                )
                self.copies.append((executor.stream("load"), site.copy("load", "dram", home, share * layer)))
            else:
                self.copies.append(
                    (
                        executor.stream(f"load {place}"),
                        site.copy(f"load {place}", place, home, share * layer, **how),
                    )
                )
        self.slots = executor.store("buffers", pattern.buffers, "count")
        tokens, weights = step.tokens, sizes.attention + sizes.active_ffn
        self.compute = [job.dense(site, "layer", pattern.at, tokens, weights)]
        cache = step.rows * (step.past + step.new) * sizes.kv_bytes
        self.compute.append(job.attention(site, "attention", pattern.at, step.pairs, cache))
        self.last = job.dense(site, "head", pattern.at, step.rows, sizes.vocabulary * sizes.hidden)
        self.stream = executor.stream("compute")

    def layer(self, executor: Executor, index: int) -> None:
        """Load a layer as soon as a buffer is free, compute when it is there."""
        last: Task | None = None
        claim = ((self.slots, "layer", 1),)
        for number, (stream, work) in enumerate(self.copies):
            last = executor.task(work.name, stream, work, (last,), takes=claim if not number else ())
        for number, work in enumerate(self.compute):
            ends = number == len(self.compute) - 1 and self.copies
            last = executor.task(work.name, self.stream, work, (last,), gives=claim if ends else ())

    def head(self, executor: Executor, index: int) -> None:
        """The next tokens."""
        executor.task("head", self.stream, self.last)


PART = LayerStreaming
