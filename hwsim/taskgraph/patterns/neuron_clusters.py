"""Neurons in clusters on NPU, CPU and flash, with a pipeline of clusters instead of barriers between matrices.

Prefill: the NPU computes all neurons densely while a CPU core streams the next layer from flash.  Decode: attention
first; the feed-forward network's rows are split, ``npu_share`` of them dense on the NPU, the others sparse on the CPU
after a predictor.  Neurons that the cache does not hold are read by one thread in small random reads, 4 KB each: one
per matrix, or with ``bundle: gate_up_down`` gate with up and down in two, the second only if the gate lets it through.
With ``pipeline`` clusters whose neurons are in memory are computed while others are read, otherwise all reads come
first.  ``cache: false`` keeps a fixed share in memory.  Source: PowerInfer-2, arXiv 2406.06282.
Simplification: hits and active neurons are mean shares; a layer has ``CLUSTERS`` clusters on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

CLUSTERS = 8
BLOCK = 4096
TOGETHER = 0.8  # a neuron whose gate lets it through needs up and down too (paper: co-activation 80 %)


class NeuronClusters:
    """One batch on a phone."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.get("batch", 1))
        self.bundle = job.get("bundle", "gate_up_down") == "gate_up_down"
        self.pipeline = bool(job.get("pipeline", True))
        self.cache = bool(job.get("cache", True))
        self.npu_share = float(job.get("npu_share", 0.0))
        self.away = sum(job.share("ffn", place, {"dram": 1.0}) for place in ("flash", "ssd"))
        if self.away == 1.0:  # tiers: what the cache does not hold is read
            self.away = float(job.get("offloaded", 0.5))

    def hold(self, site: Site) -> None:
        """Attention and the resident share of the feed-forward networks."""
        sizes = self.job.sizes
        pool = site.store("dram").pool
        pool.hold("attention", int(sizes.attention * sizes.layers * sizes.weight_bytes))
        pool.hold("neurons", int(sizes.ffn * (1 - self.away) * sizes.layers * sizes.weight_bytes))

    @property
    def active(self) -> float:
        return float(self.job.facts.get("active") or 1.0) * self.job.sizes.top_k / self.job.sizes.experts

    @property
    def missed(self) -> float:
        """Neurons of a layer that one token reads from flash."""
        sizes, facts = self.job.sizes, self.job.facts
        neurons = sizes.neurons * sizes.experts * self.active
        if not self.away:
            return 0.0
        if not self.cache:
            return neurons * self.away
        return neurons * (1 - float(facts.get("reuse") or 0.0))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Layer after layer."""
        run = _Prefill(self, site, step) if step.new > 1 else _Decode(self, site, step)
        yield Segment(self.job.sizes.layers * repeats, run.layer, ahead=2, repeats=True, name="layer")


class _Prefill:
    """Dense on the NPU (or the CPU without one), the next layer streamed in meanwhile."""

    def __init__(self, pattern: NeuronClusters, site: Site, step: Step) -> None:
        job, sizes = pattern.job, pattern.job.sizes
        self.at = "npu" if site.known("npu") and pattern.npu_share > 0 else _cpu(site)
        self.compute = job.dense(site, "prefill", self.at, step.tokens, sizes.attention + sizes.active_ffn)
        size = sizes.ffn * pattern.away * sizes.weight_bytes
        self.read = site.copy("layer read", "flash", "dram", size) if size else None
        self.slots = site.executor.store("layer buffers", 2, "count")
        self.streams = site.executor.stream("npu"), site.executor.stream("flash")

    def layer(self, executor: Executor, index: int) -> None:
        claim = ((self.slots, "layer", 1),)
        read = None
        if self.read is not None:
            read = executor.task("layer read", self.streams[1], self.read, takes=claim)
        executor.task("prefill", self.streams[0], self.compute, (read,), gives=claim if read is not None else ())


class _Decode:
    """Attention, then clusters on CPU and NPU while missing neurons come in."""

    def __init__(self, pattern: NeuronClusters, site: Site, step: Step) -> None:
        self.pattern = pattern
        job, sizes = pattern.job, pattern.job.sizes
        executor = site.executor
        self.cpu, self.npu, self.flash = (executor.stream(name) for name in ("cpu", "npu", "flash"))
        efficiency = job.get("memory_efficiency", 1.0)
        cpu = _cpu(site)
        active = sizes.ffn * pattern.active
        with_npu = site.known("npu") and pattern.npu_share > 0
        cpu_part = active * (1 - pattern.npu_share) if with_npu else active
        cache = step.rows * step.past * sizes.kv_bytes

        def work(name: str, at: str, parameters: float, more: float = 0.0) -> Any:
            return site.compute(
                name,
                at,
                2.0 * step.tokens * parameters,
                parameters * sizes.weight_bytes + more,
                memory_efficiency=efficiency if at == cpu else 1.0,
            )

        self.attention = work("attention", cpu, sizes.attention, cache)
        self.dense = work("hot clusters", "npu", active * pattern.npu_share) if with_npu else None
        self.sparse = work("cold cluster", cpu, cpu_part / CLUSTERS)
        self.read = self._read(site)
        self.join = site.time("join", 0.0, "event")

    def _read(self, site: Site) -> Any:
        """The random reads of one cluster's missing neurons by one thread."""
        pattern, sizes = self.pattern, self.pattern.job.sizes
        missed = pattern.missed / CLUSTERS
        if not missed:
            return None
        row = sizes.hidden * sizes.weight_bytes
        if pattern.bundle:
            whole = BLOCK * ceil(sizes.matrices * row / BLOCK)
            second = max(whole - BLOCK, 0)
            size = missed * (min(whole, BLOCK) + second * TOGETHER)
        else:
            size = missed * sizes.matrices * BLOCK * ceil(row / BLOCK)
        rate = pattern.job.get("random_rate", inf)  # of a range of addresses that is not small
        return site.copy("neuron reads", "flash", "dram", size, io_size=BLOCK, queue_depth=1, rate=rate)

    def layer(self, executor: Executor, index: int) -> None:
        attention = executor.task("attention", self.cpu, self.attention)
        dense: Task | None = None
        if self.dense is not None:
            dense = executor.task("hot clusters", self.npu, self.dense, (attention,))
        reads: list[Task | None] = []
        for _ in range(CLUSTERS):
            if self.read is not None:
                reads.append(executor.task("neuron reads", self.flash, self.read, (attention,)))
        last: Task | None = None
        for number in range(CLUSTERS):
            # in memory first: with a pipeline only the last cluster waits for the last read
            waits = [reads[number]] if reads and self.pipeline else reads[-1:]
            last = executor.task("cold cluster", self.cpu, self.sparse, [attention, *waits])
        executor.task("join", self.cpu, self.join, [last, dense])

    @property
    def pipeline(self) -> bool:
        return self.pattern.pipeline


def _cpu(site: Site) -> str:
    return "cpu" if site.known("cpu") else "cpu0"


PART = NeuronClusters
