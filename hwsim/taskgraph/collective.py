"""A collective of several GPUs as one task: the time of the law as they are wired, the bytes on every rank's link.

Simplification: all ranks start together and take the same time; between nodes only the links of the GPUs are held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.errors import ScenarioError
from hwsim.taskgraph.work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwsim.kernel.capacity import Capacity
    from hwsim.taskgraph.site import Site

# Bytes that a rank sends, as a multiple of the size, over (ranks - 1) / ranks.
ROUNDS = {"all_reduce": 2, "all_gather": 1, "reduce_scatter": 1, "all_to_all": 1}


def collective(site: Site, name: str, kind: str, ranks: Sequence[str], size: float, latency: float = 0.0) -> Work:
    """``size`` bytes per rank (the whole message of an all-reduce, the gathered one of an all-gather)."""
    count = len(set(ranks))
    if count < 2:
        raise ScenarioError.of(f"{kind} of {name} needs at least two ranks", where="ranks", got=", ".join(ranks))
    sent = ROUNDS[kind] * (count - 1) / count * size
    demands: dict[Capacity, float] = {}
    rates = site.fabric.system.capacities(site.dtype)
    linked = all(f"{rank}.nvlink" in rates for rank in ranks)
    for rank in ranks:
        names = (f"{rank}.nvlink", f"{rank}.nvlink.in") if linked else (f"{rank}.pcie.d2h", f"{rank}.pcie.h2d")
        for link in names:
            demands[site.fabric.capacity(link)] = sent
    seconds = max(amount / capacity.rate for capacity, amount in demands.items())
    law = site.collectives(ranks[0])
    if law is not None and kind in law.curves:
        nodes = len({site.system.spot(rank).number for rank in ranks})
        seconds = max(seconds, getattr(law, kind)(count, size, nodes))
    return site.taking(name, "collective", seconds + latency, demands, size=size)
