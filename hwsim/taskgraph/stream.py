"""A stream of a device: what it is given runs in the order of issue, or as it becomes ready."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.task import Task

ORDERS = ("program", "ready", "priority")


class Stream:
    """``order``: ``program`` (a CUDA stream: one after the other as issued, a task that waits holds up those behind
    it), ``ready`` (first ready, first run) or ``priority`` (of those ready the lowest number first).  ``width`` tasks
    run at once, 1 in program order.

    ``busy`` ticks had something running; ``stalls`` is idle time between tasks by the reason that ended it: the
    stream whose task was waited for last, ``memory NAME``, or ``start``.
    """

    __slots__ = (
        "busy",
        "end",
        "executor",
        "free",
        "index",
        "last",
        "name",
        "order",
        "since",
        "stalls",
        "turn",
        "waiting",
        "width",
    )

    def __init__(self, executor: Executor, name: str, order: str = "program", width: int = 1) -> None:
        if order not in ORDERS:
            raise ValueError(f"stream {name}: unknown order {order}, expected one of {', '.join(ORDERS)}")
        if width < 1 or (width > 1 and order == "program"):
            raise ValueError(f"stream {name}: {width} at once in {order} order; expected 1, or order ready or priority")
        self.executor = executor
        self.name = name
        self.order = order
        self.width = width
        self.free = width
        self.last: Task | None = None  # issued last, in program order
        self.end = 0  # when it last became idle
        self.busy = 0
        self.since = 0  # when it last became busy
        self.stalls: dict[str, int] = {}
        self.waiting: list[tuple[int, int, Task]] = []
        self.turn = 0
        self.index = -1

    def push(self, task: Task) -> None:
        """Let a ready task wait for a place."""
        self.turn += 1
        heappush(self.waiting, (task.priority if self.order == "priority" else 0, self.turn, task))

    def pop(self) -> Task:
        """Who is next of those that wait."""
        return heappop(self.waiting)[2]

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, {self.order})"
