"""An engine whose layers lie on pipeline stages: several batches in flight, each request in one of them at a time."""

from __future__ import annotations

from collections import deque
from typing import Any

from hwsim.cost.price import Pricer
from hwsim.serving.batch import DecodeRows
from hwsim.serving.engine import Engine
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.pipeline import FAR, Pipeline


def engine(config: EngineConfig, pricer: Pricer, **more: Any) -> Engine:
    """The engine for a configuration: with one stage or with several."""
    return (Engine if config.pipeline_parallel_size == 1 else PipelinedEngine)(config, pricer, **more)


class StagePipeline(Pipeline):
    """Times of batches in a line of equal stages, ``D`` each: ``S = max(call + host, first stage free)``.

    ``E[m] = max(S[m] + stages * D[m], E[m-1] + D[m])``, which is exact: what came in at once is through after the sum
    of all times plus ``stages - 1`` times the longest.  Simplification: all stages take what the price of a step says,
    that of the slowest stage with the transfer to the next one.
    """

    __slots__ = ("free", "stages")

    def __init__(self, depth: int, stages: int) -> None:
        super().__init__(depth)
        self.stages = stages
        self.free = 0  # when the first stage is done with the last batch

    def step(self, call: int, host: int, device: int) -> int:
        """Send one batch in; returns when its output is there."""
        self.host_free = call + host
        start = max(self.host_free, self.free)
        self.free = start + device
        self.end_before = self.end
        self.end = max(start + self.stages * device, self.end + device)
        return self.end


class PipelinedEngine(Engine):
    """Up to ``stages`` batches in flight, one more with asynchronous scheduling (vLLM's batch queue).

    The decode rows of one batch are a group: its tokens are in flight until the batch is through, and then all of it
    can be scheduled again; so requests split into as many groups as batches were formed, and groups never merge.
    Chunks of one prompt may be in consecutive batches.  A call comes as soon as the queue has room; when it is full, or
    the call before had nothing to schedule, with the output of the oldest batch.  Under asynchronous scheduling a group
    comes again ``stages`` batches later, its output known or not.

    Every step is taken alone: no closed form is known for batches of unequal length in a line.
    Source: vLLM 0.33 ``v1/engine/core.py`` (``step_with_batch_queue``) as rules.
    """

    __slots__ = ("_empty", "_flying", "_groups", "_most", "_ready", "_stages")

    def __init__(self, config: EngineConfig, pricer: Pricer, **more: Any) -> None:
        super().__init__(config, pricer, **more)
        self._stages = config.pipeline_parallel_size
        self._most = self._stages + config.async_scheduling
        self.pipeline = StagePipeline(self.pipeline.depth, self._stages)
        self._flying: deque[tuple[int, DecodeRows]] = deque()  # end and group of each batch in flight
        self._ready: deque[DecodeRows] = deque()  # groups that can be scheduled
        self._groups = 1
        self._empty = False  # the last call had nothing to schedule

    def next_call(self) -> int | None:
        """Alone time of the next call, or None while nothing is known."""
        if self._flying:
            if self._empty or len(self._flying) >= self._most:
                return max(self.pipeline.host_free, self._flying[0][0])
            return self.pipeline.host_free
        if self._ready or self.partials or self.admission.waiting:
            call = max(self.pipeline.host_free, self.stalled_until)
            return call if call < FAR else None
        return self._idle_call()

    def boundary(self) -> int | None:
        """Every call may decide something new."""
        return self.next_call()

    def advance(self, until: int = FAR, *, inclusive: bool = False) -> None:
        """Execute every call that happens before ``until`` (or at it), as far as no notice waits to be taken."""
        limit = until + 1 if inclusive else until
        while True:
            if self.notices and self.notices[0][0] < limit:
                limit = self.notices[0][0]
            call = self.next_call()
            if call is None or call >= limit:
                return
            self._turn(call, limit)

    def _turn(self, call: int, limit: int) -> None:
        """One output at most is taken in, then the group whose turn it is goes through the call."""
        flying, step = self._flying, self.step
        if flying and flying[0][0] <= call:
            _, group = flying.popleft()
            again = any(other is group for _, other in flying) or any(other is group for other in self._ready)
            if group.count and not again:
                self._ready.append(group)
        self.rows = self._next_group()
        self._call(call, limit)
        if self.step > step:
            self._empty = False
            flying.append((self.pipeline.end, self.rows))
        elif self.rows.count:
            self._ready.appendleft(self.rows)

    def _next_group(self) -> DecodeRows:
        if self._ready:
            return self._ready.popleft()
        if self.config.async_scheduling and len(self._flying) >= self._stages:
            recent = [group for _, group in self._flying][-self._stages :]
            if recent[0].count and all(other is not recent[0] for other in recent[1:]):
                return recent[0]
        self._groups += 1
        return DecodeRows(self.config.block_size, self._groups, self.windows)

    def stretch(self, call: int, limit: int) -> None:
        """One decode step of the group."""
        rows = self.rows
        pages = rows.pages(1)
        if pages > self.pool.free:
            self.scheduler.decide(call)
            return
        self.pool.take(pages)
        self.run(call, rows.count, rows.context(), [])

    def run(self, call: int, decodes: int, context: int, chunks: Any, windowed: Any = None) -> None:
        """One batch; its rows' last tokens came when their group was last through."""
        rows = self.rows
        if rows.count and not rows.late:
            rows.late.append([rows.end, rows.count])
        super().run(call, decodes, context, chunks, windowed)

    def _stall(self, call: int) -> None:
        self._empty = True
        if not self._flying and not self._ready:
            super()._stall(call)
