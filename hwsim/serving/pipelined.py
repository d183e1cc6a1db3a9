"""An engine whose layers lie on pipeline stages: several batches in flight, each request in one of them at a time."""

from __future__ import annotations

from collections import deque
from typing import Any

from hwsim.cost.price import Pricer, StepPrice, StepShape
from hwsim.cost.staged import through
from hwsim.serving.batch import DecodeRows
from hwsim.serving.ending import end_rows
from hwsim.serving.engine import Engine
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.pipeline import FAR, Pipeline


def engine_of(config: EngineConfig, pricer: Pricer, **more: Any) -> Engine:
    """The engine for a configuration: with one stage or with several."""
    return (Engine if config.pipeline_parallel_size == 1 else PipelinedEngine)(config, pricer, **more)


class StagePipeline(Pipeline):
    """Times of batches in a line of stages: a batch enters one when it and the batch before are through with what is
    before: ``C[m][s] = max(C[m][s-1], C[m-1][s]) + times[s]``, where ``C[m][-1]`` is call plus host."""

    __slots__ = ("beyond", "times", "until")

    def __init__(self, depth: int, stages: int) -> None:
        super().__init__(depth)
        self.until = [0] * stages  # when each stage is done with the last batch
        self.times = [0] * stages  # what the batch that comes takes in each
        self.beyond = 0

    def step(self, call: int, host: int, device: int) -> int:
        """Send one batch in, which takes ``times``; returns when its output is there."""
        self.host_free = time = call + host
        start = time if time > self.end else self.end
        until = self.until
        for stage, taken in enumerate(self.times):
            before = until[stage]
            time = (time if time > before else before) + taken
            until[stage] = time
        self.end_before = self.end
        self.end = time
        self.beyond += time - start - device
        return time


class PipelinedEngine(Engine):
    """Up to ``stages`` batches in flight, one more with asynchronous scheduling (vLLM's batch queue).

    The decode rows of one batch are a group: its tokens are in flight until the batch is through, and then all of it
    can be scheduled again; so requests split into as many groups as batches were formed, and groups never merge.
    Chunks of one prompt may be in consecutive batches.  A call comes as soon as the queue has room; when it is full, or
    the call before had nothing to schedule, with the output of the oldest batch.  Under asynchronous scheduling a group
    comes again ``stages`` batches later, its output known or not.

    Every step is taken alone: no closed form is known for batches of unequal length in a line.  Before the first stage
    a batch waits for the engine, between stages for the batch ahead.
    Source: vLLM 0.33 ``v1/engine/core.py`` (``step_with_batch_queue``) as rules.
    """

    __slots__ = ("_empty", "_flying", "_groups", "_most", "_ready", "_stages", "pipeline")

    pipeline: StagePipeline  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, config: EngineConfig, pricer: Pricer, **more: Any) -> None:
        super().__init__(config, pricer, **more)
        self._stages = config.pipeline_parallel_size
        # a static batch is one: it goes through all stages before its next step
        self._most = 1 if config.scheduler == "static" else self._stages + config.async_scheduling
        self.pipeline = StagePipeline(self.pipeline.depth, self._stages)
        self._flying: deque[tuple[int, DecodeRows]] = deque()  # end and group of each batch in flight
        self._ready: deque[DecodeRows] = deque()  # groups that can be scheduled
        self._groups = 1
        self._empty = False  # the last call had nothing to schedule

    def next_call(self) -> int | None:
        """Alone time of the next call, or None while nothing is known."""
        if self.held is not None:
            return self.held
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
            if self.notices and self.waits and self.notices[0][0] < limit:
                limit = self.notices[0][0]
            call = self.next_call()
            if call is None or call >= limit:
                return
            self._turn(call, limit)

    def settle(self, time: int) -> None:
        """Announce who ends by ``time``: earlier calls are executed, one at ``time`` waits for what answers bring."""
        self.advance(time)
        if self.next_call() == time and self.held is None and self._output(time):
            end_rows(self)
            self.held = time

    def _output(self, call: int) -> bool:
        """Take in one output at most; true if rows end with it."""
        flying = self._flying
        if not flying or flying[0][0] > call:
            return False
        _, group = flying.popleft()
        again = any(other is group for _, other in flying) or any(other is group for other in self._ready)
        if group.count and not again:
            self._ready.append(group)
        self.rows = self._ready[0] if self._ready else group
        return bool(self.rows.due and self.rows.due[0][0] <= self.rows.beat)

    def _turn(self, call: int, limit: int) -> None:
        """One output at most is taken in, then the group whose turn it is goes through the call."""
        step = self.step
        if self.held is None:
            self._output(call)
        self.rows = self._next_group()
        self._call(call, limit)
        if self.step > step:
            self._empty = False
            self._flying.append((self.pipeline.end, self.rows))
        elif self.rows.count:
            self._ready.appendleft(self.rows)
        if not self.rows.count:  # whoever asks whether anybody decodes looks at these
            self.rows = next((rows for rows in self.groups() if rows.count), self.rows)

    def _next_group(self) -> DecodeRows:
        if self._ready:
            return self._ready.popleft()
        if self.config.async_scheduling and len(self._flying) >= self._stages:
            recent = [group for _, group in self._flying][-self._stages :]
            if recent[0].count and all(other is not recent[0] for other in recent[1:]):
                return recent[0]
        self._groups += 1
        return DecodeRows(self.config.block_size, self._groups, self.windows)

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...]) -> StepPrice:
        """What a batch costs; its way through the stages is kept for the step that follows."""
        found = super().price(shape, context, windowed)
        self.pipeline.times = through(found, self._stages, context, windowed)
        return found

    def groups(self) -> list[DecodeRows]:
        """The groups in flight, in order, then those that wait for their turn."""
        found = {id(rows): rows for rows in (*[rows for _, rows in self._flying], *self._ready)}
        return list(found.values()) or [self.rows]

    def clear_rows(self) -> None:
        """Batches in flight pass, but nobody waits for them."""
        for rows in self.groups():
            rows.late.clear()
        self._flying.clear()
        self._ready.clear()
        self._empty = False

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
            self.stalled_until = max(self.stalled_until, call)  # who is next after a refusal is not looked at earlier
