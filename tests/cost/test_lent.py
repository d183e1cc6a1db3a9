"""Laws of fused experts on a device that borrows them from a design programmed otherwise."""

from __future__ import annotations

import pytest

from hwsim.cost.efficiency import find
from hwsim.cost.efficiency.relatives import WARP_SHARE, lent_share
from hwsim.hardware import System


def device(node: str):
    return next(iter(System.of({"node": node}).groups.values())).node.gpu


def test_warp_instructions_keep_to_their_share() -> None:
    assert lent_share("hopper", "ada") == lent_share("hopper", "ampere") == WARP_SHARE["hopper"]
    assert lent_share("ada", "ampere") == lent_share("hopper", "hopper") == lent_share("hopper", "blackwell") == 1.0


def test_hopper_multiplies_experts_slower_than_its_peak_ratio() -> None:
    """Borrowed from an L40S: in the limit of many tokens a layer gains the ratio of warp-level rates, not of peaks."""
    lent, own = device("hgx-h100"), device("l40s-8")
    laws = [find(each).moe for each in (lent, own)]
    assert laws[0].kernels["bf16"].compute == pytest.approx(laws[1].kernels["bf16"].compute * WARP_SHARE["hopper"])


def test_the_host_paces_kernels_outside_graphs() -> None:
    """A short prompt of a large model on eight GPUs takes at least kernels times what one costs the host."""
    from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape
    from hwsim.cost.roofline import RooflinePricer
    from hwsim.model import find as model
    from hwsim.model.sharding import Shard

    gpu = device("hgx-h100")
    shard = Shard(model("meta-llama/Llama-3.1-70B"), tensor_parallel_size=8)
    times = []
    for pace in (None, 50e-6, 100e-6):
        pricer = RooflinePricer(shard, gpu, find(gpu), capture_sizes=(1, 2, 4, 8), host_per_kernel=pace)
        times.append(pricer.price(StepShape(0, ((64, 0),), 1), 0).device(0) / SUBTICKS_PER_SECOND)
    kernels = (times[2] - times[1]) / 50e-6
    assert times[0] < times[1]
    assert times[1] == pytest.approx(kernels * 50e-6, rel=1e-6)
    assert 8 * 80 < kernels < 16 * 80


def test_layers_take_the_host_time_beyond_their_kernels_outside_graphs_only() -> None:
    """What a layer of latent attention takes the host is paid once each in an eager step, never in a decode graph; an
    engine without graphs between attention kernels runs short prompts eagerly."""
    from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape
    from hwsim.cost.roofline import RooflinePricer
    from hwsim.model import find as model
    from hwsim.model.sharding import Shard

    gpu = device("hgx-b200")
    shard = Shard(model("deepseek-ai/DeepSeek-V3"), tensor_parallel_size=8)

    def seconds(shape: StepShape, each: float, piecewise: bool) -> float:
        pricer = RooflinePricer(
            shard,
            gpu,
            find(gpu),
            capture_sizes=(1, 2, 4, 64),
            host_per_kernel=100e-6,
            host_per_layer={"mla": each, "scan": 1.0},
            prompts_in_graphs=piecewise,
        )
        return pricer.price(shape, 0).device(0) / SUBTICKS_PER_SECOND

    prompt, rows = StepShape(0, ((64, 0),), 1), StepShape(64, (), 64)
    assert seconds(prompt, 1e-3, False) - seconds(prompt, 0.0, False) == pytest.approx(61e-3)
    assert seconds(prompt, 1e-3, True) == seconds(prompt, 0.0, True) < seconds(prompt, 0.0, False)
    assert seconds(rows, 1e-3, False) == seconds(rows, 0.0, True)
