"""The order of waiting prompts by length, with ageing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError


def run(policy: str, ageing: float | None = None, *, requests: int = 60) -> Any:
    """One place, steps of 10 ms, prompts of very different lengths that come faster than they are served."""
    serve: dict[str, Any] = {
        "num_gpu_blocks_override": 200,
        "max_num_seqs": 1,
        "max_num_batched_tokens": 64,
        "max_model_len": 1000,
        "scheduling_policy": policy,
    }
    return hwsim.run(
        hwsim.load(
            {
                "name": "order",
                "cost": {"kind": "constant", "step": "10 ms"},
                "serve": serve | ({} if ageing is None else {"ageing": ageing}),
                "workload": {
                    "requests": requests,
                    "arrivals": {"kind": "constant", "rate": "40 /s"},
                    "input_tokens": {"kind": "empirical", "values": [10, 50, 200, 400], "weights": [1, 1, 1, 1]},
                    "output_tokens": 3,
                },
            }
        )
    )


def test_the_shortest_that_waits_is_next() -> None:
    table = run("shortest_prompt").table("requests")
    arrival, start, tokens = (np.asarray(table[name]) for name in ("arrival_s", "scheduled_s", "input_tokens"))
    overtaken = 0
    for first in range(len(start)):
        waiting = (arrival < start[first] - 0.021) & (start > start[first])  # the scheduler saw them in good time
        assert tokens[first] <= tokens[waiting].min(initial=400)
        overtaken += int((waiting & (arrival < arrival[first])).sum())
    assert overtaken > 100


def test_mean_ttft_falls_and_the_longest_wait_longer() -> None:
    fair, short = run("fcfs"), run("shortest_prompt")
    assert short.summary["ttft_ms"]["mean"] < 0.8 * fair.summary["ttft_ms"]["mean"]
    assert short.summary["requests"]["completed"] == 60


def test_ageing_leads_from_one_order_to_the_other() -> None:
    fair, short = run("fcfs"), run("shortest_prompt")
    for ageing, like in ((0.0, short), (1e6, fair)):
        aged = run("shortest_prompt", ageing)
        assert np.array_equal(aged.table("requests")["scheduled_s"], like.table("requests")["scheduled_s"])
    means = [run("shortest_prompt", ageing).summary["ttft_ms"]["mean"] for ageing in (0, 100, 400, 1e6)]
    assert means == sorted(means) and means[1] < means[-1]


@pytest.mark.parametrize(("policy", "ageing"), [("fcfs", 1.0), ("priority", 0.0)])
def test_ageing_without_an_order_by_length_is_refused(policy: str, ageing: float) -> None:
    with pytest.raises(ScenarioError, match="ageing is for waiting prompts"):
        run(policy, ageing)
