"""Prices of every family keep the contract, stay above the bound, and grow with what they must grow with."""

from __future__ import annotations

import itertools

import pytest

from hwsim.cost.bounds import bounds
from hwsim.cost.efficiency import find as find_efficiency
from hwsim.cost.price import SUBTICKS_PER_SECOND, StepPrice, StepShape
from hwsim.cost.roofline import RooflinePricer
from hwsim.cost.staged import through
from hwsim.cost.stages import PipelinePricer
from hwsim.hardware.find import find_device
from hwsim.model import Shard, find
from hwsim.model.find import catalog
from hwsim.model.layout import Layout
from tests.cost.pricing import SIZES, decode, device_ms, pricer


def one_of_each_family() -> list[str]:
    families: dict[str, str] = {}
    for name, entry in catalog().items():
        families.setdefault(entry["config"]["model_type"], name)
    return sorted(families.values())


FAMILIES = one_of_each_family()


def check(price: StepPrice, context: int, windowed: tuple[int, ...] = ()) -> None:
    assert price.low <= context <= price.limit
    assert sum(part.base for part in price.components) == price.base
    assert sum(part.slope for part in price.components) == price.slope
    for j, slope in enumerate(price.window_slopes):
        assert sum(part.window_slopes[j] for part in price.components) == slope
    assert price.device(context, windowed) > 0
    assert all(demand.base >= 0 and demand.slope >= 0 for demand in price.demands)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_priced(name: str) -> None:
    prices = pricer(name, device="H200-SXM", dtype="bf16")
    for rows in (1, 40, 900):
        for each in (1, 700, 9000):
            windowed = tuple(rows * min(each, window) for window in prices.windows)
            mean = prices.price(decode(rows), rows * each)
            check(mean, rows * each)
            if windowed:  # rows of equal length: the mean is no approximation
                exact = prices.price(decode(rows), rows * each, windowed)
                check(exact, rows * each, windowed)
                assert exact.device(rows * each, windowed) == pytest.approx(mean.device(rows * each), rel=1e-12)
            least = bounds(prices.shard, prices.device, context=rows * each, rows=rows)
            assert mean.device(rows * each) / SUBTICKS_PER_SECOND > least.tpot_s
    for new, past in ((1, 0), (300, 0), (2000, 5000)):
        shape = StepShape(3, ((new, past),), 3)
        check(prices.price(shape, 90), 90)
    alone = device_ms(prices, StepShape(0, ((3000, 0),), 1), 0) / 1e3
    assert alone > bounds(prices.shard, prices.device, prompt=3000).ttft_s


@pytest.mark.parametrize("name", FAMILIES)
def test_time_grows_with_context_and_tokens(name: str) -> None:
    prices = pricer(name, device="H200-SXM", dtype="bf16")
    times = [device_ms(prices, decode(32), context) for context in range(32, 400_000, 9_999)]
    assert times == sorted(times)
    times = [device_ms(prices, StepShape(0, ((new, 0),), 1), 0) for new in range(600, 6000, 600)]
    assert times == sorted(times)
    times = [device_ms(prices, StepShape(4, ((64, past),), 4), 800) for past in range(0, 50_000, 5000)]
    assert all(later > earlier * (1 - 1e-12) for earlier, later in itertools.pairwise(times))


def test_a_step_reads_the_experts_that_its_rows_reach() -> None:
    prices = pricer("Qwen/Qwen3-30B-A3B", ranks=1)
    shard = prices.shard
    layers, expert = 48, 3 * 2048 * 768 * 2
    for rows in (1, 8, 64, 512):
        moved = prices.price(decode(rows), rows).demands[1].base
        reached = 128 * (1 - (1 - 8 / 128) ** rows)
        assert shard.active_bytes(rows) == pytest.approx(shard.linear_bytes + layers * reached * expert)
        assert moved > shard.active_bytes(rows)
    whole = shard.linear_bytes + shard.expert_bytes
    assert shard.active_bytes(1) < 0.12 * whole and shard.active_bytes(4096) == pytest.approx(whole, rel=1e-6)
    dense = pricer("Qwen/Qwen3-32B")
    small = [device_ms(prices, decode(1), 1) / device_ms(dense, decode(1), 1)]
    assert small[0] < 0.4


