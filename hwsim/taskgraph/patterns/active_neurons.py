"""Weights on flash, the active neurons read on demand: predictor, window cache, bundled rows, many reads in flight.

Per layer: attention from memory, a predictor names the active neurons, those that the window of the last tokens does
not hold are read from flash and put into a preallocated matrix, and the feed-forward network runs over what the window
holds.  One after the other: nothing overlaps.  Without ``predict`` the share that is not ``resident`` is read whole,
in large blocks or, ``mapped``, page by page as it faults.  Source: LLM in a flash, arXiv 2312.11514.
Simplification: every layer needs the mean number of neurons.
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
THREADS = 32
PREDICTOR = 0.024  # share of the layer's FLOP and weights (paper: below 2.4 %)


class ActiveNeurons:
    """One sequence on a machine with flash and one memory."""

    rows = 1

    def __init__(self, job: Job) -> None:
        self.job = job
        self.predict = bool(job.get("predict", True))
        self.window = bool(job.get("window", True))
        self.bundle = bool(job.get("bundle", True))
        self.mapped = bool(job.get("mapped", False))
        self.resident = float(job.get("resident", 0.0))
        self.at = str(job.get("backend", "gpu0"))

    @property
    def _active(self) -> float:
        return float(self.job.facts.get("active") or 1.0)

    @property
    def _fresh(self) -> float:
        """Share of the neurons that a token needs and memory does not hold."""
        facts = self.job.facts
        if not self.window:
            return float(facts.get("predicted") or self._active)
        if facts.get("new") is not None:
            return float(facts["new"])
        return self._active * (1 - float(facts.get("reuse") or 0.0))

    @property
    def _held(self) -> float:
        """Share of the neurons that the window holds, over which the network runs."""
        return max(float(self.job.facts.get("window") or 0.0) if self.window else 0.0, self._active)

    def hold(self, site: Site) -> None:
        """Attention, predictors and the window's neurons; without a predictor the resident share."""
        sizes = self.job.sizes
        whole = sizes.attention + sizes.ffn
        kept = sizes.attention * (1 + PREDICTOR) + sizes.ffn * self._held if self.predict else whole * self.resident
        memory = self.at if site.room(self.at) is not None else "dram"
        site.store(memory).pool.hold("weights", int(kept * sizes.layers * sizes.weight_bytes))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """Layer after layer; a prompt computes and reads every neuron once."""
        run = _Chain(self, site, step)
        yield Segment(self.job.sizes.layers * repeats, run.layer, ahead=2, repeats=True, name="layer")

    def reads(self, site: Site, decode: bool) -> list[Any]:
        """What one layer reads from flash."""
        sizes, memory = self.job.sizes, self._memory(site)
        source = "flash" if site.known("flash") else "ssd"
        if not self.predict or not decode:
            # without a predictor everything is read, the tables of the vocabulary too
            whole = self.job.model.parameters / sizes.layers * (1 - self.resident)
            size = (sizes.ffn if self.predict else whole) * sizes.weight_bytes
            how: dict[str, Any] = {"io_size": PAGE, "queue_depth": 1} if self.mapped else {}
            return [site.copy("flash read", source, memory, size, **how)] if size else []
        fresh = self._fresh * sizes.ffn * sizes.weight_bytes
        row = sizes.hidden * sizes.weight_bytes
        rate = self.job.get("bundled_rate" if self.bundle else "row_rate")
        how = {"rate": rate} if rate else {"io_size": row * (2 if self.bundle else 1), "queue_depth": THREADS}
        return [site.copy("flash read", source, memory, fresh, **how)] if fresh else []

    def _memory(self, site: Site) -> str:
        return self.at if self.at in site.places() and not site.known("dram") else "dram"

    def works(self, site: Site, step: Step) -> list[Any]:
        """The chain of one layer."""
        job, sizes = self.job, self.job.sizes
        decode = step.past > 0
        cache = step.rows * step.past * sizes.kv_bytes
        found = [self._compute(site, "attention", step, sizes.attention, cache)]
        if self.predict and decode:
            found.append(self._compute(site, "predictor", step, PREDICTOR * (sizes.attention + sizes.ffn)))
        found += self.reads(site, decode)
        insert = job.get("insert_time")
        if self.predict and decode and insert:
            found.append(site.time("insert", insert * self._fresh * sizes.neurons))
        share = self._held if self.predict and decode else 1.0
        found.append(self._compute(site, "ffn", step, sizes.ffn * share))
        return found

    def _compute(self, site: Site, name: str, step: Step, parameters: float, more: float = 0.0) -> Any:
        """Matrices of ``parameters`` read once from memory at the share of its rate that the backend reaches."""
        job = self.job
        role = self.at.rstrip("0123456789")
        return site.compute(
            name,
            self.at,
            2.0 * step.tokens * parameters,
            parameters * job.sizes.weight_bytes + more,
            efficiency=job.get(f"{role}_efficiency", 1.0),
            memory_efficiency=job.get("memory_efficiency", 1.0),
        )


class _Chain:
    """Works of a layer one after the other on one stream."""

    def __init__(self, pattern: ActiveNeurons, site: Site, step: Step) -> None:
        self.works = pattern.works(site, step)
        self.stream = site.executor.stream("token")

    def layer(self, executor: Executor, index: int) -> None:
        """Issue one layer."""
        last: Task | None = None
        for work in self.works:
            last = executor.task(work.name, self.stream, work, (last,))


PART = ActiveNeurons
