"""llama.cpp's kernels: what bounds them, and which stack uses them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hwsim.cost.efficiency import find
from hwsim.cost.gemm import GemmLaw
from hwsim.cost.gguf import GgufGemmLaw, GgufKernel, GgufMoeLaw
from hwsim.cost.processor import ProcessorLaw, packed
from hwsim.hardware.find import find_device

KNOWN = {
    "memory": 0.9,
    "in_flight": 6.0,
    "packed": 0.5,
    "sharpness": 4.0,
    "compute": 0.5,
    "inside": 0.8,
    "row_bytes": 8.0,
    "ramp": 0.0,
    "exponent": 4.0,
}
N = K = 8192


def kernel(bandwidth: float = 1e12, clock: float = 2e9, passes: float = 1.0) -> GgufKernel:
    return GgufKernel(sms=100, bandwidth=bandwidth, clock=clock, wide=100e12, passes=passes, **KNOWN)


def seconds(law: GgufKernel, rows: int, element: float) -> float:
    return GgufGemmLaw(law).body(rows, N, K, 1.0, "bf16", N * K * element, 2.0).total


def test_a_single_row_takes_its_bytes_at_the_slower_of_memory_and_loads_in_flight():
    memory, cores = kernel(bandwidth=1e10), kernel(bandwidth=1e15)
    assert seconds(memory, 1, 2.0) == pytest.approx(N * K * 2 / 0.9e10, rel=1e-2)
    assert seconds(cores, 1, 2.0) == pytest.approx(N * K * 2 / (100 * 2e9 * 6), rel=1e-2)
    assert seconds(cores, 1, 0.5) == pytest.approx(N * K * 0.5 / (100 * 2e9 * 6 * 0.5), rel=1e-2)


def test_more_memory_bandwidth_helps_less_and_less():
    times = [seconds(kernel(bandwidth=rate), 1, 2.0) for rate in (1e12, 2e12, 4e12, 8e12)]
    gains = [a / b for a, b in pairwise(times)]
    assert gains == sorted(gains, reverse=True) and gains[-1] < 1.05


def test_a_batch_of_packed_weights_is_unpacked_through_memory_or_inside_the_kernel():
    flop = 2 * 512 * N * K
    through, inside, plain = (
        seconds(kernel(), 512, 0.5),
        seconds(kernel(passes=0.0), 512, 0.5),
        seconds(kernel(), 512, 2.0),
    )
    law = kernel()
    assert plain == pytest.approx(flop / (100e12 * 0.5), rel=0.05)
    assert through - plain == pytest.approx(2.5 * N * K / law.rate(2.0), rel=0.05)
    assert inside == pytest.approx(flop / (100e12 * 0.5 * 0.8), rel=0.05)


def test_vector_kernels_need_no_unpacking():
    assert seconds(kernel(), 8, 0.5) < 1.2 * seconds(kernel(), 1, 0.5) < seconds(kernel(), 9, 0.5)


def test_experts_are_products_of_those_that_tokens_meet():
    law = GgufMoeLaw(kernel(bandwidth=1e10))
    body = law.body(1, 64, 4, 2048, 1024, 0.5, 2.0, 1.0)
    assert body.total == pytest.approx(4 * 3 * 2048 * 1024 * 0.5 / 0.9e10, rel=0.05)


@pytest.mark.parametrize("name", ["A100-SXM-80GB", "RTX-4090", "Apple-M3-Max", "RX-7900-XT", "H100-PCIe"])
def test_only_its_own_engine_uses_its_kernels(name: str):
    device = find_device(name, "gpu")
    assert isinstance(find(device).gemm, GemmLaw)
    own = find(device, "llama.cpp")
    assert isinstance(own.gemm, GgufGemmLaw) and isinstance(own.moe, GgufMoeLaw)
    assert own.name.endswith("llama.cpp")


def test_back_ends_go_by_design():
    back_ends = {"RTX-3090": "cuda", "Apple-M1-Max": "metal", "RX-7900-XT": "hip", "H100-PCIe": "cuda"}
    found = {name: find(find_device(name, "gpu"), "llama.cpp").name for name in back_ends}
    assert found == {name: f"{back_end}-llama.cpp" for name, back_end in back_ends.items()}


def test_cores_bound_what_a_wide_memory_delivers():
    law = ProcessorLaw(memory=0.9, per_clock=1.5, compute=0.5)
    assert law.delivered(1e15, 1e11) == pytest.approx(0.9)
    assert law.delivered(1e9, 1e12) * 1e12 == pytest.approx(1.5e9, rel=1e-3)
    assert law.delivered(None, 1e11) == 0.9
    assert packed("q4_k") and packed("iq4_nl") and not packed("int4") and not packed("bf16")
