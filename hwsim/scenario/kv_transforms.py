"""``serve.kv_transform``: the model that results, what it does not go with, and what host memory holds and brings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.scenario.tier_rules import figures, kv_rule
from hwsim.units import format_quantity

if TYPE_CHECKING:
    from hwsim.cost.fetched import FetchWork
    from hwsim.hardware import System
    from hwsim.kernel.capacity import Capacity
    from hwsim.model.model import Model
    from hwsim.model.parts.kept import Kept
    from hwsim.model.sharding import Shard
    from hwsim.scenario.job import Job
    from hwsim.scenario.machine import Machine
    from hwsim.scenario.schema.serve import Engine as Pool
    from hwsim.serving.kv.room import KvRoom

# Caches that depend on whose they are, not only on their text: what queries looked at, or how much of it is left.
NOT_SHARED = ("think", "streaming", "retrieval_heads", "infllm")


def problems(job: Job, pool: str, fields: Pool) -> list[Problem]:
    """What a transform does not combine with."""
    chosen = fields.kv_transform
    where = job.where(job.pool_path(pool, "kv_transform"))
    if job.serve.handover is not None and any(other.kv_transform != chosen for other in job.pools.values()):
        return [Problem("KV that is handed over has one form", where, expected="the same kv_transform in all pools")]
    if chosen is None:
        return []
    if job.spec.model is None or job.scenario.spec.system is None:
        return [Problem("a KV transform belongs to a model on a machine", where, expected="a model and a system")]
    if chosen.kind not in NOT_SHARED:
        return []
    found = []
    if chosen.kind == "infllm" and fields.pipeline_parallel_size > 1:
        found.append(Problem("not built yet: kv_transform infllm with pipeline stages", where))
    if fields.enable_prefix_caching:
        text = f"the cache of {chosen.kind} belongs to one request, prefixes cannot be shared"
        found.append(Problem(text, where, expected="no enable_prefix_caching"))
    if kv_rule(fields) is not None:
        found.append(Problem(f"KV tiers share prefixes, which {chosen.kind} cannot", where, expected="no place.kv"))
    if job.serve.handover is not None and chosen.kind != "think":
        found.append(Problem(f"not built yet: kv_transform {chosen.kind} with a hand-over", where))
    return found


def transformed_model(job: Job, name: str, pool: Pool, model: Model) -> Model:
    """The model with its cache in the pool's form."""
    chosen = pool.kv_transform
    if chosen is None:
        return model
    from hwsim.model.transform import transformed

    longest = pool.max_model_len if isinstance(pool.max_model_len, int) else model.max_position_embeddings
    fields: dict[str, Any] = {key: getattr(chosen, key) for key in type(chosen).model_fields if key != "kind"}
    where = job.where(job.pool_path(name, "kv_transform"))
    if (fields.get("bits") or 1) > 16:
        raise ScenarioError.of("no such number of bits", where=where, got=str(fields["bits"]), expected="1 to 16")
    return transformed(model, chosen.kind, fields, longest=longest, where=where)


def changed_settings(pool: Pool, settings: dict[str, Any]) -> None:
    """Prefix caching is off where caches are not shared."""
    if pool.kv_transform is not None and pool.kv_transform.kind in NOT_SHARED:
        settings["enable_prefix_caching"] = False


def fetcher(shard: Shard | None) -> tuple[int, Kept] | None:
    """Layers of a rank whose old KV lies in host memory, and one of them."""
    from hwsim.model.parts.kept import Kept

    for count, block in shard.kinds if shard is not None else ():
        if isinstance(block.mixer, Kept) and block.mixer.fetch is not None:
            return count, block.mixer
    return None


def in_host(job: Job, name: str, system: System, shard: Shard, room: KvRoom, settings: dict[str, Any]) -> KvRoom:
    """No more pages than host memory holds whole tokens for, where that is where tokens go.

    Each engine has its share of its node's memory, by the GPUs that it runs on.
    """
    found = fetcher(shard)
    if found is None:
        return room
    layers, mixer = found
    node = _node(job, name, system)
    where = job.where(job.pool_path(name, "kv_transform"))
    memory = node.device("dram")
    capacity = memory.get("capacity")
    if capacity is None:
        raise ScenarioError.of(f"dram of {node.name} has no capacity", where=where, expected="capacity: …")
    share = capacity * memory.count * figures()["dram_share"] * shard.layout.ranks / node.gpus
    token = layers * mixer.whole_elements(shard.tensor_parallel_size) * shard.model.kv_format.bytes
    page = token * shard.tensor_parallel_size * settings["block_size"]
    pages = int(share // page)
    if pages < 2:
        size = format_quantity(share, "bytes")
        raise FitError.of("host memory has no room for KV", where=where, got=size, expected="more dram")
    return replace(room, num_gpu_blocks=min(room.num_gpu_blocks, pages))


def _node(job: Job, name: str, system: System) -> Any:
    from hwsim.scenario.placement import area

    return area(system, job.pools[name].at, job.pool_path(name, "at")).group.node


def fetch_work(machine: Machine) -> FetchWork | None:
    """What a pool's steps copy from host memory, at the rate that is left while all GPUs of the node copy."""
    found = fetcher(machine.shard)
    if found is None:
        return None
    from hwsim.cost.fetched import FetchWork

    layers, mixer = found
    assert machine.shard is not None and mixer.fetch is not None and mixer.groups[0].window is not None
    ranks = machine.shard.tensor_parallel_size
    token = layers * mixer.whole_elements(ranks) * machine.shard.model.kv_format.bytes
    fetch = mixer.fetch
    size = fetch.blocks * fetch.block * fetch.missing * token
    bandwidth = _bandwidth(machine, size / layers, max(1, round(fetch.blocks * fetch.missing)))
    return FetchWork(mixer.groups[0].window, size, fetch.span, token, bandwidth, ranks)


def _bandwidth(machine: Machine, size: float, messages: int) -> float:
    """Bytes per second at which a layer's blocks come to a GPU of the first engine while all GPUs of its node copy."""
    from hwsim.hardware.fabric import Fabric
    from hwsim.scenario.rank_copies import beside
    from hwsim.units import TICKS_PER_SECOND

    assert machine.system is not None and machine.node is not None
    if not size:
        return float("inf")
    fabric = Fabric(machine.system)
    first = machine.places[0][0]
    node = first.rpartition("gpu")[0]
    load: dict[Capacity, float] = {}
    for number in range(machine.node.gpus):
        gpu = f"{node}gpu{number}"
        for capacity, amount in fabric.transfer(beside("dram", gpu), gpu, size, messages=messages).phase.amounts:
            load[capacity] = load.get(capacity, 0.0) + amount
    own = fabric.transfer(beside("dram", first), first, size, messages=messages)
    shared = max([load[capacity] / capacity.rate for capacity, _ in own.phase.amounts], default=0.0)
    return size / (own.fixed_ticks / TICKS_PER_SECOND + max(own.phase.alone / TICKS_PER_SECOND, shared))