def test_skewed_routing_makes_the_busiest_rank_slower() -> None:
    gpu = find_device("H100-SXM", "gpu")
    shard = Shard(find("mistralai/Mixtral-8x7B-v0.1"), layout=Layout(8, expert_parallel_size=8))
    shape = StepShape(0, ((8000, 0),), 1)
    even, skewed = (
        RooflinePricer(shard, gpu, find_efficiency(gpu), expert_load=load).price(shape, 0).base for load in (1.0, 2.0)
    )
    assert even < skewed < 2 * even


def test_windows_read_less_than_full_attention() -> None:
    prices = pricer("google/gemma-3-27b-it", device="H200-SXM", capture_sizes=SIZES)
    assert prices.windows == (1024,)
    rows, context = 16, 16 * 30_000
    price = prices.price(decode(rows), context, (rows * 1024,))
    assert len(price.window_slopes) == 1 and price.window_slopes[0] > 4 * price.slope
    whole = price.device(context, (context,))
    assert price.device(context, (rows * 1024,)) < 0.7 * whole
    inside = pricer("google/gemma-3-27b-it", device="H200-SXM", max_model_len=1024)
    assert inside.windows == ()
    short = inside.price(decode(rows), rows * 500)
    # other pieces of the law: shorter contexts keep fewer bytes in flight
    assert short.slope == pytest.approx(price.slope + price.window_slopes[0], rel=0.15)
    mistral = pricer("mistralai/Mistral-7B-v0.1", max_model_len=4096)
    assert mistral.windows == ()


def test_windows_wait_for_a_slow_host_like_others() -> None:
    prices = pricer("google/gemma-2-2b", capture_sizes=())
    rows = 4
    last = 0
    for context in range(rows, 4_000_000, 100_000):
        windowed = (min(context, rows * 4096),)
        price = prices.price(decode(rows), context, windowed)
        check(price, context, windowed)
        assert price.device(context, windowed) >= last
        last = price.device(context, windowed)
    assert price.window_slopes[0] > 0  # by now the device is slower than the host


def test_tallies_count_sums_under_windows() -> None:
    prices = pricer("google/gemma-3-1b-it", capture_sizes=SIZES)
    price = prices.price(decode(8), 80_000, (4096,))
    price.steps, price.contexts = 3, 240_000
    price.windowed[0] = 3 * 4096
    time = 3 * price.device(80_000, (4096,))
    assert sum(prices.totals()["time_by_bound"].values()) == time


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-70B", "Qwen/Qwen3-235B-A22B", "google/gemma-2-27b"])
def test_a_batch_passes_all_stages(name: str) -> None:
    gpu = find_device("H100-SXM", "gpu")
    model, law = find(name), find_efficiency(gpu)
    whole = RooflinePricer(Shard(model, 4), gpu, law, capture_sizes=SIZES)
    prices = PipelinePricer(Shard(model, layout=Layout(4, 4)), gpu, law, capture_sizes=SIZES)

    def time(pricer: RooflinePricer, rows: int, context: int) -> float:
        return pricer.price(decode(rows), context).device(context) / SUBTICKS_PER_SECOND

    # All stages together take what a single one would, and the sends; batches follow each other at the slowest's pace.
    for shape, context in ((decode(1), 1000), (decode(64), 64_000), (StepShape(0, ((8192, 0),), 1), 0)):
        price, alone = prices.price(shape, context), whole.price(shape, context).device(context)
        stages = through(price, 4, context, ())
        assert alone <= sum(stages) < 1.2 * alone
        assert max(stages) == price.device(context) and sum(stages) <= 4 * max(stages)
        assert price.device(context) < 0.4 * alone
    for shape, context in ((decode(16), 16_000), (decode(3), 900), (StepShape(3, ((2048, 100),), 4), 900)):
        price, one = prices.price(shape, context), whole.price(shape, context)
        check(price, context)
        assert price.demands[0].base == pytest.approx(one.demands[0].base, rel=0.25)
        assert price.demands[0].slope == pytest.approx(one.demands[0].slope, rel=1e-9)
    times = [time(prices, 32, context) for context in range(32, 400_000, 9_999)]
    assert times == sorted(times)
    again = prices.price(decode(16), 17_000)
    assert again is prices.price(decode(16), 17_000)
    again.steps, again.contexts = 1, 17_000
    assert sum(prices.totals()["time_by_bound"].values()) == again.device(17_000)


