"""Kernel laws against the measured rows they were fitted on, and against rows they were not."""

from __future__ import annotations

import csv
import gzip
import math
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from hwsim.cost.collective import Algorithm, CollectiveLaw
from hwsim.cost.efficiency import Efficiency, coefficients, find
from hwsim.cost.launch import CaptureSizes, vllm_capture_sizes
from hwsim.errors import FitError, ScenarioError
from hwsim.hardware.find import find_device

# Microseconds of bf16 products with N = K = 4096 by M, vLLM kernels (AIConfigurator).
PRODUCTS = {
    "H100-SXM": {1: 16.1, 16: 16.6, 64: 15.3, 256: 18.9, 512: 24.6, 1024: 44.1, 4096: 174.1, 8192: 367},
    "A100-SXM-80GB": {
        1: 24.1,
        16: 26.6,
        64: 27.2,
        256: 54.4,
        512: 91.0,
        1024: 203.9,
        4096: 539.5,
        8192: 1108,
    },
}
# Microseconds of all-reduces over 8 GPUs by bytes: in a captured graph (H100), and NCCL for large ones.
GRAPH = {
    2048: 4.5,
    16384: 5.2,
    65536: 6.4,
    262144: 10.7,
    1 << 20: 14.8,
    2 << 20: 19.4,
    4 << 20: 30.6,
    8 << 20: 50.7,
}
NCCL = {
    "H100-SXM": {16 << 20: 123, 64 << 20: 324, 256 << 20: 1093, 512 << 20: 2112},
    "A100-SXM-80GB": {16 << 20: 217, 64 << 20: 595, 256 << 20: 2183, 512 << 20: 4226},
}


@cache
def laws(device: str) -> Efficiency:
    return find(find_device(device, "gpu"))


def product_us(device: str, m: int, n: int, k: int) -> float:
    law = laws(device)
    peak = {"H100-SXM": 989e12, "A100-SXM-80GB": 312e12}[device]
    body = law.gemm.body(m, n, k, peak, "bf16", 2.0 * n * k, 2)
    return (law.launch.graph + body.total) * 1e6


@pytest.mark.parametrize(("device", "rms"), [("H100-SXM", 0.048), ("A100-SXM-80GB", 0.076)])
def test_products_are_as_close_as_their_file_says(device: str, rms: float) -> None:
    errors = [math.log(product_us(device, m, 4096, 4096) / time) for m, time in PRODUCTS[device].items()]
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) < rms


@pytest.mark.parametrize("device", list(PRODUCTS))
@pytest.mark.parametrize(("m", "n", "k"), [(1, 4096, 4096), (300, 6144, 4096), (8192, 28672, 8192), (64, 64, 128)])
def test_a_product_is_never_faster_than_its_roofline(device: str, m: int, n: int, k: int) -> None:
    gpu, law = find_device(device, "gpu"), laws(device)
    body = law.gemm.body(m, n, k, gpu.peak("bf16"), "bf16", 2.0 * n * k, 2)
    assert body.total >= max(body.compute, body.memory)
    assert body.compute >= 2 * m * n * k / gpu.peak("bf16")
    assert body.memory >= 2 * (n * k + m * n + m * k) / gpu.hbm_bandwidth


@pytest.mark.parametrize("device", list(PRODUCTS))
def test_products_grow_with_every_side(device: str) -> None:
    for n, k in ((4096, 4096), (6144, 1024), (1000, 12345)):
        times = [product_us(device, m, n, k) for m in range(1, 1500, 7)]
        assert times == sorted(times)
    widths = [product_us(device, 100, n, 4096) for n in range(64, 9000, 97)]
    assert widths == sorted(widths)
    depths = [product_us(device, 100, 4096, k) for k in range(64, 9000, 97)]
    assert depths == sorted(depths)


def test_one_row_more_than_the_tiles_hold_costs_a_tile() -> None:
    law = laws("H100-SXM").gemm
    peak, args = 989e12, ("bf16", 2.0 * 65536 * 65536, 2)
    full, more = (law.body(m, 65536, 65536, peak, *args).compute for m in (128, 129))
    assert more > full * 1.1


def test_decode_attention_is_affine_and_bounded_by_bandwidth() -> None:
    law = laws("H100-SXM").decode
    assert all(law.seconds_per_byte(items) > 1 / 3.35e12 for items in (1, 8, 2048))
    assert law.seconds_per_byte(8) > law.seconds_per_byte(512)
    fixed = [law.fixed(items) for items in range(1, 4096, 13)]
    assert fixed == sorted(fixed)


def test_small_all_reduces_in_a_graph() -> None:
    law = laws("H100-SXM").collective
    for size, time in GRAPH.items():
        assert law.all_reduce(8, size) * 1e6 == pytest.approx(time, rel=0.13)


