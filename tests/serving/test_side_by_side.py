"""Laws of prefill and decode on shares of one GPU's SMs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.cost.sm_share import bandwidth
from hwsim.errors import ScenarioError

TIMES = ("scheduled_s", "first_token_s", "finish_s")


def scenario(split: Any, **workload: Any) -> dict[str, Any]:
    return {
        "name": "side-by-side",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": "l40s-8"},
        "serve": {
            "handover": {"kind": "in_place", "kv": 0.3},
            "split": split,
            "pools": {
                "prefill": {"role": "prefill", "replicas": 1, "max_num_batched_tokens": 4096},
                "decode": {"role": "decode", "max_num_seqs": 64},
            },
        },
        "workload": {
            "requests": 30,
            "arrivals": {"kind": "poisson", "rate": "2 /s"},
            "input_tokens": {"kind": "uniform", "min": 500, "max": 4000},
            "output_tokens": {"kind": "uniform", "min": 10, "max": 200},
        }
        | workload,
        "slo": {"ttft": "3 s", "tpot": "60 ms"},
    }


def fixed(share: float) -> dict[str, Any]:
    return {"kind": "fixed", "prefill": share}


def run(found: dict[str, Any], **options: Any) -> Any:
    return hwsim.run(hwsim.load(found), **options)


SPLITS = [fixed(0.4), {"kind": "reactive", "tpot": "45 ms"}, {"kind": "proactive"}]


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split["kind"])
def test_macro_steps_equal_single_steps(split: dict[str, Any]) -> None:
    macro, single = run(scenario(split)), run(scenario(split), single_step=True)
    assert macro.summary["requests"]["completed"] == 30
    for name in TIMES:
        a, b = (np.asarray(result.table("requests")[name]) for result in (macro, single))
        assert np.allclose(a, b, rtol=1e-9, atol=1e-11), (name, np.abs(a - b).max())


def test_a_prompt_alone_takes_as_long_as_its_share_of_the_sms_says() -> None:
    alone = {"requests": 1, "input_tokens": 4000, "output_tokens": 2}
    half, quarter = (run(scenario(fixed(share), **alone)).summary["ttft_ms"]["p50"] for share in (0.5, 0.25))
    assert 1.7 < quarter / half < 2.0  # all but the memory-bound part and launches


def test_more_sms_for_one_side_are_less_for_the_other() -> None:
    found = [run(scenario(fixed(share))).summary for share in (0.3, 0.6, 0.85)]
    first = [summary["ttft_ms"]["p50"] for summary in found]
    pace = [summary["tpot_ms"]["p50"] for summary in found]
    assert first == sorted(first, reverse=True) and pace == sorted(pace)


def test_the_two_compete_for_the_memory() -> None:
    busy = run(scenario(fixed(0.5))).summary["tpot_ms"]["p50"]
    quiet = run(scenario(fixed(0.5), arrivals={"kind": "closed", "concurrency": 1})).summary["tpot_ms"]["p50"]
    assert busy > 1.05 * quiet


def test_bandwidth_comes_up_fast_and_is_nearly_flat_beyond_half_of_the_sms() -> None:
    shares = [bandwidth(share / 10) for share in range(1, 11)]
    assert shares == sorted(shares) and shares[-1] == 1
    assert shares[3] / shares[2] == pytest.approx(1.1, abs=0.02)  # what was fitted: 10 % from 30 to 40 % of the SMs
    assert all(after / before < 1.03 for before, after in itertools.pairwise(shares[4:]))


def test_what_cannot_share_a_gpu_is_refused() -> None:
    for change, words in (
        ({"split": None}, "need a split"),
        ({"handover": "nixl"}, "split is for pools on the same GPUs"),
        ({"decode_router": "random"}, "is decoded there"),
    ):
        found = scenario(fixed(0.5))
        found["serve"] |= change
        if change.get("split", 1) is None:
            del found["serve"]["split"]
        with pytest.raises(ScenarioError, match=words):
            run(found)
    found = scenario(fixed(0.5))
    found["serve"]["pools"]["decode"]["tensor_parallel_size"] = 2
    with pytest.raises(ScenarioError, match="differ in their parallelism"):
        run(found)
