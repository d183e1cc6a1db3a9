"""Neurons in clusters on NPU, CPU and flash, with a pipeline of clusters instead of barriers between matrices.

Prefill: the NPU computes all neurons densely while a CPU core streams the next layer from flash.  Decode: ``npu_share``
of the attention heads and of the active rows of the feed-forward network run dense on the NPU, the others on the CPU
after a low-rank predictor has named the active neurons.  Those that the cache does not hold are read on demand by one
thread, at ``random_rate`` or without a pipeline ``waited_rate`` at most: 4 KB blocks, as many as a neuron's rows touch,
or with ``bundle: up_down`` and ``gate_up_down`` the rows of one neuron side by side in blocks of their own (of two
blocks the second only if the gate lets the neuron through).  With ``pipeline`` clusters whose neurons are in memory are
computed while others are read, otherwise all reads come first.  ``cache: false`` keeps a fixed share in memory.
Source: PowerInfer-2, arXiv 2406.06282.  Simplification: hits and active neurons are mean shares; a layer has
``CLUSTERS`` clusters on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd, inf
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

CLUSTERS = 8
BLOCK = 4096
TOGETHER = 0.8  # a neuron whose gate lets it through needs up and down too (paper: co-activation 80 %)
# The paper gives 2.6 GB of predictors for TurboSparse-Mixtral-47B: 32 layers of 8 experts with 4096 and 14336 rows are
# two matrices of rank 276 in 16 bits.
PREDICTOR_RANK = 276
PREDICTOR_BYTES = 2
RUNTIME = 0.3e9  # bytes of the program itself (paper)


class NeuronClusters:
    """One batch on a phone."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.get("batch", 1))
        self.bundle = job.get("bundle", "gate_up_down")
        self.pipeline = bool(job.get("pipeline", True))
        self.cache = bool(job.get("cache", True))
        self.npu_share = float(job.get("npu_share", 0.0))
        self.predictor = _predictor(job)
        self.away = _away(job)

    def hold(self, site: Site) -> None:
        """Attention, tables, predictors and the resident share of the feed-forward networks."""
        sizes = self.job.sizes
        pool = site.store("dram").pool
        pool.hold("attention", int(sizes.attention * sizes.layers * sizes.weight_bytes))
        pool.hold("embeddings", int(_tables(self.job)))
        pool.hold("predictors", int(self.predictor * sizes.experts * sizes.layers))
        pool.hold("runtime", int(RUNTIME))
        pool.hold("neurons", int(sizes.ffn * (1 - self.away) * sizes.layers * sizes.weight_bytes))

    @property
    def active(self) -> float:
        """Share of all neurons of a layer that one token needs."""
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
        """Layer after layer, then the head."""
        self._hold_cache(site, step)
        run = _Prefill(self, site, step) if step.new > 1 else _Decode(self, site, step)
        for _ in range(repeats):
            yield Segment(self.job.sizes.layers, run.layer, ahead=2, repeats=True, name="layer")
            yield Segment(1, run.head, ahead=2, name="head")

    def _hold_cache(self, site: Site, step: Step) -> None:
        """The KV cache; the cache of neurons gives way to it."""
        sizes, pool = self.job.sizes, site.store("dram").pool
        size = int(step.rows * (step.past + step.new) * sizes.kv_bytes * sizes.layers)
        lacking = min(size - pool.free, pool.owners["neurons"])
        if lacking > 0:
            pool.release("neurons", lacking)
        pool.hold("kv", size)


def _tables(job: Job) -> float:
    return (
        job.sizes.vocabulary * job.sizes.hidden * job.sizes.weight_bytes * (1 if job.model.tie_word_embeddings else 2)
    )


def _predictor(job: Job) -> float:
    """Bytes of the predictor of one expert (or of the one feed-forward network) of a layer."""
    if job.facts.get("active") is None:
        return 0.0
    rank = job.get("predictor_rank", PREDICTOR_RANK)
    return float(rank * PREDICTOR_BYTES * (job.sizes.hidden + job.sizes.neurons))


def _away(job: Job) -> float:
    """Share of the feed-forward weights that does not fit in memory; ``offloaded`` says it outright."""
    away = sum(job.share("ffn", place, {"dram": 1.0}) for place in ("flash", "ssd"))
    if away != 1.0:
        return away
    given = job.get("offloaded")
    if given is not None:
        return float(given)
    sizes = job.sizes
    node = next(iter(job.system.groups.values())).node
    dram = node.devices.get("dram")
    room = (dram.get("usable") or dram.get("capacity") or 0.0) if dram is not None else 0.0
    room = min(room, job.limits.get("ffn", {}).get("dram", inf))
    fixed = sizes.attention * sizes.layers * sizes.weight_bytes + _tables(job) + RUNTIME
    fixed += _predictor(job) * sizes.experts * sizes.layers
    return min(1.0, max(0.0, 1 - (room - fixed) / (sizes.ffn * sizes.layers * sizes.weight_bytes)))


