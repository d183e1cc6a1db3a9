"""A draft model in memory drafts a tree of tokens; the target does not fit and is swapped in once per verification.

While the target's layers load, the draft goes on (``speculative``: drafting during the load); computing phases do not
overlap.  ``tree_tokens`` are verified in one pass, ``accepted`` of them stand on average (a fact of the data).  With
``verify: token`` the target is swapped in for every token, the standard engine.  Source: LLMCad, arXiv 2309.04255.
Simplification: every verification drafts and accepts the mean; a pass makes ``accepted`` tokens, and the time is per
token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.taskgraph.task import Task

WINDOW = 2


class DraftResident:
    """One sequence on a device whose memory holds the draft and a few layers of the target."""

    rows = 1

    def __init__(self, job: Job) -> None:
        self.job = job
        self.token = job.get("verify", "tree") == "token"
        self.pipeline = bool(job.get("pipeline", True))
        self.speculative = bool(job.get("speculative", True))
        self.tree = 1 if self.token else int(job.get("tree_tokens", 8))
        self.accepted = 1.0 if self.token else float(job.get("accepted", job.facts.get("accepted", 4.0)))
        self.at = str(job.get("backend", "cpu"))

    def hold(self, site: Site) -> None:
        """The draft, and a window of the target's layers."""
        sizes = self.job.sizes
        memory = "dram" if site.known("dram") else self.at
        layer = (sizes.attention + sizes.ffn) * sizes.weight_bytes
        site.store(memory).pool.hold("target window", int(layer * WINDOW))
        if self.job.draft is not None:
            site.store(memory).pool.hold("draft", int(self.job.draft.parameters * self.job.draft.weight_format.bytes))

    def segments(self, site: Site, step: Step, repeats: int) -> Iterator[Segment]:
        """``repeats`` verifications; a prompt is one pass of the target over all of it."""
        run = _Verify(self, site, step)
        for _ in range(repeats):
            if step.new == 1 and not self.token:
                yield Segment(1, run.draft, ahead=WINDOW, name="draft")
            yield Segment(self.job.sizes.layers, run.layer, ahead=WINDOW, repeats=True, name="layer")


class _Verify:
    """Works of drafting and of a layer of the target, times scaled to one token of the answer."""

    def __init__(self, pattern: DraftResident, site: Site, step: Step) -> None:
        job, sizes, executor = pattern.job, pattern.job.sizes, site.executor
        self.pattern = pattern
        per = pattern.accepted if step.new == 1 else 1.0
        source = "flash" if site.known("flash") else "ssd"
        memory = "dram" if site.known("dram") else pattern.at
        layer = (sizes.attention + sizes.ffn) * sizes.weight_bytes
        self.load = site.copy("layer load", source, memory, layer / per)
        tokens = pattern.tree if step.new == 1 else step.tokens
        self.compute = self._scaled(site, job, "verify", tokens, sizes.attention + sizes.active_ffn, per)
        self.draft_work: Any = None
        if job.draft is not None:
            size = job.draft.parameters * job.draft.weight_format.bytes
            # what is left of the draft after the load has hidden what it can is on the critical path
            self.draft_work = site.compute(
                "draft", pattern.at, 2.0 * pattern.tree * job.draft.parameters / per, size * pattern.tree / per
            )
        self.io, self.cpu = executor.stream("load"), executor.stream("compute")
        self.side = executor.stream("draft") if pattern.speculative else self.cpu
        self.before: Task | None = None
        self.last: Task | None = None

    @staticmethod
    def _scaled(site: Site, job: Job, name: str, tokens: float, parameters: float, per: float) -> Any:
        reads = parameters * job.sizes.weight_bytes
        return site.compute(name, job.get("backend", "cpu"), 2.0 * tokens * parameters / per, reads / per)

    def draft(self, executor: Executor, index: int) -> None:
        """Draft the next tree: beside the load of the target, or before it."""
        if self.draft_work is not None:
            waits = () if self.pattern.speculative else (self.last,)
            self.before = executor.task("draft", self.side, self.draft_work, waits)

    def layer(self, executor: Executor, index: int) -> None:
        """Load a layer and verify in it."""
        waits = [] if self.pattern.pipeline else [self.last]
        if not self.pattern.speculative:
            waits.append(self.before)
        load = executor.task("layer load", self.io, self.load, waits)
        self.last = executor.task("verify", self.cpu, self.compute, (load, self.before))


PART = DraftResident
