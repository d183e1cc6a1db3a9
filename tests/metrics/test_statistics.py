"""Quantiles and moments against numpy and against lists written out in full, and their bits against the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.metrics.progressions import Progressions
from hwsim.metrics.statistics import describe, weighted_quantiles

SHARES = [0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6, allow_nan=False), st.integers(0, 9)), min_size=1, max_size=30).filter(
        lambda rows: any(count for _, count in rows)
    )
)
def test_weighted_quantiles_equal_numpy_on_the_repeated_list(rows: list[tuple[float, int]]) -> None:
    values, counts = np.array([v for v, _ in rows]), np.array([c for _, c in rows])
    expected = np.quantile(np.repeat(values, counts), SHARES)
    assert weighted_quantiles(values, counts, SHARES) == pytest.approx(expected.tolist(), rel=1e-15, abs=1e-300)


def test_quantiles_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        weighted_quantiles(np.array([1.0]), np.array([0]), [0.5])
    assert describe(np.array([]))["p99"] is None


def test_describe_has_the_statistics_of_numpy() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    found = describe(values)
    assert found["mean"] == pytest.approx(np.mean(values), rel=1e-15)
    assert found["std"] == pytest.approx(np.std(values), rel=1e-15)
    assert found["p90"] == np.percentile(values, 90)
    assert found["max"] == 9.0


def expand(p: Progressions) -> np.ndarray:
    parts = [np.repeat(f + s * np.arange(k), w) for f, s, k, w in zip(p.first, p.slope, p.steps, p.weight, strict=True)]
    return np.sort(np.concatenate(parts)) / p.per_second


stretch = st.tuples(st.integers(1, 10**6), st.integers(-50, 50), st.integers(0, 12), st.integers(0, 4))


@settings(max_examples=200, deadline=None)
@given(st.lists(stretch, min_size=1, max_size=40), st.lists(st.integers(1, 10**7), max_size=3))
def test_quantiles_over_stretches_equal_the_expanded_list(rows: list[tuple], single: list[int]) -> None:
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    table = {"first_duration": columns[0] * 1e-6 + 1e-3, "slope": columns[1] * 1e-6}
    table |= {"steps": columns[2], "decode_rows": columns[3]}
    gaps = {"gap_s": np.array(single) * 1e-6, "count": np.ones(len(single), dtype=np.int64)}
    p = Progressions.of(table, gaps)
    if not p.total:
        assert p.describe()["mean"] is None
        return
    whole = expand(p)
    assert p.total == len(whole)
    assert p.quantiles(SHARES) == pytest.approx(np.quantile(whole, SHARES).tolist(), rel=1e-15)
    centre, spread = p.moments()
    assert centre == pytest.approx(np.mean(whole), rel=1e-12)
    assert spread == pytest.approx(np.std(whole), rel=1e-9, abs=1e-15)
    assert p.longest() == whole[-1]


def test_two_billion_gaps_in_closed_form() -> None:
    """Durations 1 ms + j us, j < 1000, a million rows each, and as many half a microsecond later."""
    table = {
        "first_duration": np.array([1e-3, 1.0005e-3]),
        "slope": np.array([1e-6, 1e-6]),
        "steps": np.array([1000, 1000]),
        "decode_rows": np.array([10**6, 10**6]),
    }
    p = Progressions.of(table)
    assert p.total == 2 * 10**9
    # Sorted values are 1 ms + i/2 us; each a million times; 0.2501 * 2000 lies in block 500.
    assert p.quantiles([0.2501, 0.9901]) == pytest.approx([1e-3 + 500 * 0.5e-6, 1e-3 + 1980 * 0.5e-6], rel=1e-9)
    assert p.moments()[0] == pytest.approx(1e-3 + 0.5e-6 * 1999 / 2, rel=1e-12)


def test_gaps_of_hours_leave_no_overflow() -> None:
    table = {"first_duration": np.array([40_000.0, 1.0]), "slope": np.zeros(2)}
    table |= {"steps": np.array([1, 3]), "decode_rows": np.array([1, 1])}
    p = Progressions.of(table)
    assert p.quantiles([0.5, 1.0]) == [1.0, 40_000.0]
    assert p.moments()[0] == pytest.approx(40_003 / 4)


def test_a_million_steps_in_many_stretches_take_no_time() -> None:
    count = 100_000
    index = np.arange(count)
    table = {"first_duration": 0.01 + (index * 7919 % 10007) * 1e-7, "slope": (index % 13) * 1e-9}
    table |= {"steps": 1 + index % 200, "decode_rows": 1 + index % 50}
    p = Progressions.of(table)
    assert p.total > 2 * 10**8
    started = time.process_time()
    assert 0.01 < p.quantiles([0.5, 0.9, 0.95, 0.99])[0] < 0.02
    assert time.process_time() - started < 2


CODE = """
import json
from tests.metrics.synthetic import synthetic
from hwsim.metrics.summary import summary
facts, tables, _ = synthetic(400, replicas=2, slo={"ttft_s": 0.2, "tpot_s": 0.02})
print(json.dumps(summary(facts, tables), sort_keys=True))
"""
FEATURES = "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"


def test_bits_do_not_depend_on_the_vector_units_of_the_processor() -> None:
    root = Path(__file__).resolve().parents[2]
    outputs = []
    for extra in ({}, {"NPY_DISABLE_CPU_FEATURES": FEATURES}):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CODE],
            cwd=root,
            env={**os.environ, **extra},
            capture_output=True,
            text=True,
            check=False,
        )
        if extra and "NPY_DISABLE_CPU_FEATURES" in run.stderr and run.returncode:
            pytest.skip("this numpy was built with these features as its baseline")
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]
    assert '"digest": "sha256:' in outputs[0]
