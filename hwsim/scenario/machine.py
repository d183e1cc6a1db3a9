"""What a serving pool runs on, resolved: model, shard, GPUs, node, efficiencies, engine profile and KV room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.scenario.job import Job, jobs
from hwsim.scenario.layouts import layout, tightest_room
from hwsim.scenario.placement import Allotment, Area, area
from hwsim.scenario.settings import engine_config, model_length, room, settings
from hwsim.serving import engine_profile
from hwsim.serving.engine_config import EngineConfig
from hwsim.serving.engine_profile import EngineProfile
from hwsim.serving.kv.room import KvRoom

if TYPE_CHECKING:
    from hwsim.cost.efficiency.coefficients import Efficiency
    from hwsim.hardware import Device, Node, System
    from hwsim.model.model import Model
    from hwsim.model.sharding import Shard
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.schema.serve import Engine as Pool


@dataclass(frozen=True)
class Machine:
    """One pool of equal replicas on a system.  ``device`` and what follows are None for a constant cost without one.

    ``places`` names the GPUs of each engine; a replica is ``data_parallel_size`` independent engines.
    """

    job: Job
    pool: str
    profile: EngineProfile
    settings: dict[str, Any]
    system: System | None
    node: Node | None
    device: Device | None
    model: Model | None
    shard: Shard | None
    efficiency: Efficiency | None
    room: KvRoom | None
    group: str
    places: tuple[tuple[str, ...], ...]
    beside: bool = False  # its GPUs are counted with another pool that runs on them, too

    @property
    def fields(self) -> Pool:
        """What the scenario says of this pool."""
        return self.job.pools[self.pool]

    @property
    def name(self) -> str:
        """The pool's name, with that of its job where there are several."""
        return self.pool if self.job.only else f"{self.job.name}.{self.pool}"

    @property
    def role(self) -> str:
        """``both``, ``prefill`` or ``decode``."""
        return self.fields.role or "both"

    @property
    def tensor_parallel_size(self) -> int:
        """GPUs that share each layer."""
        return self.fields.tensor_parallel_size

    @property
    def engines(self) -> int:
        """Independent engines: replicas times their data-parallel size."""
        return len(self.places)

    @property
    def replicas(self) -> int:
        """Replicas as the scenario counts them."""
        return self.engines // self.fields.data_parallel_size

    @property
    def gpus_used(self) -> int:
        """GPUs that engines run on."""
        return sum(len(gpus) for gpus in self.places) if self.device is not None and not self.beside else 0

    @property
    def gpus_owned(self) -> int:
        """GPUs of all nodes, used or not."""
        return self.system.gpus if self.system is not None else 0

    @property
    def whole_cost(self) -> bool:
        """True where the scenario gives all the time there is: a constant, or a law fitted to a whole engine."""
        cost = self.fields.cost or self.job.spec.prices()
        return cost is not None and cost.kind in ("constant", "fitted")

    @property
    def constant_cost(self) -> bool:
        """True where the scenario says what a step takes, instead of a law."""
        cost = self.fields.cost or self.job.spec.prices()
        return cost is not None and cost.kind == "constant"

    @property
    def config(self) -> EngineConfig:
        """The start-up options of each engine."""
        blocks = self.room.num_gpu_blocks if self.room is not None else self.settings["num_gpu_blocks"]
        return engine_config(self.settings, blocks)


def machine(scenario: Scenario) -> Machine:
    """The machine of a scenario with one pool (of several: the first)."""
    return machines(scenario)[0]


def machines(scenario: Scenario) -> list[Machine]:
    """Every pool of every job, on its own GPUs; ``ScenarioError`` and ``FitError`` say what is missing or too much."""
    pools = [(job, name) for job in jobs(scenario) for name in job.pools]
    bare = [_is_bare(job, name, scenario) for job, name in pools]
    missing: dict[str, Problem] = {}
    for (job, _), is_bare in zip(pools, bare, strict=True):
        for name, value in (("model", job.spec.model), ("system", scenario.spec.system)):
            if value is None and not is_bare:
                expected = f"{name}: … (or a constant cost)"
                missing[name] = Problem(f"{name} is missing", where=scenario.name, expected=expected)
    if missing:
        raise ScenarioError(list(missing.values()))
    if all(bare):
        return [_bare(job, name) for job, name in pools]
    from hwsim.hardware import System

    system = System.of(scenario.tree["system"])
    areas = [_area(system, job, name) for job, name in pools]
    places = _allotted(system, [(job, name, where) for (job, name), where in zip(pools, areas, strict=True)])
    return [
        _bare(job, name) if is_bare else _machine(job, name, system, where, gpus)
        for (job, name), is_bare, where, gpus in zip(pools, bare, areas, places, strict=True)
    ]


