"""Task graphs: activities with dependencies, streams and memory, run in full detail or folded where they repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.program import Program, Segment
from hwsim.taskgraph.store import Store
from hwsim.taskgraph.stream import Stream
from hwsim.taskgraph.task import Task
from hwsim.taskgraph.work import Work

if TYPE_CHECKING:
    from hwsim.taskgraph.graph import Graph

__all__ = ["Executor", "Graph", "Program", "Segment", "Store", "Stream", "Task", "Work"]


def __getattr__(name: str) -> Any:
    if name == "Graph":  # needs the hardware, which those who only run graphs do not
        from hwsim.taskgraph.graph import Graph

        return Graph
    raise AttributeError(f"module 'hwsim.taskgraph' has no attribute {name!r}")
