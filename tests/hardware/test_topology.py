"""Topology laws: a way exists in both directions, is as fast as its slowest link, and shared ports are shared."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations
from typing import Any

import pytest

from hwsim.errors import ScenarioError
from hwsim.hardware import System, catalogue
from hwsim.hardware.fabric import Fabric
from hwsim.hardware.find import find_node
from hwsim.hardware.system import Group
from tests.hardware.test_fabric import GB, finish

NODES = catalogue.names("node")


@pytest.mark.parametrize("name", NODES)
def test_every_node_has_ways_both_ways_at_the_rate_of_the_slowest_link(name: str) -> None:
    fabric = Fabric(System({"nodes": Group("nodes", find_node(name))}))
    wiring = fabric.system.groups["nodes"].wiring
    ends = [
        place for place in wiring.vertices if place in wiring.reads and place.rstrip("0") == place.rstrip("0123456789")
    ]
    assert ends
    for a, b in permutations(ends, 2):
        route = fabric.route(a, b)
        alone = [capacity.rate / units for capacity, units in zip(route.capacities, route.per_byte, strict=True)]
        hops = [min(leg.hop.bandwidth, leg.hop.peer) for leg in route.legs]
        assert 0 < route.rate <= min(alone) * (1 + 1e-12)
        assert route.rate >= min(*alone, *hops) * (1 - 1e-12), (a, b)


def net(kind: str, nodes: int = 4, **options: Any) -> Fabric:
    network = {"kind": kind, "link": "ib-ndr-400", **options}
    return Fabric(System.of({"node": "dgx-h100", "nodes": nodes, "network": network}))


def names(fabric: Fabric, a: str, b: str) -> list[str]:
    return [capacity.name for capacity in fabric.route(a, b).capacities]


def test_rails_meet_and_other_rails_are_reached_through_the_gpu_on_them() -> None:
    fabric = net("rail_fat_tree")
    same = names(fabric, "nodes/0/gpu3", "nodes/2/gpu3")
    assert "nodes/0/nic3.out" in same and "nodes/2/nic3.in" in same
    assert not any("nvlink" in name or "dram" in name for name in same)
    other = names(fabric, "nodes/0/gpu3", "nodes/2/gpu5")
    assert "nodes/0/gpu3.nvlink" in other and "nodes/0/nic5.out" in other and "nodes/2/nic5.in" in other
    assert fabric.route("nodes/0/gpu3", "nodes/2/gpu5").rate == pytest.approx(50e9)


def test_planes_are_changed_inside_nodes_only() -> None:
    fabric = net("multi_plane")
    route = names(fabric, "nodes/0/dram1", "nodes/1/gpu2")
    assert "nodes/0/nic2.out" in route and "nodes/1/nic2.in" in route


def test_an_oversubscribed_tree_shares_its_uplinks() -> None:
    size = 50 * GB
    pairs = [(f"nodes/{i}/gpu{j}", f"nodes/{i + 2}/gpu{j}") for i in range(2) for j in range(8)]
    for over, factor in ((1, 1.0), (2, 2.0), (4, 4.0)):
        fabric = net("fat_tree", nodes_per_leaf=2, oversubscription=over)
        times = finish(*(fabric.transfer(a, b, size) for a, b in pairs))
        assert times == pytest.approx([factor] * len(pairs), rel=1e-3)
        within = finish(fabric.transfer("nodes/0/gpu0", "nodes/1/gpu0", size))
        assert within == pytest.approx([1.0], rel=1e-3)


def test_a_mesh_gives_each_pair_its_own_link() -> None:
    fabric = Fabric(System.of({"node": "mi300x-8"}))
    assert fabric.route("gpu0", "gpu1").rate == 64e9
    two = finish(fabric.transfer("gpu0", "gpu1", 64 * GB), fabric.transfer("gpu0", "gpu2", 64 * GB))
    assert two == pytest.approx([1.0, 1.0], rel=1e-3)


def test_bridges_join_two_and_two_and_the_others_go_over_pcie() -> None:
    fabric = Fabric(System.of({"node": "h100-pcie-8"}))
    assert "gpu0.nvlink" in names(fabric, "gpu0", "gpu1")
    far = names(fabric, "gpu1", "gpu7")
    assert "gpu1.pcie.d2h" in far and "gpu7.pcie.h2d" in far and "upi01" in far
    # between sockets, GPUs get what the processors let through from device to device
    assert fabric.route("gpu1", "gpu7").rate == 16e9
    assert fabric.route("dram0", "gpu7").rate > 16e9


def test_a_spread_place_adds_up_its_devices() -> None:
    fabric = Fabric(System.of({"node": {"like": "dgx-h100", "ssd": {"like": "D7-P5510-3.84TB", "count": 4}}}))
    assert fabric.route("ssd", "dram").rate == pytest.approx(4 * 7e9)
    assert fabric.route("ssd0", "dram").rate == pytest.approx(7e9)
    striped = {"like": "dgx-h100", "ssd": {"like": "D7-P5510-3.84TB", "count": 4, "raid": "0"}}
    volume = Fabric(System.of({"node": striped}))
    assert volume.route("ssd", "dram").rate == pytest.approx(4 * 7e9)
    assert volume.capacity("ssd0") is volume.capacity("ssd")


def test_a_thousand_gpus_take_little_time() -> None:
    code = (
        "import time; from hwsim.hardware import System; from hwsim.hardware.fabric import Fabric\n"
        "t = time.process_time()\n"
        "n = {'kind': 'rail_fat_tree', 'link': 'ib-ndr-400'}\n"
        "s = System.of({'node': 'dgx-h100', 'nodes': 128, 'network': n})\n"
        "f = Fabric(s)\n"
        "for i in range(1, 128): f.route('nodes/0/gpu0', f'nodes/{i}/gpu{i % 8}')\n"
        "assert s.gpus == 1024 and s.topology.number_of_nodes() > 3000\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_places_without_a_way_are_named() -> None:
    apart = System.of({"node": {"like": "dgx-h100", "nic": None}, "nodes": 2})
    with pytest.raises(ScenarioError, match=r"no way from .* dgx-h100 has no NIC"):
        apart.ways("nodes/0/gpu0", "nodes/1/gpu0")
    gpu = {"hbm": {"bandwidth": "1 TB/s", "capacity": "80 GB"}, "peak": {"bf16": "1 PFLOP/s"}}
    loose = System.of({"node": {"gpu": gpu, "dram": {"bandwidth": "100 GB/s"}}})
    with pytest.raises(ScenarioError, match="no way from dram to gpu0"):
        loose.ways("dram", "gpu0")


def test_networks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ScenarioError, match="cannot reach its bandwidth for its message overhead"):
        net("fat_tree", link={"like": "ib-ndr-400", "message_overhead": "5 ms"})
    with pytest.raises(ScenarioError, match="fewer ports than NICs"):
        net("fat_tree", switch="qm9700", nodes_per_leaf=9)
    with pytest.raises(ScenarioError, match="8 places for GPUs"):
        System.of({"node": {"like": "dgx-h100", "gpu": {"count": 16}}})
