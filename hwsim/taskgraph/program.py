"""What is run: blocks of tasks, issued one after the other as the run reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.task import Task

Body: TypeAlias = "Callable[[Executor, int], object]"


class Segment:
    """``count`` blocks; ``body(executor, i)`` issues the tasks of block ``i``.

    The host issues blocks in order and at most ``ahead`` of them beyond the oldest one that has unfinished tasks.
    ``repeats`` promises that a block issues the same tasks as the one before it, with dependencies on the same tasks
    of earlier blocks: then a steady state may be jumped over.  Memory of a run is bounded by ``ahead`` blocks.
    """

    __slots__ = ("ahead", "body", "count", "name", "repeats")

    def __init__(self, count: int, body: Body, *, ahead: int = 2, repeats: bool = False, name: str = "") -> None:
        if count < 0 or ahead < 0:
            raise ValueError(f"segment {name}: count {count} and ahead {ahead} must not be negative")
        self.count = count
        self.body = body
        self.ahead = ahead
        self.repeats = repeats
        self.name = name


Program: TypeAlias = "Iterable[Segment]"


class Block:
    """One issued block: how many of its tasks have not ended."""

    __slots__ = ("index", "left", "segment", "tasks")

    def __init__(self, segment: Segment, index: int) -> None:
        self.segment = segment
        self.index = index
        self.left = 0
        self.tasks: list[Task] = []
