"""CPU attention beside the KV cache with two groups of tokens that take turns on GPU and CPU; weights streamed.

All weights lie in DRAM and stream layer by layer over PCIe into a two-layer buffer.  A layer is cut in three: QKV on
the GPU, decode attention on the CPU, output projection and experts on the GPU; while one group is on the CPU the other
is on the GPU.  Keys and values never cross PCIe, only the new tokens' projections.  Source: MoE-Lens, arXiv 2504.09345.
Simplification: both groups are equal; prefill and decode are passes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

GROUPS = 2
BUFFERS = 2
GPU, CPU = "gpu0", "dram"


class AlternatingGroups:
    """A large batch of a model whose weights and cache are in DRAM."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.need("batch"))
        self.groups = GROUPS if job.get("alternate", True) else 1

    def hold(self, site: Site) -> None:
        """Weights in DRAM, two layers on the GPU."""
        sizes = self.job.sizes
        layer = (sizes.attention + sizes.ffn) * sizes.weight_bytes
        site.store(CPU).pool.hold("weights", int(layer * sizes.layers))
        site.store(GPU).pool.hold("layer buffers", int(layer * BUFFERS))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Layer after layer."""
        sizes = self.job.sizes
        site.store(CPU).pool.hold("kv", int(step.rows * (step.past + step.new) * sizes.kv_bytes * sizes.layers))
        run = _Groups(self, site, step)
        yield Segment(sizes.layers * repeats, run.layer, ahead=BUFFERS + 1, repeats=True, name="layer")


class _Groups:
    """Works of one group in one layer."""

    def __init__(self, pattern: AlternatingGroups, site: Site, step: Step) -> None:
        job, sizes, executor = pattern.job, pattern.job.sizes, site.executor
        self.groups = pattern.groups
        rows = -(-step.rows // self.groups)
        tokens = rows * step.new
        self.gpu, self.cpu = executor.stream("gpu"), executor.stream("cpu")
        self.link, self.down, self.up = (executor.stream(name) for name in ("weights", "to CPU", "to GPU"))
        layer = (sizes.attention + sizes.ffn) * sizes.weight_bytes
        self.weights = site.copy("weights", CPU, GPU, layer)
        kv, query = sizes.kv_heads * sizes.head_dim, sizes.heads * sizes.head_dim
        projected = sizes.hidden * (query + 2 * kv)
        self.before = job.dense(site, "QKV", GPU, tokens, projected)
        moved = tokens * (query * sizes.activation_bytes + sizes.kv_bytes)
        self.send = site.copy("QKV to CPU", GPU, CPU, moved)
        self.prefill = step.new > 1
        cache = rows * (step.past + step.new) * sizes.kv_bytes
        where = GPU if self.prefill else ("cpu" if site.known("cpu") else "cpu0")
        pairs = step.pairs / step.rows * rows
        self.scores = job.attention(site, "GPU attention" if self.prefill else "CPU attention", where, pairs, cache)
        self.back = site.copy("values to GPU", CPU, GPU, tokens * query * sizes.activation_bytes)
        # the experts' weights are read once for all tokens; each token multiplies those it is sent to
        reads = (layer / sizes.weight_bytes - projected) * sizes.weight_bytes
        self.after = job.dense(site, "experts", GPU, tokens, sizes.hidden * query + sizes.active_ffn, reads=reads)
        self.slots = executor.store("buffers", BUFFERS, "count")

    def layer(self, executor: Executor, index: int) -> None:
        """One layer for both groups: first all of QKV, so that the CPU has work while the GPU goes on."""
        claim = ((self.slots, "layer", 1),)
        load = executor.task("weights", self.link, self.weights, takes=claim)
        firsts: list[Task] = []
        for _ in range(self.groups):
            done = executor.task("QKV", self.gpu, self.before, (load,))
            if self.prefill:
                done = executor.task("GPU attention", self.gpu, self.scores, (done,))
                executor.task("QKV to CPU", self.down, self.send, (done,))
            else:
                sent = executor.task("QKV to CPU", self.down, self.send, (done,))
                score = executor.task("CPU attention", self.cpu, self.scores, (sent,))
                done = executor.task("values to GPU", self.up, self.back, (score,))
            firsts.append(done)
        for number, before in enumerate(firsts):
            gives = claim if number == self.groups - 1 else ()
            executor.task("experts", self.gpu, self.after, (before,), gives=gives)


PART = AlternatingGroups
