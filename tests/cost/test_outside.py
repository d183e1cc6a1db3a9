"""Costs beyond the rows that a law was fitted on are named, with the farthest value; others are not."""

from __future__ import annotations

from hwsim.cost.price import StepShape
from hwsim.scenario.load import load
from hwsim.scenario.run import run
from tests.cost.pricing import decode, pricer


def test_nothing_to_say_inside_the_rows() -> None:
    prices = pricer()
    prices.price(StepShape(0, ((4096, 0),), 1), 0)
    prices.price(decode(64), 64 * 2000)
    assert prices.outside() == []


def test_the_farthest_value_is_named_once() -> None:
    prices = pricer()
    for length in (20_000, 50_000, 40_000):
        prices.price(StepShape(0, ((length, 0),), 1), 0)
    lines = prices.outside()
    assert [line for line in lines if "attention_prefill" in line] == [
        "cost outside the calibrated range: attention_prefill.bf16 at tokens 50,000 (rows of H100-SXM up to 16,384)"
    ]
    assert any("gemm.bf16 at m 50,000" in line for line in lines) and len(lines) == 2


def test_long_contexts_of_decode_rows() -> None:
    prices = pricer()
    prices.price(decode(2), 2 * 400_000)
    (line,) = prices.outside()
    assert "attention_decode.bf16 at tokens" in line and "up to 131,072" in line


def test_a_result_says_it() -> None:
    spec = {
        "hwsim": 1,
        "name": "long",
        "model": {"like": "meta-llama/Llama-3.1-8B"},
        "system": {"node": "hgx-h100"},
        "serve": {"engine": "vllm-0.33", "max_num_batched_tokens": 16_384},
        "workload": {
            "requests": 1,
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 60_000,
            "output_tokens": 2,
        },
    }
    warnings = run(load(spec)).summary["warnings"]
    assert [line for line in warnings if "calibrated range" in line] == [
        "cost outside the calibrated range: attention_prefill.bf16 at tokens 60,000 (rows of H100-SXM up to 16,384)"
    ]
