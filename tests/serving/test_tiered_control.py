"""Tiers beside faults, scaling, admission and adapters: KV below a failed replica's GPUs stays, books add up."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import hwsim

NODE = {"like": "hgx-h100", "dram": {"capacity": "512 GB"}}


def scenario(seed: int = 0, **serve: Any) -> dict[str, Any]:
    """Three small replicas with DRAM below, shared prefixes, more load than their GPUs' pages hold."""
    kv = {"tiers": ["gpu", "dram"], "limit": {"dram": "2 GB"}, "write": "through"}
    return {
        "name": "tiered-control",
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": NODE},
        "serve": {
            "replicas": 3,
            "router": "kv_aware",
            "num_gpu_blocks_override": 150,
            "max_model_len": "auto",
            "place": {"kv": kv},
            **serve,
        },
        "workload": {
            "requests": 120,
            "arrivals": {"kind": "poisson", "rate": "60 /s"},
            "input_tokens": {"kind": "lognormal", "median": 500, "sigma": 0.6, "max": 1500},
            "output_tokens": 20,
            "prefix": {"share": 1, "portion": 0.8, "groups": 10, "block": 64},
        },
        "slo": {"ttft": "300 ms", "tpot": "50 ms"},
        "seed": seed,
    }


def books(result: Any) -> None:
    """Every request ends once, every page of a tier is accounted for."""
    counts = result.summary["requests"]
    assert counts["arrived"] == counts["completed"] + counts["rejected"] and not counts["unfinished"]
    tiers = result.table("tiers")
    gone = tiers["used_bytes"] + tiers["left_bytes"] + tiers["dropped_bytes"] + tiers["lost_bytes"]
    assert tiers["stored_bytes"] == pytest.approx(gone)
    assert tiers["written_bytes"] == pytest.approx(tiers["stored_bytes"])


def both(case: dict[str, Any]) -> Any:
    """The run in macro-steps, checked against single steps."""
    loaded = hwsim.load(case)
    macro, single = hwsim.run(loaded), hwsim.run(loaded, single_step=True)
    for name in ("requests", "tiers", "copies"):
        for column, values in macro.table(name).items():
            one, other = np.asarray(values), np.asarray(single.table(name)[column])
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), (name, column)
    books(macro)
    return macro


def test_what_lies_below_a_failed_replica_is_hit_by_others_and_by_itself() -> None:
    """Everything stops for a moment: HBM is empty afterwards, and DRAM is where hits come from."""
    faults = {f"stop{i}": {"replica": i, "at": f"{1 + i / 100} s", "until": "1.2 s"} for i in range(3)}
    calm, broken = both(scenario()), both(scenario(faults=faults))
    hits = [int(result.table("tiers")["hit_tokens"].sum()) for result in (calm, broken)]
    assert hits[1] > hits[0] + 1000


def test_a_load_under_way_to_a_failed_replica_is_lost_with_it() -> None:
    """A slow link and a stop in the middle of loads: their requests are served elsewhere."""
    slow = NODE | {"gpu": {"like": "H100-SXM", "pcie": {"bandwidth": "0.2 GB/s"}}}
    found = 0
    for at in (0.9, 1.05, 1.3):
        case = scenario(faults={"stop": {"replica": 1, "at": f"{at} s", "until": "2 s"}})
        case["system"] = {"node": slow}
        result = both(case)
        found += int(result.table("tiers")["hit_tokens"].sum())
    assert found > 5000


@pytest.mark.parametrize(
    "serve",
    [
        {"admission": {"kind": "queue_limit", "waiting": 2}},
        {"autoscale": {"kind": "requests", "target": 4, "min": 1, "every": "200 ms", "start_up": "300 ms"}},
        {"router": "slo_aware"},
        {"lora": {"max_loras": 2, "rank": 16}},
    ],
)
def test_controls_run_beside_tiers(serve: dict[str, Any]) -> None:
    rng = random.Random(str(serve))
    case = scenario(rng.randrange(100), **serve)
    if "lora" in serve:
        case["workload"]["adapters"] = {"count": 5, "skew": 1}
    result = both(case)
    assert int(result.table("tiers")["hit_tokens"].sum()) > 2000
    if "lora" in serve:
        loads = {"lora": result.summary.get("lora"), "links": result.table("links")["amount"].sum()}
        plain = both(scenario(case["seed"]))
        assert loads["links"] > plain.table("links")["amount"].sum()  # adapters come over the same links
