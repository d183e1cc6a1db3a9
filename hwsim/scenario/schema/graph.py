"""``graph:``, tasks on streams of devices with what each must wait for, holds, and costs; loops repeat tasks.

Amounts are quantities (``1.6 GB``) or arithmetic on the graph's parameters and the counters of the loops around
(``2 * layer_parameters * batch``).  Names under ``after`` and ``releases`` are tasks of the same loop, ``name@-1`` the
one an iteration before, or tasks of a loop around; the name of a loop stands for all of its tasks.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.quantity import Bytes, Count, Count0, Flag, Integer, Name, Reader, Share, Text
from hwsim.scenario.schema.record import Record
from hwsim.scenario.schema.short import Short


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, (dict, list)) or item is None for item in items):
        raise ValueError("is not a name; expected a task or a list of tasks")
    return [str(item) for item in items]


Texts = Annotated[list[str], Reader(_texts, {"anyOf": [{"type": "string"}, {"type": "array"}]})]

ACTIONS = ("compute", "copy", "collective", "wait", "allocate", "free", "tasks")


class GraphStream(Record):
    """A queue of a device: ``program`` order (a CUDA stream), first ``ready`` first, or by ``priority``."""

    at: Text | None = None
    order: Literal["program", "ready", "priority"] = "program"
    width: Count = 1


class GraphMemory(Record):
    """A memory that tasks hold: that of a place, with another ``capacity`` where one is given."""

    capacity: Bytes | None = None


class GraphTask(Record):
    """One task, or with ``loop`` and ``tasks`` a loop over tasks."""

    compute: Text | None = None
    reads: Text | None = None
    writes: Text | None = None
    efficiency: Share | None = None
    memory_efficiency: Share | None = None
    at: Text | None = None
    copy_: Text | None = Field(None, alias="copy")
    from_: Text | None = Field(None, alias="from")
    to: Text | None = None
    messages: Text | None = None
    io_size: Bytes | None = None
    queue_depth: Count | None = None
    collective: Literal["all_reduce", "all_gather", "reduce_scatter", "all_to_all"] | None = None
    size: Text | None = None
    ranks: Texts | None = None
    wait: Text | None = None
    allocate: dict[Text, Text] | None = None
    free: Texts | None = None
    latency: Text | None = None
    stream: Text | None = None
    after: Texts | None = None
    holds: dict[Text, Text] | None = None
    uses: dict[Text, Text] | None = None
    releases: Texts | None = None
    owner: Text | None = None
    priority: Integer | None = None
    loop: Text | None = None
    ahead: Count0 | None = None
    tasks: "dict[Name, GraphTask] | None" = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        given = [name for name in ACTIONS if getattr(self, "copy_" if name == "copy" else name) is not None]
        if len(given) != 1:
            text = f"is {' and '.join(given)} at once" if given else "does nothing"
            raise PydanticCustomError("value", "{text}", {"text": f"{text}; expected one of {', '.join(ACTIONS)}"})
        if self.loop is not None and self.tasks is None:
            raise PydanticCustomError("value", "is a loop without tasks")
        if self.tasks is not None and not self.tasks:
            raise PydanticCustomError("value", "tasks is empty; expected at least one task by name")
        problems = [
            f"{action} needs {need}"
            for action, needs in (("copy", ("from", "to")), ("collective", ("size", "ranks")))
            if action in given
            for need in needs
            if getattr(self, "from_" if need == "from" else need) is None
        ]
        if problems:
            raise PydanticCustomError("value", "{text}", {"text": "; ".join(problems)})
        return self


class Graph(Record):
    """A task graph: parameters, streams, memories, places of buffers, and tasks.

    ``tokens`` and ``steps`` say how many tokens the graph makes in how many steps, for rates; ``dtype`` names the peak
    that FLOP are counted against.
    """

    parameters: dict[Name, Text] | None = None
    streams: dict[Name, Annotated[GraphStream, Short("at")]] | None = None
    memory: dict[Text, Annotated[GraphMemory, Short("capacity")]] | None = None
    buffers: dict[Name, Text] | None = None
    tasks: "dict[Name, GraphTask] | None" = None
    trace: Text | None = None
    format: Literal["kineto", "chakra", "kernels"] = "kineto"
    tokens: Text | None = None
    steps: Text | None = None
    dtype: Text = "bf16"
    fold: Flag = True

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.tasks is None) == (self.trace is None):
            raise PydanticCustomError("value", "expected either tasks, or a trace to read them from")
        return self


GraphTask.model_rebuild()
