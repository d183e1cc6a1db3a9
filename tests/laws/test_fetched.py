"""Blocks of KV that replicas fetch from host memory share its links: exact, conserved, and never faster for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.scenario.build import build

TIMES = ("scheduled_s", "first_token_s", "finish_s")


def scenario(replicas: int = 2, dram: str | None = "60 GB/s", **serve: Any) -> dict[str, Any]:
    node: dict[str, Any] = {"like": "dgx-h100"}
    if dram is not None:
        node["dram"] = {"bandwidth": dram}
    form = {"kind": "infllm", "local": 1024, "blocks": 16, "miss": 0.8}
    return {
        "name": "fetched",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": node},
        "serve": {"kv_transform": form, "max_num_seqs": 8, "max_model_len": 9000, "replicas": replicas, **serve},
        "workload": {
            "requests": 8 * replicas,
            "arrivals": {"kind": "poisson", "rate": f"{4 * replicas} /s"},
            "input_tokens": {"kind": "uniform", "min": 500, "max": 8000},
            "output_tokens": {"kind": "uniform", "min": 5, "max": 60},
        },
    }


def times(made: dict[str, Any], **options: Any) -> dict[str, np.ndarray]:
    table = hwsim.run(hwsim.load(made), **options).table("requests")
    return {name: np.asarray(table[name]) for name in (*TIMES, "arrival_s")}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"router": "least_loaded", "replicas": 3},
        {"router": "round_robin", "engine": "vllm-0.6.6"},
        {"engine": "sglang-0.5"},
        {"tensor_parallel_size": 2},
    ],
    ids=str,
)
def test_macro_steps_equal_single_steps_where_links_are_shared(changes: dict[str, Any]) -> None:
    made = scenario(**changes)
    macro, single = times(made), times(made, single_step=True)
    for name in TIMES:
        np.testing.assert_allclose(macro[name], single[name], rtol=1e-9)


def test_clients_who_wait_see_the_same_either_way() -> None:
    made = scenario()
    made["workload"]["arrivals"] = {"kind": "closed", "concurrency": 6}
    macro, single = times(made), times(made, single_step=True)
    for name in TIMES:
        np.testing.assert_allclose(macro[name], single[name], rtol=1e-9)


def test_narrower_memory_never_helps_and_takes_the_same_bytes() -> None:
    before, size = 0.0, None
    for bandwidth in (None, "80 GB/s", "50 GB/s", "25 GB/s"):
        simulation = build(hwsim.load(scenario(dram=bandwidth)))
        simulation.run()
        simulation_bytes = simulation.pricer.totals()["demands"]["gpu.pcie.h2d"]
        assert size is None or simulation_bytes == pytest.approx(size, rel=1e-9)
        size = simulation_bytes
        end = times(scenario(dram=bandwidth))["finish_s"].max()
        assert end >= before - 1e-9
        before = end


def test_a_replica_is_slowed_by_its_neighbour_and_only_where_they_share() -> None:
    def mean(replicas: int, dram: str) -> float:
        made = scenario(replicas, dram, router="round_robin")
        made["workload"] |= {"requests": 6 * replicas, "arrivals": {"kind": "closed", "concurrency": 3 * replicas}}
        made["workload"] |= {"input_tokens": 6000, "output_tokens": 40}
        found = times(made)
        return float((found["finish_s"] - found["first_token_s"]).mean())

    assert mean(2, "400 GB/s") == pytest.approx(mean(1, "400 GB/s"), rel=0.05)  # clients meet at the API server
    assert mean(2, "30 GB/s") > 1.2 * mean(1, "30 GB/s")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"faults": {"stop": {"replica": 0, "at": "1 s"}}}, "infllm with faults"),
        ({"lora": {"rank": 8}}, "infllm with lora"),
        ({"pipeline_parallel_size": 2}, "infllm with pipeline"),
        ({"router": "kv_aware"}, "kv_aware"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ScenarioError, match=reason):
        build(hwsim.load(scenario(**changes)))
