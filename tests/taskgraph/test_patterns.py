"""Patterns: what must move does move, overlap never costs, streams bound the pass, prices are affine between knots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cost.price import SUBTICKS_PER_SECOND, StepShape
from hwsim.errors import FitError
from hwsim.hardware import System
from hwsim.model import find
from hwsim.part import Parts
from hwsim.scenario.load import load
from hwsim.scenario.run import run
from hwsim.taskgraph.job import Job, Sizes, Step
from hwsim.taskgraph.pricer import GraphPricer, PassTime

NODE: dict[str, Any] = {
    "like": "workstation",
    "gpu": {"like": "RTX-4090", "pcie": {"bandwidth": "20 GB/s"}},
    "dram": {"capacity": "256 GB", "bandwidth": "100 GB/s"},
    "cpu": {"like": "Xeon-8480+"},
    "ssd": {"like": "D7-P5510-3.84TB", "read_bandwidth": "5 GB/s", "write_bandwidth": "2 GB/s"},
}
PHONE: dict[str, Any] = {"like": "oneplus-12", "dram": {"usable": "19 GB"}}
MODEL = "meta-llama/Llama-3.1-8B"
DECODE = Step(8, 1, 1023)


def _pricer(
    kind: str, place: dict[str, dict[str, float]] | None = None, node: Any = NODE, **settings: Any
) -> GraphPricer:
    facts = settings.pop("facts", {})
    draft = settings.pop("draft", None)
    dtype = settings.pop("dtype", "bf16")
    job = Job(find(MODEL, dtype=dtype), System.of({"node": node}), settings, place or {}, facts, draft)
    return GraphPricer(job, Parts("hwsim.taskgraph.patterns").get(kind))


def _decode(*arguments: Any, step: Step = DECODE, **settings: Any) -> PassTime:
    return _pricer(*arguments, **settings).pass_time(step, steady=True)


SPLIT = {"weights": {"dram": 0.5, "ssd": 0.5}, "kv": {"dram": 1.0}, "activations": {"dram": 1.0}}
SIZES = Sizes.of(find(MODEL))
LAYERS = (SIZES.attention + SIZES.ffn) * SIZES.layers * 2


def test_sizes_add_up_to_the_model() -> None:
    model = find(MODEL)
    tables = 2 * model.vocab_size * model.hidden_size
    assert (SIZES.attention + SIZES.ffn) * SIZES.layers + tables == pytest.approx(model.parameters, rel=1e-6)
    assert SIZES.matrices == 3


def test_zigzag_moves_every_byte_once_per_block() -> None:
    found = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=2)
    assert found.copies["ssd-dram"] == pytest.approx(LAYERS * 0.5)
    cache = 8 * 1023 * SIZES.kv_bytes * SIZES.layers
    hidden = 2 * 8 * SIZES.hidden * 2 * SIZES.layers
    assert found.copies["dram-gpu0"] == pytest.approx(LAYERS + cache + hidden)


def test_zigzag_overlap_and_cpu_attention() -> None:
    overlapped = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=2)
    serial = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=2, overlap=False)
    assert overlapped.seconds < serial.seconds
    assert serial.seconds == pytest.approx(sum(serial.parts.values()), rel=1e-6)
    assert overlapped.seconds >= LAYERS * 0.5 / 5e9
    delegated = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=2, cpu_attention=True)
    assert delegated.copies["dram-gpu0"] < overlapped.copies["dram-gpu0"]
    native = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=2, cpu_attention=True, cpu_kernel="native")
    assert native.parts["CPU attention"] < delegated.parts["CPU attention"]


def test_zigzag_reuses_weights_over_the_block() -> None:
    one = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=1, step=Step(4, 1, 1023))
    block = _decode("zigzag", SPLIT, gpu_batch=4, gpu_batches=8, step=Step(32, 1, 1023))
    assert block.seconds < 3 * one.seconds


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(FitError) as caught:
        _decode(
            "zigzag", {**SPLIT, "weights": {"gpu": 1.0}, "kv": {"gpu": 1.0}}, gpu_batch=200, step=Step(200, 1, 4000)
        )
    assert "memory gpu0" in str(caught.value) and "kv" in str(caught.value)


@pytest.mark.parametrize("place", ["dram", "ssd"])
def test_layer_streaming_takes_its_slowest_stream(place: str) -> None:
    weights = {"weights": {place: 1.0}}
    ahead = _decode("layer_streaming", weights, batch=8, buffers=2)
    turns = _decode("layer_streaming", weights, batch=8, synchronous=True)
    rate = {"dram": 20e9, "ssd": 5e9}[place]
    assert ahead.seconds == pytest.approx(LAYERS / rate, rel=0.05)
    assert turns.seconds > ahead.seconds
    faults = _decode("layer_streaming", {"weights": {"ssd": 1.0}}, batch=8, mapped=True)
    assert faults.seconds >= LAYERS / 5e9 * (1 - 1e-9)


def test_active_neurons_read_what_the_window_lacks() -> None:
    facts = {"active": 0.03, "new": 0.024, "window": 0.24}
    options: dict[str, Any] = {"node": {**NODE, "ssd": None, "flash": NODE["ssd"]}, "facts": facts, "backend": "cpu"}
    found = _decode("active_neurons", bundled_rate=2.25e9, step=Step(1, 1, 200), **options)
    read = SIZES.ffn * SIZES.layers * 2 * 0.024
    assert found.copies["flash-dram"] == pytest.approx(read)
    assert found.parts["flash read"] == pytest.approx(read / 2.25e9, rel=0.05)
    assert found.seconds == pytest.approx(sum(found.parts.values()), rel=1e-6)  # nothing overlaps
    naive = _decode("active_neurons", predict=False, step=Step(1, 1, 200), **options)
    assert naive.parts["flash read"] == pytest.approx(find(MODEL).parameters * 2 / 5e9, rel=0.02)
    half = _decode("active_neurons", predict=False, resident=0.5, step=Step(1, 1, 200), **options)
    assert half.parts["flash read"] == pytest.approx(naive.parts["flash read"] / 2, rel=0.02)


def test_neuron_clusters_gain_step_by_step() -> None:
    facts = {"active": 0.5, "reuse": 0.95}
    chain = [
        {"bundle": "none", "cache": False, "pipeline": False, "npu_share": 0.0},
        {"bundle": "gate_up_down", "cache": False, "pipeline": False, "npu_share": 0.0},
        {"bundle": "gate_up_down", "cache": True, "pipeline": False, "npu_share": 0.0},
        {"bundle": "gate_up_down", "cache": True, "pipeline": True, "npu_share": 0.0},
        {"bundle": "gate_up_down", "cache": True, "pipeline": True, "npu_share": 0.5},
    ]
    place = {"ffn": {"dram": 0.5, "flash": 0.5}}
    step = Step(1, 1, 200)
    options: dict[str, Any] = {"node": PHONE, "dtype": "int4", "step": step, "facts": facts}
    times = [_decode("neuron_clusters", place, **options, **one).seconds for one in chain]
    assert times == sorted(times, reverse=True)
    assert times[0] > 4 * times[-1]


def test_two_groups_hide_cpu_attention() -> None:
    step = Step(256, 1, 1023)
    alone = _decode("alternating_groups", batch=256, alternate=False, step=step)
    both = _decode("alternating_groups", batch=256, step=step)
    assert both.seconds <= alone.seconds * (1 + 1e-9)
    assert both.copies["dram-gpu0"] < LAYERS * 1.1  # the cache does not cross PCIe


def test_drafting_under_the_load_gains() -> None:
    draft = find(MODEL)
    place: dict[str, Any] = {}
    options: dict[str, Any] = {"node": PHONE, "dtype": "int4", "draft": draft, "step": Step(1, 1, 200)}
    standard = _decode("draft_resident", place, verify="token", speculative=False, pipeline=False, **options)
    tree = _decode("draft_resident", place, tree_tokens=8, accepted=4.0, speculative=False, **options)
    beside = _decode("draft_resident", place, tree_tokens=8, accepted=4.0, **options)
    assert beside.seconds <= tree.seconds < standard.seconds
    assert standard.parts["layer load"] == pytest.approx(4 * tree.parts["layer load"], rel=1e-3)


def test_blocks_fill_the_budget_and_move_when_it_grows() -> None:
    small = _pricer("weight_blocks", budget=5e9)
    large = _pricer("weight_blocks", budget=8e9, budget_before=5e9)
    pattern: Any = large.pattern
    first = large.pass_time(Step(1, 16, 0), steady=False)
    assert first.copies["ssd-gpu0"] == pytest.approx(3e9, rel=1e-6)
    assert pattern.fixed_bytes() + pattern.depth * pattern.block_bytes() * SIZES.layers == pytest.approx(8e9)
    step = Step(1, 1, 200)
    assert small.pass_time(step, steady=True).seconds < large.pass_time(step, steady=True).seconds


def test_retrieval_cost_does_not_grow_with_the_context() -> None:
    short = _decode("kv_retrieval", step=Step(1, 1, 20_000))
    long = _decode("kv_retrieval", step=Step(1, 1, 200_000))
    assert long.copies["dram-gpu0"] == short.copies["dram-gpu0"]
    assert long.seconds < 1.5 * short.seconds


def test_prices_join_at_their_knots() -> None:
    pricer = _pricer("zigzag", SPLIT, gpu_batch=4, gpu_batches=2)
    shape = StepShape(8, (), 8)
    price = pricer.price(shape, 8 * 1000)
    after = pricer.price(shape, price.limit + 1)
    assert price.low <= 8000 <= price.limit and after.low == price.limit + 1
    jump = abs(after.device(after.low) - price.device(after.low))
    assert jump <= 8 * 1000  # rounding of the slope only
    assert price.device(8000) / SUBTICKS_PER_SECOND == pytest.approx(
        pricer.pass_time(Step(8, 1, 999), steady=True).seconds, rel=1e-3
    )


def _scenario(**workload: Any) -> dict[str, Any]:
    return {
        "hwsim": 1,
        "name": "offline",
        "model": MODEL,
        "system": {"node": NODE},
        "serve": {
            "batching": "static",
            "execute": {"kind": "zigzag", "gpu_batch": 4, "gpu_batches": 2},
            "place": {"weights": {"split": {"dram": "50 %", "ssd": "50 %"}}, "kv": "dram", "activations": "dram"},
        },
        "workload": {
            "requests": 20,
            "arrivals": {"kind": "closed", "concurrency": 20},
            "input_tokens": 128,
            "output_tokens": 8,
            **workload,
        },
    }


def test_static_batches_run_to_a_result_of_the_usual_shape() -> None:
    result = run(load(_scenario()))
    summary = result.summary
    assert summary["requests"]["completed"] == 20
    assert result.digest == run(load(_scenario())).digest
    steps = result.table("steps")
    assert steps["steps"].sum() == 3 * 8  # three batches of 8, 8 and 4; a prefill and seven decode passes each
    assert summary["output_throughput"] == pytest.approx(160 / summary["simulated_seconds"])
    assert sum(summary["bottleneck"].values()) == pytest.approx(1.0, rel=1e-6)
    assert summary["parts"]["decode"]["weight_from_disk"] == pytest.approx(LAYERS * 0.5 / 5e9 * 1e3, rel=0.02)


def test_a_lower_share_of_the_peak_makes_prompts_slower() -> None:
    times = []
    for share in ("80 %", "20 %"):
        scenario = _scenario(input_tokens=512)
        scenario["serve"]["execute"]["gpu_efficiency"] = share
        scenario["serve"]["place"] = {"weights": "gpu", "kv": "gpu", "activations": "gpu"}
        times.append(run(load(scenario)).summary["parts"]["prefill"]["ffn_gemm"])
    assert times[1] == pytest.approx(4 * times[0], rel=0.05)


def test_commands_take_offline_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.chdir(tmp_path)
    Path("offline.yaml").write_text(json.dumps(_scenario()))  # JSON is YAML
    assert main(["run", "offline.yaml"]) == 0
    assert main(["explain", "runs/latest", "--slowest", "1"]) == 0
