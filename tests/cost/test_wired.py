"""Collectives over PCIe and between nodes: the ring against hand-made figures, NCCL's form, and what a change moves."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.cost.efficiency import find
from hwsim.cost.nccl import stretches
from hwsim.cost.wired import wired
from hwsim.hardware.ideal import UNLIMITED, Ideal
from hwsim.hardware.ring import exchange_bandwidth, rail, ring_bandwidth
from hwsim.hardware.system import Group, System

MIB = 1 << 20


def group(node: Any, nodes: int = 1, **more: Any) -> tuple[System, Group]:
    system = System.of({"node": node, "nodes": nodes, **more})
    return system, next(iter(system.groups.values()))


def gpus(count: int) -> list[str]:
    return [f"gpu{index}" for index in range(count)]


def test_a_ring_over_two_sockets_is_as_fast_as_what_lies_between_them() -> None:
    _, found = group("l40s-8")
    between = found.node.devices["cpu"].get("remote.peer_bandwidth")
    assert between is not None
    assert ring_bandwidth(found.wiring, gpus(2)) == pytest.approx(found.node.gpu.get("pcie.bandwidth"))
    assert ring_bandwidth(found.wiring, gpus(8)) <= between
    # 4 x 4 pairs cross each way, and each of 8 GPUs sends a seventh of its rate to each other one
    assert exchange_bandwidth(found.wiring, gpus(8)) == pytest.approx(7 * between / 16)


def test_without_limit_means_without_limit() -> None:
    _, found = group("l40s-8")
    assert ring_bandwidth(found.wiring, gpus(8), Ideal("pcie,upi")) == UNLIMITED


@pytest.mark.parametrize("operation", ["all_reduce", "all_gather", "reduce_scatter", "all_to_all"])
def test_the_better_protocol_is_taken_at_every_size(operation: str) -> None:
    found = stretches(operation, 8, 20e9)
    assert [each.most for each in found] == sorted(each.most for each in found)
    assert found[0].alpha < found[-1].alpha and found[0].bandwidth < found[-1].bandwidth
    turn = found[0].most
    moved = (2 if operation == "all_reduce" else 1) * 7 / 8
    times = [each.alpha + moved * turn / each.bandwidth for each in found]
    assert times[0] == pytest.approx(times[1])


def test_direct_links_keep_what_was_measured() -> None:
    system, found = group("dgx-h100")
    law = find(found.node.gpu).collective
    assert wired(law, system, found) is law


def test_bridges_of_two_give_way_to_pcie_beyond_a_pair() -> None:
    system, found = group("a100-pcie-8")
    law = find(found.node.gpu).collective
    here = wired(law, system, found)
    assert here.all_reduce(2, MIB) == law.all_reduce(2, MIB)
    assert here.all_reduce(4, MIB) > 3 * law.all_reduce(4, MIB)
    assert here.all_reduce(8, 64 * MIB) > here.all_reduce(4, 64 * MIB)


def test_a_slower_network_makes_collectives_between_nodes_slower() -> None:
    times = []
    for link in ("ib-ndr-400", "ib-hdr-200", "roce-100"):
        system, found = group("dgx-h100", 2, network={"kind": "rail_fat_tree", "link": link})
        law = wired(find(found.node.gpu).collective, system, found)
        times.append((law.all_reduce(16, 64 * MIB, 2), law.all_to_all(16, 64 * MIB, 2)))
    assert times == sorted(times)
    assert times[0] < times[-1]


def test_gpus_share_the_ports_of_their_node() -> None:
    system, found = group("l40s-8", 2)
    nic = found.node.devices["nic"]
    bandwidth, latency = rail(system, found)
    assert bandwidth == pytest.approx(nic.get("bandwidth") * nic.count / 8)  # type: ignore[operator]
    assert latency > 0
