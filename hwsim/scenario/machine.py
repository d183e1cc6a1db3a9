"""What a serving pool runs on, resolved: model, shard, GPU, node, efficiencies, engine profile and KV room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.serving import engine_profile
from hwsim.serving.engine_profile import EngineProfile
from hwsim.serving.kv.room import KvRoom, kv_room

if TYPE_CHECKING:
    from hwsim.cost.efficiency.coefficients import Efficiency
    from hwsim.hardware import Device, Node, System
    from hwsim.model.model import Model
    from hwsim.model.sharding import Shard
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.schema.serve import Engine as Pool

NOT_BUILT = {
    "pools": "several pools",
    "handover": "prefill/decode hand-over",
    "speculate": "speculation",
    "place": "tiered placement",
    "execute": "execution patterns",
    "local_prefill": "conditional disaggregation",
}


@dataclass(frozen=True)
class Machine:
    """One pool of equal replicas on a system.  ``device`` and what follows are None for a constant cost without one."""

    profile: EngineProfile
    settings: dict[str, Any]
    system: System | None
    node: Node | None
    device: Device | None
    model: Model | None
    shard: Shard | None
    efficiency: Efficiency | None
    room: KvRoom | None
    tensor_parallel_size: int
    replicas: int

    @property
    def gpus_used(self) -> int:
        """GPUs that replicas run on."""
        return self.tensor_parallel_size * self.replicas if self.device is not None else 0

    @property
    def gpus_owned(self) -> int:
        """GPUs of all nodes, used or not."""
        return self.system.gpus if self.system is not None else 0


def machine(scenario: Scenario) -> Machine:
    """Resolve what a scenario serves on; ``ScenarioError`` and ``FitError`` say what is missing or does not fit."""
    spec = scenario.spec
    pool = _single_pool(scenario)
    profile = engine_profile.find(spec.serve.engine if spec.serve is not None else None)
    constant = getattr(spec.prices(), "kind", None) == "constant"
    bare = constant and pool.num_gpu_blocks_override is not None
    if spec.system is None or spec.model is None:
        if bare:
            return _bare(pool, profile)
        missing = [name for name in ("model", "system") if getattr(spec, name) is None]
        raise ScenarioError(
            [
                Problem(f"{name} is missing", where=scenario.name, expected=f"{name}: … (or a constant cost)")
                for name in missing
            ]
        )
    return _machine(scenario, pool, profile)


def _single_pool(scenario: Scenario) -> Pool:
    spec = scenario.spec
    for what, value in (("train", spec.train), ("graph", spec.graph), ("jobs", spec.jobs)):
        if value is not None:
            raise ScenarioError.of(f"not built yet: {what}", where=scenario.origin(what) or scenario.name)
    serve = spec.serve
    assert serve is not None
    found = [
        Problem(f"not built yet: {text}", where=scenario.origin(f"serve.{name}") or f"serve.{name}")
        for name, text in NOT_BUILT.items()
        if getattr(serve, name) is not None
    ]
    found += [
        Problem(f"not built yet: {name} above 1", where=scenario.origin(f"serve.{name}") or f"serve.{name}")
        for name in ("pipeline_parallel_size", "data_parallel_size")
        if getattr(serve, name) != 1
    ]
    if serve.router is not None and serve.router.kind != "round_robin":
        found.append(Problem(f"not built yet: router {serve.router.kind}", where="serve.router"))
    if found:
        raise ScenarioError(found)
    return serve


def _bare(pool: Pool, profile: EngineProfile) -> Machine:
    """Nothing but a constant cost and a number of pages: for tests and teaching."""
    settings = _settings(pool, profile, {"max_num_batched_tokens": 2048, "max_num_seqs": 256})
    settings["max_model_len"] = pool.max_model_len if isinstance(pool.max_model_len, int) else 1 << 40
    settings["num_gpu_blocks"] = pool.num_gpu_blocks_override
    replicas = pool.replicas if isinstance(pool.replicas, int) else 1
    return Machine(profile, settings, None, None, None, None, None, None, None, pool.tensor_parallel_size, replicas)


def _machine(scenario: Scenario, pool: Pool, profile: EngineProfile) -> Machine:
    from hwsim.cost.efficiency import find as efficiency_of
    from hwsim.hardware import System
    from hwsim.model import find as find_model
    from hwsim.model.sharding import Shard

    spec = scenario.spec
    assert spec.model is not None and spec.system is not None
    tree = scenario.tree
    system = System.of(tree["system"])
    group = _group(system, pool.at)
    node = group.node
    device = node.gpu
    model = find_model(
        _model_name(scenario),
        dtype=spec.model.dtype,
        kv_cache_dtype=spec.model.kv_cache_dtype,
        **spec.model.overrides(),
    )
    shard = Shard(model, pool.tensor_parallel_size)
    if pool.tensor_parallel_size > node.gpus:
        raise FitError.of(
            f"tensor_parallel_size spans more than one {node.name}",
            where="serve.tensor_parallel_size",
            got=str(pool.tensor_parallel_size),
            expected=f"at most {node.gpus}, the GPUs of a node",
        )
    per_node = node.gpus // pool.tensor_parallel_size
    replicas = per_node * group.nodes if pool.replicas in (None, "rest") else int(pool.replicas)
    if pool.replicas is None:
        replicas = 1
    if replicas > per_node * group.nodes:
        raise FitError.of(
            "more replicas than GPUs",
            where="serve.replicas",
            got=f"{replicas} x {pool.tensor_parallel_size} GPUs",
            expected=f"at most {per_node * group.nodes} replicas on {group.gpus} GPUs",
        )
    settings = _settings(pool, profile, profile.for_device(device.product, device.hbm_bytes))
    room = _room(pool, profile, shard, device, settings)
    settings["max_model_len"] = _model_length(pool, model, room, settings["block_size"])
    settings["max_num_batched_tokens"] = min(
        settings["max_num_batched_tokens"], settings["max_num_seqs"] * settings["max_model_len"]
    )
    efficiency = efficiency_of(device)
    return Machine(
        profile, settings, system, node, device, model, shard, efficiency, room, pool.tensor_parallel_size, replicas
    )


def _model_name(scenario: Scenario) -> str:
    """The id, or the path of a config.json relative to the file it stands in."""
    assert scenario.spec.model is not None
    like = scenario.spec.model.like
    if like is None:
        raise ScenarioError.of("model has no name", where=scenario.origin("model"), expected="like: ORG/NAME or a path")
    if like.endswith(".json") or like.startswith("."):
        return str(scenario.folder("model.like") / like)
    return like


def _group(system: System, at: Any) -> Any:
    groups = system.groups
    name = getattr(at, "group", None) or (str(at).split("/")[0].split("[")[0] if at is not None else None)
    if name is None:
        return next(iter(groups.values()))
    if name not in groups:
        if len(groups) == 1:
            return next(iter(groups.values()))
        raise ScenarioError.of("unknown group", where="serve.at", got=str(name), expected=", ".join(groups))
    return groups[name]


def _settings(pool: Pool, profile: EngineProfile, server: dict[str, int]) -> dict[str, Any]:
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
    settings["long_prefill_token_threshold"] = pool.long_prefill_token_threshold or 0
    settings["scheduling_policy"] = pool.policy
    if pool.batching is not None and pool.batching.kind == "static":
        settings["scheduler"] = "static"
        settings["max_num_seqs"] = getattr(pool.batching, "size", None) or settings["max_num_seqs"]
    return settings


def _room(pool: Pool, profile: EngineProfile, shard: Shard, device: Device, settings: dict[str, Any]) -> KvRoom:
    memory = profile.memory
    return kv_room(
        total_bytes=device.hbm_bytes,
        utilisation=settings["gpu_memory_utilization"],
        weight_bytes=shard.weight_bytes,
        activation_bytes=shard.activation_peak_bytes(settings["max_num_batched_tokens"], settings["max_num_seqs"]),
        runtime_bytes=memory["runtime"],
        graph_bytes=memory["graphs"],
        graphs_inside_budget=memory["graphs_inside_budget"],
        activations_inside_budget=memory.get("activations_inside_budget", True),
        of_free=memory.get("of_free", False),
        page_bytes=shard.kv_bytes_per_token * settings["block_size"],
        kv_cache_memory_bytes=pool.kv_cache_memory_bytes,
        num_gpu_blocks_override=pool.num_gpu_blocks_override,
        what=f"{shard.model.hf_id} on {shard.tensor_parallel_size} x {device.name}",
    )


def _model_length(pool: Pool, model: Model, room: KvRoom, block_size: int) -> int:
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
