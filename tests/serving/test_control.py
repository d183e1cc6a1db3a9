"""Laws of the control plane: nothing is lost, whatever fails, and both ways of stepping agree."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.serving import engine_profile

TIMES = ("arrival_s", "scheduled_s", "first_token_s", "finish_s")


def constant(**serve: Any) -> dict[str, Any]:
    """Replicas with steps of 10 ms, and requests of 8 prompt and 50 output tokens that come every 100 ms."""
    return {
        "name": "control",
        "cost": {"kind": "constant", "step": "10 ms"},
        "serve": {"replicas": 2, "max_model_len": 400, "num_gpu_blocks_override": 400, "async_scheduling": False}
        | serve,
        "workload": {
            "requests": 40,
            "arrivals": {"kind": "constant", "rate": "10 /s"},
            "input_tokens": 8,
            "output_tokens": 50,
        },
    }


def run(scenario: dict[str, Any], **options: Any) -> Any:
    return hwsim.run(hwsim.load(scenario), **options)


def crash(at: str, *, replica: int = 0, **more: str) -> dict[str, Any]:
    return {"kind": "fail_stop", "replica": replica, "at": at, **more}


def test_a_control_plane_without_acts_changes_nothing() -> None:
    plain = run(constant(router="least_loaded"))
    watched = run(constant(router="least_loaded", faults={"late": crash("1000 s")}))
    for name in ("replica", *TIMES):
        assert np.array_equal(plain.table("requests")[name], watched.table("requests")[name])


def test_requests_of_a_failed_replica_go_on_elsewhere_with_their_tokens() -> None:
    result = run(constant(faults={"crash": crash("1 s", detect="500 ms")}))
    assert result.summary["requests"]["completed"] == 40
    moved = result.summary["fleet"]["requests_moved"]
    assert moved > 0
    table = result.table("requests")
    assert set(table["output_tokens"]) == {50}
    assert set(np.asarray(table["replica"])[np.asarray(table["finish_s"]) > 1.1]) == {1}
    # Whoever was moved has one gap that is longer than the time until the failure was noticed.
    gaps = result.table("gaps")
    assert int(gaps["count"][gaps["gap_s"] > 0.5].sum()) <= moved
    assert float(np.max(gaps["gap_s"])) >= 0.5


def test_a_failed_last_replica_is_reported_and_the_counts_add_up() -> None:
    result = run(constant(faults={"a": crash("1 s"), "b": crash("2 s", replica=1)}))
    counts = result.summary["requests"]
    assert counts["completed"] + counts["rejected"] == counts["arrived"] == 40
    assert counts["rejected"] > 20
    assert any("no replica is left" in warning for warning in result.summary["warnings"])


def test_requests_wait_for_a_replica_that_comes_back() -> None:
    result = run(constant(replicas=1, faults={"crash": crash("1 s", until="3 s")}))
    assert result.summary["requests"]["completed"] == 40
    starts = np.asarray(result.table("steps")["start"])
    assert not ((starts > 1.011) & (starts < 3.0)).any()


def test_a_slow_replica_takes_its_factor_longer() -> None:
    slow = {"slow": {"kind": "slow", "replica": 0, "at": "0 s", "factor": 3}}
    result = run(constant(faults=slow))
    table, plain = result.table("requests"), run(constant()).table("requests")

    def tpot(table: Any) -> np.ndarray:
        return (np.asarray(table["finish_s"]) - np.asarray(table["first_token_s"])) / 49

    mine = np.asarray(table["replica"]) == 0
    assert tpot(table)[mine] == pytest.approx(3 * tpot(plain)[mine])
    assert tpot(table)[~mine] == pytest.approx(tpot(plain)[~mine])
    assert result.summary["bottleneck"]["constant"] > 0


def test_queue_and_concurrency_limits_hold() -> None:
    burst = constant(replicas=1, max_num_seqs=2, admission={"kind": "concurrency", "limit": 3})
    burst["workload"]["arrivals"] = {"kind": "constant", "rate": "1000 /s"}
    assert run(burst).summary["requests"] == {"arrived": 40, "completed": 3, "rejected": 37, "unfinished": 0}
    burst["serve"]["admission"] = {"kind": "queue_limit", "waiting": 5}
    found = run(burst).summary["requests"]
    assert found["completed"] + found["rejected"] == 40 and 5 <= found["completed"] <= 9
    burst["serve"]["admission"]["exempt"] = 0  # everybody is that urgent
    assert run(burst).summary["requests"]["completed"] == 40


def real(**serve: Any) -> dict[str, Any]:
    return {
        "name": "control",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": "dgx-h100"},
        "serve": {"replicas": 3, "router": "least_loaded"} | serve,
        "workload": {
            "requests": 60,
            "arrivals": {"kind": "poisson", "rate": "20 /s"},
            "input_tokens": 512,
            "output_tokens": 60,
        },
        "slo": {"ttft": "200 ms", "tpot": "20 ms"},
    }


@pytest.mark.parametrize("place", ["dram", "ssd"])
def test_a_start_takes_the_weights_over_the_fabric_and_the_start_up_time(place: str) -> None:
    scaled = {"kind": "requests", "target": 2, "every": "200 ms", "start_up": "300 ms", "weights_from": place}
    result = run(real(autoscale=scaled))
    table = result.table("fleet")
    rows = list(zip(table["time_s"].tolist(), table["replica"].tolist(), table["state"], strict=True))
    started = {replica: time for time, replica, state in rows if state == "starting"}
    opened = {replica: time for time, replica, state in rows if state == "open"}
    assert set(started) == {1, 2} == set(opened)
    weights = 16.06e9  # 8.03 billion parameters of two bytes
    alone = {"dram": 55e9, "ssd": 25e9}[place]  # about: PCIe 5 x16, and the drives of a DGX
    waits = [opened[i] - started[i] - 0.3 for i in (1, 2)]
    assert all(weights / alone / 2 < wait < 4 * weights / alone for wait in waits), waits
    hours = result.summary["fleet"]["gpu_hours"]
    assert hours < 3 * result.summary["simulated_seconds"] / 3600
    assert result.summary["cost_used_usd"] < run(real()).summary["cost_used_usd"] * 1.5


def test_an_slo_gate_keeps_tokens_near_the_limit() -> None:
    crowd = real(replicas=1, router="slo_aware")
    crowd["workload"] |= {"requests": 400, "arrivals": {"kind": "poisson", "rate": "60 /s"}, "input_tokens": 1500}
    free = run(crowd)
    crowd["serve"]["admission"] = "slo"
    gated = run(crowd)
    assert gated.summary["requests"]["rejected"] > 0
    assert gated.summary["slo_attainment"] > free.summary["slo_attainment"]
    assert gated.summary["tpot_ms"]["p50"] < 1.1 * 20 < free.summary["tpot_ms"]["p50"]


def random_case(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    serve: dict[str, Any] = {
        "engine": rng.choice(engine_profile.names()),
        "replicas": rng.choice([1, 2, 4]),
        "router": rng.choice(["round_robin", "least_loaded", "random", "power_of_two", "slo_aware", "vllm_internal"]),
        "max_num_seqs": rng.choice([2, 16]),
        "num_gpu_blocks_override": rng.choice([60, 400]),
        "max_model_len": 400,
    }
    if rng.random() < 0.7:
        serve["faults"] = {
            f"f{i}": crash(f"{rng.uniform(0, 3):.3f} s", replica=rng.randrange(serve["replicas"]))
            | ({"until": f"{rng.uniform(3, 6):.3f} s"} if rng.random() < 0.6 else {})
            for i in range(rng.choice([1, 2, 3]))
        }
        if rng.random() < 0.5:
            serve["faults"]["s"] = {"kind": "slow", "replica": 0, "at": "500 ms", "until": "2 s", "factor": 1.7}
    if rng.random() < 0.5:
        serve["admission"] = rng.choice(
            [{"kind": "queue_limit", "waiting": 3}, {"kind": "concurrency", "limit": 6}, "slo"]
        )
    if rng.random() < 0.5:
        kind = rng.choice([{"kind": "requests", "target": 3}, {"kind": "kv_usage", "target": 0.4}, {"kind": "slo"}])
        serve["autoscale"] = kind | {"every": "300 ms", "start_up": "200 ms", "cool_down": "900 ms"}
    arrivals = rng.choice([{"kind": "poisson", "rate": "12 /s"}, {"kind": "closed", "concurrency": 5}])
    return {
        "name": f"control-{seed}",
        "seed": seed,
        "cost": {"kind": "constant", "step": "10 ms", "host": rng.choice(["0 s", "2 ms"])},
        "serve": serve,
        "workload": {
            "requests": 40,
            "arrivals": arrivals,
            "input_tokens": {"kind": "uniform", "min": 1, "max": 200},
            "output_tokens": {"kind": "uniform", "min": 1, "max": 60},
        },
        "slo": {"ttft": "100 ms", "tpot": "15 ms"},
    }


def test_macro_steps_equal_single_steps_under_control() -> None:
    moved = 0
    for seed in range(40):
        scenario = random_case(seed)
        macro, single = run(scenario), run(scenario, single_step=True)
        table, other = macro.table("requests"), single.table("requests")
        for name in table:
            assert np.array_equal(np.asarray(table[name]), np.asarray(other[name]), equal_nan=name in TIMES), (
                seed,
                name,
            )
        counts = macro.summary["requests"]
        assert counts["arrived"] == 40 == sum(counts[name] for name in ("completed", "rejected", "unfinished"))
        assert counts["unfinished"] == 0
        assert macro.summary.get("fleet") == single.summary.get("fleet")
        moved += macro.summary.get("fleet", {}).get("requests_moved", 0)
    assert moved > 20


def test_wrong_control_planes_are_refused_with_the_reason() -> None:
    for serve, words in (
        ({"faults": {"x": crash("1 s", replica=7)}}, "replica that is not there"),
        ({"autoscale": {"kind": "requests", "target": 3, "max": 9}}, "more replicas than there are"),
        ({"autoscale": {"kind": "requests", "target": 3, "weights_from": "dram"}}, "weights come from nowhere"),
        ({"router": "slo_aware"}, "no limit on TTFT"),
        ({"faults": {"x": {"kind": "slow", "replica": 0, "at": "1 s"}}}, "factor goes with kind: slow"),
    ):
        with pytest.raises(ScenarioError, match=words):
            run(constant(**serve))


@pytest.mark.parametrize("single_step", [False, True])
def test_a_gate_before_a_hand_over_turns_away_what_would_be_late(single_step: bool) -> None:
    pools = {"prefill": {"role": "prefill", "replicas": 1}, "decode": {"role": "decode", "replicas": 1}}
    crowd = real(pools=pools, handover="nixl", router="round_robin")
    del crowd["serve"]["replicas"]
    crowd["workload"] |= {"requests": 300, "arrivals": {"kind": "poisson", "rate": "60 /s"}, "input_tokens": 1500}
    free = run(crowd)
    for admission in ("slo", {"kind": "concurrency", "limit": 8}, {"kind": "queue_limit", "waiting": 4}):
        crowd["serve"]["admission"] = admission
        gated = run(crowd, single_step=single_step)
        counts = gated.summary["requests"]
        assert counts["completed"] + counts["rejected"] == 300 and counts["rejected"] > 0
        assert gated.summary["ttft_ms"]["p90"] < free.summary["ttft_ms"]["p90"]
        if single_step:
            macro = run(crowd)
            assert np.array_equal(
                macro.table("requests")["finish_s"], gated.table("requests")["finish_s"], equal_nan=True
            )
