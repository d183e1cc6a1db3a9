"""``serve:``, an inference engine or pools of them, under the names that vLLM uses."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.place import Place
from hwsim.scenario.schema.quantity import (
    At,
    BareBytes,
    Count,
    Count0,
    Flag,
    FlagOrSizes,
    Name,
    Number,
    Positive,
    Quantity,
    Seconds,
    Share,
    Text,
    Tokens,
)
from hwsim.scenario.schema.record import Kind, Record
from hwsim.scenario.schema.short import Choice, Short

Replicas = Annotated[int | Literal["rest"], Quantity("count", least=1, words=("rest",))]
ModelLength = Annotated[int | Literal["auto"], Quantity("tokens", least=1, words=("auto",))]
Cost = Annotated[Kind, Choice("cost", "hwsim.cost"), Short("kind")]


class Site(Record):
    """Times of this site's hosts in place of the engine profile's (``hwsim calibrate --from-bench`` fits them)."""

    host_base: Seconds | None = None
    host_per_row: Seconds | None = None
    host_per_kernel: Seconds | None = None
    server_before: Seconds | None = None
    server_each: Seconds | None = None
    server_before_per_token: Seconds | None = None
    server_after: Seconds | None = None


class LocalPrefill(Record):
    """Prompts shorter than ``below`` tokens stay on the decode replica."""

    below: Tokens


class Fault(Record):
    """What happens to one replica at a time: it stops (``fail_stop``) or its steps take ``factor`` times as long.

    ``until`` is when it is as before (left out: never); requests of a stopped one go to others ``detect`` later.
    """

    kind: Literal["fail_stop", "slow"] = "fail_stop"
    replica: Count0
    at: Seconds
    until: Seconds | None = None
    factor: Positive | None = None
    detect: Seconds | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        problems = []
        if self.until is not None and self.until <= self.at:
            problems.append("until is not after at; expected a later time, or none")
        if (self.kind == "slow") != (self.factor is not None):
            problems.append("factor goes with kind: slow; expected both or neither")
        if self.kind == "slow" and self.detect is not None:
            problems.append("detect goes with kind: fail_stop; a slow replica keeps its requests")
        if problems:
            raise PydanticCustomError("value", "{text}", {"text": "; ".join(problems)})
        return self


class Lora(Record):
    """LoRA adapters of one ``rank``, ``max_loras`` of them on a replica's GPUs at a time."""

    rank: Count = 16
    max_loras: Count = 8


class Engine(Record):
    """One pool of equal replicas; what is left out comes from the engine's profile (``engine: vllm-0.33``)."""

    other_names: ClassVar[dict[str, str]] = {"scheduling": "scheduling_policy"}

    at: At | None = None
    role: Literal["both", "prefill", "decode"] | None = None
    replicas: Replicas | None = None
    tensor_parallel_size: Count = 1
    pipeline_parallel_size: Count = 1
    data_parallel_size: Count = 1
    enable_expert_parallel: Flag | None = None
    max_num_seqs: Count | None = None
    max_num_batched_tokens: Tokens | None = None
    max_model_len: ModelLength | None = None
    block_size: Tokens | None = None
    gpu_memory_utilization: Share | None = None
    num_gpu_blocks_override: Count | None = None
    kv_cache_memory_bytes: BareBytes | None = None
    enable_prefix_caching: Flag | None = None
    enable_chunked_prefill: Flag | None = None
    async_scheduling: Flag | None = None
    scheduler_recv_interval: Count | None = None
    batch_wait_timeout_iters: Count0 | None = None
    batch_wait_max_tokens_ratio: Share | None = None
    scheduling_policy: Literal["fcfs", "priority", "shortest_prompt"] | None = None
    scheduling: Literal["fcfs", "priority", "shortest_prompt"] | None = None
    ageing: Number | None = None
    long_prefill_token_threshold: Count0 | None = None
    watermark: Share | None = None
    cuda_graph: FlagOrSizes | None = None
    batching: Annotated[Kind, Choice("batching", "hwsim.serving.policies.batching"), Short("kind")] | None = None
    execute: Annotated[Kind, Choice("execute", "hwsim.taskgraph.patterns"), Short("kind")] | None = None
    speculate: Annotated[Kind, Choice("speculate", "hwsim.serving.policies.speculate"), Short("kind")] | None = None
    local_prefill: LocalPrefill | None = None
    kv_allocation: (
        Annotated[Kind, Choice("kv_allocation", "hwsim.serving.policies.allocation"), Short("kind")] | None
    ) = None
    kv_transform: Annotated[Kind, Choice("kv_transform", "hwsim.model.transforms"), Short("kind")] | None = None
    autoscale: Annotated[Kind, Choice("autoscale", "hwsim.serving.policies.autoscale"), Short("kind")] | None = None
    place: Place | None = None
    cost: Cost | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        """``scheduling`` is the short name of ``scheduling_policy``."""
        if isinstance(value, dict) and "scheduling" in value and "scheduling_policy" in value:
            raise PydanticCustomError("value", "has both scheduling and scheduling_policy; expected one of them")
        return value

    @property
    def policy(self) -> str:
        """The order in which waiting requests are taken: ``fcfs``, ``priority`` or ``shortest_prompt``."""
        return self.scheduling_policy or "fcfs"


class Serve(Engine):
    """What serves: one pool inline or several by name, and how requests reach them."""

    engine: Text | None = None
    site: Site | None = None
    router: Annotated[Kind, Choice("router", "hwsim.serving.policies.router"), Short("kind")] | None = None
    decode_router: Annotated[Kind, Choice("router", "hwsim.serving.policies.router"), Short("kind")] | None = None
    handover: Annotated[Kind, Choice("handover", "hwsim.serving.policies.handover"), Short("kind")] | None = None
    lora: Lora | None = None
    split: Annotated[Kind, Choice("split", "hwsim.serving.policies.split"), Short("kind")] | None = None
    admission: Annotated[Kind, Choice("admission", "hwsim.serving.policies.admission"), Short("kind")] | None = None
    faults: dict[Name, Fault] | None = None
    pools: dict[Name, Engine] | None = None

    def members(self) -> dict[str, Engine]:
        """The pools by name, each with the fields beside them as defaults; a single pool is called ``serve``."""
        if self.pools is None:
            return {"serve": self}
        return {name: pool.under(self) for name, pool in self.pools.items()}

    @model_validator(mode="after")
    def _pools(self) -> Self:
        if self.pools is not None and not self.pools:
            raise PydanticCustomError("value", "pools is empty; expected at least one pool by name")
        return self
