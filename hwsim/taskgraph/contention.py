"""Which capacities can be asked for more than they have: only the tasks that take those have to share.

What a stream can ask is known once it has been seen to take a work; a capacity whose streams together ask for less than
it has is quiet, and the ends of its tasks stand in the clock's queue.  Simplification: streams count with the most that
any of their works asks, whether they would meet or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.kernel.activity import Phase
from hwsim.taskgraph.task import RUNNING, Task

if TYPE_CHECKING:
    from hwsim.kernel.capacity import Capacity
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.stream import Stream
    from hwsim.taskgraph.work import Work


class Contention:
    """The asks of one executor's streams; ``asked`` holds the most that each asks of each capacity."""

    __slots__ = ("asked", "executor", "loud")

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.asked: dict[Capacity, dict[Stream, float]] = {}
        self.loud: set[Capacity] = set()  # looked up only, never walked

    def learn(self, work: Work, stream: Stream) -> None:
        """A stream takes a work for the first time: does anybody now ask for more than there is?"""
        executor = self.executor
        if work.index < 0:
            work.index = len(executor.works)
            executor.works.append(work)
        work.known.append(stream)
        for capacity, units in work.asks().items():
            users = self.asked.setdefault(capacity, {})
            users[stream] = max(users.get(stream, 0.0), units)
            if capacity in self.loud:
                continue
            total = sum([most * user.width for user, most in users.items()])
            if executor.shared or capacity.flows or capacity.bundles or total > capacity.full_at:
                self.loud.add(capacity)
                self._begins(capacity)
        work.quiet = not any(capacity in self.loud for capacity in work.asks())

    def _begins(self, capacity: Capacity) -> None:
        """Tasks of this capacity may slow each other from now on: those that run already take part in sharing."""
        executor = self.executor
        for work in executor.works:
            if work.quiet and capacity in work.asks():
                work.quiet = False
        for entry in sorted(executor.clock.queue, key=lambda entry: entry[:3]):
            task = entry[3]
            if (
                task.__class__ is Task
                and task.stream.executor is executor
                and task.state == RUNNING
                and not task.work.quiet
            ):
                self._hand_over(task)

    def _hand_over(self, task: Task) -> None:
        """Let a task that runs on its own share from now on: what is left of its fixed time and phases."""
        gone = self.executor.clock.now - task.start
        fixed = max(task.work.fixed - gone, 0)
        gone -= task.work.fixed - fixed
        phases: list[Phase] = []
        for phase in task.work.phases:
            if gone < phase.ticks:
                phases.append(_rest(phase, gone) if gone > 0 else phase)
            gone -= phase.ticks
        task.share(fixed, phases)


def _rest(phase: Phase, gone: int) -> Phase:
    """What is left of a phase after ``gone`` ticks alone; its amounts stay whole, for the books."""
    rest = Phase(phase.alone - gone)
    rest.amounts, rest.asks = phase.amounts, phase.asks
    return rest
