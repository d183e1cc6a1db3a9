"""Step prices: the contract, monotone laws, padding, the host's pace, tallies, refusals."""

from __future__ import annotations

import itertools
import random
import timeit
from dataclasses import replace

import pytest

from hwsim.cost import roofline
from hwsim.cost.bounds import bounds
from hwsim.cost.constant import ConstantPricer
from hwsim.cost.price import SUBTICKS_PER_SECOND, Component, StepPrice, StepShape, subticks
from hwsim.cost.roofline import RooflinePricer
from hwsim.errors import FitError
from tests.cost.pricing import decode, device_ms, pricer

SHAPES = [
    (StepShape(1, (), 1), 512),
    (StepShape(64, (), 64), 64_000),
    (StepShape(600, (), 600), 60_000),
    (StepShape(0, ((512, 0),), 1), 0),
    (StepShape(30, ((100, 0), (300, 4096)), 31), 9_000),
    (StepShape(100, ((2048, 6144),), 100), 200_000),
    (StepShape(5, (), 0), 100),
]


def check_contract(price: StepPrice, context: int) -> None:
    assert price.low <= context <= price.limit
    assert sum(part.base for part in price.components) == price.base
    assert sum(part.slope for part in price.components) == price.slope
    assert all(part.base + part.slope * context >= 0 for part in price.components)
    assert all(demand.base >= 0 and demand.slope >= 0 for demand in price.demands)
    largest = max(price.components, key=lambda part: part.base + part.slope * context)
    at_bound = [p for p in price.components if p.bound == price.bound(context)]
    assert at_bound[0].base + at_bound[0].slope * context == largest.base + largest.slope * context
    for part in price.components:
        assert isinstance(part, Component) and isinstance(part.base, int) and isinstance(part.slope, int)


@pytest.mark.parametrize("ranks", [1, 4])
@pytest.mark.parametrize(("shape", "context"), SHAPES)
def test_prices_keep_the_contract(shape: StepShape, context: int, ranks: int) -> None:
    check_contract(pricer(ranks=ranks).price(shape, context), context)
    check_contract(pricer("Qwen/Qwen2.5-0.5B", ranks=1, capture_sizes=()).price(shape, context), context)


def test_time_is_affine_in_context_and_the_price_is_shared() -> None:
    prices = pricer()
    first = prices.price(decode(64), 400_000)
    assert prices.price(decode(64), 401_000) is first and first.limit >= 1.04 * first.low
    assert first.device(401_000) - first.device(400_000) == 1_000 * first.slope


@pytest.mark.parametrize("ranks", [1, 4])
@pytest.mark.parametrize("device", ["H100-SXM", "A100-SXM-80GB"])
def test_time_grows_with_rows_context_and_tokens(device: str, ranks: int) -> None:
    prices = pricer(device=device, ranks=ranks)
    for each in (1, 500, 8000):
        times = [device_ms(prices, decode(rows), rows * each) for rows in range(1, 512)]
        assert all(b > 0.99 * a for a, b in itertools.pairwise(times))  # kernels split long contexts of few rows
        assert times[-1] > 1.2 * times[0]
    times = [device_ms(prices, decode(32), context) for context in range(32, 100_000, 999)]
    assert times == sorted(times)
    for past in (0, 3000):
        for start, end in ((1, 512), (513, 6000)):
            shapes = [StepShape(0, ((new, past),), 1) for new in range(start, end, 37)]
            times = [device_ms(prices, shape, 0) for shape in shapes]
            assert times == sorted(times)
    times = [device_ms(prices, StepShape(8, ((64, past),), 8), 800) for past in range(0, 50_000, 1111)]
    assert times == sorted(times)
    times = [device_ms(prices, StepShape(8, ((700, 0),), heads), 800) for heads in range(8, 200, 5)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "change",
    [
        {"hbm": {"bandwidth": "4.8 TB/s"}},
        {"peak": {"bf16": "1500 TFLOP/s"}},
        {"nvlink": {"bandwidth": "900 GB/s"}},
    ],
)
def test_faster_hardware_is_never_slower(change: dict[str, dict[str, str]]) -> None:
    base, faster = pricer(ranks=4), pricer(device={"like": "H100-SXM", **change}, ranks=4)
    better = 0
    for shape, context in SHAPES:
        assert device_ms(faster, shape, context) <= device_ms(base, shape, context)
        better += device_ms(faster, shape, context) < device_ms(base, shape, context)
    assert better


def test_more_ranks_speed_up_big_steps() -> None:
    one, four = (pricer("meta-llama/Llama-3.1-70B", ranks=ranks) for ranks in (1, 4))
    for shape, context in ((decode(64), 64_000), (StepShape(0, ((8192, 0),), 1), 0)):
        assert device_ms(four, shape, context) < device_ms(one, shape, context) / 2
        assert device_ms(four, shape, context) > device_ms(one, shape, context) / 4


