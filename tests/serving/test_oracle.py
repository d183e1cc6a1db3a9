"""The reference scheduler gives the schedules worked out by hand, and keeps its laws on random workloads."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from .oracle import OracleConfig, OracleRequest, OracleResult, run_oracle
from .schedules import Schedule, load_schedules
from .schedules.random_case import STEP_TICKS, random_case

SCHEDULES = {schedule.name: schedule for schedule in load_schedules()}
ROOMY = OracleConfig(num_gpu_blocks=101, block_size=4, max_num_seqs=8, max_num_batched_tokens=64, max_model_len=200)


def run_schedule(schedule: Schedule) -> OracleResult:
    requests = [
        OracleRequest(**(request | {"prefix_ids": tuple(request.get("prefix_ids", ()))}))
        for request in schedule.requests
    ]
    return run_oracle(requests, OracleConfig(**schedule.config), schedule.step_ticks, schedule.host_ticks)


@pytest.mark.parametrize("name", SCHEDULES)
def test_hand_made_schedule(name: str) -> None:
    schedule = SCHEDULES[name]
    result = run_schedule(schedule)
    got = [{key: call[key] for key in row} for row, call in zip(schedule.calls, result.calls, strict=False)]
    assert got == schedule.calls
    assert len(result.calls) == len(schedule.calls)
    for row, call in zip(schedule.calls, result.calls, strict=True):
        assert list(row["scheduled"]) == list(call["scheduled"]), "same requests, another order"
    for request_id, facts in schedule.outcome.items():
        assert {key: result.requests[request_id][key] for key in facts} == facts


def test_the_schedules_cover_the_rules() -> None:
    assert len(SCHEDULES) >= 14
    assert all(schedule.shows.endswith(".") and schedule.calls for schedule in SCHEDULES.values())


def test_blocks_after_each_update_of_the_worked_example() -> None:
    """The third free count of the published table is what the next call finds, 10 after the last."""
    result = run_schedule(SCHEDULES["section9_sync"])
    assert [call["free_before"] for call in result.calls][1:] == [7, 5, 8]
    assert [call["num_blocks"] for call in result.calls] == [
        {"r1": 2, "r2": 1},
        {"r1": 2, "r2": 3},
        {"r1": 2, "r2": 3, "r3": 2},
        {"r3": 2},
    ]


@pytest.mark.parametrize(("asynchronous", "tokens"), [(False, [5, 1, 1]), (True, [5, 1, 1, 1])])
def test_end_by_eos_costs_one_more_step_when_asynchronous(asynchronous: bool, tokens: list[int]) -> None:
    config = replace(ROOMY, async_scheduling=asynchronous)
    result = run_oracle([OracleRequest("r", 0, 5, 3, 9)], config, 10, 1)
    assert [call["scheduled"]["r"] for call in result.steps] == tokens
    assert result.wasted_rows == len(tokens) - 3
    by_length = run_oracle([OracleRequest("r", 0, 5, 3, 3)], config, 10, 1)
    assert [call["scheduled"]["r"] for call in by_length.steps] == [5, 1, 1]
    assert by_length.requests["r"]["finish"] == result.requests["r"]["finish"]


def test_a_follow_up_hits_generated_tokens_but_never_the_last_one() -> None:
    first = OracleRequest("a", 0, list(range(6)), 3, 3, output_ids=(6, 7, 8))
    follow_up = OracleRequest("b", 100, list(range(12)), 1, 1)
    assert run_oracle([first, follow_up], ROOMY, 10).requests["b"]["cached"] == 8
    shorter = replace(first, output_tokens=2, max_tokens=2)  # token 7 is emitted but never computed
    assert run_oracle([shorter, follow_up], ROOMY, 10).requests["b"]["cached"] == 4


def test_equal_ids_after_different_ones_are_no_hit() -> None:
    a = OracleRequest("a", 0, 9, 1, 1, prefix_ids=(1, 2), prefix_block=4)
    b = OracleRequest("b", 50, 9, 1, 1, prefix_ids=(3, 2), prefix_block=4)
    assert run_oracle([a, b], ROOMY, 10).requests["b"]["cached"] == 0


def test_prefix_ids_need_not_fit_the_blocks() -> None:
    a = OracleRequest("a", 0, 20, 1, 1, prefix_ids=(1, 2), prefix_block=5)
    b = OracleRequest("b", 50, 20, 1, 1, prefix_ids=(1, 2), prefix_block=5)
    assert run_oracle([a, b], ROOMY, 10).requests["b"]["cached"] == 8  # 10 equal tokens, 2 full blocks


def test_an_impossible_growth_is_rejected_and_frees_the_engine() -> None:
    config = replace(ROOMY, num_gpu_blocks=3)
    result = run_oracle([OracleRequest("a", 0, 7, 9, 9), OracleRequest("b", 0, 3, 1, 1)], config, 10)
    assert result.requests["a"]["status"] == "rejected" and "blocks" in result.requests["a"]["reason"]
    assert result.requests["a"]["outputs"] == 2
    assert result.requests["b"]["status"] == "completed"


def test_an_impossible_growth_ends_when_asynchronous_too() -> None:
    config = replace(ROOMY, num_gpu_blocks=3, async_scheduling=True)
    result = run_oracle([OracleRequest("a", 0, 7, 9, 9)], config, 10, 1)
    assert result.requests["a"]["status"] == "rejected" and result.requests["a"]["outputs"] == 2


def test_costs_may_depend_on_the_batch() -> None:
    seen = []

    def device(rows: dict[str, tuple[int, int]]) -> int:
        seen.append(dict(rows))
        return 7 * sum(tokens for tokens, _ in rows.values())

    result = run_oracle([OracleRequest("r", 3, 5, 2, 2)], ROOMY, device, len)
    assert seen == [{"r": (5, 0)}, {"r": (1, 5)}]
    assert [(call["start"], call["end"]) for call in result.steps] == [(4, 39), (40, 47)]


@pytest.mark.parametrize("seed", range(300))
def test_laws_on_random_workloads(seed: int) -> None:
    """Everybody ends; tokens scheduled are tokens needed, recomputed or wasted. Block laws hold in every call."""
    rng = random.Random(seed)
    requests, config = random_case(rng)
    result = run_oracle(requests, config, STEP_TICKS, rng.choice([0, 3, STEP_TICKS, 13]))
    needed = 0
    for request in requests:
        record = result.requests[request.request_id]
        outputs = min(request.output_tokens, config.max_model_len - request.num_prompt_tokens)
        assert record["status"] == "completed" and record["outputs"] == outputs
        assert request.arrival <= record["scheduled"] < record["first_token"] <= record["finish"]
        needed += request.num_prompt_tokens + outputs - 1 - record["cached"]
    surplus = result.scheduled_tokens - needed - result.recomputed_tokens - result.wasted_rows
    assert surplus == 0 if not config.enable_prefix_caching else surplus <= 0
    assert config.async_scheduling or result.wasted_rows == 0
    order = [request_id for call in result.calls for request_id in call["cached"]]
    if config.policy == "fcfs" and not any(call["preempted"] for call in result.calls):
        assert order == [request.request_id for request in requests]
    assert all(not (call["preempted"] and call["cached"]) for call in result.calls)


def test_random_workloads_reach_the_corners() -> None:
    seen = {"preempted": 0, "cached": 0, "wasted": 0, "empty": 0, "victim_finished": 0}
    for seed in range(300):
        rng = random.Random(seed)
        requests, config = random_case(rng)
        result = run_oracle(requests, config, STEP_TICKS, rng.choice([0, 3, STEP_TICKS, 13]))
        waiting: set[str] = set()
        for call in result.calls:
            seen["preempted"] += len(call["preempted"])
            seen["cached"] += any(call["cached"].values())
            seen["wasted"] += len(call["wasted"])
            seen["empty"] += not call["scheduled"]
            waiting = (waiting | set(call["preempted"])) - set(call["cached"])
        seen["victim_finished"] += len(waiting)
    assert min(seen.values()) > 0, seen
