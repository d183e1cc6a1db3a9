"""Laws of engines and transfers that share memory and links: equal in both ways of stepping, and nobody gains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.scenario import coupling
from hwsim.scenario.build import build
from hwsim.serving import step, stretch
from hwsim.serving.coupled import Coupled

TIMES = ("scheduled_s", "first_token_s", "finish_s")


def scenario(seed: int = 0, **serve: Any) -> dict[str, Any]:
    """Prefill and decode of a small model over NVLink: hand-overs take a large part of the memory's bandwidth."""
    return {
        "name": "coupled",
        "seed": seed,
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": "dgx-h100"},
        "serve": {
            "handover": "nixl",
            "pools": {"prefill": {"role": "prefill", "replicas": 3}, "decode": {"role": "decode", "replicas": 1}},
        }
        | serve,
        "workload": {
            "requests": 60,
            "arrivals": {"kind": "poisson", "rate": "40 /s"},
            "input_tokens": {"kind": "uniform", "min": 500, "max": 6000},
            "output_tokens": {"kind": "uniform", "min": 20, "max": 300},
        },
    }


def narrow(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Memory that delivers only this share of the data sheet's bandwidth to everybody, engines at full efficiency."""
    from hwsim.hardware.fabric import Fabric

    own = Fabric.capacity

    def capacity(self: Fabric, name: str) -> Any:
        found = own(self, name)
        if name.endswith(".hbm") and found.rate > 3e12:
            found.rate *= share
        return found

    monkeypatch.setattr(Fabric, "capacity", capacity)


def run(found: dict[str, Any], **options: Any) -> tuple[Any, list[Coupled]]:
    engines: list[Coupled] = []

    def look(simulation: Any) -> None:
        engines.extend(e for part in simulation.parts for e in part.engines if isinstance(e, Coupled))

    return hwsim.run(hwsim.load(found), adjust=look, **options), engines


def test_an_engine_that_is_never_slowed_runs_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    together, engines = run(scenario())
    assert engines  # NVLink could slow a decode that takes nearly all of the memory's bandwidth
    monkeypatch.setattr(coupling, "_most", lambda mover: {})
    alone, none = run(scenario())
    assert not none
    if all(engine.timeline.straight for engine in engines):
        for name in TIMES:
            assert np.array_equal(together.table("requests")[name], alone.table("requests")[name])


@pytest.mark.parametrize("kind", ["nixl", "sglang", "mooncake", "p2p_nccl"])
def test_macro_steps_equal_single_steps_under_contention(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, 0.8)
    turns = 0
    for seed in range(2):
        macro, engines = run(scenario(seed, handover=kind))
        single, _ = run(scenario(seed, handover=kind), single_step=True)
        turns += sum(len(engine.timeline.rates) for engine in engines)
        for name in TIMES:
            a, b = (np.asarray(result.table("requests")[name]) for result in (macro, single))
            assert np.allclose(a, b, rtol=1e-9, atol=1e-11), (kind, seed, name, np.abs(a - b).max())
    assert turns > 20  # engines were really slowed


def test_company_never_makes_a_run_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, 0.8)
    together, _ = run(scenario())
    monkeypatch.setattr(coupling, "_most", lambda mover: {})
    alone, _ = run(scenario())
    assert together.summary["tpot_ms"]["p50"] > alone.summary["tpot_ms"]["p50"]
    for result in (together, alone):
        assert result.summary["requests"]["completed"] == 60


def test_a_nic_into_memory_needs_no_coupling() -> None:
    found = scenario()
    found["system"] = {"node": "dgx-h100", "nodes": 2, "network": {"kind": "rail_fat_tree", "link": "ib-ndr-400"}}
    found["serve"]["pools"]["prefill"]["at"] = "node[0]"
    simulation = None
    del found["serve"]["pools"]["prefill"]["at"]
    found["serve"]["pools"]["prefill"]["replicas"] = 8  # fills the first node
    simulation = build(hwsim.load(found))
    assert not any(isinstance(engine, Coupled) for engine in simulation.parts[0].engines)  # type: ignore[union-attr]


def test_demand_held_over_a_stretch_is_as_good_as_demand_renewed_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, 0.8)
    held, engines = run(scenario(3))
    assert any(not engine.timeline.straight for engine in engines)
    for module in (step, stretch):
        monkeypatch.setattr(module, "knot_end", lambda context: context)
    renewed, _ = run(scenario(3), single_step=True)
    for metric in ("ttft_ms", "tpot_ms", "e2e_ms"):
        for statistic in ("p50", "p99"):
            assert renewed.summary[metric][statistic] == pytest.approx(held.summary[metric][statistic], rel=5e-3)
