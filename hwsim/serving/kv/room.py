"""How many KV pages an engine finds room for, computed as vLLM does after its profile run."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import FitError
from hwsim.units import format_quantity


@dataclass(frozen=True, slots=True)
class KvRoom:
    """Memory of one GPU by owner (bytes) and the pages that are left over for KV.

    ``requested = utilisation x total; kv = requested - weights - activations - runtime - graphs`` (graphs inside the
    budget since vLLM 0.21).  SGLang leaves activations out of its share, too (``activations_inside_budget``);
    TensorRT-LLM's share is one of what is free after weights and a dry run (``of_free``).  Simplification: the
    activation peak and the framework's own memory are the constants of the engine profile and a formula of the model,
    not a measured profile run.
    """

    total_bytes: float
    requested_bytes: float
    weight_bytes: float
    activation_bytes: float
    runtime_bytes: float
    graph_bytes: float
    kv_bytes: float
    page_bytes: float
    num_gpu_blocks: int
    ring_bytes: float = 0.0  # of the runtime's: KV that belongs to places, not to pages

    def owners(self) -> dict[str, float]:
        """Who holds how much of the GPU's memory once the engine has started."""
        found = {
            "weights": self.weight_bytes,
            "activations": self.activation_bytes,
            "runtime": self.runtime_bytes - self.ring_bytes,
            "cuda_graphs": self.graph_bytes,
            "kv_pool": self.num_gpu_blocks * self.page_bytes,
        }
        return found | {"kv_rings": self.ring_bytes} if self.ring_bytes else found


def kv_room(
    *,
    total_bytes: float,
    utilisation: float,
    weight_bytes: float,
    activation_bytes: float,
    runtime_bytes: float,
    graph_bytes: float,
    graphs_inside_budget: bool,
    page_bytes: float,
    kv_cache_memory_bytes: float | None = None,
    num_gpu_blocks_override: int | None = None,
    activations_inside_budget: bool = True,
    of_free: bool = False,
    what: str = "the model",
) -> KvRoom:
    """Pages of ``page_bytes`` (all layers of one rank) that fit on a GPU; ``FitError`` says what does not fit."""
    fixed = weight_bytes + runtime_bytes
    fixed += activation_bytes if activations_inside_budget else 0
    fixed += graph_bytes if graphs_inside_budget else 0
    requested = fixed + (total_bytes - fixed) * utilisation if of_free else total_bytes * utilisation
    page_bytes = max(page_bytes, 1.0)  # a model without cache: pages cost nothing worth counting
    kv_bytes = kv_cache_memory_bytes if kv_cache_memory_bytes is not None else requested - fixed
    if num_gpu_blocks_override is not None:
        blocks = num_gpu_blocks_override
    elif kv_bytes < page_bytes or weight_bytes > total_bytes:
        raise FitError.of(
            f"{what} does not fit",
            got=f"weights {_gib(weight_bytes)} + activations {_gib(activation_bytes)} + engine "
            f"{_gib(fixed - weight_bytes - activation_bytes)} per GPU",
            expected=f"less than gpu_memory_utilization {utilisation:g} x {_gib(total_bytes)} = {_gib(requested)}; "
            "use more GPUs (tensor_parallel_size), a larger GPU or a smaller dtype",
        )
    else:
        blocks = int(kv_bytes // page_bytes)
    return KvRoom(
        total_bytes,
        requested,
        weight_bytes,
        activation_bytes,
        runtime_bytes,
        graph_bytes,
        blocks * page_bytes,
        page_bytes,
        blocks,
    )


def _gib(value: float) -> str:
    return format_quantity(value, "bytes")
