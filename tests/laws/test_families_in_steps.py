"""Macro-steps equal single steps with the prices of real models: windows, experts, latent attention, scans, stages."""

from __future__ import annotations

import random

import pytest

from hwsim.cost.efficiency import find as find_efficiency
from hwsim.cost.launch import vllm_capture_sizes
from hwsim.cost.price import SUBTICKS_PER_SECOND
from hwsim.cost.roofline import RooflinePricer
from hwsim.cost.stages import PipelinePricer
from hwsim.hardware.find import find_device
from hwsim.model import Shard, find
from hwsim.model.layout import Layout
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request

CASES = {
    "google/gemma-3-1b-it": Layout(),
    "openai/gpt-oss-20b": Layout(),
    "mistralai/Mistral-7B-v0.1": Layout(),
    "Qwen/Qwen3-30B-A3B": Layout(4, expert_parallel_size=4),
    "deepseek-ai/DeepSeek-V2-Lite": Layout(),
    "ai21labs/Jamba-v0.1": Layout(2),
    "google/gemma-2-9b": Layout(2, 2),
    "google-t5/t5-large": Layout(),
}


def run(name: str, *, single_step: bool, graphs: bool) -> tuple:
    gpu = find_device("H100-SXM", "gpu")
    layout = CASES[name]
    kind = PipelinePricer if layout.pipeline_parallel_size > 1 else RooflinePricer
    sizes = vllm_capture_sizes(64, 2048) if graphs else ()
    shard = Shard(find(name), layout=layout)
    prices = kind(shard, gpu, find_efficiency(gpu), capture_sizes=sizes, host_base=1e-3, host_per_row=5e-6)
    config = EngineConfig(num_gpu_blocks=6000, max_num_seqs=32, max_num_batched_tokens=2048)
    engine = Engine(config, prices, single_step=single_step)
    draw = random.Random(name)
    requests, time = [], 0
    for index in range(40):
        time += round(draw.expovariate(20) * 1e12)
        requests.append(Request(index, time, draw.choice([50, 500, 1000, 4000]), draw.randrange(2, 300)))
        engine.submit(requests[-1], time << 10)
    engine.advance()
    assert {request.status for request in requests} == {"completed"}
    totals = prices.totals()
    times = [(request.scheduled, request.first_token, request.finish) for request in requests]
    return times, engine.step, totals["time_by_bound"], totals["demands"], engine.journal.stretches


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_macro_steps_equal_single_steps(name: str, graphs: bool) -> None:
    macro, single = (run(name, single_step=each, graphs=graphs) for each in (False, True))
    assert macro[:3] == single[:3]
    assert macro[3] == pytest.approx(single[3], rel=1e-9)
    assert macro[4] < single[4] and sum(macro[2].values()) > SUBTICKS_PER_SECOND // 100
