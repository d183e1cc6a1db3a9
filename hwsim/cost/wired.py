"""Collectives of the GPUs of one node as they are wired there: measured on direct links, NCCL's model over PCIe.

Two GPUs on PCIe keep what was measured on such a pair: the way between them is the same in any server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.cost.collective import CollectiveLaw, Curves
from hwsim.cost.nccl import OPERATIONS, stretches
from hwsim.hardware.ring import exchange_bandwidth, ring_bandwidth

if TYPE_CHECKING:
    from hwsim.hardware.wiring import Wiring

PAIR = 2
KERNELS = ("all_reduce", "eager_all_reduce", "nccl_all_reduce")  # engines' own kernels need direct links, or two GPUs


def direct(wiring: Wiring, ranks: int) -> bool:
    """True if that many GPUs reach each other by links of their own."""
    node = wiring.node
    linked = node.bridge != "pcie" and bool(node.gpu.link_bandwidth)
    return linked and (node.bridge != "nvlink" or ranks <= PAIR)


def wired(law: CollectiveLaw, wiring: Wiring) -> CollectiveLaw:
    """``law`` with the curves of groups that PCIe joins in this node replaced; the first GPUs stand for any group."""
    sizes = [ranks for ranks in range(PAIR + 1, wiring.node.gpus + 1) if not direct(wiring, ranks)]
    if not sizes:
        return law
    curves: dict[str, Curves] = {}
    for operation in OPERATIONS:
        names = KERNELS if operation == "all_reduce" else (operation,)
        found = {}
        for ranks in sizes:
            gpus = [f"gpu{index}" for index in range(ranks)]
            bandwidth = (exchange_bandwidth if operation == "all_to_all" else ring_bandwidth)(wiring, gpus)
            found[ranks] = stretches(operation, ranks, bandwidth)
        for name in names:
            kept = {ranks: each for ranks, each in law.curves.get(name, {}).items() if ranks not in found}
            curves[name] = kept | found
    return CollectiveLaw(curves, law.borrowed, law.network)