@pytest.mark.parametrize("device", list(NCCL))
def test_large_all_reduces(device: str) -> None:
    law = laws(device).collective
    for size, time in NCCL[device].items():
        assert law.all_reduce(8, size) * 1e6 == pytest.approx(time, rel=0.07)


@pytest.mark.parametrize("device", list(NCCL))
def test_all_reduce_grows_with_size_and_scales_with_the_link(device: str) -> None:
    law = laws(device).collective
    gpu = find_device({"like": device, "nvlink": {"bandwidth": "900 GB/s"}}, "gpu")
    faster = find(gpu).collective
    for ranks in (2, 3, 4, 6, 8):
        sizes = [1000 * 1.3**step for step in range(50)]
        times = [law.all_reduce(ranks, size) for size in sizes]
        assert times == sorted(times)
        assert all(faster.all_reduce(ranks, size) < time for size, time in zip(sizes, times, strict=True))
    assert law.all_reduce(1, 1e9) == 0.0
    assert law.all_gather(8, 1e9) < law.all_reduce(8, 1e9)


def test_group_sizes_between_measured_ones() -> None:
    law = CollectiveLaw({4: (Algorithm(10e-6, 100e9, 1.5, math.inf),)})
    assert law.all_reduce(3, 0) == 10e-6
    assert law.all_reduce(3, 3e6) == pytest.approx(10e-6 + 4 / 3 * 3e6 / 100e9)
    with pytest.raises(FitError, match="at most 4 ranks"):
        law.all_reduce(5, 1)


def test_devices_without_coefficients_borrow_or_are_refused() -> None:
    assert laws("H100-SXM").borrowed == ""
    assert laws("H20").borrowed == "H100-SXM" and "borrowed from H100-SXM" in laws("H20").source
    assert laws("A100-PCIe-40GB").borrowed == "A100-SXM-80GB"
    assert laws("RTX-4090").borrowed in ("A100-SXM-80GB", "H100-SXM", "L40S")
    assert laws("A100-SXM-80GB").sections["moe"] == "H100-SXM" and laws("A100-SXM-80GB").statuses["moe"] == "BORROWED"
    with pytest.raises(ScenarioError, match="did you mean h100-sxm-vllm"):
        find(find_device("H100-SXM", "gpu"), name="h100-smx-vllm")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("source:", "sauce:", "gemm: no source|stream: no source"),
        ("status: FIT", "status: SURE", "expected one of SEEN"),
        ("ramp: 3.55 us", "ramp: 3.55 GB", "wrong unit"),
        ("  exponent: 3\n", "", "exponent is missing"),
    ],
)
def test_files_of_coefficients_are_checked(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (coefficients.FOLDER / "h100-sxm-vllm.yaml").read_text()
    assert old in text
    file = tmp_path / "x.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(ScenarioError, match=says):
        coefficients.read(file, find_device("H100-SXM", "gpu"))


def test_capture_sizes_follow_vllm() -> None:
    sizes = vllm_capture_sizes(256, 8192)
    assert sizes[:6] == (1, 2, 4, 8, 16, 24)
    assert 248 in sizes and 256 in sizes and 264 not in sizes and 272 in sizes and sizes[-1] == 512
    graphs = CaptureSizes(sizes)
    assert [graphs.padded(n) for n in (1, 3, 5, 257, 512, 513)] == [1, 4, 8, 272, 512, 513]
    assert vllm_capture_sizes(100, 8192)[-1] == 200 and 100 in vllm_capture_sizes(100, 8192)
    assert 264 in vllm_capture_sizes(256, 8192, fine=True)
    assert CaptureSizes(()).padded(7) == 7


@pytest.mark.data
@pytest.mark.parametrize(
    ("device", "name", "worst"),
    [("H100-SXM", "h100_gemm_vllm-0.24.0", 0.07), ("A100-SXM-80GB", "a100_gemm_sglang-0.5.10", 0.09)],
)
def test_products_of_other_shapes(data_dir: Path, device: str, name: str, worst: float) -> None:
    file = data_dir / "gpu_kernels" / f"{name}.csv.gz"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    errors: list[float] = []
    gpu, law = find_device(device, "gpu"), laws(device)
    with gzip.open(file, "rt") as lines:
        for index, row in enumerate(csv.DictReader(lines)):
            if index % 7 or row["gemm_dtype"] != "bfloat16":
                continue
            m, n, k = int(row["m"]), int(row["n"]), int(row["k"])
            if (n, k) != (4096, 4096) and min(n, k) >= 1024 and max(n, k) < 20000:
                body = law.gemm.body(m, n, k, gpu.peak("bf16"), "bf16", 2.0 * n * k, 2)
                errors.append(abs(math.log((law.launch.graph + body.total) * 1e6 / float(row["latency_us"]))))
    assert len(errors) > 1000 and median(errors) < worst
