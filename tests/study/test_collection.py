"""A few cases of every suite on the collection itself: they are simulated, none breaks, and errors stay in bounds."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from hwsim.part import Parts
from hwsim.study.cases import Case, run_cases

SUITES = Parts("hwsim.study.suites")
# Of each suite: cases taken, metric and the median error that would mean something is broken, not merely imprecise.
BOUNDS = {
    "online": ("output_throughput", 0.5),
    "saturated": ("total_token_throughput", 1.5),
    "energy": ("itl_p50", 0.7),
    "edge": ("decode_speed", 0.6),
    "offload": ("decode_speed", 2.0),
    "large_moe": ("output_throughput_per_gpu", 0.6),
}
TAKEN = 8


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_a_few_cases_of_the_collection(name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(data_dir))
    metric, bound = BOUNDS[name]
    cases = [case for case in SUITES.get(name).cases() if any(row.metric == metric for row in case.rows)]
    able = [case for case in cases if case.scenario is not None]
    assert len(able) > 0.3 * len(cases), "most cases can be built"
    rows = run_cases(some(able))
    assert not any("internal error" in row.note for row in rows), [row.note for row in rows]
    errors = [abs(row.error) for row in rows if row.metric == metric and row.error is not None]
    assert len(errors) >= 3 and statistics.median(errors) < bound, errors


def some(cases: list[Case]) -> list[Case]:
    """Cases spread over the file, those with the fewest tokens to simulate first."""
    small = sorted(cases, key=work)[: max(TAKEN, len(cases) // 4)]
    return small[:: max(1, len(small) // TAKEN)][:TAKEN]


def work(case: Case) -> int:
    """Tokens that a case computes, as a measure of how long it takes."""
    load = (case.scenario or {})["workload"]
    lengths = [load["input_tokens"], load["output_tokens"]]
    mean = sum(length["max"] if isinstance(length, dict) else length for length in lengths)
    return int(load["requests"]) * int(mean)
