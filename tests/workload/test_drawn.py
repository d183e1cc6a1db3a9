"""Drawn workloads: their distributions are what was asked for, and only position decides a draw."""

from __future__ import annotations

import math
from itertools import combinations
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import ScenarioError
from hwsim.workload.lengths import preset
from hwsim.workload.lengths.lognormal import shape
from hwsim.workload.workload import Workload

POISSON = {"kind": "poisson", "rate": "10 /s"}


def drawn(seed: int = 0, **spec: Any) -> dict[str, np.ndarray]:
    spec = {"requests": 20_000, "arrivals": POISSON, "input_tokens": 512, "output_tokens": 64} | spec
    chunks = list(Workload.from_spec(spec).chunks(seed))
    assert all(len(chunk) <= 4096 for chunk in chunks)
    names = ("arrival", "input_tokens", "output_tokens", "max_tokens", "eos", "priority")
    return {name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names}


def test_poisson_gaps() -> None:
    arrival = drawn()["arrival"]
    gaps = np.diff(arrival) / 1e12
    assert (gaps >= 0).all()
    assert gaps.mean() == pytest.approx(0.1, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, rel=0.03)


def test_rate_scale_divides_the_same_gaps() -> None:
    base, double = drawn()["arrival"], drawn(rate_scale=2)["arrival"]
    assert np.abs(double * 2 - base).max() <= 20_000  # one rounding a gap


def test_constant_arrivals_start_at_zero() -> None:
    arrival = drawn(requests=5, arrivals={"kind": "constant", "rate": "4 /s"})["arrival"]
    assert arrival.tolist() == [i * 250 * 10**9 for i in range(5)]


def test_duration_ends_the_stream() -> None:
    arrival = drawn(requests=None, duration="100 s")["arrival"]
    assert arrival[-1] < 100 * 10**12
    assert 850 < len(arrival) < 1150


def test_lognormal_hits_mean_and_p99() -> None:
    tokens = drawn(input_tokens={"kind": "lognormal", "mean": 300, "p99": 2000})["input_tokens"]
    assert tokens.mean() == pytest.approx(300, rel=0.03)
    assert np.percentile(tokens, 99) == pytest.approx(2000, rel=0.08)
    clipped = drawn(input_tokens={"kind": "lognormal", "median": 100, "sigma": 1, "min": 50, "max": 200})
    assert clipped["input_tokens"].min() == 50 and clipped["input_tokens"].max() == 200
    assert np.median(clipped["input_tokens"]) == pytest.approx(100, rel=0.05)


def test_any_two_figures_say_the_same_lognormal() -> None:
    mu, sigma = 5.0, 0.8
    figures = {
        "median": exp(mu),
        "mean": exp(mu + sigma**2 / 2),
        "p99": exp(mu + 2.3263478740408408 * sigma),
        "sigma": sigma,
    }
    for pair in combinations(figures, 2):
        assert shape({name: figures[name] for name in pair}) == pytest.approx((mu, sigma)), pair


def test_lognormal_that_cannot_be() -> None:
    with pytest.raises(ScenarioError, match="times the mean"):
        drawn(input_tokens={"kind": "lognormal", "mean": 300, "p99": 200})
    with pytest.raises(ScenarioError, match="two of mean, median, p99 and sigma"):
        drawn(input_tokens={"kind": "lognormal", "mean": 300})


