"""Storage, memory and links against published measurements; each test says how far the model is from them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hwsim.hardware import System, catalogue
from hwsim.hardware.curve import Curve
from hwsim.hardware.fabric import Fabric
from hwsim.hardware.find import find, find_device
from hwsim.hardware.memory import interleaved, loaded_latency, mixed, thread_bandwidth
from hwsim.hardware.storage import Drive
from tests.hardware.test_fabric import GB, finish

KIB, MIB, GIB = 1024, 1024**2, 1024**3


def drive(name: str) -> Drive:
    return Drive(find_device(name, "ssd"))


# -- drives: figures that are not points of a curve, so that the law between them is what is tested ----------------


@pytest.mark.parametrize(
    ("name", "depth", "write", "kiops", "within"),
    [
        ("samsung-970-evo-1tb", 1, False, 15, 0.01),  # 67 us
        ("samsung-970-evo-1tb", 1, True, 50, 0.01),
        ("samsung-970-evo-1tb", 128, False, 500, 0.01),
        ("samsung-970-evo-250gb", 128, True, 350, 0.80),  # the sustained rate after the cache binds first: 73 k
        ("samsung-980-1tb", 1, False, 17, 0.01),
        ("samsung-980-1tb", 32, False, 500, 0.01),
        ("samsung-980-1tb", 32, True, 480, 0.01),
        ("optane-p5800x-1.6tb", 1, False, 74.9, 0.03),
        ("optane-p4800x-375gb", 1, False, 112, 0.01),
        ("optane-p4800x-375gb", 16, False, 559, 0.01),
        ("p3700-800gb", 16, False, 167, 0.01),
        ("p3700-800gb", 4, False, 46, 0.10),  # between depths: log-log
        ("samsung-980-pro-1tb", 1024, False, 707, 0.42),  # the data sheet's million, through a filesystem
        ("board-nvme-pcie2-x1", 32, False, 109, 0.03),
        ("d7-p5810-800gb", 256, False, 865, 0.01),
    ],
)
def test_small_accesses(name: str, depth: int, write: bool, kiops: float, within: float) -> None:
    found = drive(name).speed(4 * KIB, depth, write=write).alone / (4 * KIB) / 1e3
    assert found == pytest.approx(kiops, rel=within)


@pytest.mark.parametrize(
    ("kib", "random", "measured"),
    [(4, 24.9, 40.9), (8, 46.4, 86.8), (16, 81.2, 168), (32, 134, 298), (128, 322, 557), (256, 484, 560)],
)
def test_a_consumer_drive_by_size_at_depth_one(kib: int, random: float, measured: float) -> None:
    one = drive("consumer-nvme-1tb")
    assert one.speed(kib * KIB, 1).alone == pytest.approx(random * 1e6)
    assert one.speed(kib * KIB, 1, random=False).alone == pytest.approx(measured * 1e6)
    assert one.speed(kib * KIB, 1).measured


def test_reads_and_writes_mixed_on_one_drive() -> None:
    """Device-seconds say 373 and 356 MiB/s at 70/30 and 50/50; measured 332 of both: 8 to 13 % less."""
    one = drive("consumer-nvme-1tb")
    read = one.speed(4 * KIB, 32).alone
    write = one.speed(4 * KIB, 32, write=True).alone
    for share, measured in ((1.0, 400), (0.0, 321), (0.7, 332), (0.5, 332)):
        rate = 1 / (share / read + (1 - share) / write) / MIB
        assert rate == pytest.approx(measured, rel=0.13)


def test_speed_rises_with_size_and_depth_and_never_beats_the_drive() -> None:
    for name in catalogue.names("ssd"):
        one = drive(name)
        for write in (False, True):
            whole = (one.write_bandwidth if write else one.read_bandwidth) or 0.0
            for random in (False, True):
                sizes = [512 * 2**k for k in range(16)]
                for depth in (1, 3, 8, 64, None):
                    rates = [one.speed(size, depth, write=write, random=random) for size in sizes]
                    assert all(a.alone <= b.alone * (1 + 1e-9) for a, b in pairwise(rates)), name
                    assert all(rate.alone <= rate.saturated * (1 + 1e-9) for rate in rates)
                    assert rates[-1].alone <= whole * (1 + 1e-9) or not whole
                for size in sizes:
                    depths = [one.speed(size, q, write=write, random=random).alone for q in (1, 2, 4, 16, 64, 256)]
                    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(depths)), (name, size)


def test_burst_writes_end_when_the_cache_is_full() -> None:
    one = drive("samsung-970-evo-1tb")
    held = 36e9 / (1 - 1.2 / 2.5)
    assert one.write_seconds(10e9) == pytest.approx(10e9 / 2.5e9)
    assert one.write_seconds(held) == pytest.approx(held / 2.5e9)
    assert one.write_seconds(held + 12e9) == pytest.approx(held / 2.5e9 + 10)
    assert drive("d7-p5510-3.84tb").write_seconds(4.2e9) == pytest.approx(1.0)


def test_life_of_a_drive() -> None:
    assert drive("samsung-970-evo-1tb").life_years(600e12, 365 * 86400) == pytest.approx(1.0)
    rated = drive("d7-p5510-3.84tb")
    assert rated.endurance == pytest.approx(1 * 3.84e12 * 5 * 365)
    assert rated.life_years(3.84e12, 86400) == pytest.approx(5.0)
    assert Drive(rated.device, 4).life_years(3.84e12, 86400) == pytest.approx(20.0)
    assert drive("ufs-3.1-256gb").life_years(1e9, 1) is None


# -- phone and laptop flash, cards ----------------------------------------------------------------------------------


def test_phone_flash() -> None:
    flash = drive("ufs-4.0-1tb")
    for size, random, rate in ((4e3, True, 1.0e9), (512e3, True, 3.5e9), (4e3, False, 0.45e9), (512e3, False, 4.0e9)):
        assert flash.speed(size, 1, random=random).alone == pytest.approx(rate)
    assert flash.speed(4e3, 1, issuers=2).alone == pytest.approx(0.6e9)
    # a single command queue: more commands at once bring nothing
    assert flash.speed(4e3, 8).alone == pytest.approx(1.0e9)
    fabric = Fabric(System.of({"node": {"like": "oneplus-12", "flash": "ufs-4.0-1tb"}}))
    queue = fabric.slot("flash")
    assert queue is not None and queue.count == 1 and fabric.slot("flash") is queue
    assert finish(fabric.transfer("flash", "dram", 1e9, io_size=4e3)) == pytest.approx([1.0], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "rate", "within"),
    [
        ("sd-card-64gb", 64 * KIB, 54e6, 0.20),  # t = 225 us + s/92 MB/s
        ("emmc-5.1-64gb", 16 * KIB, 118e6, 0.15),  # between 84 and 166 MB/s
        ("ssd-apple-m1-max-1tb", 1 * GIB, 6.1e9, 0.03),
        ("jetson-orin-nvme", 148 * KIB, 2.5e9, 0.10),
    ],
)
def test_flash_between_its_points(name: str, size: float, rate: float, within: float) -> None:
    depth = {"ssd-apple-m1-max-1tb": 32, "jetson-orin-nvme": 6}.get(name, 1)
    assert drive(name).speed(size, depth).alone == pytest.approx(rate, rel=within)


def _curves() -> list[tuple[str, str, Curve]]:
    devices = [find(name) for name in catalogue.names() if catalogue.product(name)["kind"] != "node"]
    return [(device.name, name, curve) for device in devices for name, curve in getattr(device, "curves", {}).items()]


def test_a_point_left_out_is_found_again_by_interpolation() -> None:
    """Leave-one-out over all inner points of all curves: median error below 7 %, nine in ten below 30 %."""
    errors: list[float] = []
    for _, _, curve in _curves():
        for key, points in curve.series.items():
            for place in range(1, len(points) - 1):
                left = Curve(curve.shape, {key: points[:place] + points[place + 1 :]}, "", "SEEN")
                x, y = points[place]
                errors.append(abs(math.log(left.at(x, key).value / y)))
    errors.sort()
    assert len(errors) > 60
    assert errors[len(errors) // 2] < 0.07
    assert errors[len(errors) * 9 // 10] < 0.26


def test_points_are_read_back_and_beyond_them_said_so() -> None:
    for name, figure, curve in _curves():
        for key, points in curve.series.items():
            second = key if len(curve.shape.axes) == 2 else None
            for x, y in points:
                assert curve.at(x, second) == (y, True), (name, figure)
            assert curve.at(points[-1][0] * 2, second) == (points[-1][1], False)
            assert curve.at(points[0][0] / 2, second) == (points[0][1], False)


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kib", "gbps"), [(4, 1.1), (16, 4.3), (64, 14.4), (256, 31.7), (1024, 44.3), (16384, 51.2)])
def test_copies_of_many_blocks_over_pcie5(kib: int, gbps: float) -> None:
    """1,000 blocks from host to GPU: within 8 % of the measurement (the bulk rate used is that of larger copies)."""
    fabric = Fabric(System.of({"node": {"like": "workstation", "gpu": "H100-SXM"}}))
    size = 1000 * kib * KIB
    (seconds,) = finish(fabric.transfer("dram", "gpu0", size, messages=1000))
    assert size / seconds == pytest.approx(gbps * 1e9, rel=0.08)


@pytest.mark.parametrize(("kib", "gbps"), [(4, 0.12), (64, 1.77), (512, 7.53), (2048, 10.5), (262144, 12.35)])
def test_one_pinned_copy_over_pcie3(kib: int, gbps: float) -> None:
    fabric = Fabric(System.of({"node": {"like": "workstation", "gpu": "V100-PCIe-16GB"}}))
    (seconds,) = finish(fabric.transfer("dram", "gpu0", kib * KIB))
    assert kib * KIB / seconds == pytest.approx(gbps * 1e9, rel=0.01)


def test_both_directions_of_pcie5_at_once() -> None:
    """83.4 GB/s in all against 55 one way."""
    fabric = Fabric(System.of({"node": {"like": "workstation", "gpu": "H100-SXM"}}))
    times = finish(fabric.transfer("dram", "gpu0", 41.7 * GB), fabric.transfer("gpu0", "dram", 41.7 * GB))
    assert times == pytest.approx([1.0, 1.0], rel=1e-3)
    assert finish(fabric.transfer("dram", "gpu0", 55.43 * GB)) == pytest.approx([1.0], rel=1e-3)


def test_nvlink_copies() -> None:
    """396 GB/s one way, 784 both ways (792 here, 1 % more); C2C of a GH200 377 in and 297 out."""
    fabric = Fabric(System.of({"node": "hgx-h200"}))
    both = finish(fabric.transfer("gpu0", "gpu1", 392 * GB), fabric.transfer("gpu1", "gpu0", 392 * GB))
    assert both == pytest.approx([1.0, 1.0], rel=0.011)
    grace = Fabric(System.of({"node": "gh200-1"}))
    assert grace.route("gpu0", "dram").rate == 297e9
    assert grace.system.capacities()["gpu0.pcie.h2d"] == 377e9


# -- arrays and direct storage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drives", "gbps", "within"),
    [
        (1, 7.13, 0.01), (2, 14.3, 0.01), (4, 28.6, 0.01), (8, 57.6, 0.01), (10, 71.7, 0.01), (11, 74.3, 0.06),
        (12, 81.1, 0.06), (14, 94.4, 0.06), (18, 120, 0.07), (20, 120, 0.07), (22, 127, 0.01), (24, 110, 0.16),
        (26, 118, 0.08), (30, 131, 0.04),
    ],
)  # fmt: skip
def test_many_drives_on_one_host(drives: int, gbps: float, within: float) -> None:
    """Linear to ten drives, then the root complex: within 7 %, but for a dip at 24 drives."""
    ssd = {"like": "gen4-array-drive-7.68tb", "count": drives, "raid": "0"}
    cpu = {"like": "EPYC-9654", "count": 1}
    fabric = Fabric(System.of({"node": {"like": "workstation", "cpu": cpu, "ssd": ssd}}))
    assert fabric.route("ssd", "dram").rate == pytest.approx(gbps * 1e9, rel=within)


def test_direct_storage_to_gpus() -> None:
    """Four Gen5 drives: 24.3 GiB/s to one PCIe4 GPU (8 % less than the link), 53.0 to four (2 % less than drives)."""
    node = {
        "like": "workstation",
        "cpu": {"like": "EPYC-9654", "count": 1},
        "gpu": {"like": "L40S", "count": 4},
        "ssd": {"like": "d7-ps1010-7.68tb", "count": 4, "raid": "0"},
    }
    fabric = Fabric(System.of({"node": node}))
    assert fabric.route("ssd", "gpu0").rate / GIB == pytest.approx(24.3, rel=0.09)
    size = 10 * GIB
    times = finish(*(fabric.transfer("ssd", f"gpu{i}", size) for i in range(4)))
    assert 4 * size / max(times) / GIB == pytest.approx(53.0, rel=0.03)


def test_a_bounce_buffer_takes_main_memory_twice() -> None:
    node = {"like": "workstation", "gpu": "L40S", "ssd": {"like": "D7-P5510-3.84TB", "count": 4, "raid": "0"}}
    fabric = Fabric(System.of({"node": node}))
    direct, bounced = fabric.route("ssd", "gpu0"), fabric.route("ssd", "gpu0", via="dram")
    takes = {capacity.name: units for capacity, units in zip(bounced.capacities, bounced.per_byte, strict=True)}
    assert takes["dram"] == 2.0 and "dram" not in {capacity.name for capacity in direct.capacities}
    assert bounced.latency_s > direct.latency_s or bounced.rate == direct.rate
    # with memory busy, the copy through it is the one that suffers
    dram = fabric.capacity("dram").rate

    def beside_memory(via: str | None) -> float:
        busy = [fabric.transfer("dram", "dram", dram) for _ in range(6)]
        return finish(fabric.transfer("ssd", "gpu0", 20 * GB, via=via), *busy)[0]

    assert beside_memory(None) == pytest.approx(20 * GB / direct.rate, rel=1e-3)
    assert beside_memory("dram") > 1.2 * beside_memory(None)


def test_page_faults_wait_for_one_read_after_the_other() -> None:
    """Random touches wait for every 4 KiB: two orders of magnitude below the drive; reading ahead helps."""
    fabric = Fabric(System.of({"node": {"like": "workstation", "ssd": "consumer-nvme-1tb"}}))
    size = 64 * MIB
    (random,) = finish(fabric.page_faults("ssd", "dram", size, readahead=4096))
    assert random == pytest.approx(size / 4096 * (4096 / 24.9e6 + 1e-6), rel=1e-3)
    (ahead,) = finish(fabric.page_faults("ssd", "dram", size))
    assert ahead == pytest.approx(size / 131072 * (131072 / 557e6 + 32e-6), rel=1e-3)
    (four,) = finish(fabric.page_faults("ssd", "dram", size, readahead=4096, threads=4))
    assert random / 4 <= four < random


# -- memory ------------------------------------------------------------------------------------------------------------


def test_cxl_mixes() -> None:
    """A 96 GB x8 card: 17.8 GB/s read, 23.6 at 3:1 and 25.1 at 2:1; each direction of the link has its limit."""
    for reads, measured in ((1.0, 17.8), (3 / 4, 23.6), (2 / 3, 25.1)):
        assert mixed(17.8, 17.8, 25.1, reads) == pytest.approx(measured, rel=0.01)
    fabric = Fabric(System.of({"node": {"like": "cxl-server", "cxl": {"count": 1}}}))
    both = finish(fabric.transfer("cxl", "dram0", 12.55 * GB), fabric.transfer("dram0", "cxl", 12.55 * GB))
    assert both == pytest.approx([1.0, 1.0], rel=1e-3)
    assert finish(fabric.transfer("cxl", "dram0", 17.8 * GB)) == pytest.approx([1.0], rel=1e-3)


def test_cxl_cards_add_up_when_interleaved() -> None:
    """Four CZ120 with twelve channels: +24 % measured, +25 % here; eight CZ122 with twelve faster ones: +24, +28 %."""
    genoa, granite = 378e9, 500e9
    assert interleaved([genoa, *[24e9] * 4]) / genoa == pytest.approx(1.24, rel=0.02)
    assert interleaved([granite, *[17.8e9] * 8]) / granite == pytest.approx(1.24, rel=0.04)
    # the other way round: equal weights are as slow as the slowest
    assert interleaved([genoa, 24e9], [1, 1]) == 48e9
    fabric = Fabric(System.of({"node": "cxl-server"}))
    assert fabric.route("cxl", "dram").rate == pytest.approx(4 * 17.8e9)
    near, far = fabric.route("cxl0", "dram0"), fabric.route("cxl0", "dram1")
    assert far.latency_s - near.latency_s == pytest.approx(168e-9 - 113e-9)


@pytest.mark.parametrize(
    ("host", "points"),
    [
        ("Xeon-mlc-host-a", [(17.8, 86.4), (33.4, 89.4), (42.9, 91.3), (60.4, 96.7), (83.2, 101.2), (102.2, 110.6)]),
        ("Xeon-mlc-host-b", [(20, 229), (48, 243), (62, 249), (97, 261)]),
    ],
)
def test_latency_under_load(host: str, points: list[tuple[float, float]]) -> None:
    """The law against two public logs: within 8 % to 65 % of the bandwidth; full queues within a factor of two."""
    cpu = find_device(host, "cpu")
    law = find_device({"dram": {"latency": cpu.need("dram.latency"), "achieved": cpu.need("dram.achieved")}}, "cpu")
    for bandwidth, nanoseconds in points:
        assert loaded_latency(law, bandwidth * 1e9, prefix="dram.").value == pytest.approx(nanoseconds * 1e-9, rel=0.08)
        assert loaded_latency(cpu, bandwidth * 1e9, prefix="dram.") == (pytest.approx(nanoseconds * 1e-9), True)
    full = loaded_latency(cpu, 1e12, prefix="dram.")
    assert not full.inside
    assert 0.5 < loaded_latency(law, 1e12, prefix="dram.").value / full.value < 2


def test_cxl_latency_rises_early() -> None:
    """Melody: 60 ns more by 50 to 86 % of the bandwidth, where local memory is flat to 90 %."""
    for name, idle in (("melody-cxl-a", 214), ("melody-cxl-c", 394)):
        card = find_device(name, "cxl")
        most = card.need("read_bandwidth")
        assert loaded_latency(card, 0.1 * most).value == pytest.approx(idle * 1e-9)
        assert loaded_latency(card, 0.86 * most).value - idle * 1e-9 == pytest.approx(60e-9)
        assert loaded_latency(card, most).value > 1.1e-6


def test_threads_draw_what_their_misses_allow() -> None:
    assert thread_bandwidth(100e-9, 1, 10, 1e12) == pytest.approx(6.4e9)
    assert thread_bandwidth(100e-9, 64, 10, 200e9) == 200e9


def test_a_phone_shares_its_memory() -> None:
    """Processor alone 43.9 GB/s, NPU alone 56, both together 59.6 (PowerInfer-2)."""
    fabric = Fabric(System.of({"node": "oneplus-12"}))
    assert fabric.route("dram", "cpu.cores").rate == 43.9e9
    assert fabric.route("dram", "npu").rate == 56e9
    both = finish(fabric.transfer("dram", "cpu.cores", 29.8 * GB), fabric.transfer("dram", "npu", 29.8 * GB))
    assert both == pytest.approx([1.0, 1.0], rel=1e-3)
