"""Laws at their corners (roofline, monotonicity, affinity, loads) and the files of coefficients."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hwsim.cost.arithmetic import norm
from hwsim.cost.collective import CollectiveLaw, Stretch
from hwsim.cost.efficiency import Efficiency, coefficients, find
from hwsim.cost.launch import CaptureSizes, vllm_capture_sizes
from hwsim.cost.line import NARROW, TOLERANCE, chord
from hwsim.cost.routing import load
from hwsim.errors import FitError, ScenarioError
from hwsim.hardware.find import find_device

MEASURED = ["H100-SXM", "A100-SXM-80GB", "B200-SXM", "L40S"]
# Microseconds of bf16 products with N = K = 4096 by M (AIConfigurator); the laws were fitted on many other shapes.
PRODUCTS = {
    "H100-SXM": {16: 16.6, 256: 18.9, 1024: 44.1, 4096: 174.1, 8192: 367},
    "A100-SXM-80GB": {16: 26.6, 256: 54.4, 1024: 203.9, 4096: 539.5, 8192: 1108},
}


@cache
def laws(device: str) -> Efficiency:
    return find(find_device(device, "gpu"))


@pytest.mark.parametrize("device", list(PRODUCTS))
def test_products_are_near_measured_ones(device: str) -> None:
    law, peak = laws(device), find_device(device, "gpu").peak("bf16")
    for m, time in PRODUCTS[device].items():
        body = law.gemm.body(m, 4096, 4096, peak, "bf16", 2.0 * 4096 * 4096, 2)
        assert (law.launch.graph + body.total) * 1e6 == pytest.approx(time, rel=0.25)


@pytest.mark.parametrize("device", MEASURED)
@pytest.mark.parametrize(("m", "n", "k"), [(1, 4096, 4096), (300, 6144, 4096), (8192, 28672, 8192), (64, 64, 128)])
def test_a_product_is_never_faster_than_its_roofline(device: str, m: int, n: int, k: int) -> None:
    gpu, law = find_device(device, "gpu"), laws(device)
    body = law.gemm.body(m, n, k, gpu.peak("bf16"), "bf16", 2.0 * n * k, 2)
    assert body.total >= max(body.compute, body.memory)
    assert body.compute >= 2 * m * n * k / gpu.peak("bf16")
    assert body.memory >= 2 * n * k / gpu.hbm_bandwidth


@pytest.mark.parametrize("device", MEASURED)
def test_products_grow_with_every_side(device: str) -> None:
    gemm, peak = laws(device).gemm, find_device(device, "gpu").peak("bf16")

    def grows(shapes: list[tuple[int, int, int]]) -> bool:
        times = [gemm.body(*shape, peak, "bf16", 2.0 * shape[1] * shape[2], 2).total for shape in shapes]
        # more tiles may fill the SMs better, so a step down of a few percent is real
        return all(b > 0.9 * a for a, b in itertools.pairwise(times)) and times[-1] > times[0]

    assert grows([(m, 4096, 4096) for m in range(1, 1500, 23)])
    assert grows([(100, n, 4096) for n in range(64, 9000, 201)])
    assert grows([(100, 4096, k) for k in range(64, 9000, 201)])


def test_eight_bit_products_include_the_rounding_of_activations() -> None:
    law = laws("H100-SXM").gemm
    args = (8192, 128, 128, 1979e12, "fp8", 128.0 * 128, 2)
    assert law.body(*args).total > law.kernel("fp8").rounding(8192, 128) > law.body(*args).compute


@pytest.mark.parametrize("device", MEASURED)
def test_decode_attention_grows_and_is_bounded_by_bandwidth(device: str) -> None:
    law, gpu = laws(device).decode, find_device(device, "gpu")
    for rows in (1, 7, 64, 512):
        times = []
        for each in (16, 100, 1000, 10_000, 100_000):
            context = rows * each
            line = law.line(rows, context, 32, 8, 128, 2)
            assert line.low <= context <= line.limit and line.per_token >= 0
            times.append(line.fixed + line.per_token * context)
            assert times[-1] >= 2 * 2 * 8 * 128 * context / gpu.hbm_bandwidth
        assert times == sorted(times)


def test_pieces_of_a_line_meet_and_stay_near_the_law() -> None:
    def law(context: float) -> float:
        return norm(1.5, 5e-6, context * 1e-10) + min(context, 20_000) * 1e-10

    context = 0
    while context < 300_000:
        line = chord(law, context)
        assert line.low == context  # pieces neither overlap nor leave gaps
        end = line.limit + 1
        for at in {line.low, (line.low + end) // 2, line.limit}:
            assert chord(law, at) == line
            near = line.low == 0 or end > NARROW * line.low + 2
            assert line.fixed + line.per_token * at == pytest.approx(law(at), rel=5 * TOLERANCE if near else 0.02)
        context = end


def test_columns_and_numbers_give_the_same_times() -> None:
    law = laws("H100-SXM")
    m, n, k = (np.array(side, float) for side in ([1, 64, 5000], [128, 4096, 6144], [4096, 512, 2048]))
    gemm, decode = law.gemm.kernel("bf16"), law.decode.kernel(2)
    prefill, moe = law.prefill.kernel(2), law.moe.kernel("bf16", 2)
    together = gemm.seconds(m, n, k, 989e12, n * k * 2, 2, 6, np)
    rows = decode.seconds(m, n, 32, 8, 128, 2, np, warm=True)
    prompts = prefill.seconds(m, k, 32, 8, 128, 989e12, 2, xp=np)
    padded = [np.full(3, 100.0 * b) for b in (1, 2, 3, 4, 5, 6)]
    experts = moe.seconds(m, m * 8, np.full(3, 20.0), padded, m, n, k, 3, 2, 989e12, xp=np)
    for i in range(3):
        a, b, c = int(m[i]), int(n[i]), int(k[i])
        assert gemm.seconds(a, b, c, 989e12, b * c * 2, 2, 6) == pytest.approx(together[i], rel=1e-12)
        assert decode.seconds(a, b, 32, 8, 128, 2, warm=True) == pytest.approx(rows[i], rel=1e-12)
        assert prefill.seconds(a, c, 32, 8, 128, 989e12, 2) == pytest.approx(prompts[i], rel=1e-12)
        one = moe.seconds(a, a * 8, 20.0, [100.0 * x for x in (1, 2, 3, 4, 5, 6)], a, b, c, 3, 2, 989e12)
        assert one == pytest.approx(experts[i], rel=1e-12)


@pytest.mark.parametrize("device", MEASURED)
def test_prefill_and_experts_are_never_faster_than_their_rooflines(device: str) -> None:
    law, gpu = laws(device), find_device(device, "gpu")
    peak = gpu.peak("bf16")
    for new, past in ((16, 0), (512, 0), (8192, 0), (512, 8192)):
        body = law.prefill.body(new, past, 32, 8, 128, peak, 2)
        assert body.total >= 4 * 32 * 128 * (new * past + new * new / 2) / peak
        windowed = law.prefill.body(new, past, 32, 8, 128, peak, 2, 128)
        assert windowed.total <= body.total
    for tokens in (1, 64, 4096):
        body = law.moe.body(tokens, 128, 8, 4096, 1536, 2, 2, peak)
        active = load(tokens, 128, 8).active
        assert body.total >= max(
            2 * tokens * 8 * 3 * 4096 * 1536 / peak, active * 3 * 4096 * 1536 * 2 / gpu.hbm_bandwidth
        )


def test_loads_of_experts() -> None:
    assert load(16, 128, 8, 1, "balanced") == (128, 128, tuple(128.0 * b for b in (8, 16, 32, 64, 128, 256)))
    uniform = load(16, 128, 8)
    assert uniform.active == pytest.approx(128 * (1 - (1 - 8 / 128) ** 16))
    assert load(4096, 128, 8).assigned == pytest.approx(4096 * 8)
    skewed = [load(4096, 128, 8, ranks, "power_law_1.2").assigned * ranks / (4096 * 8) for ranks in (1, 8, 64)]
    assert skewed[0] == pytest.approx(1, rel=0.01) and skewed[0] < skewed[1] < skewed[2]
    for how in ("uniform", "power_law_1.01"):
        found = load(512, 64, 4, 4, how)
        assert all(a <= b for a, b in itertools.pairwise((found.assigned, *found.padded)))


@pytest.mark.parametrize("device", MEASURED)
def test_collectives_grow_with_size_and_scale_with_the_link(device: str) -> None:
    law = laws(device).collective
    sizes = [1000 * 1.5**step for step in range(32)]
    for ranks in (2, 3, 4, 6, 8):
        for operation in (law.all_reduce, law.all_gather, law.reduce_scatter, law.all_to_all):
            times = [operation(ranks, size) for size in sizes]
            assert times == sorted(times)
    assert law.all_reduce(1, 1e9) == 0.0 and law.all_gather(8, 1e9) < law.all_reduce(8, 1e9)
    group = "nvlink" if device != "L40S" else "pcie"
    faster = find(find_device({"like": device, group: {"bandwidth": "1800 GB/s"}}, "gpu")).collective
    assert faster.all_reduce(8, 1e9) < law.all_reduce(8, 1e9)
    assert law.all_reduce(16, 1e8, nodes=2) > law.all_reduce(8, 1e8)


def test_protocols_follow_each_other_without_gain() -> None:
    law = CollectiveLaw({"all_reduce": {4: (Stretch(1000, 10e-6, 1e9), Stretch(float("inf"), 1e-6, 100e9))}})
    assert law.all_reduce(4, 0) == pytest.approx(10e-6)
    assert law.all_reduce(4, 2000) == pytest.approx(10e-6 + 1.5 * 1000 / 1e9)  # no faster than just below
    assert law.all_reduce(4, 1e9) == pytest.approx(1e-6 + 1.5e9 / 100e9)
    assert law.all_reduce(8, 0) > law.all_reduce(4, 0)  # more steps than were measured
    with pytest.raises(FitError, match="no all-gather is known"):
        law.all_gather(4, 1)


def test_devices_without_coefficients_borrow_from_the_nearest() -> None:
    assert laws("H100-SXM").borrowed == "" and laws("H100-SXM").statuses["gemm"] == "FIT"
    assert laws("H20").borrowed == "H100-SXM" and "borrowed from H100-SXM" in laws("H20").source
    assert laws("A100-PCIe-40GB").borrowed == "A100-SXM-80GB"
    assert laws("RTX-4090").borrowed == "L40S"
    assert laws("A100-SXM-80GB").sections["attention_prefill"] == "L40S"
    assert laws("A100-SXM-80GB").statuses["attention_prefill"] == "BORROWED"
    assert laws("H100-SXM").spreads["gemm.bf16"] > 0
    assert laws("H200-SXM").spreads["gemm.bf16"] > laws("H100-SXM").spreads["gemm.bf16"]
    with pytest.raises(ScenarioError, match="did you mean h100-sxm-vllm"):
        find(find_device("H100-SXM", "gpu"), name="h100-smx-vllm")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("source:", "sauce:", "gemm.bf16: no source"),
        ("status: FIT", "status: SURE", "expected one of SEEN"),
        ("alpha: ", "alpha: 3 GB, was: ", "wrong unit"),
        ("tile_half:", "tile_halb:", "tile_half is missing"),
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


def test_a_stack_with_kernels_of_its_own_has_its_own_file() -> None:
    """Decode attention of SGLang on an A100 is slower than FlashAttention there; all else is the device's one law."""
    gpu = find_device("A100-SXM-80GB", "gpu")
    flash, other = find(gpu), find(gpu, "sglang")
    context = 128 * 2048
    times = [law.decode.line(128, context, 32, 8, 128, 2.0).per_token for law in (flash, other)]
    assert 1.2 < times[1] / times[0] < 1.6
    assert flash.gemm == other.gemm and flash.statuses["attention_decode.bf16"] == "FIT"
