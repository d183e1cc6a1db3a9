"""Links and flash that lose rate with small pieces or slow issuers, against published measurements."""

from __future__ import annotations

import pytest

from hwsim.hardware import System
from hwsim.hardware.fabric import Fabric
from hwsim.hardware.find import find_device
from hwsim.hardware.storage import Drive
from tests.hardware.test_fabric import finish

KIB = 1024


@pytest.mark.parametrize(
    ("kib", "gbps"),
    [(4, 0.9), (8, 2.3), (16, 4.6), (64, 15.3), (128, 21.5), (256, 29.3), (1024, 42.5), (4096, 48.6), (16384, 50.7)],
)
def test_blocks_from_a_gpu_over_pcie5(kib: int, gbps: float) -> None:
    """1,000 blocks to the host: within 9 % (large ones reach the rate of one large copy here)."""
    fabric = Fabric(System.of({"node": {"like": "workstation", "gpu": "H100-SXM"}}))
    size = 1000 * kib * KIB
    (seconds,) = finish(fabric.transfer("gpu0", "dram", size, messages=1000))
    assert size / seconds == pytest.approx(gbps * 1e9, rel=0.09)


@pytest.mark.parametrize(
    ("way", "kib", "gbps"),
    [("h2d", 4, 12.5), ("h2d", 16, 30.6), ("h2d", 32, 36.0), ("h2d", 1024, 47.5), ("d2h", 8, 22), ("d2h", 64, 41)],
)
def test_loads_and_stores_of_a_kernel_beat_small_copies(way: str, kib: int, gbps: float) -> None:
    """A kernel's own accesses to host memory; 32 KiB lies between two points that were read off."""
    gpu = find_device("H100-SXM", "gpu")
    found = gpu.curves[f"zero_copy.{way}_by_size"].at(kib * KIB).value
    assert found == pytest.approx(gbps * 1e9, rel=0.03)
    if kib <= 64:
        assert found > 2 * gpu.curves[f"pcie.{way}_by_size"].at(kib * KIB).value


def test_slow_cores_read_a_phone_s_flash_slower() -> None:
    """1,076, 1,008 and 762 MB/s in 4 KB reads from a big, middle and little core."""
    device = find_device("ufs-4.0-1tb", "ssd")
    rate = Drive(device).speed(4e3, 1).alone
    found = [rate * device.need(f"issuer.{core}") / 1e6 for core in ("big", "mid", "little")]
    assert found == pytest.approx([1076, 1008, 762], rel=0.075)


@pytest.mark.parametrize(
    ("name", "kib", "write", "rate"),
    [
        ("emmc-hs200-8gb", 4, False, 17e6),
        ("emmc-hs200-8gb", 512, False, 153e6),
        ("emmc-5.1-64gb", 512, False, 262e6),
        ("sd-card-64gb", 8, False, 25.1e6),
        ("sd-card-64gb", 64, True, 40e6),
        ("sd-card-64gb", 4, True, 5.6e6),
    ],
)
def test_cards_of_small_boards(name: str, kib: int, write: bool, rate: float) -> None:
    found = Drive(find_device(name, "ssd")).speed(kib * KIB, 1, write=write)
    assert found.measured and found.alone == pytest.approx(rate, rel=1e-6)


def test_memory_of_the_other_socket_and_cards_behind_it() -> None:
    """Cards of the other socket are as far as its memory: less rate, and its latency on top."""
    fabric = Fabric(System.of({"node": "cxl-server"}))
    near, far = fabric.route("cxl0", "dram0"), fabric.route("cxl0", "dram1")
    assert far.rate <= near.rate and far.latency_s > near.latency_s
    own, other = fabric.route("dram0", "cpu0"), fabric.route("dram1", "cpu0")
    assert other.rate < 0.5 * own.rate
