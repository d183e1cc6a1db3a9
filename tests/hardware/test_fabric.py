"""Transfers over the fabric against closed forms: latency, overheads, the slowest link, and sharing in the kernel."""

from __future__ import annotations

import pytest

from hwsim.errors import ScenarioError
from hwsim.hardware import System
from hwsim.hardware.fabric import Fabric, Transfer
from hwsim.kernel.activity import Activity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.units import TICKS_PER_SECOND

GB = 10**9


def finish(*transfers: Transfer) -> list[float]:
    """Seconds at which transfers that start together end."""
    clock = Clock()
    domain = Domain(clock)
    made = [Activity(domain, str(i), fixed=t.fixed_ticks, phases=(t.phase,)) for i, t in enumerate(transfers)]
    for activity in made:
        activity.submit()
    clock.run()
    return [activity.finished / TICKS_PER_SECOND for activity in made]


def dgx(**changed: object) -> Fabric:
    return Fabric(System.of({"node": {"like": "dgx-h100", **changed}}))


def test_a_copy_takes_latency_overhead_and_bytes_over_the_slowest_link() -> None:
    fabric = dgx(pcie={"bandwidth": "50 GB/s", "latency": "2 us", "message_overhead": "3 us"})
    route = fabric.route("dram", "gpu0")
    takes = {capacity.name: units for capacity, units in zip(route.capacities, route.per_byte, strict=True)}
    assert takes.pop("upi10") == 0.5  # half of the memory belongs to the other socket
    assert takes == {
        "dram": 1.0, "dram0": 0.5, "dram1": 0.5, "gpu0.pcie.h2d": 1.0, "gpu0.hbm": 1.0, "switch0.down": 1.0,
    }  # fmt: skip
    assert route.rate == 50e9
    one = fabric.transfer("dram", "gpu0", 50e6)
    assert one.fixed_ticks == round((route.latency_s + 3e-6) * TICKS_PER_SECOND)
    assert finish(one) == [pytest.approx(route.latency_s + 3e-6 + 1e-3, abs=1e-12)]
    many = fabric.transfer("dram", "gpu0", 50e6, messages=1000)
    assert finish(many) == [pytest.approx(route.latency_s + 1000 * 3e-6 + 1e-3, abs=1e-12)]


def test_copies_to_one_gpu_share_its_link_and_copies_to_two_do_not() -> None:
    fabric = dgx(pcie={"bandwidth": "50 GB/s"})
    to_one = finish(fabric.transfer("dram", "gpu0", 5 * GB), fabric.transfer("dram", "gpu0", 10 * GB))
    assert to_one == pytest.approx([0.2, 0.3], rel=1e-4)
    apart = finish(fabric.transfer("dram", "gpu0", 5 * GB), fabric.transfer("dram", "gpu2", 5 * GB))
    assert apart == pytest.approx([0.1, 0.1], rel=1e-4)
    # GPUs 0 and 1 are behind one switch, whose upstream port they share
    upstream = fabric.capacity("switch0.down").rate
    together = finish(fabric.transfer("dram", "gpu0", 5 * GB), fabric.transfer("dram", "gpu1", 5 * GB))
    assert together == pytest.approx([10 * GB / upstream] * 2, rel=1e-4)


def test_reads_and_writes_share_the_seconds_of_a_drive() -> None:
    drive = {"count": 1, "read_bandwidth": "8 GB/s", "write_bandwidth": "4 GB/s"}
    fabric = dgx(ssd=drive)
    read, write = fabric.transfer("ssd", "dram", 8 * GB), fabric.transfer("dram", "ssd", 4 * GB)
    assert finish(read) == pytest.approx([1.0], rel=1e-3)
    assert finish(write) == pytest.approx([1.0], rel=1e-3)
    # each alone needs the whole device for a second, so together two
    assert finish(read, write) == pytest.approx([2.0, 2.0], rel=1e-3)


def test_capacities_are_made_once_and_unknown_names_are_refused() -> None:
    fabric = dgx()
    assert fabric.capacity("gpu0.hbm") is fabric.capacity("gpu0.hbm")
    with pytest.raises(ScenarioError, match=r"did you mean gpu0\.hbm"):
        fabric.capacity("gpu0.hmb")
    with pytest.raises(ScenarioError, match="unknown place"):
        fabric.route("gpu0", "gpu8")
    with pytest.raises(ValueError, match="at least one message"):
        fabric.transfer("dram", "gpu0", 1.0, messages=0)