def test_laws_of_other_devices_are_named() -> None:
    prices = pricer("deepseek-ai/DeepSeek-V2-Lite", device="H100-SXM")
    assert "moe of L40S" in prices.source and "mla" not in prices.source
    assert ";" not in pricer("meta-llama/Llama-3.1-8B").source


def test_a_rank_that_is_sent_its_tokens_walks_over_no_others() -> None:
    """Tokens and experts of a rank kept, the ranks doubled: with dispatch a layer hardly grows, without it does."""
    law = find_efficiency(find_device("H100-SXM", "gpu")).moe
    for dispatched, least, most in ((True, 0.8, 1.15), (False, 1.3, 3.0)):
        few, many = (
            law.body(2048 * ranks, 256, 8, 7168, 2048, 1, 1, 2e15, "fp8_block", ranks, dispatched=dispatched).total
            for ranks in (16, 32)
        )
        assert least < many / few < most


def test_copies_for_one_node_cross_to_it_once() -> None:
    """Eight copies of a token over 32 ranks of four nodes: 3.6 nodes are met instead of 7.2 ranks."""
    law = find_efficiency(find_device("H100-SXM", "gpu")).collective
    size = 1e9
    once, each = law.all_to_all(32, size, 4, 8), law.all_to_all(32, size, 4)
    assert (once - law.network.latency) / (each - law.network.latency) == pytest.approx(
        4 * (1 - 0.75**8) / (32 * (1 - (31 / 32) ** 8))
    )


def test_fused_kernels_and_dependent_launches_save_what_they_hide() -> None:
    """Rounding to FP8, norms after an all-reduce and the start of every kernel in a graph: each takes its time away."""
    gpu = find_device("B200-SXM", "gpu")
    law = find_efficiency(gpu)

    def seconds(dtype: str, ranks: int, **more) -> float:
        shard = Shard(find("meta-llama/Llama-3.1-70B", dtype=dtype), ranks)
        price = RooflinePricer(shard, gpu, law, capture_sizes=SIZES, **more).price(StepShape(4, (), 4), 4000)
        return price.device(4000) / SUBTICKS_PER_SECOND

    shard = Shard(find("meta-llama/Llama-3.1-70B", dtype="fp8"), 2)
    kernel = law.gemm.kernel("fp8")
    rounding = sum(gemm.times * kernel.rounding(4, gemm.k) for gemm in shard.gemms)
    assert seconds("fp8", 2) - seconds("fp8", 2, fused=["rounding"]) == pytest.approx(rounding, rel=1e-6)
    assert seconds("bf16", 2) == seconds("bf16", 2, fused=["rounding"])
    assert seconds("bf16", 1) == seconds("bf16", 1, fused=["norms"])
    norm = law.stream.body(4 * 4 * 8192 * 2) + law.launch.graph
    norms = sum(count * block.norms for count, block in shard.kinds)
    assert seconds("bf16", 2) - seconds("bf16", 2, fused=["norms"]) == pytest.approx(norms * norm, rel=1e-6)
    started = [seconds("bf16", 2, kernel_start=start) for start in (0.0, 1e-6)]
    assert 700e-6 < started[1] - started[0] < 1200e-6  # nine to fifteen kernels in each of 80 layers
