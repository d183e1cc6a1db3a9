"""Steady states: a block of a repeating segment that begins in the same state as an earlier one need not be run.

The state just before a block is issued says all about what follows: which tasks of the blocks under way have not ended
and how far they are, in whole ticks from now, the order in which simultaneous ends would run, memory used, who waits,
and of shared capacities the exact progress and rates.  If it is equal to the state some blocks before, those blocks
are a period: it is jumped over as often as whole periods are left, by moving everything that is under way in time.
The result equals that of the unfolded run, tick for tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.kernel.bundle import Bundle, Component
from hwsim.kernel.clock import Timer
from hwsim.taskgraph.task import ENDED, RUNNING, SHARING, WAITING
from hwsim.units import seconds

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.program import Segment
    from hwsim.taskgraph.task import Task

EVERY = 64  # blocks of a segment that are all looked at; later ones in runs that begin at powers of two
RUN = 32


class Folding:
    """Looks for steady states of one executor; ``folds`` lists what was jumped over."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.seen: dict[Any, tuple[int, int, dict[str, Any]]] = {}
        self.folds: list[dict[str, Any]] = []

    def begin(self, segment: Segment) -> None:
        """Another segment is about to be issued."""
        self.seen = {}

    def look(self, segment: Segment) -> None:
        """Before a block is issued: jump if the state has been there before."""
        executor = self.executor
        position = executor.position
        if position >= EVERY:
            base = 1 << (position.bit_length() - 1)
            if position == base:
                self.seen = {}
            elif position > base + RUN:
                return
        if position < 1 or segment.count - position < 2:
            return
        if any(block.segment is not segment for block in executor.blocks):
            return
        now = executor.clock.now
        state = self._state()
        before = self.seen.get(state)
        if before is None:
            self.seen[state] = (position, now, self._totals())
            return
        first, then, totals = before
        period = position - first
        times = (segment.count - position) // period
        if times:
            self._jump(times * (now - then))
            self._multiply(totals, times)
            executor.position += times * period
            self.folds.append(
                {
                    "segment": segment.name,
                    "at_s": seconds(now),
                    "period_blocks": period,
                    "period_s": seconds(now - then),
                    "skipped_blocks": times * period,
                    "skipped_s": seconds(times * (now - then)),
                }
            )
            self.seen = {}

    # -- the state -----------------------------------------------------------------------------------------------

    def _state(self) -> Any:
        executor = self.executor
        now = executor.clock.now
        blocks = executor.blocks
        last = executor.position
        names: dict[int, tuple[int, int]] = {}
        tasks: list[Any] = []
        for block in blocks:
            for ordinal, task in enumerate(block.tasks):
                if task.state != ENDED:
                    mine = (last - block.index, ordinal)
                    names[id(task)] = mine
                    left = len(task.phases) if task.state == SHARING else 0
                    tasks.append((mine, task.state, task.pending, task.start - now if task.state else 0, left))
        queue = tuple([(e[0] - now, *_who(e[3], names)) for e in sorted(executor.clock.queue) if _alive(e)])
        streams = tuple(
            [
                (s.index, now - s.end, s.free, tuple([names.get(id(t)) for _, _, t in sorted(s.waiting)]))
                for s in self._used()
            ]
        )
        stores = tuple([store.pool.used for store in executor.stores.values()])
        blocked = tuple([names.get(id(task)) for task in executor.blocked])
        caches = tuple([cache.state(now) for cache in executor.caches.values() if cache is not None])
        return tuple(tasks), queue, streams, stores, blocked, caches, self._sharing(names, now)

    def _used(self) -> list[Any]:
        """Streams that the segment's last block took, in the order in which they were made."""
        executor = self.executor
        tasks: list[Task] = executor.block.tasks
        used = {stream.index: stream for task in tasks for stream in _streams(task)}
        return [used[index] for index in sorted(used)]

    def _sharing(self, names: dict[int, tuple[int, int]], now: int) -> Any:
        """Exact progress of everybody who shares capacities."""
        found = []
        for bundle in self._bundles():
            ends = tuple([(end, names.get(id(task))) for end, _, task in sorted(bundle.ends)])
            component = bundle.component
            found.append((id(bundle), bundle.x, bundle.virtual, now - bundle.since, ends))
            age = component.solves if component.loose else -1  # how soon it is looked at anew
            found.append((component.dirty, component.contended, age, *[id(other) for other in component.bundles]))
        return tuple(found)

    def _bundles(self) -> list[Bundle]:
        return [bundle for bundle in self.executor.domain.bundles.values() if bundle.count]

    # -- the jump ------------------------------------------------------------------------------------------------

    def _jump(self, ticks: int) -> None:
        """Move everything that is under way ``ticks`` into the future."""
        executor = self.executor
        clock = executor.clock
        moved: list[Any] = []
        for entry in clock.queue:
            if not _alive(entry):
                continue
            time, order, sequence, event = entry
            if event.__class__ is Timer:
                event.time += ticks
            moved.append((time + ticks, order, sequence, event))
        clock.queue[:] = moved  # the order is the same, so it is a heap as before
        clock.queue.sort()
        clock.stale = 0
        for block in executor.blocks:
            for task in block.tasks:
                if task.state == WAITING:
                    if not task.pending:  # waits for its stream or for memory
                        task.ready += ticks
                elif task.state != ENDED:
                    task.ready += ticks
                    task.start += ticks
                    if task.end >= 0:
                        task.end += ticks
        for stream in self._used():
            stream.end += ticks
        for cache in executor.caches.values():
            if cache is not None:
                cache.until += ticks
        for bundle in self._bundles():
            bundle.since += ticks
            if bundle.ends:
                bundle.due += ticks
        clock.now += ticks
        clock.env._now = clock.now

    def _totals(self) -> dict[str, Any]:
        executor = self.executor
        return {
            "ended": executor.ended,
            "works": [work.count for work in executor.works],
            "busy": {stream.name: stream.busy for stream in executor.streams.values()},
            "stalls": {stream.name: dict(stream.stalls) for stream in executor.streams.values()},
        }

    def _multiply(self, before: dict[str, Any], times: int) -> None:
        """Count what a period counted as often as it was jumped over."""
        executor = self.executor
        executor.skipped += times * (executor.ended - before["ended"])
        counts = before["works"] + [0] * (len(executor.works) - len(before["works"]))
        for work, count in zip(executor.works, counts, strict=True):
            work.count += times * (work.count - count)
        for stream in executor.streams.values():
            stream.busy += times * (stream.busy - before["busy"].get(stream.name, 0))
            stalls = before["stalls"].get(stream.name, {})
            for reason, time in stream.stalls.items():
                stream.stalls[reason] = time + times * (time - stalls.get(reason, 0))


def _alive(entry: Any) -> bool:
    event = entry[3]
    if event.__class__ is Timer:
        return event.time == entry[0]
    return event.state == RUNNING or (event.state == SHARING and event.end == entry[0])


def _who(event: Any, names: dict[int, tuple[int, int]]) -> tuple[Any, ...]:
    """Whose event it is, in terms that repeat."""
    if event.__class__ is not Timer:
        return ("task", names.get(id(event)))
    owner = event.callback.__self__
    if isinstance(owner, Component):
        return ("sharing", *[id(bundle) for bundle in owner.bundles])
    return (type(owner).__name__,)


def _streams(task: Task) -> list[Any]:
    return [task.stream] if task.plain else [task.stream, *task.also]