class _Prefill:
    """Dense on the NPU (or the CPU without one), the next layer streamed in meanwhile."""

    def __init__(self, pattern: NeuronClusters, site: Site, step: Step) -> None:
        job, sizes = pattern.job, pattern.job.sizes
        self.at = "npu" if site.known("npu") and pattern.npu_share > 0 else _cpu(site)
        self.compute = job.dense(site, "prefill", self.at, step.tokens, sizes.attention + sizes.active_ffn)
        size = sizes.ffn * pattern.away * sizes.weight_bytes
        self.read = site.copy("layer read", "flash", "dram", size) if size else None
        self.last = job.dense(site, "head", _cpu(site), step.rows, sizes.vocabulary * sizes.hidden)
        self.slots = site.executor.store("layer buffers", 2, "count")
        self.npu, self.flash = site.executor.stream("npu"), site.executor.stream("flash")

    def layer(self, executor: Executor, index: int) -> None:
        claim = ((self.slots, "layer", 1),)
        read = None
        if self.read is not None:
            read = executor.task("layer read", self.flash, self.read, takes=claim)
        executor.task("prefill", self.npu, self.compute, (read,), gives=claim if read is not None else ())

    def head(self, executor: Executor, index: int) -> None:
        """The next token of every sequence."""
        executor.task("head", self.npu, self.last)


class _Decode:
    """Attention, predictor, then clusters on CPU and NPU while missing neurons come in."""

    def __init__(self, pattern: NeuronClusters, site: Site, step: Step) -> None:
        self.pattern = pattern
        job, sizes = pattern.job, pattern.job.sizes
        executor = site.executor
        self.cpu, self.npu, self.flash = (executor.stream(name) for name in ("cpu", "npu", "flash"))
        efficiency = job.get("memory_efficiency", 1.0)
        cpu = _cpu(site)
        shared = pattern.npu_share if site.known("npu") else 0.0
        active = sizes.ffn * pattern.active
        cache = step.rows * step.past * sizes.kv_bytes

        def work(name: str, at: str, parameters: float, more: float = 0.0) -> Any:
            moved = parameters * sizes.weight_bytes + more
            return site.compute(name, at, 2.0 * step.tokens * parameters, moved, memory_efficiency=efficiency)

        self.attention = work("attention", cpu, sizes.attention * (1 - shared), cache * (1 - shared))
        self.heads = work("attention heads", "npu", sizes.attention * shared, cache * shared) if shared else None
        predictor = pattern.predictor * sizes.top_k / CLUSTERS
        self.predict = work("predictor", cpu, 0.0, predictor) if predictor else None
        self.dense = work("hot clusters", "npu", active * shared) if shared else None
        self.sparse = work("cold cluster", cpu, active * (1 - shared) / CLUSTERS)
        self.read = self._read(site)
        self.join = site.time("join", 0.0, "event")
        self.before: Task | None = None
        self.last = work("head", cpu, float(sizes.vocabulary * sizes.hidden))

    def _read(self, site: Site) -> Any:
        """The random reads of one cluster's missing neurons by one thread."""
        job = self.pattern.job
        missed = self.pattern.missed / CLUSTERS
        if not missed:
            return None
        size = missed * BLOCK * blocks_of(job.sizes.hidden * job.sizes.weight_bytes, job.sizes.matrices, self.bundle)
        # of the range of addresses and the number of reads in flight: with a pipeline some are, else each is waited for
        rate = job.get("random_rate", inf)
        if not self.pattern.pipeline:
            rate = job.get("waited_rate", rate)
        return site.copy("neuron reads", "flash", "dram", size, io_size=BLOCK, queue_depth=1, rate=rate)

    @property
    def bundle(self) -> str:
        return self.pattern.bundle

    def layer(self, executor: Executor, index: int) -> None:
        attention: Task = executor.task("attention", self.cpu, self.attention)
        if self.heads is not None:
            heads = executor.task("attention heads", self.npu, self.heads, (self.before,))
            attention = executor.task("join", self.cpu, self.join, [attention, heads])
        dense: Task | None = None
        if self.dense is not None:
            dense = executor.task("hot clusters", self.npu, self.dense, (attention,))
        reads: list[Task | None] = []
        last: Task = attention
        for _ in range(CLUSTERS):
            if self.predict is not None:
                last = executor.task("predictor", self.cpu, self.predict, (attention,))
            if self.read is not None:
                reads.append(executor.task("neuron reads", self.flash, self.read, (last,)))
        for number in range(CLUSTERS):
            # in memory first: with a pipeline only the last cluster waits for the last read
            waits = [reads[number]] if reads and self.pattern.pipeline else reads[-1:]
            last = executor.task("cold cluster", self.cpu, self.sparse, [attention, *waits])
        self.before = executor.task("join", self.cpu, self.join, [last, dense])

    def head(self, executor: Executor, index: int) -> None:
        """The next token of every sequence."""
        self.before = executor.task("head", self.cpu, self.last)


def blocks_of(row: float, matrices: int, bundle: str) -> float:
    """Blocks read for one neuron of ``matrices`` rows of ``row`` bytes, on average.

    Rows that lie one after the other begin anywhere in a block, so a short one often touches two; a bundle begins with
    a block of its own.
    """

    def touched(size: float) -> float:
        whole = ceil(size)
        return 1 + (whole - gcd(whole, BLOCK)) / BLOCK

    if bundle == "gate_up_down":
        blocks = ceil(matrices * row / BLOCK)
        return 1 + TOGETHER if blocks == 2 else float(blocks)  # a larger one comes in one read
    if bundle == "up_down":
        return ceil(2 * row / BLOCK) + (matrices - 2) * touched(row)
    return matrices * touched(row)


def _cpu(site: Site) -> str:
    return "cpu" if site.known("cpu") else "cpu0"


PART = NeuronClusters
