"""``train:``, training steps whose activations and optimizer states may live outside the GPU."""

from typing import Annotated, Literal

from hwsim.scenario.schema.place import Place
from hwsim.scenario.schema.quantity import At, Count, Text, Tokens
from hwsim.scenario.schema.record import Kind, Record
from hwsim.scenario.schema.short import Choice, Short


class Train(Record):
    """A training job: parallelism, batch, sequence, what is recomputed and where its data lives."""

    at: At | None = None
    tensor_parallel_size: Count = 1
    pipeline_parallel_size: Count = 1
    data_parallel_size: Count = 1
    micro_batch_size: Count | None = None
    global_batch_size: Count | None = None
    sequence_length: Tokens | None = None
    recompute: Literal["none", "selective", "full"] = "none"
    optimizer: Text | None = None
    execute: Annotated[Kind, Choice("execute", "hwsim.taskgraph.patterns"), Short("kind")] | None = None
    place: Place | None = None
    steps: Count = 1
