"""One task of a graph: it waits for those before it, for its stream and for memory, then takes its time."""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING

from hwsim.kernel.clock import NORMAL, Wake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwsim.kernel.activity import Phase
    from hwsim.kernel.bundle import Bundle
    from hwsim.taskgraph.program import Block
    from hwsim.taskgraph.store import Store
    from hwsim.taskgraph.stream import Stream
    from hwsim.taskgraph.work import Work

Claims = tuple[tuple["Store", str, int], ...]

WAITING, RUNNING, ENDED, SHARING = 0, 1, 2, 3  # sharing: running, its capacities shared with others


class Task(Wake):
    """A task and its state; made by ``Executor.task``.

    ``pending`` counts what it still waits for, ``next`` are the tasks that wait for it.  ``takes`` and ``gives`` are
    ``(store, owner, size)`` taken before the start and given back at the end.  ``cause`` is the number of the task
    whose end let it start, ``number`` its own, given in order of ending.
    """

    __slots__ = (
        "also",
        "block",
        "bundle",
        "cause",
        "end",
        "gives",
        "name",
        "next",
        "number",
        "owner",
        "pending",
        "phase",
        "phases",
        "plain",
        "priority",
        "ready",
        "reason",
        "start",
        "state",
        "stream",
        "takes",
        "work",
    )

    def __init__(self, block: Block, name: str, stream: Stream, work: Work, plain: bool, owner: str) -> None:
        self.block = block
        self.name = name
        self.stream = stream
        self.work = work
        self.plain = plain  # nothing to take or give, one stream in program order
        self.owner = owner
        self.state = WAITING
        self.cause = -1
        self.next: list[Task] | None = None

    weight = 1.0  # in sharing

    # set when they have a meaning
    bundle: Bundle
    phase: Phase
    phases: Sequence[Phase]  # those that are left after this one
    pending: int
    takes: Claims
    gives: Claims
    also: tuple[Stream, ...]
    priority: int
    number: int
    reason: str
    ready: int
    start: int
    end: int

    def share(self, fixed: int, phases: Sequence[Phase]) -> None:
        """Run from now on as one who shares: a fixed time and phases at the pace that the others leave."""
        self.state = SHARING
        self.phases = phases
        if fixed or not phases:
            self._sleep(fixed)
        else:
            self._next_phase()

    def _sleep(self, ticks: int) -> None:
        clock = self.stream.executor.clock
        self.end = end = clock.now + ticks
        heappush(clock.queue, (end, NORMAL, next(clock.sequence), self))

    def _next_phase(self) -> None:
        phases = self.phases
        if not phases:
            self.state = RUNNING
            self.wake()
            return
        self.phase = phase = phases[0]
        self.phases = phases[1:]
        if phase.asks:
            self.end = -1
            self.stream.executor.domain.start(self, phase)
        else:
            self._sleep(phase.ticks)

    def phase_ended(self) -> None:
        """The domain says that the amounts of the present phase have been delivered."""
        for capacity, amount in self.phase.amounts:
            capacity.delivered += amount
        self._next_phase()

    def wake(self) -> None:
        """The task has run to its end, or to that of its fixed time."""
        if self.state != RUNNING:
            # its entry may also be the one from before it began to share
            if self.state == SHARING and self.end == self.stream.executor.clock.now:
                self._next_phase()
            return
        stream = self.stream
        executor = stream.executor
        clock = executor.clock
        now = clock.now
        self.state = ENDED
        stream.end = now
        stream.busy += now - self.start
        work = self.work
        work.count += 1
        executor.ended = number = executor.ended + 1
        self.number = number
        if executor.rows is not None:
            executor.write(self)
        if not self.plain:
            executor.give_back(self)
        after = self.next
        if after is not None:
            for task in after:
                task.pending -= 1
                if not task.pending:
                    task.cause = number
                    mine = task.stream
                    if task.plain and task.work.quiet:
                        if mine is not stream and now > mine.end:
                            stalls = mine.stalls
                            stalls[stream.name] = stalls.get(stream.name, 0) + now - mine.end
                        task.state = RUNNING
                        task.reason = stream.name
                        task.ready = task.start = now
                        task.end = end = now + task.work.ticks
                        heappush(clock.queue, (end, NORMAL, next(clock.sequence), task))
                    else:
                        task.reason = stream.name
                        executor.begin(task)
            self.next = None
        block = self.block
        block.left -= 1
        if not block.left:
            executor.issue()

    def __repr__(self) -> str:
        return f"Task({self.name!r} on {self.stream.name}, {('waiting', 'running', 'ended', 'sharing')[self.state]})"
