"""Disaggregated rows become two pools with the workers that their notes give, or say why they are no case."""

from __future__ import annotations

import hwsim
from hwsim.study.measured import Point
from hwsim.study.protocol import protocol
from hwsim.study.suites.disaggregated import Workers, case_of, workers

NOTE = "prefill: 2 x (tp1 dp4 ep4 bs1); decode: 3 x (tp8 dp1 ep8 bs64); measured 2026-04-18"


def point(note: str) -> Point:
    return Point(
        "a.csv",
        1,
        engine="trtllm 1.1",
        model="deepseek-ai/DeepSeek-V3",
        precision="fp8",
        gpu="B200",
        isl="1024",
        osl="64",
        load_kind="concurrency",
        load="4",
        mode="disaggregated",
        place="",
        note=note,
        source="",
        family="deepseek",
        metrics={"ttft": (100.0, "ms"), "tpot": (10.0, "ms")},
    )


def test_workers_are_read_from_the_note() -> None:
    assert workers(NOTE) == (Workers(2, 1, 4, 4, 1), Workers(3, 8, 1, 8, 64))
    assert workers("worker counts not given; prefill:  x (tp4 dp1 ep4 bs); decode:  x (tp8 dp1 ep4 bs)") is None


def test_a_row_with_workers_is_a_scenario_of_two_pools() -> None:
    case = case_of(point(NOTE), protocol("inferencex"))
    assert case.scenario is not None and len(case.rows) == len(case.formulas) == 2
    loaded = hwsim.load(case.scenario)
    pools = loaded.spec.serve.pools  # type: ignore[union-attr]
    assert pools is not None
    assert (pools["prefill"].replicas, pools["prefill"].data_parallel_size) == (2, 4)
    assert (pools["decode"].replicas, pools["decode"].tensor_parallel_size, pools["decode"].max_num_seqs) == (3, 8, 64)
    assert loaded.spec.system is not None and loaded.spec.system.nodes == 4  # 32 GPUs on nodes of 8


def test_a_row_without_counts_says_so() -> None:
    case = case_of(point("worker counts not given; prefill:  x (tp4 dp1 ep4 bs)"), protocol("inferencex"))
    assert case.scenario is None
    assert {row.note for row in case.rows} == {"number of workers not given"}
