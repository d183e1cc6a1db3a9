"""Offloaded inference by the zig-zag block schedule: a block of GPU batches goes through each layer before the next.

Weights, KV cache and activations lie in shares on GPU, CPU and disk.  In every inner step (half a layer, one GPU batch)
six streams overlap: weights of the next half layer, cache of the next batch in and of the previous one out, hidden
states in and out, compute; all meet before the next step.  With ``overlap: false`` they follow one another; with
``pinned: false`` a core copies the weights that go to the GPU into pinned buffers: before the copy, or with ``overlap``
piece by piece beside it; the cache, too large to be pinned, always takes the first way unless ``pinned_cache``.  One
GPU batch is the row-by-row schedule of other systems.
``compressed`` stores weights and cache in 4 bits and expands them on the GPU.
Source: FlexGen, arXiv 2303.06865, section 4 and algorithm 1.  Simplification: embedding and head cost no transfer.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

STREAMS = ("compute", "load_weight", "disk_weight", "load_cache", "disk_cache", "store_cache", "load_hidden")
STREAMS += ("store_hidden",)
# PyTorch on a CPU converts half-precision keys and values first: 2 bytes read, 4 written, 4 read for every 2 of cache.
CONVERTED = 5.0
GROUPED = 4.5 / 16  # 4 bits and a scale and minimum per group of 64, over 16 bits
# Bytes moved besides for each element expanded to 16 bits: unpack, scale and add are kernels of their own.  From memory
# of such code, and set with measured rows in view: no such row is evidence.
EXPANDED = 11.0
STAGING = 8e9  # bytes/s that one core copies (own knowledge, not checked)
GPU, CPU = "gpu0", "dram"


class ZigZag:
    """One job under this schedule."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.batches = int(job.get("gpu_batches", 1))
        self.batch = int(job.need("gpu_batch"))
        self.rows = self.batch * self.batches
        self.overlap = bool(job.get("overlap", True))
        self.cpu_attention = bool(job.get("cpu_attention", False))
        self.pinned = bool(job.get("pinned", True))
        self.pinned_cache = bool(job.get("pinned_cache", False))
        self.compressed = bool(job.get("compressed", False))
        self.stored = GROUPED if self.compressed else 1.0
        self.traffic = CONVERTED if job.get("cpu_kernel", "converted") == "converted" else 1.0
        self.disk = next((p for p in ("ssd", "flash", "disk") if any(p in s for s in job.place.values())), "ssd")

    def hold(self, site: Site) -> None:
        """Shares of the weights, and buffers for two half layers on the GPU."""
        sizes = self.job.sizes
        weights = (sizes.attention + sizes.ffn) * sizes.layers * sizes.weight_bytes * self.stored
        for place, share in self.job.shares("weights").items():
            if place not in ("ssd", "flash") and share:
                site.store(place).pool.hold("weights", int(share * weights))
        if self.job.share("weights", "gpu") < 1:
            site.store(GPU).pool.hold("weight buffers", int((sizes.attention + sizes.ffn) * sizes.weight_bytes))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """All layers, once per pass (``row``: once per pass and batch)."""
        per_batch = -(-step.rows // self.batches)
        run = _Run(self, site, step._replace(rows=per_batch))
        self._hold_cache(site, step)
        for _ in range(repeats):
            yield Segment(self.job.sizes.layers, run.layer, ahead=2, repeats=True, name="layer")
            yield Segment(1, run.head, ahead=2, name="head")

    @staticmethod
    def cpu(site: Site) -> str:
        """The place of the processor."""
        return "cpu" if site.device("cpu") is not None else "cpu0"

    def _hold_cache(self, site: Site, step: Step) -> None:
        sizes = self.job.sizes
        cache = step.rows * (step.past + step.new) * sizes.kv_bytes * sizes.layers * self.stored
        for place, share in self.job.shares("kv").items():
            if place not in ("ssd", "flash") and share:
                site.store(place).pool.hold("kv", int(share * cache))


class _Run:
    """The passes of one graph: works, and the tasks that the next inner step waits for."""

    def __init__(self, pattern: ZigZag, site: Site, step: Step) -> None:
        self.pattern, self.site, self.step = pattern, site, step
        job, sizes = pattern.job, pattern.job.sizes
        self.count = pattern.batches
        names = STREAMS if pattern.overlap else ("all",) * len(STREAMS)
        self.stream = {key: site.executor.stream(name) for key, name in zip(STREAMS, names, strict=True)}
        self.barrier: Task | None = None
        halves = {"attention": sizes.attention, "ffn": sizes.ffn}
        self.weights = {
            half: self._weights(size * sizes.weight_bytes * pattern.stored) for half, size in halves.items()
        }
        read = sizes.weight_bytes * pattern.stored + (EXPANDED if pattern.compressed else 0.0)
        self.dense = {
            half: job.dense(site, f"{half} gemm", GPU, step.tokens, size, reads=size * read)
            for half, size in halves.items()
        }
        self.hidden = self._hidden()
        self.cache_in, self.cache_out, self.scores = self._cache()
        self.sync = site.time("sync", 0.0, "event")
        head = sizes.vocabulary * sizes.hidden
        self.last = job.dense(site, "head", GPU, step.rows, head)

    def _weights(self, size: float) -> list[tuple[str, Any]]:
        """Copies of the next half layer: from disk to memory, then all that is not on the GPU over PCIe."""
        job, site, disk = self.pattern.job, self.site, self.pattern.disk
        on_disk = job.share("weights", disk) * size
        moved = on_disk + job.share("weights", "dram") * size
        found = []
        if on_disk:
            found.append(("disk_weight", site.copy("weight from disk", disk, CPU, on_disk)))
        if moved:
            staged = not self.pattern.pinned
            beside = staged and self.pattern.overlap
            copy = site.copy("weight to GPU", CPU, GPU, moved, rate=STAGING if beside else inf)
            found += [("load_weight", self._staging(moved))] if staged and not beside else []
            found.append(("load_weight", copy))
        return found

    def _staging(self, size: float) -> Any:
        """A core copies between pageable and pinned memory."""
        demands = dict.fromkeys(self.site.memories(self.pattern.cpu(self.site)), 2 * size)
        return self.site.taking("staging", "host", size / STAGING, demands)

    def _hidden(self) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
        """Hidden states of one batch in and out."""
        job, site, disk = self.pattern.job, self.site, self.pattern.disk
        size = self.step.tokens * job.sizes.hidden * job.sizes.activation_bytes
        away = size * (1 - job.share("activations", "gpu"))
        on_disk = size * job.share("activations", disk)
        into, out = [], []
        if on_disk:
            into.append(("load_hidden", site.copy("hidden from disk", disk, CPU, on_disk)))
            out.append(("store_hidden", site.copy("hidden to disk", CPU, disk, on_disk, write=True)))
        if away:
            into.append(("load_hidden", site.copy("hidden to GPU", CPU, GPU, away)))
            out.insert(0, ("store_hidden", site.copy("hidden to CPU", GPU, CPU, away)))
        return into, out

    def _cache(self) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]], list[tuple[str, Any]]]:
        """Cache of one batch and layer read, written, and the work of attention over it."""
        job, site, disk, step = self.pattern.job, self.site, self.pattern.disk, self.step
        sizes = job.sizes
        kv = sizes.kv_bytes * self.pattern.stored
        old, new = step.rows * step.past * kv, step.tokens * kv
        on_gpu, on_disk = job.share("kv", "gpu"), job.share("kv", disk)
        into: list[tuple[str, Any]] = []
        out: list[tuple[str, Any]] = []
        delegated = self.pattern.cpu_attention and step.past > 0
        if old and on_disk:
            into.append(("disk_cache", site.copy("cache from disk", disk, CPU, old * on_disk)))
        pinned = self.pattern.pinned_cache
        if old and on_gpu < 1 and not delegated:
            if not pinned:
                into.append(("load_cache", self._staging(old * (1 - on_gpu))))
            into.append(("load_cache", site.copy("cache to GPU", CPU, GPU, old * (1 - on_gpu))))
        if on_gpu < 1:
            out.append(("store_cache", site.copy("cache to CPU", GPU, CPU, new * (1 - on_gpu))))
            if not pinned:
                out.append(("store_cache", self._staging(new * (1 - on_gpu))))
        if on_disk:
            out.append(("store_cache", site.copy("cache to disk", CPU, disk, new * on_disk, write=True)))
        share = on_gpu if delegated else 1.0
        scores: list[tuple[str, Any]] = []
        if share:
            read = (old + new) * share * (1 + (EXPANDED / 2 / self.pattern.stored if self.pattern.compressed else 0.0))
            scores.append(("compute", job.attention(site, "attention", GPU, step.pairs * share, read)))
        if delegated and share < 1:
            query = step.tokens * sizes.heads * sizes.head_dim * sizes.activation_bytes
            cpu, rest = self.pattern.cpu(site), 1 - share
            scores.append(("compute", site.copy("query to CPU", GPU, CPU, query)))
            scores.append(
                (
                    "compute",
                    job.attention(
                        site, "CPU attention", cpu, step.pairs * rest, (old + new) * rest, self.pattern.traffic
                    ),
                )
            )
            scores.append(("compute", site.copy("values to GPU", CPU, GPU, query)))
        return into, out, scores

    # -- issuing -------------------------------------------------------------------------------------------------

    def layer(self, executor: Executor, index: int) -> None:
        """Both halves of a layer for all batches of the block."""
        for half, other in (("attention", "ffn"), ("ffn", "attention")):
            for batch in range(self.count):
                self._inner(executor, half, other, batch)

    def _inner(self, executor: Executor, half: str, other: str, batch: int) -> None:
        """One inner step; its streams start together when the step before has ended on all of them."""
        ends: list[Task] = []
        before = [self.barrier]
        attention = half == "attention"
        if batch == 0:
            ends += self._chain(executor, self.weights[other], before)
        if attention:
            ends += self._chain(executor, self.cache_in, before)
            ends += self._chain(executor, self.cache_out, before)
        ends += self._chain(executor, self.hidden[0], before)
        ends += self._chain(executor, self.hidden[1], before)
        works = [*(self.scores if attention else ()), ("compute", self.dense[half])]
        ends += self._chain(executor, works, before)
        self.barrier = executor.task("sync", self.stream["compute"], self.sync, ends)

    def _chain(self, executor: Executor, works: list[tuple[str, Any]], before: list[Task | None]) -> list[Task]:
        """Works one after the other on their streams."""
        last: list[Task | None] = before
        for stream, work in works:
            last = [executor.task(work.name, self.stream[stream], work, last)]
        return [task for task in last if task is not None] if works else []

    def head(self, executor: Executor, index: int) -> None:
        """The next token of every batch."""
        for _ in range(self.count):
            self.barrier = executor.task("head", self.stream["compute"], self.last, [self.barrier])


PART = ZigZag