def _is_bare(job: Job, pool: str, scenario: Scenario) -> bool:
    """Nothing but a constant or fitted cost and a number of pages: for tests and teaching."""
    cost = job.pools[pool].cost or job.spec.prices()
    constant = getattr(cost, "kind", None) in ("constant", "fitted")
    given = job.pools[pool].num_gpu_blocks_override is not None
    return constant and given and (job.spec.model is None or scenario.spec.system is None)


def _bare(job: Job, name: str) -> Machine:
    pool, profile = job.pools[name], _profile(job)
    found = settings(pool, profile, {"max_num_batched_tokens": 2048, "max_num_seqs": 256})
    found["max_model_len"] = pool.max_model_len if isinstance(pool.max_model_len, int) else 1 << 40
    found["num_gpu_blocks"] = pool.num_gpu_blocks_override
    replicas = pool.replicas if isinstance(pool.replicas, int) else 1
    places = ((),) * (replicas * pool.data_parallel_size)
    return Machine(job, name, profile, found, None, None, None, None, None, None, None, "", places)


def _profile(job: Job, node: Node | None = None) -> EngineProfile:
    """The engine's profile on the node's processors; what was measured at the site itself stands as it is."""
    profile, site = engine_profile.find(job.serve.engine), job.serve.site
    if node is not None:
        profile = profile.on_host(node.thread_speed)
    return profile if site is None else profile.at_site(site.given())


def _area(system: System, job: Job, name: str) -> Area:
    path = job.pool_path(name, "at")
    found = area(system, job.pools[name].at, job.where(path) if job.pools[name].at else path)
    tensor = job.pools[name].tensor_parallel_size
    node = found.group.node
    whole = len(found.gpus) == node.gpus and tensor % node.gpus == 0
    if tensor > (found.size if whole else len(found.gpus)):
        raise FitError.of(
            f"tensor_parallel_size spans more than one {node.name} and not whole ones"
            if not whole
            else "tensor_parallel_size is more than the GPUs there are",
            where=job.pool_path(name, "tensor_parallel_size"),
            got=str(tensor),
            expected=f"at most {len(found.gpus)}, the GPUs of a node"
            + (f", or a multiple of {node.gpus} up to {found.size}" if found.size > node.gpus else ""),
        )
    return found


def _allotted(system: System, pools: Iterable[tuple[Job, str, Area]]) -> list[tuple[tuple[str, ...], ...]]:
    """GPUs for every engine: pools with a number of replicas first, then those that take the rest."""
    pools = list(pools)
    allotment = Allotment(system)
    found: list[tuple[tuple[str, ...], ...]] = [()] * len(pools)
    for rest in (False, True):
        for i, (job, name, where) in enumerate(pools):
            if (job.pools[name].replicas == "rest") == rest and _host_pool(job, name) is None:
                found[i] = _engines(allotment, job, name, where)
    for i, (job, name, _) in enumerate(pools):
        host = _host_pool(job, name)
        if host is not None:
            found[i] = next(found[j] for j, (other, at, _) in enumerate(pools) if other is job and at == host)
    return found


def _engines(allotment: Allotment, job: Job, name: str, where: Area) -> tuple[tuple[str, ...], ...]:
    pool = job.pools[name]
    size = pool.tensor_parallel_size * pool.pipeline_parallel_size
    wanted = where.size if pool.replicas == "rest" else int(pool.replicas or 1)
    engines: list[tuple[str, ...]] = []
    for number in range(wanted):
        replica = [
            allotment.engine(where, pool.tensor_parallel_size, pool.pipeline_parallel_size)
            for _ in range(pool.data_parallel_size)
        ]
        if None in replica:
            if pool.replicas != "rest" or not number:
                raise _too_many(job, name, wanted if pool.replicas != "rest" else 1, number, size, where)
            break
        engines += [gpus for gpus in replica if gpus is not None]
    return tuple(engines)


