"""The tables of KV tiers: what each tier held and moved, and what went over each way and each shared capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.serving.tiered import Tiered
from hwsim.serving.tiered_disaggregation import TieredDisaggregation

if TYPE_CHECKING:
    from hwsim.scenario.build import Simulation
    from hwsim.serving.kv.tier import Described
    from hwsim.serving.kv.tier_traffic import Traffic

Table = dict[str, Any]
FIGURES = ("used", "peak", "read", "written", "stored", "left", "dropped", "lost")


def tier_tables(simulation: Simulation) -> dict[str, Table]:
    """``tiers``, ``copies`` and ``links`` of a run with KV tiers, else nothing."""
    found = [part.traffic for part in simulation.parts if isinstance(part, Tiered | TieredDisaggregation)]
    traffics = [traffic for traffic in found if traffic.described]
    if not traffics:
        return {}
    tables = {
        "tiers": _tiers([each for traffic in traffics for each in traffic.described], traffics),
        "copies": _copies(traffics),
    }
    if simulation.fabric is not None:
        used = {name: c for name, c in simulation.fabric.capacities.items() if c.delivered}
        tables["links"] = {
            "name": list(used),
            "unit": [capacity.unit for capacity in used.values()],
            "amount": np.array([capacity.delivered for capacity in used.values()], dtype=np.float64),
            "rate": np.array([capacity.rate for capacity in used.values()], dtype=np.float64),
        }
    return tables


def _tiers(described: list[Described], traffics: list[Traffic]) -> Table:
    """One row per tier and node, sizes in bytes of all ranks."""
    each = [(d.tier, d.page_bytes) for d in described]
    tokens = {id(c.store.tiers[0]): c.engine.pool.block_size for t in traffics for c in t.connectors if c.store.tiers}
    size = next(iter(tokens.values()), 1)
    table: Table = {
        "tier": [tier.name for tier, _ in each],
        "device": [d.device for d in described],
        "limit_bytes": np.array([(tier.capacity + tier.staging) * page for tier, page in each]),
        "hit_tokens": np.array([tier.hits * size for tier, _ in each], dtype=np.int64),
        "spared_tokens": np.array([tier.spared * size for tier, _ in each], dtype=np.int64),
        "slower_tokens": np.array([tier.slower * size for tier, _ in each], dtype=np.int64),
        "chunks": np.array([len(tier.policy.entries) for tier, _ in each], dtype=np.int64),
    }
    for name in FIGURES:
        table[f"{name}_bytes"] = np.array([getattr(tier, name) * page for tier, page in each])
    table["io_bytes"] = np.array([np.nan if d.io_bytes is None else d.io_bytes for d in described], dtype=np.float64)
    life = [np.nan if d.endurance_bytes is None else d.endurance_bytes for d in described]
    table["endurance_bytes"] = np.array(life, dtype=np.float64)
    return table


def _copies(traffics: list[Traffic]) -> Table:
    """Bytes from place to place, over all engines and nodes of a job."""
    total: dict[tuple[str, str], float] = {}
    for traffic in traffics:
        for lane in traffic.lanes:
            total[lane.ends] = total.get(lane.ends, 0.0) + lane.moved * lane.page_bytes
    return {
        "source": [source for source, _ in total],
        "target": [target for _, target in total],
        "bytes": np.array(list(total.values()), dtype=np.float64),
    }
