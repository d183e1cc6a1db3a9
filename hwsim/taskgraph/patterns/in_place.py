"""Layers computed where their weights lie, GPU or CPU: only hidden states move, one part of a layer after the other.

``weights`` (or ``attention`` and ``experts`` apart) lie in shares of the layers, first place first: llama.cpp keeps the
first layers on the GPU, KTransformers all attention on the GPU and all experts in DRAM.  A processor computes on what
lies in DRAM, with its matrix units or (``cpu_units: vector``, kernels without AMX) at its fp32 peak; the KV cache is
where the attention is.  Simplification: of a mixture of experts the expected number of different experts is read,
shared experts counted among them; devices work in turn, never at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from math import inf

from hwsim.cost.processor import packed
from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task
from hwsim.taskgraph.work import Work

PROCESSOR = {"dram": "cpu"}
PARTS = ("attention", "experts")


class InPlace:
    """One job whose devices each compute their share of the layers."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = int(job.get("batch", 1))
        weights = job.shares("weights")
        shares = {"attention": job.shares("attention", weights), "experts": job.shares("experts", weights)}
        places = [list(_of_layers(shares[part], job.sizes.layers)) for part in PARTS]
        self.layers = [(pair, len(list(some))) for pair, some in groupby(zip(*places, strict=True))]

    def hold(self, site: Site) -> None:
        """The weights, each part in its place."""
        sizes = self.job.sizes
        for places, count in self.layers:
            for place, parameters in zip(places, (sizes.attention, sizes.ffn), strict=True):
                site.store(place).pool.hold("weights", int(count * parameters * sizes.weight_bytes))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Layer after layer, pass after pass."""
        sizes = self.job.sizes
        for (place, _), count in self.layers:
            cache = step.rows * (step.past + step.new) * sizes.kv_bytes * count
            site.store(place).pool.hold("kv", int(cache))
        run = _Pass(self.job, site, step)
        for _ in range(repeats):
            for places, count in self.layers:
                yield Segment(count, partial(run.layer, places), repeats=True, name=f"layers on {' and '.join(places)}")
            yield Segment(1, partial(run.head, self.layers[-1][0][1]), name="head")


def _of_layers(shares: dict[str, float], layers: int) -> Iterator[str]:
    """The place of each layer's part: shares in the order given, rounded to whole layers, the rest to the last."""
    given = 0
    places = [(place, share) for place, share in shares.items() if share]
    for place, share in places[:-1]:
        count = min(round(share * layers), layers - given)
        given += count
        yield from [place] * count
    yield from [places[-1][0]] * (layers - given)


class _Pass:
    """The tasks of one pass: a chain, since a layer needs the one before it."""

    def __init__(self, job: Job, site: Site, step: Step) -> None:
        self.job, self.site, self.step = job, site, step
        self.hidden = step.tokens * job.sizes.hidden * job.sizes.activation_bytes
        self.at: str | None = None
        self.last: Task | None = None

    def layer(self, places: tuple[str, str], executor: Executor, index: int) -> None:
        """Attention where its weights and cache are, then the feed-forward part where its are."""
        sizes, step, site = self.job.sizes, self.step, self.site
        first, second = (PROCESSOR.get(place, place) for place in places)
        self._move(executor, places[0])
        self._run(executor, first, self._dense("attention GEMM", first, step.tokens, sizes.attention))
        cache = step.rows * (step.past + step.new) * sizes.kv_bytes
        self._run(executor, first, self.job.attention(site, "attention", first, step.pairs, cache))
        self._move(executor, places[1])
        share = 1 - (1 - sizes.top_k / sizes.experts) ** step.tokens if sizes.experts > 1 else 1.0
        reads = share * sizes.ffn * sizes.weight_bytes
        work = self._dense("feed-forward", second, step.tokens, sizes.active_ffn, reads)
        self._run(executor, second, work)

    def head(self, place: str, executor: Executor, index: int) -> None:
        """The next tokens, where the last layer was."""
        sizes, at = self.job.sizes, PROCESSOR.get(place, place)
        self._run(executor, at, self._dense("head", at, self.step.rows, sizes.vocabulary * sizes.hidden))

    def _dense(self, name: str, at: str, tokens: float, parameters: float, reads: float | None = None) -> Work:
        """A matrix product by the place's law; plain weights without matrix units a roofline of the vector peak."""
        device = self.site.device(at)
        vector = at.startswith("cpu") and self.job.get("cpu_units") == "vector" and device is not None
        if not vector or packed(self.job.model.weight_format.name):
            return self.job.dense(self.site, name, at, tokens, parameters, reads=reads)
        assert device is not None
        share = min((device.get("peak.fp32") or inf) * max(device.count, 1) / self.site.engine(at).rate, 1.0)
        moved = parameters * self.job.sizes.weight_bytes if reads is None else reads
        return self.site.compute(name, at, 2.0 * tokens * parameters, moved, efficiency=share)

    def _move(self, executor: Executor, place: str) -> None:
        """Hidden states to where the next part is, if it is elsewhere."""
        if self.at not in (None, place):
            work = self.site.copy(f"hidden to {place}", str(self.at), place, self.hidden)
            self.last = executor.task(work.name, executor.stream(f"to {place}"), work, (self.last,))
        self.at = place

    def _run(self, executor: Executor, at: str, work: Work) -> None:
        self.last = executor.task(work.name, executor.stream(at), work, (self.last,))


PART = InPlace
