"""Which engines transfers can slow, by the most that either may take of what they share: only those are coupled.

Where a link brings at most a few percent of the memory bandwidth and the engine's own efficiency leaves more than that,
nobody can be slowed, and nothing is spent on finding out (the usual case: a NIC or PCIe into HBM).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape
from hwsim.serving.coupled import Coupled

if TYPE_CHECKING:
    from hwsim.hardware.fabric import Fabric
    from hwsim.kernel.capacity import Capacity
    from hwsim.scenario.build import Pool, Simulation
    from hwsim.serving.engine import Engine
    from hwsim.serving.handover import Mover

DEMANDS = {"gpu.hbm": ("hbm",), "gpu.nvlink": ("nvlink", "nvlink.in")}  # of a step, and the capacities of a GPU
ROWS, CONTEXTS = (1, 16, 128, 1024), (512, 4096, 32768)


def coupled(simulation: Simulation, pools: Sequence[Pool], mover: Mover) -> list[Engine | Coupled]:
    """The engines of pools, those with a flow on their GPUs that transfers could slow."""
    found: list[Engine | Coupled] = []
    fabric = mover.fabric
    most = _most(mover) if fabric is not None else {}
    for pool in pools:
        takes = _takes(pool) if fabric is not None and most else {}
        for engine, gpus in zip(pool.engines, pool.machine.places, strict=True):
            shares = shares_of(fabric, gpus) if takes and fabric is not None else {}
            binds = [c for c, (name, share) in shares.items() if takes[name] * share + most.get(c, 0.0) > c.rate]
            if any(most.get(capacity) for capacity in binds):
                found.append(Coupled(engine, simulation.domain, simulation.clock, shares))
            else:
                found.append(engine)
    return found


def shares_of(fabric: Fabric, gpus: Sequence[str]) -> dict[Capacity, tuple[str, float]]:
    """The capacities of an engine's GPUs, each with the demand of a step that it serves and its rank's share of it."""
    return {
        fabric.capacity(f"{gpu}.{word}"): (name, 1 / len(gpus))
        for gpu in gpus
        for name, words in DEMANDS.items()
        for word in words
        if f"{gpu}.{word}" in fabric.names
    }


def _takes(pool: Pool) -> dict[str, float]:
    """The most that a step of this pool's engines takes of each demand per second, over a grid of batches."""
    config, windows = pool.machine.config, getattr(pool.pricer, "windows", ())
    found = dict.fromkeys(DEMANDS, 0.0)
    shapes = [(StepShape(0, ((config.max_num_batched_tokens, 0),), 1), 0)]
    for rows in ROWS:
        if rows <= config.max_num_seqs:
            shapes += [(StepShape(rows, (), rows), rows * context) for context in CONTEXTS]
    for shape, context in shapes:
        windowed = tuple([min(context, window * shape.rows) for window in windows])
        price = pool.pricer.price(shape, context, windowed) if windows else pool.pricer.price(shape, context)
        seconds = price.device(context, windowed) / SUBTICKS_PER_SECOND
        for need in price.demands:
            amount = need.base + need.slope * context
            amount += sum([slope * seen for slope, seen in zip(need.window_slopes, windowed, strict=False)])
            if need.capacity in found and seconds:
                found[need.capacity] = max(found[need.capacity], amount / seconds)
    return found


def _most(mover: Mover) -> Mapping[Capacity, float]:
    """The most that all transfers together can take of each capacity: what the narrowest part of each way lets in."""
    narrow: dict[Capacity, dict[Capacity, float]] = {}
    for way in mover.ways.values():
        if not any(way.units.values()):
            continue
        tight = min([c for c, units in way.units.items() if units], key=lambda c, way=way: c.rate / way.units[c])
        for capacity, units in way.units.items():
            rate = min(tight.rate / way.units[tight], 1 / way.seconds if way.seconds else 0.0) * units
            at = narrow.setdefault(capacity, {})
            at[tight] = max(at.get(tight, 0.0), rate)
    return {capacity: sum(rates.values()) for capacity, rates in narrow.items()}
