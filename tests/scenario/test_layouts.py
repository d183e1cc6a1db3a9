"""Models of every kind served from a scenario: stages, spread experts, routing, states, windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.scenario.machine import machine


def scenario(model: str, serve: dict[str, Any], **workload: Any) -> hwsim.Scenario:
    base: dict[str, Any] = {
        "name": "layouts",
        "model": model,
        "system": {"node": "dgx-h100", "nodes": 1},
        "serve": serve,
        "workload": {
            "requests": 60,
            "arrivals": {"kind": "poisson", "rate": "20 /s"},
            "input_tokens": 600,
            "output_tokens": 100,
            **workload,
        },
    }
    return hwsim.load(base)


def run(model: str, serve: dict[str, Any], **workload: Any) -> dict[str, Any]:
    summary = hwsim.run(scenario(model, serve, **workload)).summary
    assert summary["requests"]["completed"] == 60
    return dict(summary)


def test_tensors_before_stages_in_latency() -> None:
    name = "meta-llama/Llama-3.1-70B"
    times = [
        run(name, {"tensor_parallel_size": tensor, "pipeline_parallel_size": 4 // tensor})["tpot_ms"]["p50"]
        for tensor in (4, 2, 1)
    ]
    assert times == sorted(times) and times[2] > 1.5 * times[0]


def test_stages_share_the_room() -> None:
    one = machine(scenario("meta-llama/Llama-3.1-8B", {}))
    two = machine(scenario("meta-llama/Llama-3.1-8B", {"pipeline_parallel_size": 2}))
    assert one.room is not None and two.room is not None
    assert two.room.num_gpu_blocks > 2 * one.room.num_gpu_blocks  # half the weights and half the bytes per page
    assert two.gpus_used == 2


def test_experts_spread_over_ranks() -> None:
    name = "Qwen/Qwen3-30B-A3B"
    spread = machine(scenario(name, {"data_parallel_size": 4, "enable_expert_parallel": True}))
    assert spread.shard is not None
    assert [each.held for each in spread.shard.experts] == [32]
    whole = machine(scenario(name, {}))
    assert whole.shard is not None and spread.shard.weight_bytes < 0.4 * whole.shard.weight_bytes
    run(name, {"data_parallel_size": 4, "enable_expert_parallel": True})
    run(name, {"tensor_parallel_size": 4, "enable_expert_parallel": True})


def test_routing_slows_the_busiest_rank(tmp_path: Path) -> None:
    table = tmp_path / "routes.csv"
    rows = [f"0,{expert},{3 if expert < 32 else 1}" for expert in range(128)]
    table.write_text("layer,expert,selections\n" + "\n".join(rows) + "\n")
    serve = {"tensor_parallel_size": 4, "enable_expert_parallel": True}
    even, skewed = (
        run("Qwen/Qwen3-30B-A3B", serve, routing=routing)["ttft_ms"]["mean"]
        for routing in ("uniform", {"kind": "counts", "file": str(tmp_path / "routes")})
    )
    assert skewed > even
    with pytest.raises(ScenarioError, match="not found"):
        run("Qwen/Qwen3-30B-A3B", serve, routing={"kind": "counts", "file": "nowhere"})


def test_states_limit_the_sequences() -> None:
    name = "nvidia/Nemotron-H-8B-Base-8K"
    many = machine(scenario(name, {}))
    assert many.room is not None and many.shard is not None
    slots = many.settings["max_num_seqs"]
    assert 100 < slots < 1024 and slots * many.shard.state_bytes < 40e9
    few = machine(scenario(name, {"max_num_seqs": 16}))
    assert few.settings["max_num_seqs"] == 16
    assert few.room is not None and few.room.num_gpu_blocks > many.room.num_gpu_blocks
    run(name, {})


@pytest.mark.parametrize("name", ["google/gemma-2-9b", "openai/gpt-oss-20b", "RWKV/rwkv-6-world-7b"])
def test_windows_and_states_run(name: str) -> None:
    summary = run(name, {"max_model_len": 4096})
    assert summary["tpot_ms"]["p50"] > summary["bound"]["tpot_ms"]


def test_a_prompt_takes_no_less_for_being_dealt_to_stages() -> None:
    name = "meta-llama/Llama-3.1-8B"
    lone = {"requests": 2, "arrivals": {"kind": "closed", "concurrency": 1}, "input_tokens": 1500}
    ttft = {}
    for stages in (1, 2, 4):
        loaded = scenario(name, {"pipeline_parallel_size": stages, "enable_prefix_caching": False}, **lone)
        summary = hwsim.run(loaded).summary
        ttft[stages] = summary["ttft_ms"]["mean"]
        shares = summary["bottleneck"]
        assert shares["host"] < 0.15 and sum(shares.values()) == pytest.approx(1.0)
        # alone in the line, a batch is in other stages than the slowest nearly all the rest of the time
        assert shares.get("pipeline", 0.0) == pytest.approx((1 - 1 / stages) * (1 - shares["host"]), abs=0.1)
    assert ttft[1] < ttft[2] < ttft[4] < 1.15 * ttft[1]


def test_chunks_of_a_prompt_fill_the_stages() -> None:
    # two chunks in four stages take five quarters of one through all of them
    name = "meta-llama/Llama-3.1-8B"
    lone = {"requests": 2, "arrivals": {"kind": "closed", "concurrency": 1}, "input_tokens": 8192}
    ttft = {}
    for budget, stages in ((4096, 4), (8192, 4), (4096, 1)):
        serve = {"pipeline_parallel_size": stages, "max_num_batched_tokens": budget, "enable_prefix_caching": False}
        ttft[budget, stages] = hwsim.run(scenario(name, serve, **lone)).summary["ttft_ms"]["mean"]
    assert 0.5 < ttft[4096, 4] / ttft[4096, 1] < 0.72
    assert ttft[8192, 4] > 1.4 * ttft[4096, 4]


def test_llama_cpp_leaves_input_embeddings_on_the_host() -> None:
    serve = {"engine": "llama.cpp-1", "max_model_len": 2048}
    own = machine(scenario("meta-llama/Meta-Llama-3-8B", serve))
    tied = machine(scenario("meta-llama/Llama-3.2-1B", serve))
    for found, elsewhere in ((own, 128256 * 4096 * 2), (tied, 0)):
        assert found.room is not None and found.shard is not None
        assert found.room.weight_bytes == found.shard.weight_bytes - elsewhere
