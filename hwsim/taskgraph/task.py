"""One task of a graph: it waits for those before it, for its stream and for memory, then takes its time."""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING

from hwsim.kernel.clock import NORMAL, Wake

if TYPE_CHECKING:
    from hwsim.kernel.activity import Activity
    from hwsim.taskgraph.program import Block
    from hwsim.taskgraph.store import Store
    from hwsim.taskgraph.stream import Stream
    from hwsim.taskgraph.work import Work

Claims = tuple[tuple["Store", str, int], ...]

WAITING, RUNNING, ENDED, SHARING = 0, 1, 2, 3  # sharing: running as an activity of the kernel


class Task(Wake):
    """A task and its state; made by ``Executor.task``.

    ``pending`` counts what it still waits for, ``next`` are the tasks that wait for it.  ``takes`` and ``gives`` are
    ``(store, owner, size)`` taken before the start and given back at the end.  ``cause`` is the number of the task
    whose end let it start, ``number`` its own, given in order of ending.
    """

    __slots__ = (
        "activity",
        "also",
        "block",
        "cause",
        "end",
        "gives",
        "name",
        "next",
        "number",
        "owner",
        "pending",
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

    # set when they have a meaning
    activity: Activity | None
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

    def wake(self) -> None:
        """The task has run to its end (on its own: nobody could contend with it)."""
        if self.state != RUNNING:  # it has been given to the sharing domain meanwhile, which ends it
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
