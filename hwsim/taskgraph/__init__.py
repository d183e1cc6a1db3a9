"""Task graphs: activities with dependencies, streams and memory, run in full detail or folded where they repeat."""

from __future__ import annotations

from hwsim.taskgraph.executor import Executor
from hwsim.taskgraph.program import Program, Segment
from hwsim.taskgraph.store import Store
from hwsim.taskgraph.stream import Stream
from hwsim.taskgraph.task import Task
from hwsim.taskgraph.work import Work

__all__ = ["Executor", "Program", "Segment", "Store", "Stream", "Task", "Work"]