def _host_pool(job: Job, name: str) -> str | None:
    """The pool on whose GPUs this one runs, too: prefill's, where nothing is handed over."""
    handover = job.serve.handover
    if handover is None or handover.kind != "in_place" or job.pools[name].role != "decode":
        return None
    return next(other for other, pool in job.pools.items() if pool.role == "prefill")


def _too_many(job: Job, name: str, wanted: int, fit: int, size: int, where: Area) -> FitError:
    each = size * job.pools[name].data_parallel_size
    shared = "" if job.only and job.serve.pools is None else " that no other pool has taken"
    return FitError.of(
        "more replicas than GPUs",
        where=job.pool_path(name, "replicas"),
        got=f"{wanted} x {each} GPUs",
        expected=f"at most {fit} replicas on {where.size} GPUs{shared}",
    )


def _machine(job: Job, name: str, system: System, where: Area, places: tuple[tuple[str, ...], ...]) -> Machine:
    from hwsim.model import find as find_model
    from hwsim.model.sharding import Shard
    from hwsim.scenario.kv_allocation import page_room, page_tokens
    from hwsim.scenario.kv_transforms import changed_settings, in_host, transformed_model
    from hwsim.scenario.lora import less_room

    wanted, pool, node = job.spec.model, job.pools[name], where.group.node
    assert wanted is not None
    profile = _profile(job, node)
    device = node.gpu
    model = find_model(_model_name(job), dtype=wanted.dtype, kv_cache_dtype=wanted.kv_cache_dtype, **wanted.overrides())
    model = transformed_model(job, name, pool, model)
    shard = Shard(model, layout=layout(pool, model))
    found = settings(pool, profile, profile.for_device(device.product, device.hbm_bytes))
    changed_settings(pool, found)
    page_tokens(job, name, pool, shard, found)
    kv = tightest_room(lambda stage, chosen: room(pool, profile, stage, device, chosen), shard, found)
    kv = page_room(job, name, pool, shard, in_host(job, name, system, shard, kv, found), found)
    found["max_model_len"] = model_length(pool, model, kv, found["block_size"])
    found["max_num_batched_tokens"] = min(
        found["max_num_batched_tokens"], found["max_num_seqs"] * found["max_model_len"]
    )
    efficiency = _laws(job, pool, profile.stack, system, where)
    group = where.group.name
    kv = less_room(job, kv, model, pool.tensor_parallel_size * pool.pipeline_parallel_size)
    beside = _host_pool(job, name) is not None
    handover = job.serve.handover
    if handover is not None and handover.kind == "in_place":
        part = 1 - handover.kv if beside else handover.kv
        kv = replace(kv, num_gpu_blocks=max(int(kv.num_gpu_blocks * part), 1))
    return Machine(job, name, profile, found, system, node, device, model, shard, efficiency, kv, group, places, beside)


def _laws(job: Job, pool: Pool, stack: str, system: System, where: Area) -> Efficiency:
    """The cost laws of the device in its node under the engine's kernels, or of the file that ``cost`` names, behind
    its measured table if it has one."""
    from hwsim.cost.efficiency import find
    from hwsim.cost.wired import wired

    device = where.group.node.gpu

    cost: Any = pool.cost or job.spec.prices()
    found = find(device, stack, name=getattr(cost, "efficiency", None))
    if pool.tensor_parallel_size * pool.data_parallel_size * pool.pipeline_parallel_size > 1:
        found = replace(found, collective=wired(found.collective, system, where.group))
    if cost is not None and cost.kind == "table":
        from hwsim.cost.table import tabled

        found = tabled(found, device, job.folder("cost.data") / cost.data)
    if pool.kv_allocation is not None:
        from hwsim.scenario.kv_allocation import paging_laws

        return paging_laws(pool, found)
    return found


def _model_name(job: Job) -> str:
    """The id, or the path of a config.json relative to the file it stands in."""
    assert job.spec.model is not None
    like = job.spec.model.like
    if like is None:
        where = job.where(job.path("model"))
        raise ScenarioError.of("model has no name", where=where, expected="like: ORG/NAME or a path")
    if like.endswith(".json") or like.startswith("."):
        return str(job.folder("model.like") / like)
    return like
