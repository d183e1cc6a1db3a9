"""What an engine is started with on its device: scheduler limits, KV room and the longest sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwsim.errors import FitError, ScenarioError
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.kv.room import KvRoom, kv_room

# Launch options that one scheduler knows, by the names of its engine.
SCHEDULER_OPTIONS = ("scheduler_recv_interval", "batch_wait_timeout_iters", "batch_wait_max_tokens_ratio")

if TYPE_CHECKING:
    from hwsim.hardware import Device
    from hwsim.model.model import Model
    from hwsim.model.sharding import Shard
    from hwsim.scenario.schema.serve import Engine as Pool
    from hwsim.serving.engine_profile import EngineProfile


def settings(pool: Pool, profile: EngineProfile, server: dict[str, int]) -> dict[str, Any]:
    """Scheduler settings: what the scenario says, then the API server's defaults, then the profile's."""
    names = (
        "max_num_batched_tokens",
        "max_num_seqs",
        "block_size",
        "gpu_memory_utilization",
        "enable_prefix_caching",
        "enable_chunked_prefill",
        "async_scheduling",
        "watermark",
    )
    settings: dict[str, Any] = {**profile.defaults, **server}
    for name in names:
        value = getattr(pool, name)
        if value is not None:
            settings[name] = value
    if pool.max_num_seqs is None:
        settings["max_num_seqs"] = min(settings["max_num_seqs"], settings["max_num_batched_tokens"])
    elif pool.max_num_batched_tokens is None:
        settings["max_num_batched_tokens"] = max(settings["max_num_seqs"], settings["max_num_batched_tokens"])
    if settings["max_num_seqs"] > settings["max_num_batched_tokens"]:
        raise ScenarioError.of(
            "max_num_seqs exceeds max_num_batched_tokens",
            where="serve.max_num_seqs",
            got=f"{settings['max_num_seqs']} > {settings['max_num_batched_tokens']}",
            expected="at most max_num_batched_tokens: every running request takes a token",
        )
    given = {name: value for name in SCHEDULER_OPTIONS if (value := getattr(pool, name)) is not None}
    settings["options"] = {**settings["options"], **given}
    settings["long_prefill_token_threshold"] = pool.long_prefill_token_threshold or 0
    settings["scheduling_policy"] = pool.policy
    if pool.ageing is not None:
        if pool.policy != "shortest_prompt":
            raise ScenarioError.of(
                "ageing is for waiting prompts that longer ones overtake",
                where="serve.ageing",
                got=f"{pool.ageing:g} with scheduling_policy {pool.policy}",
                expected="scheduling_policy: shortest_prompt",
            )
        settings["ageing"] = pool.ageing
    settings["capture_sizes"] = _capture_sizes(pool, profile, settings)
    settings["pipeline_parallel_size"] = pool.pipeline_parallel_size
    if pool.batching is not None and pool.batching.kind == "static":
        settings["scheduler"] = "static"
        settings["max_num_seqs"] = getattr(pool.batching, "size", None) or settings["max_num_seqs"]
    return settings


def _capture_sizes(pool: Pool, profile: EngineProfile, settings: dict[str, Any]) -> tuple[int, ...]:
    """Batch sizes with a CUDA graph: the profile's, those of ``cuda_graph: [1, 2, 4]``, or with ``false`` none."""
    wanted = pool.cuda_graph
    if isinstance(wanted, list):
        return tuple(sorted({size for size in wanted if size <= settings["max_num_batched_tokens"]}))
    if wanted is False:
        return ()
    return profile.capture_sizes(settings["max_num_seqs"], settings["max_num_batched_tokens"])


def room(pool: Pool, profile: EngineProfile, shard: Shard, device: Device, settings: dict[str, Any]) -> KvRoom:
    memory = profile.memory
    found = kv_room(
        total_bytes=device.hbm_bytes,
        utilisation=settings["gpu_memory_utilization"],
        weight_bytes=shard.weight_bytes - _on_host(profile, shard),
        activation_bytes=shard.activation_peak_bytes(settings["max_num_batched_tokens"], settings["max_num_seqs"]),
        runtime_bytes=memory["runtime"] + (shard.state_bytes + shard.ring_bytes) * settings["max_num_seqs"],
        graph_bytes=memory["graphs"] if settings["capture_sizes"] else 0.0,
        graphs_inside_budget=memory["graphs_inside_budget"],
        activations_inside_budget=memory.get("activations_inside_budget", True),
        of_free=memory.get("of_free", False),
        page_bytes=page_bytes(pool, profile, shard, settings["block_size"]),
        kv_cache_memory_bytes=pool.kv_cache_memory_bytes,
        num_gpu_blocks_override=pool.num_gpu_blocks_override,
        what=f"{shard.model.hf_id} on {shard.tensor_parallel_size} x {device.name}",
    )
    return replace(found, ring_bytes=float(shard.ring_bytes * settings["max_num_seqs"]))


def _on_host(profile: EngineProfile, shard: Shard) -> float:
    """Bytes of the input embeddings where an engine looks them up in host memory (a head that shares them stays)."""
    elsewhere = profile.memory.get("embeddings_on_host", False)
    return shard.table_bytes if elsewhere and shard.first and not shard.model.tie_word_embeddings else 0.0


def page_bytes(pool: Pool, profile: EngineProfile, shard: Shard, block_size: int) -> float:
    """Bytes of the pool that a page of ``block_size`` tokens costs one GPU, with its share of the window layers.

    Window layers keep a window's pages of each request (groups of layers in one pool, or a pool of their own), spread
    here over the pages of the longest request that may come: so ``num_gpu_blocks`` over the pages of such a request is
    the concurrency that the engine has room for.  Simplification: shorter requests weigh as much per page.
    """
    if not shard.window_kv_bytes_per_token or not profile.memory.get("windows_apart", False):
        return shard.kv_bytes_per_token * block_size
    longest = pool.max_model_len if isinstance(pool.max_model_len, int) else shard.model.max_position_embeddings
    always = shard.full_kv_bytes_per_token + shard.index_kv_bytes_per_token
    return always * block_size + shard.window_bytes(longest, block_size) / -(-longest // block_size)


def model_length(pool: Pool, model: Model, room: KvRoom, block_size: int) -> int:
    """``max_model_len``: given, the model's own, or with ``auto`` what the pool holds; vLLM refuses what cannot fit."""
    fits = (room.num_gpu_blocks - 1) * block_size
    longest = model.max_position_embeddings
    if pool.max_model_len == "auto":
        return min(longest, fits)
    length = pool.max_model_len if isinstance(pool.max_model_len, int) else longest
    if length > fits and pool.num_gpu_blocks_override is None:
        raise FitError.of(
            "one request of max_model_len does not fit in the KV pool",
            where="serve.max_model_len",
            got=f"{length} tokens",
            expected=f"at most {fits} tokens ({room.num_gpu_blocks} blocks of {block_size}), or auto",
        )
    return length


def engine_config(settings: dict[str, Any], num_gpu_blocks: int) -> EngineConfig:
    """The engine's start-up options, with the pages that it found room for."""
    return EngineConfig.of(settings, num_gpu_blocks)
