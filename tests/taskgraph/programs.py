"""Random programs on a small machine, the same for every way of running them."""

from __future__ import annotations

import random
from typing import Any

from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.recorder import Table
from hwsim.taskgraph import Executor, Segment, Work
from hwsim.taskgraph.executor import COLUMNS


class Machine:
    """Four capacities, streams of every order, two stores, and an executor."""

    def __init__(self, seed: int, *, memory: int | None = 1000, record: bool = False, **options: Any) -> None:
        draw = random.Random(seed)
        self.domain = Domain(Clock())
        self.table = Table(COLUMNS) if record else None
        self.executor = Executor(self.domain, table=self.table, **options)
        self.capacities = [Capacity(f"c{i}", rate) for i, rate in enumerate((1e9, 2e9, 1e9, 5e8))]
        self.streams = [self.executor.stream(f"s{i}") for i in range(3)]
        if draw.random() < 0.5:
            self.streams.append(self.executor.stream("ready", "ready", draw.randint(1, 3)))
        if draw.random() < 0.5:
            self.streams.append(self.executor.stream("priority", "priority"))
        self.store = self.executor.store("memory", memory)
        self.works = [self._work(draw, i) for i in range(6)]

    def _work(self, draw: random.Random, number: int) -> Work:
        phases = []
        for _ in range(draw.randint(0, 2)):
            route = draw.sample(self.capacities, draw.randint(1, 3))
            phases.append(Phase.transfer(draw.randint(1, 2000), route, draw.choice([2e8, 1e9, 5e9])))
        fixed = draw.choice([0, 100, 7_000, 500_000])
        return Work(f"w{number}", "copy", fixed=fixed, phases=phases)


def loop(machine: Machine, seed: int, count: int, *, ahead: int = 2) -> Segment:
    """A repeating segment: random tasks with dependencies on the two blocks before, some of them holding memory."""
    draw = random.Random(seed)
    size = draw.randint(2, 7)
    plan = []
    for ordinal in range(size):
        after = [(0, draw.randrange(ordinal)) for _ in range(draw.randint(0, 2)) if ordinal]
        after += [(draw.randint(1, 2), draw.randrange(size)) for _ in range(draw.randint(0, 1))]
        hold = draw.choice([0, 0, draw.randint(1, 150)])
        plan.append((draw.choice(machine.streams), draw.choice(machine.works), after, hold, draw.randint(0, 3)))
    blocks: dict[int, list[Any]] = {}

    def body(executor: Executor, index: int) -> None:
        mine: list[Any] = []
        blocks[index % 4] = mine
        for ordinal, (stream, work, after, hold, priority) in enumerate(plan):
            before = []
            for distance, which in after:
                other = mine if not distance else blocks.get((index - distance) % 4, []) if index >= distance else []
                before.append(other[which] if which < len(other) else None)
            owner = f"{index}/{ordinal}"
            claim = ((machine.store, owner, hold),) if hold else ()
            task = executor.task(owner, stream, work, before, takes=claim, priority=priority, owner="job")
            mine.append(task)
            if hold:
                mine[-1] = executor.task(
                    owner + "-free", machine.streams[0], machine.works[0], (task,), gives=claim, owner="job"
                )

    return Segment(count, body, ahead=ahead, repeats=True, name="loop")


def outcome(machine: Machine) -> dict[str, Any]:
    """Everything that two ways of running one program must agree on."""
    executor = machine.executor
    return {
        "end": executor.clock.now,
        "tasks": executor.ended + executor.skipped,
        "counts": [work.count for work in executor.works],
        "busy": {stream.name: stream.busy for stream in executor.streams.values()},
        "stalls": {stream.name: stream.stalls for stream in executor.streams.values()},
        "delivered": {capacity.name: amount for capacity, amount in executor.delivered().items()},
        "peak": machine.store.pool.peak,
        "used": machine.store.pool.used,
        "blocked": len(executor.blocked),
    }
