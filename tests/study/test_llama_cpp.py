"""The laws of llama.cpp's kernels: what stands in the files is what the fit finds, and does on rows it never saw."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from hwsim.study.calibrate.llama_cpp import Run, committed, errors, fit, runs, speed
from hwsim.study.suites.edge import fitted_on


def _median(found: list[float]) -> float:
    return statistics.median(abs(error) for error in found)


@pytest.mark.parametrize(("back_end", "decode", "prefill"), [("cuda", 0.08, 0.12), ("metal", 0.12, 0.37)])
def test_rows_that_no_fit_saw(data_dir: Path, back_end: str, decode: float, prefill: float) -> None:
    found = errors(runs(back_end), committed(back_end))
    assert _median(found["decode"]) < decode and _median(found["prefill"]) < prefill
    assert _median(found["decode (fitted on)"]) < 0.07 and _median(found["prefill (fitted on)"]) < 0.06


def test_the_fit_finds_what_the_file_says(data_dir: Path) -> None:
    rows, start = runs("metal"), committed("metal")
    found = fit(rows, {**start, "memory": 0.8, "compute": 0.5, "in_flight": 6.0})
    for name in ("memory", "compute", "in_flight", "packed"):
        assert found[name] == pytest.approx(start[name], rel=0.1), name


def test_every_other_group_is_left_for_scoring() -> None:
    groups = [f"llama-{size}b|RTX {card}|llama.cpp" for size in range(40) for card in range(3050, 3100, 10)]
    assert 0.4 < sum(map(fitted_on, groups)) / len(groups) < 0.6
    assert not any(fitted_on(f"llama-{size}b|Pi 5 (RTX 3060)|Ollama") for size in range(20))


def test_weights_are_read_at_the_rate_of_the_law() -> None:
    values = committed("cuda")
    one = Run("RTX-4080", "meta-llama/Meta-Llama-3-8B", "fp16", False, 1, 1.0, False, 1)
    assert speed(one, values) == pytest.approx(0.94 * 717e9 / 15.0e9, rel=0.15)
    assert speed(one, {**values, "memory": values["memory"] / 2}) == pytest.approx(speed(one, values) / 2, rel=0.1)
    assert speed(one, {**values, "launch": 1e-4}) < speed(one, values)
