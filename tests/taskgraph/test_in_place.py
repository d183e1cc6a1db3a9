"""Layers computed in place: only hidden states move, parts follow each other, the ends agree with other patterns."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.hardware import System
from hwsim.model import find
from hwsim.part import Parts
from hwsim.taskgraph.job import Job, Sizes, Step
from hwsim.taskgraph.pricer import GraphPricer, PassTime

NODE: dict[str, Any] = {
    "like": "workstation",
    "gpu": {"like": "RTX-4090", "pcie": {"bandwidth": "20 GB/s"}},
    "dram": {"capacity": "512 GB"},
    "cpu": {"like": "Xeon-8480+"},
}
DENSE, MIXED = "meta-llama/Llama-3.1-8B", "mistralai/Mixtral-8x7B-v0.1"
DECODE = Step(1, 1, 511)


def passed(
    place: dict[str, Any], kind: str = "in_place", model: str = DENSE, step: Step = DECODE, **more: Any
) -> PassTime:
    job = Job(find(model), System.of({"node": NODE}), more, place, {}, None)
    return GraphPricer(job, Parts("hwsim.taskgraph.patterns").get(kind)).pass_time(step, steady=True)


def test_all_in_one_place_is_plain_layers() -> None:
    for place, backend in (("gpu", "gpu0"), ("dram", "cpu")):
        whole = {"weights": {place: 1.0}}
        streamed = passed(whole, "layer_streaming", backend=backend)
        assert passed(whole).seconds == pytest.approx(streamed.seconds, rel=0.02), place


def test_parts_follow_each_other_and_only_hidden_states_move() -> None:
    found = passed({"weights": {"gpu": 0.5, "dram": 0.5}})
    assert found.seconds == pytest.approx(sum(found.parts.values()), rel=1e-6)
    hidden = DECODE.tokens * Sizes.of(find(DENSE)).hidden * 2
    assert found.copies["gpu0-dram"] == pytest.approx(hidden), "once a pass, from the last GPU layer"
    experts = passed({"attention": {"gpu": 1.0}, "experts": {"dram": 1.0}})
    assert experts.copies["gpu0-dram"] == pytest.approx(hidden * 32), "once a layer"


def test_more_layers_on_the_gpu_are_faster() -> None:
    times = [passed({"weights": {"gpu": share, "dram": 1 - share}}).seconds for share in (0.0, 0.25, 0.5, 1.0)]
    assert times == sorted(times, reverse=True) and times[0] > 3 * times[-1]


def test_a_token_reads_its_experts_and_a_long_prompt_all() -> None:
    place = {"attention": {"gpu": 1.0}, "experts": {"dram": 1.0}}
    sizes = Sizes.of(find(MIXED))
    bandwidth = System.of({"node": NODE}).capacities("bf16")["dram"]
    one = passed(place, model=MIXED).parts["feed-forward"]
    assert one == pytest.approx(sizes.layers * sizes.ffn * 2 * sizes.top_k / sizes.experts / bandwidth, rel=0.01)
    pair = passed(place, model=MIXED, step=Step(2, 1, 511)).parts["feed-forward"]
    assert pair == pytest.approx(one * 4 * (1 - (1 - 0.25) ** 2), rel=0.01)


def test_latent_attention_keeps_latents() -> None:
    sizes = Sizes.of(find("deepseek-ai/DeepSeek-V3"))
    assert sizes.kv_bytes == (512 + 64) * 2
    assert sizes.attention == pytest.approx(187e6, rel=0.01)


def test_kernels_without_matrix_units_run_at_the_vector_peak() -> None:
    whole, step = {"weights": {"dram": 1.0}}, Step(1, 2048, 0)
    fast, slow = (passed(whole, step=step, cpu_units=units).parts["feed-forward"] for units in ("matrix", "vector"))
    device = System.of({"node": NODE}).groups
    peak = {name: next(iter(device.values())).node.devices["cpu"].get(f"peak.{name}") for name in ("bf16", "fp32")}
    assert slow / fast == pytest.approx((peak["bf16"] or 0) / (peak["fp32"] or 1), rel=0.01)