def test_empirical_values_weights_and_quantiles(tmp_path: Path) -> None:
    values = {"kind": "empirical", "values": [10, 20], "weights": [1, 3]}
    tokens = drawn(output_tokens=values)["output_tokens"]
    assert set(tokens.tolist()) == {10, 20}
    assert (tokens == 20).mean() == pytest.approx(0.75, abs=0.02)
    tokens = drawn(output_tokens={"kind": "empirical", "quantiles": [1, 101, 301]})["output_tokens"]
    assert np.percentile(tokens, [0, 25, 50, 75, 100]) == pytest.approx([1, 51, 101, 201, 301], abs=8)
    file = tmp_path / "lengths.csv"
    file.write_text("n,tokens\n1,7\n2,9\n")
    spec = {"requests": 50, "arrivals": POISSON, "input_tokens": 1}
    spec["output_tokens"] = {"kind": "empirical", "file": "lengths.csv", "column": "tokens"}
    (chunk,) = Workload.from_spec(spec, base_dir=tmp_path).chunks(0)
    assert set(chunk.output_tokens.tolist()) == {7, 9}
    file.write_text("n,tokens\n1,7\n2,x\n3,0\n")
    from hwsim.workload.lengths.empirical import read_values

    read_values.cache_clear()
    with pytest.raises(ScenarioError) as caught:
        list(Workload.from_spec(spec, base_dir=tmp_path).chunks(0))
    assert ":3" in str(caught.value) and ":4" in str(caught.value)


@pytest.mark.parametrize("name", preset.names())
def test_presets_keep_the_published_mean(name: str) -> None:
    import yaml

    trace, _, side = name.rpartition("-")
    published = yaml.safe_load((preset.FOLDER / f"{trace}.yaml").read_text())[f"{side}_mean"]
    tokens = drawn(input_tokens={"kind": "preset", "name": name})["input_tokens"]
    assert tokens.mean() == pytest.approx(published, rel=0.05)


def test_visible_limit_makes_eos() -> None:
    found = drawn(requests=100, output_tokens={"kind": "uniform", "min": 50, "max": 150}, max_tokens=100)
    assert found["output_tokens"].max() == 100
    assert (found["eos"] == (found["output_tokens"] < 100)).all()
    assert 0 < found["eos"].sum() < 100


def test_shared_prefixes() -> None:
    spec = {"requests": 4000, "arrivals": POISSON, "input_tokens": 100, "output_tokens": 5}
    spec["prefix"] = {"share": "50 %", "tokens": 256, "groups": 3}
    (chunk,) = Workload.from_spec(spec).chunks(0)
    assert chunk.prefix_ids is not None
    shared = [ids for ids in chunk.prefix_ids if ids]
    assert len(shared) / 4000 == pytest.approx(0.5, abs=0.04)
    assert {ids[0] for ids in shared} == {0, 1, 2}
    assert all(n > 256 for n, ids in zip(chunk.input_tokens, chunk.prefix_ids, strict=True) if ids)


def test_streams_are_merged_in_time() -> None:
    one = {"arrivals": {"kind": "constant", "rate": "2 /s"}, "input_tokens": 1, "requests": 4}
    two = {"arrivals": {"kind": "constant", "rate": "3 /s"}, "input_tokens": 2, "requests": 5, "priority": 3}
    (chunk,) = Workload.from_spec({"output_tokens": 9, "streams": {"one": one, "two": two}}).chunks(0)
    assert (np.diff(chunk.arrival) >= 0).all()
    assert chunk.input_tokens.tolist()[:2] == [1, 2]
    assert sorted(chunk.input_tokens.tolist()) == [1] * 4 + [2] * 5
    assert set(chunk.priority[chunk.input_tokens == 2].tolist()) == {3}


def test_seeds_and_fields_are_independent() -> None:
    spec = {"input_tokens": {"kind": "uniform", "min": 1, "max": 10**6}}
    spec["output_tokens"] = spec["input_tokens"]
    a, b = drawn(seed=1, **spec), drawn(seed=2, **spec)
    assert not np.array_equal(a["input_tokens"], b["input_tokens"])
    assert not np.array_equal(a["input_tokens"], a["output_tokens"])
    correlation = np.corrcoef(a["input_tokens"], a["output_tokens"])[0, 1]
    assert abs(correlation) < 5 / math.sqrt(len(a["arrival"]))


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ScenarioError, match="trace, or arrivals"):
        Workload.from_spec({"requests": 5})
    with pytest.raises(ScenarioError, match="requests: N or duration"):
        drawn(requests=None)
    with pytest.raises(ScenarioError, match="104 days"):
        drawn(arrivals={"kind": "poisson", "rate": "0.001 /s"})