@pytest.mark.parametrize("device", ["H100-SXM", "A100-SXM-80GB"])
@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_no_step_beats_the_bound_of_the_data_sheet(device: str, ranks: int) -> None:
    prices = pricer(device=device, ranks=ranks)
    for rows, context in ((1, 512), (64, 64_000), (512, 512_000)):
        limit = bounds(prices.shard, prices.device, context=context, rows=rows)
        assert limit.tpot_s * 1e3 < device_ms(prices, decode(rows), context)
    for prompt in (16, 512, 8192):
        limit = bounds(prices.shard, prices.device, prompt=prompt)
        assert limit.ttft_s * 1e3 < device_ms(prices, StepShape(0, ((prompt, 0),), 1), 0)


def test_bounds_name_their_resource() -> None:
    prices = pricer()
    limit = bounds(prices.shard, prices.device, context=512, prompt=4096)
    weights = 2 * (8_030_261_248 - 128_256 * 4096 - 65 * 4096)
    assert limit.tpot_by == "hbm"
    assert limit.tpot_s == pytest.approx((weights + 512 * 131_072) / 3.35e12, rel=1e-12)
    assert limit.ttft_by == "tensor"
    assert bounds(prices.shard, prices.device, rows=1024).tpot_by == "tensor"


def test_decodes_run_padded_in_a_graph_up_to_the_largest_size() -> None:
    prices = pricer()
    blocks = {rows: prices.price(decode(rows), 1).demands[1].base for rows in (250, 257, 272)}
    assert blocks[257] < blocks[272] < blocks[257] * 1.002  # only the head has more rows
    eager, graph = device_ms(prices, decode(513), 513), device_ms(prices, decode(512), 512)
    launch = {part.bound: part.base for part in prices.price(decode(513), 513).components}["launch"]
    before = {part.bound: part.base for part in prices.price(decode(512), 512).components}["launch"]
    assert eager > graph and launch > before


def test_the_device_waits_for_a_slow_host() -> None:
    usual = pricer("Qwen/Qwen2.5-0.5B")
    launch = replace(usual.efficiency.launch, host=20e-6)
    small = RooflinePricer(usual.shard, usual.device, replace(usual.efficiency, launch=launch))
    short = small.price(decode(1), 1)
    assert short.limit < 1 << 62 and short.slope == 0 and short.bound(1) == "launch"
    while small.price(decode(1), short.limit + 1).slope == 0:  # pieces of the law on which the host is slower
        short = small.price(decode(1), short.limit + 1)
    crossing = short.limit + 1
    long = small.price(decode(1), crossing)
    assert long.low == crossing and long.slope > 0
    assert long.device(crossing) >= short.device(crossing - 1)
    assert long.device(crossing) - short.base < long.slope
    assert small.price(decode(1), short.low) is short
    check_contract(short, short.low)
    check_contract(short, short.limit)
    check_contract(long, crossing)
    mixed = [small.price(StepShape(3, ((5, 0),), 3), context) for context in (3, 10**9)]
    assert mixed[0] is not mixed[1]
    check_contract(mixed[0], 3)
    check_contract(mixed[1], 10**9)


def test_graphs_spare_launches() -> None:
    for rows in (1, 64):
        assert device_ms(pricer(), decode(rows), rows) < device_ms(pricer(capture_sizes=()), decode(rows), rows)


def test_prefill_in_chunks_costs_more_than_at_once() -> None:
    prices = pricer()
    whole = device_ms(prices, StepShape(0, ((8192, 0),), 1), 0)
    parts = sum(device_ms(prices, StepShape(0, ((2048, past),), past == 6144), 0) for past in range(0, 8192, 2048))
    assert whole < parts < 1.2 * whole


def test_demands_count_all_ranks() -> None:
    tokens = 4096
    for ranks in (1, 4):
        prices = pricer("meta-llama/Llama-3.3-70B-Instruct", ranks=ranks)
        model = prices.shard.model
        demands = {d.capacity: d.base for d in prices.price(StepShape(0, ((tokens, 0),), 1), 0).demands}
        flop = tokens * model.flop_per_token_linear + model.attention_flop(tokens, 0) + 2 * 128_256 * 8192
        assert demands["gpu.tensor"] == pytest.approx(flop, rel=1e-12)
        assert demands["gpu.hbm"] > 2 * model.parameters - 2 * 128_256 * 8192
        sent = 2 * (ranks - 1) * 161 * tokens * 8192 * 2 + (ranks - 1) * 128_256 * 2
        assert demands["gpu.nvlink"] == pytest.approx(sent, rel=1e-12)
    step = pricer().price(decode(7), 7)
    assert step.demands[1].slope == 131_072 and step.demands[0].slope == 4 * 32 * 4096


def test_host_time_is_what_the_engine_says() -> None:
    prices = pricer(host_base=1e-3, host_per_row=10e-6)
    assert prices.price(decode(64), 64).host == subticks(1e-3) + 64 * subticks(10e-6)
    assert prices.price(StepShape(2, ((9, 0),), 3), 5).host == subticks(1e-3) + 3 * subticks(10e-6)


