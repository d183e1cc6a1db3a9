"""Pools of prefill and decode engines put together: their connector, the ways between them and what those cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hwsim.cost.price import SUBTICK_BITS
from hwsim.errors import ScenarioError
from hwsim.part import Parts
from hwsim.scenario.control import pools_controlled
from hwsim.scenario.coupling import coupled, shares_of
from hwsim.scenario.routers import gates_of, router_of
from hwsim.scenario.tier_rules import kv_rule
from hwsim.scenario.tiers import traffic_of
from hwsim.serving.controlled_pools import ControlledPools
from hwsim.serving.coupled import Coupled
from hwsim.serving.disaggregation import Disaggregation
from hwsim.serving.gated import Gated
from hwsim.serving.handover import Figures, Mover, Side
from hwsim.serving.outlook import EngineOutlook
from hwsim.serving.side_by_side import SideBySide, Still
from hwsim.serving.tiered_decode import DecodeTiered, DecodeTieredGated
from hwsim.serving.tiered_disaggregation import TieredDisaggregation, TieredGated
from hwsim.units import parse, ticks

if TYPE_CHECKING:
    from hwsim.scenario.build import Pool, Simulation
    from hwsim.scenario.job import Job
    from hwsim.serving.source import Source

CONNECTORS = Parts("hwsim.serving.policies.handover")
SPLITS = Parts("hwsim.serving.policies.split")


def disaggregated(simulation: Simulation, job: Job, source: Source) -> Disaggregation:
    """The engines of a job with roles, behind its routers and with its connector between them."""
    pools = [pool for pool in simulation.pools if pool.machine.job is job]
    prefill = [pool for pool in pools if pool.machine.role == "prefill"]
    decode = [pool for pool in pools if pool.machine.role == "decode"]
    handover, local = job.serve.handover, job.serve.local_prefill
    assert handover is not None
    if handover.kind == "in_place":
        return side_by_side(simulation, job, prefill[0], decode[0], source)
    mover = _mover(simulation, job, prefill, decode)
    # the pools of pages are exchanged before anybody else looks at them
    below = any(kv_rule(pool.machine.fields) is not None for pool in decode)
    tiered = [*prefill, *decode] if below else prefill
    traffic = traffic_of(simulation, tiered, watched=getattr(job.serve.router, "kind", "") == "kv_aware")
    first, second = coupled(simulation, prefill, mover), coupled(simulation, decode, mover)
    routers = (
        router_of(job, "router", len(first), simulation.seed),
        router_of(job, "decode_router", len(second), simulation.seed),
    )
    whole = (first, second, source, routers, CONNECTORS.get(handover.kind)(handover), mover)
    options = {
        "local_below": local.below if local is not None else 0,
        "numbers": [engine.replica for engine in (*first, *second)],
    }
    gated = job.serve.admission is not None
    kind: Any = Gated if gated else Disaggregation
    if traffic is not None:
        traffic.engines = [*first, *second] if below else list(first)
        kinds = (DecodeTiered, DecodeTieredGated) if below else (TieredDisaggregation, TieredGated)
        kind = partial(kinds[gated], traffic=traffic)
    control = pools_controlled(simulation, job, prefill, decode)
    if control is not None:
        kind = partial(ControlledPools, **control)
    if gated:
        kind = partial(kind, gates=gates_of(job))
    return _foreseeing(kind(*whole, simulation.clock, simulation.journal, **options), job, first, second)


def _foreseeing(found: Any, job: Job, *sides: Sequence[Any]) -> Any:
    """Give forecasts to the routers that ask for them."""
    for loads, key, engines in zip(found.loads, ("router", "decode_router"), sides, strict=True):
        router = getattr(job.serve, key)
        if router is not None and router.kind == "slo_aware":
            loads.outlook = EngineOutlook([getattr(engine, "engine", engine) for engine in engines])
    return found


def side_by_side(simulation: Simulation, job: Job, prefill: Pool, decode: Pool, source: Source) -> SideBySide:
    """Two engines on each GPU or group of them, with a split of its SMs that a rule moves."""
    handover, split = job.serve.handover, job.serve.split
    assert handover is not None and split is not None
    system = prefill.machine.system
    if system is None or prefill.machine.device is None:
        where = job.where(job.path("serve.handover"))
        raise ScenarioError.of("there is no GPU to split", where=where, expected="a system and a model")
    fabric = simulation.fabric_of(system)
    sides = [
        [
            Coupled(engine, simulation.domain, simulation.clock, shares_of(fabric, gpus))
            for engine, gpus in zip(pool.engines, pool.machine.places, strict=True)
        ]
        for pool in (prefill, decode)
    ]
    count = len(sides[0])
    routers = router_of(job, "router", count, simulation.seed), router_of(job, "decode_router", count, simulation.seed)
    found = SideBySide(
        *sides,
        source,
        routers,
        CONNECTORS.get(handover.kind)(handover),
        Still(simulation.clock),
        simulation.clock,
        simulation.journal,
        numbers=[engine.engine.replica for side in sides for engine in side],
        splits=[SPLITS.get(split.kind)(split) for _ in range(count)],
        share=split.prefill,
        every=ticks(split.every) << SUBTICK_BITS,
    )
    return _foreseeing(found, job, *sides)


def _mover(simulation: Simulation, job: Job, prefill: list[Pool], decode: list[Pool]) -> Mover:
    handover = job.serve.handover
    assert handover is not None
    given = figures(handover.kind)
    machine = decode[0].machine
    costs = Figures(
        handover.launch if handover.launch is not None else given["launch"],
        handover.descriptor if handover.descriptor is not None else given["descriptor"],
        machine.model.num_hidden_layers if machine.model is not None else 1,
        handover.pieces == "layer",
    )
    where = job.where(job.path("serve.handover"))
    if handover.bandwidth is None and machine.system is None:
        raise ScenarioError.of("KV has no way to go", where=where, expected="a system, or handover.bandwidth")
    sources = [side for pool in prefill for side in _sides(pool)]
    targets = [side for pool in decode for side in _sides(pool)]
    mover = Mover(
        simulation.domain,
        sources,
        targets,
        costs,
        _whole(decode[0]),
        fabric=simulation.fabric_of(machine.system) if handover.bandwidth is None else None,
        bandwidth=handover.bandwidth,
        latency=handover.latency,
    )
    try:
        for source in range(len(sources)):
            for target in range(len(targets)):
                mover.way(source, target)  # a pair without a way is found now
    except ScenarioError as error:
        raise ScenarioError.of(
            f"KV has no way from prefill to decode: {error}",
            where=where,
            expected="a network between the nodes, or handover.bandwidth",
        ) from error
    return mover


def _sides(pool: Pool) -> list[Side]:
    machine = pool.machine
    size = float(machine.shard.kv_bytes_per_token) if machine.shard is not None else 0.0
    return [Side(gpus, size, machine.config.block_size) for gpus in machine.places]


def _whole(pool: Pool) -> float:
    """KV bytes of a token over all ranks, each head once."""
    machine = pool.machine
    if machine.model is None or machine.shard is None:
        return 0.0
    from hwsim.model.sharding import Shard

    return float(Shard(machine.model, 1).kv_bytes_per_token)


@cache
def figures(kind: str) -> dict[str, float]:
    """What a connector costs beside the bytes, in seconds."""
    for folder in CONNECTORS.folders():
        path = Path(folder) / "figures.yaml"
        if path.exists():
            found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            if kind in found:
                return {name: float(parse(item["value"], "s")) for name, item in found[kind].items()}
    return {"launch": 0.0, "descriptor": 0.0}
