"""Laws of LoRA adapters: who waits for which, what a fetch and a step take, and how much memory is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.model import find
from hwsim.scenario.lora import parameters

TIMES = ("scheduled_s", "first_token_s", "finish_s")


def scenario(lora: dict[str, Any] | None, adapters: int = 6, **workload: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "adapters",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": "dgx-h100"},
        "serve": {"replicas": 2, "router": "round_robin", "tensor_parallel_size": 2},
        "workload": {
            "requests": 40,
            "arrivals": {"kind": "poisson", "rate": "20 /s"},
            "input_tokens": 300,
            "output_tokens": 40,
        }
        | workload,
    }
    if lora is not None:
        found["serve"] |= {"lora": lora, "place": {"adapters": {"tiers": ["gpu", "dram"]}}}
        found["workload"]["adapters"] = {"count": adapters, "skew": 0.5}
    return found


def run(found: dict[str, Any], **options: Any) -> Any:
    return hwsim.run(hwsim.load(found), **options)


def test_parameters_are_those_of_the_detours() -> None:
    model = find("meta-llama/Llama-3.1-8B-Instruct", dtype=None, kv_cache_dtype=None)
    weights, _ = parameters(model, 16)
    attention = (4096 + 6144) + (4096 + 4096)  # q, k, v in one, and the output
    assert weights == 32 * 16 * (attention + (4096 + 2 * 14336) + (14336 + 4096))


def test_a_first_request_waits_for_its_adapter() -> None:
    one = {"requests": 1}
    cold = run(scenario({"rank": 64, "max_loras": 2}, **one))
    plain = run(scenario(None, **one))
    assert cold.summary["fleet"]["adapter_loads"] == 1
    weights, _ = parameters(find("meta-llama/Llama-3.1-8B-Instruct", dtype=None, kv_cache_dtype=None), 64)
    fetch = weights * 2 / 2 / 55e9 * 1e3  # half of it to each of two GPUs over PCIe 5 x16, in ms
    extra = cold.summary["ttft_ms"]["p50"] - plain.summary["ttft_ms"]["p50"]
    assert fetch < extra < 1.5 * fetch + 2
    assert cold.summary["tpot_ms"]["p50"] > plain.summary["tpot_ms"]["p50"]


def test_adapters_that_fit_are_fetched_once_and_others_again() -> None:
    roomy = run(scenario({"rank": 16, "max_loras": 6})).summary["fleet"]
    tight = run(scenario({"rank": 16, "max_loras": 1})).summary
    assert roomy["adapter_loads"] <= 2 * 6
    assert roomy["adapter_loads"] + roomy["adapter_hits"] >= 40 - 12
    assert tight["fleet"]["adapter_loads"] > roomy["adapter_loads"]
    assert tight["requests"]["completed"] == 40


def test_places_for_adapters_are_taken_from_the_kv_memory() -> None:
    def blocks(lora: dict[str, Any] | None) -> int:
        return run(scenario(lora, requests=1)).summary["memory"]["kv"]["capacity_bytes"]

    assert blocks({"rank": 64, "max_loras": 16}) < blocks({"rank": 64, "max_loras": 2}) < blocks(None)


@pytest.mark.parametrize("most", [1, 3])
def test_macro_steps_equal_single_steps(most: int) -> None:
    found = scenario({"rank": 32, "max_loras": most})
    macro, single = run(found), run(found, single_step=True)
    for name in TIMES:
        assert np.array_equal(macro.table("requests")[name], single.table("requests")[name]), name


def test_what_does_not_go_together_is_refused() -> None:
    found = scenario({"rank": 8})
    found["serve"]["faults"] = {"x": {"replica": 0, "at": "1 s"}}
    with pytest.raises(ScenarioError, match="adapters with faults"):
        run(found)
    found = scenario(None)
    found["workload"]["adapters"] = {"count": 3}
    with pytest.raises(ScenarioError, match="none are served"):
        run(found)
    found = scenario({"rank": 8})
    found["serve"]["place"]["adapters"]["tiers"] = ["dram", "gpu"]
    with pytest.raises(ScenarioError, match="least recently used"):
        run(found)
