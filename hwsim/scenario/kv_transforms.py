"""``serve.kv_transform``: the model that results, what it does not go with, and what host memory holds and brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.scenario.tier_rules import figures, kv_rule
from hwsim.units import format_quantity

if TYPE_CHECKING:
    from hwsim.cost.fetched import FetchWork
    from hwsim.hardware import System
    from hwsim.hardware.fabric import Fabric, Transfer
    from hwsim.kernel.capacity import Capacity
    from hwsim.model.model import Model
    from hwsim.model.parts.kept import Kept
    from hwsim.model.sharding import Shard
    from hwsim.scenario.build import Pool as Pools
    from hwsim.scenario.build import Simulation
    from hwsim.scenario.job import Job
    from hwsim.scenario.machine import Machine
    from hwsim.scenario.schema.serve import Engine as Pool
    from hwsim.serving.coupled_cluster import CoupledCluster
    from hwsim.serving.kv.room import KvRoom
    from hwsim.serving.routing import Router
    from hwsim.serving.source import Source

# Caches that depend on whose they are, not only on their text: what queries looked at, or how much of it is left.
BIG = float(1 << 30)  # bytes of a copy whose overheads do not count
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
    if chosen.kind == "infllm":
        others = [key for key in ("autoscale", "faults", "admission", "lora") if getattr(job.serve, key) is not None]
        others += ["pipeline stages"] * (fields.pipeline_parallel_size > 1)
        found += [Problem(f"not built yet: kv_transform infllm with {other}", where) for other in others]
    if fields.enable_prefix_caching:
        text = f"the cache of {chosen.kind} belongs to one request, prefixes cannot be shared"
        found.append(Problem(text, where, expected="no enable_prefix_caching"))
    if job.serve.router is not None and job.serve.router.kind == "kv_aware":
        found.append(Problem(f"router kv_aware looks for prefixes, which {chosen.kind} cannot share", where))
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
    """What a pool's steps copy from host memory, at the rate that an engine has alone."""
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
    """Bytes per second at which a layer's blocks come to each GPU of an engine while nobody else copies."""
    from hwsim.hardware.fabric import Fabric
    from hwsim.units import TICKS_PER_SECOND

    assert machine.system is not None
    if not size:
        return float("inf")
    load: dict[Capacity, float] = {}
    fabric = Fabric(machine.system)
    ways = [_way(fabric, gpu, size, messages) for gpu in machine.places[0]]
    for way in ways:
        for capacity, amount in way.phase.amounts:
            load[capacity] = load.get(capacity, 0.0) + amount
    together = max([amount / capacity.rate for capacity, amount in load.items()], default=0.0)
    slowest = max([way.fixed_ticks + way.phase.alone for way in ways]) / TICKS_PER_SECOND
    return size / max(slowest, ways[0].fixed_ticks / TICKS_PER_SECOND + together)


def _way(fabric: Fabric, gpu: str, size: float, messages: int) -> Transfer:
    """A copy from the memory of a GPU's own node to it."""
    from hwsim.scenario.rank_copies import beside

    return fabric.transfer(beside("dram", gpu), gpu, size, messages=messages)


def fetching(simulation: Simulation, pools: Sequence[Pools], source: Source, router: Router) -> CoupledCluster:
    """The engines of a job that fetch over links which they may share, each with a flow on those.

    Simplification: a step's copies are spread evenly over the step.
    """
    from hwsim.serving.coupled import Coupled
    from hwsim.serving.coupled_cluster import CoupledCluster

    fabric = simulation.fabric_of(pools[0].machine.system)
    found = []
    for pool in pools:
        for engine, gpus in zip(pool.engines, pool.machine.places, strict=True):
            shares: dict[Capacity, float] = {}
            for gpu in gpus if fetcher(pool.machine.shard) else ():
                for capacity, amount in _way(fabric, gpu, BIG, 1).phase.amounts:
                    if not capacity.name.endswith(".hbm"):  # its own steps have that
                        shares[capacity] = shares.get(capacity, 0.0) + amount / BIG / len(gpus)
            asks = {capacity: ("gpu.pcie.h2d", share) for capacity, share in shares.items()}
            found.append(Coupled(engine, simulation.domain, simulation.clock, asks))
    return CoupledCluster(found, source, router, simulation.clock)
