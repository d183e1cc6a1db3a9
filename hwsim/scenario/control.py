"""The control plane of a job: what admits, scales and breaks its replicas, made for its engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hwsim.cost.price import SUBTICK_BITS
from hwsim.errors import Problem, ScenarioError
from hwsim.part import Parts
from hwsim.scenario.lora import caches, users
from hwsim.scenario.rank_copies import beside, copy_all
from hwsim.scenario.routers import GATES, limited
from hwsim.serving.adapted import Adapted
from hwsim.serving.controlled import Controlled
from hwsim.serving.faults import Fault
from hwsim.serving.outlook import EngineOutlook
from hwsim.serving.scaling import Scaling
from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.scenario.build import Pool, Simulation
    from hwsim.scenario.job import Job
    from hwsim.serving.engine import Engine
    from hwsim.serving.kv.tier_traffic import Traffic
    from hwsim.serving.routing import Router
    from hwsim.serving.source import Source

SCALERS = Parts("hwsim.serving.policies.autoscale")


def is_controlled(job: Job) -> bool:
    """Whether anything but the router decides about the replicas of a job, or forecasts are wanted."""
    serve = job.serve
    forecast = serve.router is not None and serve.router.kind == "slo_aware"
    return bool(serve.admission or serve.autoscale or serve.faults or forecast or serve.lora)


def controlled(
    simulation: Simulation,
    job: Job,
    engines: list[Engine],
    source: Source,
    router: Router,
    traffic: Traffic | None = None,
) -> Controlled:
    """The engines of a job behind its control plane; ``traffic`` carries KV between their GPUs and what lies below."""
    serve = job.serve
    pools = [pool for pool in simulation.pools if pool.machine.job is job]
    gate = None
    if serve.admission is not None:
        parameters = serve.admission
        if parameters.kind == "slo":
            parameters = limited(job, parameters, "serve.admission")
        gate = GATES.get(parameters.kind)(parameters)
    kind: Any = Controlled if serve.lora is None else Adapted
    if traffic is not None:
        from hwsim.serving.tiered_controlled import TieredAdapted, TieredControlled

        kind = partial(TieredControlled if serve.lora is None else TieredAdapted, traffic=traffic)
    if serve.lora is not None:
        kind = partial(kind, users=users(simulation, job), caches=caches(simulation, job))
    return kind(
        engines,
        source,
        router,
        simulation.clock,
        gate=gate,
        faults=_faults(job, len(engines)),
        scaling=_scaling(simulation, job, pools, serve.autoscale, job.path("serve.autoscale")),
        outlook=EngineOutlook(engines),
    )


def pools_controlled(
    simulation: Simulation, job: Job, prefill: list[Pool], decode: list[Pool]
) -> dict[str, Any] | None:
    """What a control plane does to the pools of a hand-over; None if there is none."""
    scalings = tuple(
        _pool_scaling(simulation, job, pools, only) for pools, only in ((prefill, "ttft"), (decode, "tpot"))
    )
    declared = [pool for pool in simulation.pools if pool.machine.job is job]
    numbers = [engine.replica for pool in declared for engine in pool.engines]
    order = [engine.replica for pool in (*prefill, *decode) for engine in pool.engines]
    faults = [replace(fault, replica=order.index(numbers[fault.replica])) for fault in _faults(job, len(numbers))]
    if not faults and scalings == (None, None):
        return None
    return {"faults": faults, "scalings": scalings}


def _pool_scaling(simulation: Simulation, job: Job, pools: list[Pool], only: str) -> Scaling | None:
    """The autoscaler of one side; pools of one role scale together."""
    rules = {pool.machine.pool: job.pools[pool.machine.pool].autoscale for pool in pools}
    first = pools[0].machine.pool
    for name, rule in rules.items():
        if rule != rules[first]:
            raise ScenarioError.of(
                "pools of one role scale together",
                where=job.where(job.pool_path(name, "autoscale")),
                expected=f"the same autoscale as pool {first}",
            )
    return _scaling(simulation, job, pools, rules[first], job.pool_path(first, "autoscale"), only)


def _faults(job: Job, engines: int) -> list[Fault]:
    found, problems = [], []
    slow: dict[int, float] = {}
    for name, fault in sorted((job.serve.faults or {}).items(), key=lambda item: (item[1].at, item[0])):
        where = job.where(job.path(f"serve.faults.{name}"))
        if fault.replica >= engines:
            problems.append(
                Problem("a fault of a replica that is not there", where, str(fault.replica), f"0..{engines - 1}")
            )
        if fault.kind == "slow":
            if fault.at < slow.get(fault.replica, -1.0):
                problems.append(
                    Problem(f"replica {fault.replica} is slow twice at a time", where, expected="one after the other")
                )
            slow[fault.replica] = fault.until if fault.until is not None else float("inf")
        found.append(
            Fault(
                name,
                fault.kind,
                fault.replica,
                _subticks(fault.at),
                _subticks(fault.until) if fault.until is not None else None,
                fault.factor or 1.0,
                _subticks(fault.detect or 0.0),
            )
        )
    if problems:
        raise ScenarioError(problems)
    return found


def _scaling(
    simulation: Simulation, job: Job, pools: list[Pool], parameters: Any, path: str, only: str | None = None
) -> Scaling | None:
    """The autoscaler of the replicas of ``pools`` together; of limits, ``only`` the one that it can keep."""
    if parameters is None:
        return None
    if parameters.kind == "slo":
        parameters = limited(job, parameters, path)
        if only is not None:
            parameters = parameters.model_copy(update={"tpot" if only == "ttft" else "ttft": None})
    engines = sum([len(pool.engines) for pool in pools])
    most = parameters.max if parameters.max is not None else engines
    where = job.where(path)
    if most > engines:
        raise ScenarioError.of(
            "more replicas than there are",
            where=where,
            got=f"max: {most}",
            expected=f"replicas: {most}, or max <= {engines}",
        )
    if parameters.min > most:
        raise ScenarioError.of("min is above max", where=where, got=str(parameters.min), expected=f"at most {most}")
    return Scaling(
        SCALERS.get(parameters.kind)(parameters),
        parameters.min,
        most,
        _subticks(parameters.every),
        _subticks(parameters.start_up),
        _subticks(parameters.cool_down),
        _loader(simulation, pools, parameters.weights_from, where) if parameters.weights_from is not None else None,
    )


def _loader(
    simulation: Simulation, pools: list[Pool], place: str, where: str
) -> Callable[[int, Callable[[], object]], None]:
    """Moves the weights of a replica to its GPUs, all ranks side by side, over the capacities of the system."""
    machine = pools[0].machine
    if machine.system is None or machine.room is None:
        raise ScenarioError.of(
            "weights come from nowhere", where=where, got=f"weights_from: {place}", expected="a system"
        )
    fabric = simulation.fabric_of(machine.system)

    def load(number: int, on_done: Callable[[], object]) -> None:
        pool, gpus = home(pools, number)
        assert pool.machine.room is not None
        size = pool.machine.room.weight_bytes
        transfers = [fabric.transfer(beside(place, gpu), gpu, size) for gpu in gpus]
        copy_all(simulation.domain, transfers, "weights", "weights", on_done)

    for gpu in home(pools, 0)[1]:  # a place without a way is found now
        fabric.route(beside(place, gpu), gpu)
    return load


def home(pools: list[Pool], number: int) -> tuple[Pool, tuple[str, ...]]:
    """The pool of an engine by its place among those of the job, and its GPUs."""
    for pool in pools:
        if number < len(pool.engines):
            return pool, pool.machine.places[number]
        number -= len(pool.engines)
    raise AssertionError("an engine of no pool")


def _subticks(seconds: float) -> int:
    return ticks(seconds) << SUBTICK_BITS
