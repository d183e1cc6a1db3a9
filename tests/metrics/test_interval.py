"""Intervals: sampling by batch means covers what it says, the model by committed spreads, rates by what is offered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hwsim.metrics import interval
from hwsim.metrics.interval import intervals
from hwsim.scenario.load import load
from hwsim.scenario.run import run


def table(ttft: np.ndarray, rate: float = 10.0, tokens: int = 11, gap: float = 0.01) -> dict[str, Any]:
    arrival = np.arange(len(ttft)) / rate
    first = arrival + ttft
    return {
        "arrival_s": arrival,
        "scheduled_s": arrival,
        "first_token_s": first,
        "finish_s": first + gap * (tokens - 1),
        "output_tokens": np.full(len(ttft), tokens),
        "status": ["completed"] * len(ttft),
    }


def drawn(seed: int, count: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(math.log(0.1), 0.5, count)


def test_sampling_intervals_hold_the_true_median_in_about_four_of_five_runs() -> None:
    inside = 0
    for seed in range(200):
        ttft = drawn(seed)
        found = intervals({"ttft.p50": float(np.median(ttft)) * 1e3}, table(ttft), {}, None)["ttft.p50"]
        low, high = found["sampling"] or (0, 0)
        inside += low <= 100 <= high
    assert 0.70 < inside / 200 < 0.90


def test_few_requests_have_no_sampling_interval_and_given_costs_no_model() -> None:
    found = intervals({"ttft.p50": 100.0}, table(drawn(1, 50)), {}, None)
    assert found == {"ttft.p50": {"sampling": None, "model": None}}


def test_the_model_interval_is_the_committed_spread_and_wider_where_costs_are_borrowed() -> None:
    requests = table(drawn(2))
    own, borrowed = (
        intervals({"tpot.p50": 10.0}, requests, {}, costs)["tpot.p50"] for costs in ("calibrated", "borrowed")
    )
    sigma = interval.spread("tpot") or 0
    assert own["model"] == pytest.approx([10 * math.exp(-1.2816 * sigma), 10 * math.exp(1.2816 * sigma)], rel=1e-3)
    assert (borrowed["model"] or [0, 0])[1] >= (own["model"] or [0, 0])[1]
    assert all(entry["borrowed"] >= entry["calibrated"] > 0 for entry in interval.spreads().values())


def test_no_more_is_served_than_was_offered() -> None:
    requests = table(drawn(3))
    figures = {"throughput.output": 105.0, "usd_per_million_output_tokens": 2.0}
    found = intervals(figures, requests, {}, "calibrated", open_loop=True)
    offered = 1000 * 11 / (999 / 10)
    assert (found["throughput.output"]["model"] or [0, 0])[1] == pytest.approx(offered, rel=1e-3)
    assert (found["usd_per_million_output_tokens"]["model"] or [0])[0] == pytest.approx(2 * 105 / offered, rel=1e-3)
    free = intervals(figures, requests, {}, "calibrated")
    assert (free["throughput.output"]["model"] or [0, 0])[1] > offered


def test_attainment_moves_with_the_limits() -> None:
    requests = table(drawn(4))
    limits = {"ttft_s": 0.15}
    found = intervals({"slo.attainment": 0.79}, requests, limits, "calibrated")["slo.attainment"]
    low, high = found["model"] or (1, 0)
    assert 0 <= low < 0.79 < high <= 1
    assert (found["sampling"] or [0, 0])[0] < 0.79


def test_a_run_shows_its_intervals_and_the_digest_does_not_depend_on_them() -> None:
    scenario = {
        "hwsim": 1,
        "model": {"like": "meta-llama/Llama-3.1-8B"},
        "system": {"node": "hgx-h100"},
        "serve": {"engine": "vllm-0.19"},
        "workload": {
            "requests": 300,
            "arrivals": {"kind": "poisson", "rate": "20 /s"},
            "input_tokens": 64,
            "output_tokens": 16,
        },
    }
    result = run(load(scenario))
    found = result.summary["intervals"]
    assert {"ttft.p50", "tpot.p99", "throughput.output"} <= set(found)
    low, high = found["tpot.p50"]["model"]
    assert low < result.summary["tpot_ms"]["p50"] < high
    from hwsim.metrics.digest import digest

    assert digest({**result.summary, "intervals": None}, result.tables) == result.digest
