"""Arrival processes against their closed forms; clients; copulas; merging against sorting everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.workload import clients
from hwsim.workload.coupled import Coupled
from hwsim.workload.drawn import process_of
from hwsim.workload.merged import merged
from hwsim.workload.requests import Requests, joined
from hwsim.workload.statistics import statistics
from hwsim.workload.variates import gamma, gamma_first, weibull, weibull_first
from hwsim.workload.workload import Workload

LENGTHS = {"input_tokens": 512, "output_tokens": 64}


def arrivals(count: int = 20_000, **process: Any) -> np.ndarray:
    spec = {"requests": count, "arrivals": process, **LENGTHS}
    return np.concatenate([chunk.arrival for chunk in Workload.from_spec(spec).chunks(0)]) / 1e12


@pytest.mark.parametrize("shape", [0.04, 0.25, 0.5, 1.0, 2.5, 30.0])
def test_gamma_moments(shape: float) -> None:
    values = gamma(Stream(1, "g"), shape, 40_000, 0)
    assert values.mean() == pytest.approx(1, abs=5 / np.sqrt(40_000 * shape))
    assert values.std() == pytest.approx(shape**-0.5, rel=0.06)
    skew = (((values - values.mean()) / values.std()) ** 3).mean()
    assert skew == pytest.approx(2 * shape**-0.5, rel=0.25)


def test_draws_depend_on_position_only() -> None:
    whole = gamma(Stream(1, "g"), 0.3, 1000, 0)
    parts = [gamma(Stream(1, "g"), 0.3, 10, start) for start in range(0, 1000, 10)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_weibull_moments() -> None:
    from math import gamma as big_gamma

    values = weibull(Stream(1, "w"), 0.7, 40_000, 0)
    cv = (big_gamma(1 + 2 / 0.7) / big_gamma(1 + 1 / 0.7) ** 2 - 1) ** 0.5
    assert values.mean() == pytest.approx(1, rel=0.03) and values.std() == pytest.approx(cv, rel=0.06)


def test_first_gaps_in_equilibrium() -> None:
    """Their mean is (1 + cv^2) / 2 gaps (the inspection paradox)."""
    shape = 0.5
    mean = np.mean([gamma_first(Stream(i, "g"), shape) for i in range(2000)])
    assert mean == pytest.approx((1 + 1 / shape) / 2, rel=0.08)
    assert np.mean([weibull_first(Stream(i, "w"), 1.0) for i in range(2000)]) == pytest.approx(1, rel=0.08)


def test_burstiness_one_is_poisson_and_cv_is_its_root() -> None:
    poisson = arrivals(kind="poisson", rate="10 /s")
    assert np.array_equal(poisson, arrivals(kind="gamma", rate="10 /s", burstiness=1))
    four = arrivals(kind="gamma", rate="10 /s", cv=2)
    assert np.array_equal(four, arrivals(kind="gamma", rate="10 /s", burstiness=0.25))
    gaps = np.diff(four)
    assert gaps.std() / gaps.mean() == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("kind", ["poisson", "gamma"])
def test_exact_rate_sends_the_last_at_n_over_rate(kind: str) -> None:
    times = arrivals(5000, kind=kind, rate="10 /s", exact_rate=True)
    assert times[-1] == pytest.approx(500, abs=1e-9)
    plain = arrivals(5000, kind=kind, rate="10 /s")
    assert times == pytest.approx(plain * times[-1] / plain[-1], abs=1e-9)


def test_ramp_follows_the_integral_of_its_rate() -> None:
    linear = arrivals(**{"kind": "ramp", "from": "2 /s", "to": "18 /s", "over": "1000 s", "burstiness": 100})
    for moment in (200.0, 500.0, 1000.0, 1400.0):
        inside = min(moment, 1000)
        expected = 2 * inside + 16 * inside**2 / 2000 + 18 * max(moment - 1000, 0)
        assert np.searchsorted(linear, moment) == pytest.approx(expected, rel=0.01)
    curve = {"kind": "ramp", "from": "1 /s", "to": "16 /s", "over": "1000 s", "shape": "exponential", "cv": 0.1}
    grown = np.searchsorted(arrivals(**curve), [500.0, 1000.0])
    assert grown[1] / grown[0] == pytest.approx((16 - 1) / (4 - 1), rel=0.01)


def test_piecewise_rates_repeat_or_stay() -> None:
    steps = {"kind": "piecewise", "rates": ["10 /s", "0 /s", "30 /s"], "every": "10 s"}
    times = arrivals(**steps)
    phase = (times % 30) // 10
    assert not (phase == 1).any()
    assert (phase == 2).mean() == pytest.approx(0.75, abs=0.02)
    stays = arrivals(repeat=False, **steps)
    assert len(stays[stays > 20]) / (stays[-1] - 20) == pytest.approx(30, rel=0.03)
    with pytest.raises(ScenarioError, match="nothing arrives"):
        arrivals(kind="piecewise", rates=["0 /s"], every="10 s")


@pytest.mark.parametrize("periods", ["fixed", "exponential"])
def test_on_off_has_the_mean_of_its_parts(periods: str) -> None:
    times = arrivals(50_000, kind="on_off", rate="20 /s", idle_rate="2 /s", busy="0.5 s", idle="1.5 s", periods=periods)
    assert len(times) / times[-1] == pytest.approx((20 * 5 + 2 * 15) / 20, rel=0.05)


def test_rate_scale_is_the_rate_not_the_profile() -> None:
    steps = {"kind": "piecewise", "rates": ["10 /s", "0 /s"], "every": "10 s"}
    spec = {"requests": 5000, "arrivals": steps, "rate_scale": 3, **LENGTHS}
    times = np.concatenate([chunk.arrival for chunk in Workload.from_spec(spec).chunks(0)]) / 1e12
    assert ((times % 20) < 10).all() and 5000 / times[-1] == pytest.approx(15, rel=0.05)


def test_a_grid_floors_times() -> None:
    times = arrivals(kind="poisson", rate="5 /s", grid="3 s")
    assert (np.round(times / 3) == times / 3).all()
    assert len(np.unique(times)) == pytest.approx(20_000 / 5 / 3, rel=0.05)


def test_times_do_not_depend_on_chunks() -> None:
    spec = {"arrivals": {"kind": "on_off", "rate": "9 /s", "busy": "2 s", "idle": "3 s", "burstiness": 0.5}}
    one, two = process_of("", spec, 7, None), process_of("", spec, 7, None)
    assert np.array_equal(one.times(1000), np.concatenate([two.times(n) for n in (1, 9, 90, 900)]))


def test_correlated_lengths_keep_their_distributions() -> None:
    quantiles = {"kind": "empirical", "quantiles": [1, 50, 1000, 5000]}
    spec = {"requests": 20_000, "arrivals": {"kind": "poisson", "rate": "1 /s"}, "correlation": 0.6}
    spec |= {"input_tokens": quantiles, "output_tokens": {"kind": "lognormal", "mean": 300, "p99": 2000}}
    found = statistics(Workload.from_spec(spec).chunks(0))
    assert found["rank_correlation"] == pytest.approx(0.6, abs=0.02)
    assert found["output_tokens"]["mean"] == pytest.approx(300, rel=0.03)
    assert found["output_tokens"]["p99"] == pytest.approx(2000, rel=0.08)
    same = Coupled(0, "x", Stream(0, "x"), 0.0)
    assert np.array_equal(same.uniform(50), Stream(0, "x").uniform(50))


@pytest.mark.parametrize("name", clients.presets())
def test_presets_of_clients(name: str) -> None:
    spec = {"requests": 20_000, "clients": {"preset": name, "rate": "50 /s"}}
    found = statistics(Workload.from_spec(spec).chunks(0))
    assert found["requests"] == 20_000
    assert found["rate_per_s"] == pytest.approx(50, rel=0.05)
    few = {"duration": "50 s", "clients": {"preset": name, "rate": "50 /s", "count": 5}, "output_tokens": 7}
    short = list(Workload.from_spec(few).chunks(0))
    assert sum(map(len, short)) == pytest.approx(2500, rel=0.1)
    assert all((chunk.output_tokens == 7).all() for chunk in short)


def test_many_equal_clients_are_poisson_and_skew_makes_few_busy() -> None:
    equal = {"requests": 20_000, "clients": {"count": 400, "rate": "40 /s", "skew": 0, "cv": 1.2}, **LENGTHS}
    found = statistics(Workload.from_spec(equal).chunks(0))
    assert found["gap_cv"] == pytest.approx(1, abs=0.05)  # Palm-Khintchine
    one = {"requests": 20_000, "clients": {"count": 1, "rate": "40 /s", "cv": 2}, **LENGTHS}
    assert statistics(Workload.from_spec(one).chunks(0))["gap_cv"] == pytest.approx(2, rel=0.05)
    with pytest.raises(ScenarioError, match="servegen-m-large"):
        list(Workload.from_spec({"requests": 5, "clients": {"preset": "servegen-m-larg", "rate": "1 /s"}}).chunks(0))


def _stream(times: list[int], block: int, sizes: list[int]) -> Iterator[Requests]:
    start = 0
    for size in [*sizes, len(times)]:
        part = np.array(times[start : start + size], dtype=np.int64)
        if len(part):
            ids = [(start + i,) if block else () for i in range(len(part))]
            yield Requests.of(part, part * 0 + block + 1, part * 0 + start + 1, prefix_ids=ids, prefix_block=block)
        start += size


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 12), max_size=25),
            st.sampled_from([0, 16, 512]),
            st.lists(st.integers(0, 9), max_size=3),
        ),
        min_size=2,
        max_size=5,
    )
)
def test_merging_is_sorting(streams: list[tuple[list[int], int, list[int]]]) -> None:
    def fresh() -> list[Iterator[Requests]]:
        return [_stream(sorted(times), block, sizes) for times, block, sizes in streams]

    rows = [
        (int(chunk.arrival[i]), number, int(chunk.input_tokens[i]), (chunk.prefix_ids or [])[i])
        for number, stream in enumerate(fresh())
        for chunk in stream
        for i in range(len(chunk))
    ]
    found = [
        (
            int(chunk.arrival[i]),
            int(chunk.input_tokens[i]),
            (chunk.prefix_ids or [()] * len(chunk))[i],
            chunk.prefix_block,
        )
        for chunk in merged(fresh())
        for i in range(len(chunk))
    ]
    wanted = sorted(rows, key=lambda row: row[:2])
    assert [(time, size, ids) for time, _, size, ids in wanted] == [row[:3] for row in found]
    assert all(block == size - 1 for _, size, ids, block in found if ids)


def test_streams_are_numbered_and_their_prefixes_are_their_own() -> None:
    one = {"arrivals": {"kind": "poisson", "rate": "5 /s"}, "prefix": {"share": "100 %", "tokens": 64}}
    two = {"arrivals": {"kind": "poisson", "rate": "5 /s"}, "prefix": {"share": "100 %", "tokens": 100}}
    workload = Workload.from_spec({"requests": 300, **LENGTHS, "streams": {"one": one, "two": two}})
    assert workload.names == ("one", "two")
    chunks = list(workload.chunks(0))
    ids = {block: {i for c in chunks if c.prefix_block == block for i in c.prefix_ids or ()} for block in (64, 100)}
    assert len(ids[64]) == len(ids[100]) == 1 and not ids[64] & ids[100]
    numbers = joined(chunks).stream
    assert numbers is not None and set(numbers.tolist()) == {0, 1}


def test_a_portion_of_the_prompt_is_shared() -> None:
    prefix = {"share": "100 %", "portion": "50 %", "groups": 2, "block": 16}
    spec = {"requests": 500, "arrivals": {"kind": "poisson", "rate": "5 /s"}, "output_tokens": 1, "prefix": prefix}
    spec["input_tokens"] = {"kind": "uniform", "min": 10, "max": 400}
    (chunk,) = Workload.from_spec(spec).chunks(0)
    assert chunk.prefix_ids is not None
    assert [len(ids) for ids in chunk.prefix_ids] == [n // 2 // 16 for n in chunk.input_tokens.tolist()]
    longest = max(chunk.prefix_ids, key=len)
    assert {ids == longest[: len(ids)] for ids in chunk.prefix_ids} == {True, False}
