"""Pools, groups, jobs and streams: who runs where, and that results tell them apart."""

from __future__ import annotations

from typing import Any

import pytest

import hwsim
from hwsim.errors import FitError, ScenarioError
from hwsim.scenario.check import check
from hwsim.scenario.machine import machines

GROUPS = {"fast": {"node": "dgx-h100"}, "slow": {"node": "hgx-a100", "nodes": 2}}
DRAWN = {"requests": 60, "arrivals": {"kind": "poisson", "rate": "20 /s"}, "input_tokens": 200, "output_tokens": 20}


def scenario(**changes: Any) -> hwsim.Scenario:
    base = {"model": "meta-llama/Llama-3.1-8B", "system": {"groups": GROUPS}, "serve": {}, "workload": DRAWN}
    return hwsim.load({**base, **changes})


def places(**serve: Any) -> dict[str, tuple[tuple[str, ...], ...]]:
    return {machine.name: machine.places for machine in machines(scenario(serve=serve))}


def test_rest_takes_what_pools_with_numbers_leave() -> None:
    found = places(
        pools={
            "all": {"at": "slow", "replicas": "rest", "tensor_parallel_size": 4},
            "two": {"at": "slow", "replicas": 2, "tensor_parallel_size": 2},
            "one": {"at": "fast/gpu[6:8]", "replicas": "rest"},
        }
    )
    assert found["two"] == (("slow/0/gpu0", "slow/0/gpu1"), ("slow/0/gpu2", "slow/0/gpu3"))
    assert [gpus[0] for gpus in found["all"]] == ["slow/0/gpu4", "slow/1/gpu0", "slow/1/gpu4"]
    assert found["one"] == (("fast/0/gpu6",), ("fast/0/gpu7",))
    used = [gpu for pool in found.values() for gpus in pool for gpu in gpus]
    assert len(set(used)) == len(used)


def test_tensor_ranks_beyond_a_node_take_whole_nodes() -> None:
    [machine] = machines(scenario(serve={"at": "slow", "tensor_parallel_size": 16, "replicas": "rest"}))
    assert machine.places == (tuple(f"slow/{node}/gpu{gpu}" for node in (0, 1) for gpu in range(8)),)


def test_data_parallel_ranks_are_engines_of_their_own() -> None:
    [machine] = machines(scenario(serve={"at": "slow[1]", "replicas": 2, "data_parallel_size": 3}))
    assert machine.engines == 6 and machine.replicas == 2 and machine.gpus_used == 6
    assert {gpus[0].rpartition("/")[0] for gpus in machine.places} == {"slow/1"}


@pytest.mark.parametrize(
    ("serve", "says"),
    [
        ({"at": "fast", "replicas": 9}, "more replicas than GPUs"),
        ({"at": "fast", "tensor_parallel_size": 16}, "more than the GPUs there are"),
        ({"at": "slow", "tensor_parallel_size": 12}, "spans more than one"),
        ({"at": "fast/gpu[0:2]", "tensor_parallel_size": 4}, "spans more than one"),
        ({"at": "fast/gpu[6:12]"}, "beyond what there is"),
        ({"pools": {"a": {"at": "fast", "replicas": 8}, "b": {"at": "fast", "replicas": "rest"}}}, "no other pool"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(serve: dict[str, Any], says: str) -> None:
    with pytest.raises(FitError) as caught:
        machines(scenario(serve=serve))
    assert says in str(caught.value)


def test_replicas_run_on_gpus() -> None:
    with pytest.raises(ScenarioError, match="run on GPUs"):
        machines(scenario(serve={"at": "fast/dram"}))


def test_pools_have_their_own_rows_and_add_up() -> None:
    pools = {"big": {"at": "fast", "tensor_parallel_size": 2}, "small": {"at": "slow", "replicas": 3}}
    result = hwsim.run(scenario(serve={"router": "least_loaded", "pools": pools}))
    rows = result.summary["pools"]
    assert {name: row["replicas"] for name, row in rows.items()} == {"big": 1, "small": 3}
    assert sum(row["requests"]["completed"] for row in rows.values()) == 60 == result.summary["requests"]["completed"]
    assert sum(row["prefill_tokens"] for row in rows.values()) == 60 * 200
    assert rows["big"]["gpu"] != rows["small"]["gpu"] and result.summary["gpus_used"] == 5
    assert rows["big"]["tpot_ms"]["p50"] < rows["small"]["tpot_ms"]["p50"]


def test_streams_are_merged_in_time_and_told_apart() -> None:
    streams = {"short": {"input_tokens": 10}, "long": {"input_tokens": 3000, "requests": 20}}
    result = hwsim.run(scenario(workload={**DRAWN, "streams": streams}))
    table = result.table("requests")
    assert (table["arrival_s"][1:] >= table["arrival_s"][:-1]).all()
    rows = result.summary["streams"]
    assert {name: row["requests"]["arrived"] for name, row in rows.items()} == {"short": 60, "long": 20}
    by_length = {"short": 10, "long": 3000}
    pairs = zip(table["stream"], table["input_tokens"].tolist(), strict=True)
    assert all(by_length[stream] == tokens for stream, tokens in pairs)


def test_jobs_share_the_system_and_nothing_else() -> None:
    jobs = {
        "chat": {"serve": {"at": "fast", "replicas": 2}},
        "code": {"model": "Qwen/Qwen3-8B", "serve": {"at": "fast", "replicas": "rest"}, "workload": {"requests": 30}},
    }
    both = hwsim.load({**{k: v for k, v in _base().items() if k != "serve"}, "jobs": jobs})
    assert {machine.name: machine.engines for machine in machines(both)} == {"chat.serve": 2, "code.serve": 6}
    result = hwsim.run(both)
    assert {name: row["requests"]["completed"] for name, row in result.summary["jobs"].items()} == {
        "chat": 60,
        "code": 30,
    }
    alone = hwsim.run(hwsim.load({**_base(), "serve": {"at": "fast", "replicas": 2}}))
    assert result.summary["jobs"]["chat"]["e2e_ms"] == alone.summary["e2e_ms"]
    assert "Qwen/Qwen3-8B" in check(both).to_json()["pools"]["code.serve"]["model"]


def _base() -> dict[str, Any]:
    return {"model": "meta-llama/Llama-3.1-8B", "system": {"groups": GROUPS}, "serve": {}, "workload": DRAWN}
