"""How a pool's engines are spread over GPUs, and the memory that the tightest of their pipeline stages has for KV."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.model.layout import Layout
    from hwsim.model.model import Model
    from hwsim.model.sharding import Shard
    from hwsim.scenario.schema.serve import Engine as Pool
    from hwsim.serving.kv.room import KvRoom

# Memory for recurrent states over that for states and KV together (SGLang: mamba_full_memory_ratio 0.9 states to 1 KV).
STATE_SHARE = 0.9 / 1.9


def layout(pool: Pool, model: Model) -> Layout:
    """How a replica is spread.  Data-parallel ranks are engines of their own, which share experts if there are any."""
    from hwsim.model.layout import Layout

    data = pool.data_parallel_size if model.moe is not None else 1
    group = pool.tensor_parallel_size * data
    experts = group if pool.enable_expert_parallel and model.moe is not None else 1
    return Layout(pool.tensor_parallel_size, pool.pipeline_parallel_size, data, experts)


def tightest_room(room: Callable[[Shard, dict[str, Any]], KvRoom], shard: Shard, settings: dict[str, Any]) -> KvRoom:
    """Pages of the stage that has ``room`` for the fewest; recurrent states may lower ``max_num_seqs`` first.

    States take at most ``STATE_SHARE`` of what is left for states and KV, all of it where there is no KV; rings of
    caches kept in another form may take what they need beside the pages of the longest requests, where that is more.
    """
    stages = shard.stages()
    for stage in stages:
        resident = stage.state_bytes + stage.ring_bytes
        if resident:
            free = room(stage, {**settings, "max_num_seqs": 1}).kv_bytes
            share = STATE_SHARE if stage.kv_bytes_per_token else 1.0
            if stage.ring_bytes:
                share = max(share, resident / (resident + stage.ring_tokens * stage.kv_bytes_per_token))
            fit = max(1, int(free * share // resident))
            settings["max_num_seqs"] = min(settings["max_num_seqs"], fit)
    return min((room(stage, settings) for stage in stages), key=lambda each: each.num_gpu_blocks)
