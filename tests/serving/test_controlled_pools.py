"""Laws of faults and autoscaling beside hand-overs: nothing is lost, pages come back, both ways of stepping agree."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.scenario.build import build

CONNECTORS = (
    {"kind": "nixl"},
    {"kind": "nixl", "mode": "push"},
    {"kind": "nixl", "unit": "layer"},
    *[{"kind": kind} for kind in ("mooncake", "sglang", "p2p_nccl", "distserve")],
)


def pools(prefill: int = 2, decode: int = 2, **serve: Any) -> dict[str, Any]:
    """Llama-3.1-8B on H100s; a prompt of 512 tokens takes 2.7 ms on the way, or a second at 64 MiB/s."""
    return {
        "name": "pools",
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": "dgx-h100"},
        "serve": {
            "handover": {"kind": "nixl", "bandwidth": "25 GB/s"},
            "pools": {
                "p": {"role": "prefill", "replicas": prefill},
                "d": {"role": "decode", "replicas": decode},
            },
            **serve,
        },
        "workload": {
            "requests": 40,
            "arrivals": {"kind": "constant", "rate": "20 /s"},
            "input_tokens": 512,
            "output_tokens": 100,
        },
    }


def run(scenario: dict[str, Any]) -> Any:
    return hwsim.run(hwsim.load(scenario))


def crash(replica: int, at: str, **more: Any) -> dict[str, Any]:
    return {"crash": {"replica": replica, "at": at, **more}}


def drawn(seed: int) -> dict[str, Any]:
    """Faults, autoscalers, connectors and pages at random."""
    rng = random.Random(seed)
    sizes = rng.choice([1, 2, 3]), rng.choice([1, 2, 3])
    serve: dict[str, Any] = {
        "handover": {**rng.choice(CONNECTORS), "bandwidth": rng.choice(["25 GB/s", "2 GB/s", "0.2 GB/s"])}
    }
    faults = {}
    for name in "abc"[: rng.randrange(4)]:
        at = rng.uniform(0, 2)
        faults[name] = {"replica": rng.randrange(sum(sizes)), "at": f"{at:.3f} s"}
        if rng.random() < 0.7:
            faults[name]["until"] = f"{at + rng.uniform(0.2, 3):.3f} s"
        if rng.random() < 0.5:
            faults[name]["detect"] = f"{rng.uniform(0, 0.5):.3f} s"
    if rng.random() < 0.5:
        faults["slow"] = {"kind": "slow", "replica": rng.randrange(sum(sizes)), "at": "1 s", "factor": 2}
    scenario = pools(*sizes, **serve, **({"faults": faults} if faults else {}))
    found = scenario["serve"]
    if rng.random() < 0.5:
        scale = {"kind": rng.choice(["requests", "kv_usage"]), "every": "300 ms", "start_up": "400 ms"}
        scale |= {"target": 6 if scale["kind"] == "requests" else 0.5, "cool_down": "500 ms"}
        rng.choice([found, found["pools"]["p"], found["pools"]["d"]])["autoscale"] = scale
    for pool in found["pools"].values():
        pool["num_gpu_blocks_override"] = rng.choice([100, 300, 3000])
    found["router"] = rng.choice(["round_robin", "least_loaded"])
    found["scheduling_policy"] = rng.choice(["fcfs", "priority"])
    if rng.random() < 0.3:
        found["local_prefill"] = {"below": 600}
    if rng.random() < 0.3:
        found["admission"] = {"kind": "queue_limit", "waiting": 4}
    workload = scenario["workload"]
    if rng.random() < 0.3:
        workload["arrivals"] = {"kind": "closed", "concurrency": 12}
    if rng.random() < 0.3:
        workload["prefix"] = {"share": 0.9, "portion": 0.6, "groups": 4}
        found["enable_prefix_caching"] = True
    workload["input_tokens"] = rng.choice([512, {"kind": "lognormal", "median": 400, "sigma": 1, "max": 2000}])
    return scenario


def test_nothing_is_lost_whatever_fails() -> None:
    moved = 0
    for seed in range(24):
        scenario = hwsim.load(drawn(seed))
        tables = []
        for single in (False, True):
            simulation = build(scenario, single_step=single)
            simulation.run()
            journal, left = simulation.journal, simulation.unfinished()
            assert journal.completed + len(journal.others) + len(left) == 40, seed
            for engine in simulation.engines:
                assert left or (engine.pool.free == engine.pool.usable and not engine.remote.pending), seed
            table = journal.request_table()
            rows = zip(*(table[name].tolist() for name in table), strict=True)
            tables.append(sorted(rows))
            moved += getattr(simulation.parts[0], "moved", 0)
        assert tables[0] == tables[1], seed
    assert moved > 40


def test_a_control_plane_without_acts_changes_nothing() -> None:
    plain, watched = run(pools()), run(pools(faults=crash(0, "1000 s")))
    for name in ("replica", "first_token_s", "finish_s"):
        assert np.array_equal(plain.table("requests")[name], watched.table("requests")[name])


@pytest.mark.parametrize("handover", CONNECTORS)
def test_a_prefill_replica_that_fails_while_its_kv_is_under_way(handover: dict[str, Any]) -> None:
    """The prompt is computed again elsewhere and its KV goes from there, whatever the order of events."""
    scenario = pools(handover={**handover, "bandwidth": "67.108864 MB/s"}, faults=crash(0, "500 ms", detect="100 ms"))
    scenario["workload"]["requests"] = 1
    alone = run({**scenario, "serve": {**scenario["serve"], "faults": crash(1, "500 ms")}})
    result = run(scenario)
    assert result.summary["fleet"]["requests_moved"] == 1
    flight = result.table("handovers")
    assert flight["prefill_replica"].tolist() == [1] and float(flight["prefilled_s"][0]) > 0.6
    late = float(result.table("requests")["finish_s"][0]) - float(alone.table("requests")["finish_s"][0])
    assert late == pytest.approx(0.6 - float(alone.table("requests")["arrival_s"][0]), abs=0.05)


def test_a_decode_replica_that_fails_gives_its_requests_back_with_their_tokens() -> None:
    """What was delivered counts as prompt: its KV is computed at prefill and sent, and one gap is long."""
    scenario = pools(faults=crash(2, "1 s", detect="500 ms"))
    result = run(scenario)
    assert result.summary["requests"]["completed"] == 40
    moved = result.summary["fleet"]["requests_moved"]
    table, flights = result.table("requests"), result.table("handovers")
    assert moved > 0 and set(table["output_tokens"]) == {100}
    late = np.asarray(table["finish_s"]) > 1.1
    assert set(np.asarray(table["replica"])[late]) == {3}
    again = flights["tokens"] > 512
    assert 0 < int(again.sum()) <= moved and len(flights["tokens"]) >= 40 + int(again.sum())
    gaps = result.table("gaps")
    assert 0 < int(gaps["count"][gaps["gap_s"] > 0.5].sum()) <= moved


@pytest.mark.parametrize(("replica", "name"), [(0, "prefill"), (1, "decode")])
def test_the_last_replica_of_a_pool_fails(replica: int, name: str) -> None:
    result = run(pools(1, 1, faults=crash(replica, "1 s")))
    counts = result.summary["requests"]
    assert counts["completed"] + counts["rejected"] == 40 and 0 < counts["completed"] < 25
    reasons = set(result.table("requests")["reason"]) - {""}
    assert reasons == {f"no {name} replica is left: all have failed"}
    waited = run(pools(1, 1, faults=crash(replica, "1 s", until="4 s")))
    assert waited.summary["requests"]["completed"] == 40
    assert waited.table("fleet")["state"][:2] == ["down", "open"]


def test_pools_scale_each_on_their_own() -> None:
    scale = {"kind": "requests", "target": 10, "every": "200 ms", "start_up": "300 ms", "cool_down": "1 s"}
    scenario = pools(2, 3)
    scenario["serve"]["pools"]["d"]["autoscale"] = {**scale, "weights_from": "dram"}
    scenario["workload"] |= {"requests": 100, "arrivals": {"kind": "constant", "rate": "40 /s"}, "output_tokens": 200}
    result = run(scenario)
    assert result.summary["requests"]["completed"] == 100
    fleet = result.table("fleet")
    assert set(fleet["replica"].tolist()) <= {2, 3, 4} and "starting" in fleet["state"]
    first = next(i for i, state in enumerate(fleet["state"]) if state == "open")
    weights = 16.06e9 / 55e9  # over PCIe
    assert fleet["time_s"][first] - fleet["time_s"][0] > 0.3 + weights * 0.8
    assert result.summary["fleet"]["gpu_hours"] < 5 * result.summary["simulated_seconds"] / 3600


@pytest.mark.parametrize(
    ("serve", "says"),
    [
        ({"faults": crash(4, "1 s")}, "a fault of a replica that is not there"),
        ({"autoscale": {"kind": "requests", "target": 1, "max": 3}}, "more replicas than there are"),
    ],
)
def test_refusals(serve: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        run(pools(**serve))


def test_one_pool_without_roles_does_not_scale_alone() -> None:
    scenario = pools()
    scenario["serve"] = {"pools": {"a": {"autoscale": {"kind": "requests", "target": 2}}, "b": {}}}
    with pytest.raises(ScenarioError, match="autoscale of one pool goes with roles"):
        run(scenario)