def test_counts_survive_prices_that_leave_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "MOST_KEPT", 16)
    prices = pricer(ranks=2)
    times: dict[str, int] = {}
    amounts: dict[str, float] = {}
    draw = random.Random(1)
    last = prices.price(decode(1), 1)
    for _ in range(500):
        if draw.random() < 0.5:
            past = draw.choice([0, 0, draw.randrange(2000)])
            shape, context = StepShape(3, ((draw.randrange(1, 30), past),), 3), draw.randrange(9000)
        else:
            rows = draw.randrange(1, 9)
            shape, context = decode(rows), draw.randrange(9000)
        fresh = prices.price(shape, context)
        for price, steps in ((last, 1), (fresh, 2)):  # the engine may still add to the price it had before
            price.steps += steps
            price.contexts += steps * context
            for bound, base, slope, _ in price.components:
                times[bound] = times.get(bound, 0) + steps * (base + slope * context)
            for capacity, base, slope, _ in price.demands:
                amounts[capacity] = amounts.get(capacity, 0.0) + steps * (base + slope * context)
        last = fresh
    totals = prices.totals()
    assert totals["time_by_bound"] == times
    assert totals["demands"] == pytest.approx(amounts, rel=1e-9)
    assert len(list(prices.prices())) < 150
    assert prices.totals() == totals


def test_repeated_shapes_share_a_price() -> None:
    prices = pricer()
    shape = StepShape(3, ((512, 0),), 4)
    assert prices.price(shape, 90_000) is prices.price(StepShape(3, ((512, 0),), 4), 90_100)


def test_refusals() -> None:
    with pytest.raises(FitError, match="no efficiency is known for fp32"):
        pricer(dtype="fp32")


def test_formats_without_units_are_unpacked() -> None:
    """FP8 on an A100: half the bytes of decode, the 16-bit compute of a long prompt."""
    eight, sixteen = (pricer(device="A100-SXM-80GB", dtype=dtype) for dtype in ("fp8", "bf16"))
    assert device_ms(eight, decode(1), 1) < 0.7 * device_ms(sixteen, decode(1), 1)
    prompt = StepShape(0, ((8192, 0),), 1)
    assert device_ms(eight, prompt, 0) == pytest.approx(device_ms(sixteen, prompt, 0), rel=0.05)


def test_block_scales_cost_no_more_to_start_than_one_scale() -> None:
    """Its rows were measured at the host's pace: what a graph's launch takes is known from the format beside it."""
    block, whole = (pricer(dtype=dtype) for dtype in ("fp8-block", "fp8"))
    assert device_ms(block, decode(1), 1) == pytest.approx(device_ms(whole, decode(1), 1), rel=0.1)


def test_fp8_is_faster_and_weight_only_int4_reads_less() -> None:
    for dtype in ("fp8", "int4"):
        assert device_ms(pricer(dtype=dtype), decode(1), 1) < device_ms(pricer(), decode(1), 1)
    prompt = StepShape(0, ((4096, 0),), 1)
    assert device_ms(pricer(dtype="fp8"), prompt, 0) < 0.9 * device_ms(pricer(), prompt, 0)


def test_figures_of_llama_on_one_h100() -> None:
    """Within a band around what the laws gave when they were fitted: a change of law or coefficient must be meant."""
    assert device_ms(pricer(), decode(1), 512) == pytest.approx(6.60, rel=0.02)
    assert device_ms(pricer(), decode(64), 64_000) == pytest.approx(9.52, rel=0.02)
    assert device_ms(pricer(), StepShape(0, ((8192, 0),), 1), 0) == pytest.approx(185.2, rel=0.02)


def test_prices_are_found_fast() -> None:
    prices = pricer()
    shape = decode(64)
    prices.price(shape, 64_000)
    best = min(timeit.repeat(lambda: prices.price(shape, 64_000), number=10_000, repeat=5)) / 10_000
    assert best < 3e-6  # 0.2 us on an idle core; the margin is for shared machines


def test_constant_steps() -> None:
    prices = ConstantPricer(10**12, host=5)
    price = prices.price(decode(3), 1000)
    assert price.device(1000) == price.device(0) == SUBTICKS_PER_SECOND
    assert price.host == 5 << 10
    assert list(prices.prices()) == [] and prices.totals() == {"time_by_bound": {}, "demands": {}}
    price.steps += 3
    price.contexts += 3000
    assert prices.totals()["time_by_bound"] == {"constant": 3 * SUBTICKS_PER_SECOND}
    check_contract(price, 7)


def test_pricers_satisfy_the_protocol() -> None:
    assert isinstance(pricer(), RooflinePricer)
    assert pricer().price(decode(1), 1).source == "roofline with h100-sxm-vllm"
