"""Energy and cost of everything owned beside the share in use; resources given infinite speed in a run."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.errors import ScenarioError
from hwsim.hardware import System
from hwsim.hardware.owned import owned
from hwsim.hardware.power import STANDBY_SHARE, TILE_LOSS
from hwsim.metrics.cost import costs
from hwsim.metrics.energy import energy
from hwsim.scenario.load import load
from hwsim.scenario.run import run


def outcome(**system: Any) -> dict[str, Any]:
    """A short run of an 8B model on one GPU of a DGX."""
    scenario = {
        "name": "short",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "system": {"node": "dgx-h100", **system},
        "serve": {"replicas": 1, "max_model_len": 4096},
        "workload": {"requests": 20, "arrivals": {"kind": "constant", "rate": "20 /s"}, "input_tokens": 64,
                     "output_tokens": 32},
    }  # fmt: skip
    return run(load(scenario), record="off").summary


def test_a_whole_node_is_owned_for_one_gpu() -> None:
    found = outcome()
    seconds = found["simulated_seconds"]
    host = 60 + 2 * 90 + 8 * 5 + 8 * 20 + 2 * 2e12 / 64e9  # board, processors, drives, NICs, memory modules
    idle = 7 * 70 * seconds
    assert found["energy_joules"] - found["energy_used_joules"] == pytest.approx(idle + host * seconds * 7 / 8)
    assert 70 * seconds + host * seconds / 8 < found["energy_used_joules"] <= (700 + host / 8) * seconds
    assert found["cost_usd"] == pytest.approx(8 * 2.95 * seconds / 3600)
    assert found["cost_used_usd"] == pytest.approx(found["cost_usd"] / 8)
    assert found["cost_low_usd"] < found["cost_usd"] < found["cost_high_usd"]
    assert "May 2026" in found["price_source"]


def test_a_price_that_nobody_gave_is_no_cost() -> None:
    found = outcome(node={"like": "dgx-h100", "gpu": {"like": "H20"}})
    assert found["cost_usd"] is None and found["usd_per_million_output_tokens"] is None
    assert any("there is no cost" in warning for warning in found["warnings"])
    own = outcome(node={"like": "dgx-h100", "gpu": {"like": "H20"}, "hourly_price": "12 usd/h"})
    assert own["cost_usd"] == pytest.approx(12 * own["simulated_seconds"] / 3600)


def test_switches_count_when_a_product_is_named() -> None:
    network = {"kind": "rail_fat_tree", "link": "ib-ndr-400", "switch": "quantum-2-qm9700"}
    system = System.of({"node": "dgx-h100", "nodes": 16, "network": network})
    assert system.network.switches() == 8 + 2  # a leaf per rail, and a core for their 128 uplinks
    held = owned(system, {"nodes": 64})
    assert held["network_w"] == pytest.approx(10 * 0.6 * 1700)
    silent = owned(System.of({"node": "dgx-h100", "nodes": 16}), {"nodes": 64})
    assert silent["network_w"] == 0 and "network switches" in silent["unknown"]
    facts = {"owned": held, "simulated_seconds": 10.0, "amounts": {"gpu.tensor": 1e15, "gpu.hbm": 1e13}}
    joules = energy(facts)
    standby = 70 + STANDBY_SHARE * (700 - 70)
    gpus = (64 * standby + 64 * 70) * 10 + TILE_LOSS * 0.75e-12 * 1e15 + 122e-12 * 1e13
    assert joules["energy_joules"] == pytest.approx(gpus + 10 * (held["network_w"] + held["groups"]["nodes"]["host_w"]))
    assert costs(facts)["cost_used_usd"] == pytest.approx(64 * 2.95 * 10 / 3600)


def test_infinite_resources_leave_the_others() -> None:
    plain, hbm = outcome(), outcome(ideal=["hbm"])
    every = outcome(ideal="hbm,tensor,launch,host")
    tpot = [found["tpot_ms"]["mean"] for found in (plain, hbm, every)]
    assert tpot[0] > 1.5 * tpot[1] > 1.5 * tpot[2] > 0
    launch = outcome(ideal=["launch"])
    assert launch["tpot_ms"]["mean"] < plain["tpot_ms"]["mean"]
    # what is left under that name is time inside kernels that grows with nothing
    assert launch["bottleneck"].get("launch", 0.0) < 0.8 * plain["bottleneck"]["launch"]
    assert hbm["mbu"] is None and plain["mbu"] > 0
    with pytest.raises(ScenarioError, match=r"unknown resource; got hmb.*did you mean hbm"):
        outcome(ideal=["hmb"])
