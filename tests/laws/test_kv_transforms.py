"""KV transforms: what is kept and read follows from closed forms, neutral ones change nothing, steps stay exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.cost.price import StepShape
from hwsim.errors import ScenarioError
from hwsim.model import find
from hwsim.model.parts.kept import Kept
from hwsim.model.sharding import Shard
from hwsim.model.transform import transformed
from hwsim.scenario.build import build
from hwsim.scenario.machine import machine
from hwsim.scenario.prices import pricer

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
MHA = "meta-llama/Llama-2-7b-hf"


def scenario(transform: dict[str, Any] | str | None, *, model: str = LLAMA, **serve: Any) -> dict[str, Any]:
    return {
        "name": "transform",
        "model": model,
        "system": {"node": "dgx-h100"},
        "serve": {"max_num_seqs": 16, "max_model_len": 20000, **serve, "kv_transform": transform},
        "workload": {
            "requests": 9,
            "arrivals": {"kind": "poisson", "rate": "5 /s"},
            "input_tokens": {"kind": "uniform", "min": 20, "max": 900},
            "output_tokens": {"kind": "uniform", "min": 5, "max": 200},
        },
    }


def prices(transform: dict[str, Any] | str | None, **changes: Any) -> Any:
    return pricer(machine(hwsim.load(scenario(transform, **changes))))


def step(price_of: Any, rows: int, each: int) -> tuple[int, dict[str, float]]:
    """Device time and amounts of a decode step of equal rows."""
    context = rows * each
    windowed = tuple(rows * min(each, window) for window in price_of.windows)
    shape = StepShape(rows, (), rows)
    price = price_of.price(shape, context, windowed) if windowed else price_of.price(shape, context)
    amounts = {
        need.capacity: need.base
        + need.slope * context
        + sum(a * b for a, b in zip(need.window_slopes, windowed, strict=False))
        for need in price.demands
    }
    return price.device(context, windowed), amounts


NEUTRAL = [
    {"kind": "retrieval_heads", "share": 1.0},
    {"kind": "think", "dropped": 0.0},
    {"kind": "streaming", "window": 30000},
]


@pytest.mark.parametrize("transform", NEUTRAL, ids=lambda each: each["kind"])
def test_a_transform_that_keeps_everything_costs_what_none_costs(transform: dict[str, Any]) -> None:
    plain, kept = prices(None), prices(transform)
    for rows, each in ((1, 100), (7, 3000), (16, 15000)):
        time, amounts = step(plain, rows, each)
        other, others = step(kept, rows, each)
        assert other == pytest.approx(time, rel=2e-3)
        assert others["gpu.hbm"] == pytest.approx(amounts["gpu.hbm"], rel=1e-6)
        assert others["gpu.tensor"] == pytest.approx(amounts["gpu.tensor"], rel=1e-6)


FORMS = [
    "quantised",
    {"kind": "quantised", "bits": 2, "recent": 128},
    "xquant",
    {"kind": "xquant", "bits": 2, "recent": 64, "overlap": "nothing"},
    "xquant_cl",
    "think",
    {"kind": "think", "dropped": 0.5, "bits": 4},
    {"kind": "streaming", "window": 500, "sinks": 4},
    {"kind": "retrieval_heads", "share": 0.5, "window": 300},
    {"kind": "infllm", "local": 256, "blocks": 2, "block": 64, "miss": 0.3},
]


@pytest.mark.parametrize("model", [LLAMA, MHA])
@pytest.mark.parametrize("transform", FORMS, ids=str)
def test_a_step_reads_what_is_kept_of_its_rows_and_their_bytes_hold_in_the_sums(transform: Any, model: str) -> None:
    found = machine(hwsim.load(scenario(transform, model=model)))
    price_of, shard = pricer(found), found.shard
    assert shard is not None
    none = step(price_of, 3, 0)[1]["gpu.hbm"]
    for each in (40, 499, 700, 9000):
        read = step(price_of, 3, each)[1]["gpu.hbm"] - none
        kept = [(count, block.mixer) for count, block in shard.kinds if isinstance(block.mixer, Kept)]
        assert sum([count for count, _ in kept]) == 32
        elements = sum([count * mixer.read_elements(each) for count, mixer in kept])
        assert read == pytest.approx(3 * elements * 2, rel=1e-6)


@pytest.mark.parametrize("kind", ["quantised", "think", "streaming", "retrieval_heads"])
def test_time_falls_with_the_bytes_and_grows_with_the_context(kind: str) -> None:
    plain, kept = prices(None), prices(kind)
    before = 0
    for each in (200, 2000, 6000, 18000):
        time = step(kept, 16, each)[0]
        assert time >= before
        before = time
    assert step(kept, 16, 18000)[0] < step(plain, 16, 18000)[0]


def test_sizes_are_those_of_the_papers() -> None:
    mha, gqa = find(MHA, dtype="fp16"), find(LLAMA, dtype="fp16")

    def share(model: Any, kind: str, **fields: Any) -> float:
        return transformed(model, kind, fields).kv_bytes_per_token / model.kv_bytes_per_token

    packs = {"group": 128, "recent": 0}
    for bits in (2, 3, 4, 8):
        own = (bits + 32 / 128) / 16
        assert share(mha, "quantised", bits=bits, **packs) == pytest.approx(own, rel=1e-4)
        assert share(mha, "xquant", bits=bits, overlap="weights", **packs) == pytest.approx(own / 2, rel=1e-3)
        assert share(gqa, "xquant", bits=bits, overlap="weights", **packs) == pytest.approx(own, rel=1e-3)
    assert share(mha, "think", dropped=0.4, recent=32, bits=None, group=128) == pytest.approx(0.8, rel=1e-3)


def test_xquant_hides_behind_weights_up_to_where_it_does_not() -> None:
    hidden = prices({"kind": "xquant", "bits": 2}, model=MHA)
    bare = prices({"kind": "xquant", "bits": 2, "overlap": "nothing"}, model=MHA)
    short, long = step(hidden, 1, 400)[0], step(hidden, 1, 16000)[0]
    assert short < step(bare, 1, 400)[0]
    rise = step(bare, 1, 16000)[0] - long  # beyond the crossover: the time of the weights, whatever the context
    assert rise == pytest.approx(step(bare, 1, 12000)[0] - step(hidden, 1, 12000)[0], rel=1e-2)
    assert long > 2 * short


def test_blocks_come_over_pcie_for_each_step_of_a_long_row_and_for_no_other() -> None:
    form = {"kind": "infllm", "initial": 16, "local": 64, "block": 32, "blocks": 2, "miss": 0.5, "span": 100}
    simulation = build(hwsim.load(scenario(form, max_num_batched_tokens=64)))
    simulation.run()
    window, size = 16 + 64 + 2 * 32, 2 * 32 * 0.5 * 131072
    table = simulation.journal.request_table()
    steps = spans = 0.0
    for prompt, output in zip(table["input_tokens"], table["output_tokens"], strict=True):
        steps += max(int(prompt) + int(output) - 1 - max(int(prompt), window), 0)
        spans += max(int(prompt) - window, 0) / 100
    assert steps > 100
    assert simulation.pricer.totals()["demands"]["gpu.pcie.h2d"] == pytest.approx((steps + spans) * size, rel=1e-9)


@pytest.mark.parametrize("transform", FORMS, ids=str)
@pytest.mark.parametrize("tensor", [1, 2])
def test_macro_steps_equal_single_steps(transform: Any, tensor: int) -> None:
    loaded = hwsim.load(scenario(transform, tensor_parallel_size=tensor))
    macro, single = hwsim.run(loaded).table("requests"), hwsim.run(loaded, single_step=True).table("requests")
    for name in macro:
        assert np.array_equal(np.asarray(macro[name]), np.asarray(single[name])), name


def test_rings_belong_to_places_and_pages_to_tokens() -> None:
    plain = machine(hwsim.load(scenario(None)))
    half = machine(hwsim.load(scenario({"kind": "retrieval_heads", "share": 0.5, "window": 60, "sinks": 4})))
    assert plain.room is not None and half.room is not None and plain.shard is not None and half.shard is not None
    assert half.shard.kv_bytes_per_token * 2 == plain.shard.kv_bytes_per_token
    assert half.shard.ring_bytes == half.shard.kv_bytes_per_token * 64
    rings = half.room.runtime_bytes - plain.room.runtime_bytes
    assert rings == half.shard.ring_bytes * half.config.max_num_seqs


def test_host_memory_bounds_the_tokens_of_what_lies_there() -> None:
    def blocks(capacity: str) -> int:
        changed = scenario("infllm")
        changed["system"] = {"node": {"like": "dgx-h100", "dram": {"capacity": capacity}}}
        return machine(hwsim.load(changed)).config.num_gpu_blocks

    assert blocks("400 GB") == pytest.approx(blocks("200 GB") * 2, rel=1e-3)
    each = 200e9 * 0.8 / 8
    assert blocks("200 GB") == int(each // (131072 * 16))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enable_prefix_caching": True}, "belongs to one request"),
        ({"place": {"kv": ["gpu", "dram"]}}, "prefixes"),
        ({"handover": "nixl", "pools": {"p": {"role": "prefill"}, "d": {"role": "decode"}}}, "with a hand-over"),
        (
            {"handover": "nixl", "pools": {"p": {"role": "prefill", "kv_transform": "think"}, "d": {"role": "decode"}}},
            "one form",
        ),
        ({"execute": {"kind": "zigzag", "gpu_batch": 4}}, "kv_transform does not go with"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ScenarioError, match=reason):
        hwsim.run(hwsim.load(scenario("streaming", **changes)))


def test_models_without_such_attention_are_refused() -> None:
    with pytest.raises(ScenarioError, match="has none"):
        machine(hwsim.load(scenario("streaming", model="deepseek-ai/DeepSeek-V3", tensor_parallel_size=8)))
    assert Shard(find(LLAMA)).ring_bytes == 0


def test_rings_take_their_part_of_the_longest_requests() -> None:
    made = scenario("infllm", max_num_seqs=1000, max_model_len=150000, max_num_batched_tokens=2000)
    found = machine(hwsim.load(made))
    assert found.shard is not None and found.room is not None
    places, each = found.config.max_num_seqs, found.shard.kv_bytes_per_token * 150000
    assert places * found.shard.ring_bytes + places * each == pytest.approx(
        places * found.shard.ring_bytes + found.room.kv_bytes, rel=0.05
    )
    more = machine(hwsim.load({**made, "serve": {**made["serve"], "max_num_seqs": places - 1}}))
    assert more.config.max_num_seqs == places - 1


def test_fewer_bytes_go_over_links_and_into_tiers() -> None:
    def moved(transform: Any, **serve: Any) -> tuple[float, float]:
        made = scenario(transform, enable_prefix_caching=True, **serve)
        made["workload"]["prefix"] = {"share": 1.0, "tokens": 512, "groups": 3}
        result = hwsim.run(hwsim.load(made))
        handed = sum(result.table("handovers")["bytes"]) if "handovers" in result.tables else 0.0
        written = sum(result.table("tiers")["written_bytes"]) if "tiers" in result.tables else 0.0
        return float(handed), float(written)

    pools = {"handover": "nixl", "pools": {"p": {"role": "prefill"}, "d": {"role": "decode"}}}
    tiers = {"place": {"kv": ["gpu", "dram"]}}
    for serve, place in ((pools, 0), (tiers, 1)):
        whole = moved(None, **serve)[place]
        assert whole > 0
        for form in ({"kind": "quantised", "bits": 4}, {"kind": "xquant", "bits": 4}):
            assert moved(form, **serve)[place] == pytest.approx(whole * (4 + 32 / 128) / 16, rel=1e-3)
