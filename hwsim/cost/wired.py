"""Collectives as GPUs are wired: measured on direct links, NCCL's model over PCIe, each rank's port between nodes.

Two GPUs on PCIe keep what was measured on such a pair: the way between them is the same in any server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hwsim.cost.collective import CollectiveLaw, Curves, Network
from hwsim.cost.nccl import OPERATIONS, network_step, stretches
from hwsim.hardware.ring import exchange_bandwidth, rail, ring_bandwidth

if TYPE_CHECKING:
    from hwsim.hardware.ideal import Ideal
    from hwsim.hardware.system import Group, System
    from hwsim.hardware.wiring import Wiring

PAIR = 2
KERNELS = ("all_reduce", "eager_all_reduce", "nccl_all_reduce")  # engines' own kernels need direct links, or two GPUs


def direct(wiring: Wiring, ranks: int) -> bool:
    """True if that many GPUs reach each other by links of their own."""
    node = wiring.node
    linked = node.bridge != "pcie" and bool(node.gpu.link_bandwidth)
    return linked and (node.bridge != "nvlink" or ranks <= PAIR)


def wired(law: CollectiveLaw, system: System, group: Group) -> CollectiveLaw:
    """``law`` as it is among the GPUs of a group: inside its nodes and between them."""
    law = inside(law, group.wiring, system.ideal)
    if group.nodes == 1:
        return law
    bandwidth, latency = rail(system, group)
    return replace(law, network=Network(bandwidth, latency + network_step()))


def inside(law: CollectiveLaw, wiring: Wiring, ideal: Ideal) -> CollectiveLaw:
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
            bandwidth = (exchange_bandwidth if operation == "all_to_all" else ring_bandwidth)(wiring, gpus, ideal)
            found[ranks] = stretches(operation, ranks, bandwidth)
        for name in names:
            kept = {ranks: each for ranks, each in law.curves.get(name, {}).items() if ranks not in found}
            curves[name] = kept | found
    return CollectiveLaw(curves, law.borrowed, law.network)
