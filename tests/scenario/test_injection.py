"""Memories as KV that was computed before: loaded instead of computed, the same answers sooner, nothing conjured up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.scenario.build import build
from hwsim.workload.memories import Memories


def scenario(memories: dict[str, Any] | None, **serve: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "memories",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": "dgx-h100"},
        "serve": {"enable_prefix_caching": True, "max_model_len": 20000, **serve},
        "workload": {
            "requests": 24,
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 300,
            "output_tokens": 5,
        },
    }
    if memories is not None:
        found["workload"]["memories"] = {"count": 12, "tokens": 6400, **memories}
    return found


def requests(made: dict[str, Any], **options: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in hwsim.run(hwsim.load(made), **options).table("requests").items()}


def ttft(table: dict[str, np.ndarray]) -> np.ndarray:
    return table["first_token_s"] - table["arrival_s"]


def test_a_memory_on_the_gpu_is_not_computed_and_costs_what_a_cached_prefix_costs() -> None:
    injected, text = requests(scenario({"at": "gpu"})), requests(scenario({"inject": "text"}))
    assert (injected["cached_tokens"] == 6400).all()
    assert (injected["input_tokens"] == 6700).all()
    first = text["cached_tokens"] == 0
    assert first.any()
    assert not first.all()
    assert np.allclose(ttft(injected)[~first], ttft(text)[~first])
    assert (ttft(injected)[first] < 0.5 * ttft(text)[first]).all()


TIERS = {"kv": {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "40 GB"}}}


@pytest.mark.parametrize("place", ["dram", "ssd"])
def test_a_memory_in_a_tier_is_loaded_at_the_rate_of_the_way(place: str) -> None:
    table = requests(scenario({"at": place, "count": 24, "skew": 0}, place=TIERS))
    gpu = requests(scenario({"at": "gpu", "count": 24, "skew": 0}))
    text = requests(scenario({"inject": "text", "count": 24, "skew": 0}))
    assert (table["cached_tokens"] == 6400).all()
    fresh = text["cached_tokens"] == 0
    size = 6400 * 131072
    least = size / 64e9 if place == "dram" else size / 30e9
    wait = ttft(table)[fresh] - ttft(gpu)[fresh]
    assert (wait > least).all()
    if place == "dram":
        assert (ttft(table)[fresh] < ttft(text)[fresh]).all()
        assert np.median(wait) < 3 * least


def test_what_does_not_fit_is_left_out_and_said() -> None:
    limited = {"kv": {"tiers": ["gpu", "dram"], "limit": {"dram": "5 GB"}}}
    simulation = build(hwsim.load(scenario({"count": 50}, place=limited)))
    pages = int(5e9 // (131072 * 16))
    fit = (pages - int(pages * 0.05)) // 400
    assert simulation.left_out == [f"{fit} of 50 memories fit at dram: the most popular ones"]
    store = simulation.engines[0].remote.connector.store  # type: ignore[union-attr]
    assert store.tiers[0].used == fit * 400


def test_macro_steps_equal_single_steps_and_a_run_is_what_it_was() -> None:
    for memories, serve in (
        ({"at": "gpu", "share": 0.6}, {}),
        ({"tokens": {"kind": "lognormal", "median": 900, "sigma": 0.7, "max": 5000}}, {"place": TIERS, "replicas": 2}),
    ):
        made = scenario(memories, **serve)
        made["workload"]["arrivals"] = {"kind": "poisson", "rate": "20 /s"}
        macro, single = requests(made), requests(made, single_step=True)
        for name, value in macro.items():
            assert np.array_equal(value, single[name], equal_nan=name.endswith("_s")), name
        assert hwsim.run(hwsim.load(made)).digest == hwsim.run(hwsim.load(made)).digest


def test_popularity_falls_with_the_rank_and_texts_of_streams_differ(tmp_path: Any) -> None:
    spec = {"count": 4, "tokens": 128, "skew": 1.0, "block": 64}
    one, two = Memories("a", spec, 0, tmp_path), Memories("b", spec, 0, tmp_path)
    assert not {name for memory in range(4) for name in one.ids(memory)} & set(two.ids(0))
    table = scenario({"count": 4, "tokens": 128, "skew": 1.0, "inject": "text"})
    table["workload"]["requests"] = 4000
    simulation = build(hwsim.load(table))
    seen = [r.prefix_ids for r in simulation.intakes[0].requests(0)]
    counts = sorted((seen.count(ids) for ids in set(seen)), reverse=True)
    weights = np.array([1, 1 / 2, 1 / 3, 1 / 4])
    assert np.allclose(np.array(counts) / 4000, weights / weights.sum(), atol=0.03)


@pytest.mark.parametrize(
    ("memories", "serve", "reason"),
    [
        ({"at": "dram"}, {}, "keeps no KV there"),
        ({"at": "gpu"}, {"enable_prefix_caching": False}, "memories as KV are prefixes"),
        ({"at": "gpu"}, {"enable_prefix_caching": None, "kv_transform": "streaming"}, "do not keep"),
        ({"inject": "text", "at": "gpu"}, {}, "lie nowhere"),
    ],
)
def test_places_that_there_are_not_are_refused(memories: dict, serve: dict, reason: str) -> None:
    with pytest.raises(ScenarioError, match=reason):
        build(hwsim.load(scenario(memories, **serve)))
