"""Tiers at decode: what they hold is not handed over, both ways meet before a request goes on, books add up."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import hwsim

NODE = {"like": "hgx-h100", "dram": {"capacity": "512 GB"}}
TOKEN = 131072  # bytes of KV of a token of an 8B model


def scenario(seed: int = 0, *, below: Any = None, handover: Any = None, **workload: Any) -> dict[str, Any]:
    """One replica that prefills and two that decode, with few pages there."""
    decode = {"role": "decode", "replicas": 2, "num_gpu_blocks_override": 150}
    if below is not None:
        decode["place"] = {"kv": below}
    return {
        "name": "tiered-decode",
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": NODE},
        "serve": {
            "max_model_len": "auto",
            "enable_prefix_caching": True,
            "handover": handover or {"kind": "nixl"},
            "pools": {"prefill": {"role": "prefill", "replicas": 1}, "decode": decode},
        },
        "workload": {
            "requests": 100,
            "arrivals": {"kind": "poisson", "rate": "30 /s"},
            "input_tokens": {"kind": "lognormal", "median": 500, "sigma": 0.6, "max": 1500},
            "output_tokens": 20,
            "prefix": {"share": 1, "portion": 0.8, "groups": 8, "block": 64},
            **workload,
        },
        "seed": seed,
    }


def both(case: dict[str, Any]) -> Any:
    """The run in macro-steps, checked against single steps."""
    loaded = hwsim.load(case)
    macro, single = hwsim.run(loaded), hwsim.run(loaded, single_step=True)
    for name in ("requests", "tiers", "copies", "handovers"):
        for column, values in macro.table(name).items():
            a, b = np.asarray(values), np.asarray(single.table(name)[column])
            equal = np.allclose(a, b, rtol=1e-9, equal_nan=True) if a.dtype.kind == "f" else np.array_equal(a, b)
            assert equal, (name, column)
    counts = macro.summary["requests"]
    assert counts["arrived"] == counts["completed"] + counts["rejected"] and not counts["unfinished"]
    tiers = macro.table("tiers")
    gone = tiers["used_bytes"] + tiers["left_bytes"] + tiers["dropped_bytes"] + tiers["lost_bytes"]
    assert tiers["stored_bytes"] == pytest.approx(gone)
    return macro


@pytest.mark.parametrize(
    ("kind", "write"), [("nixl", "through"), ("sglang", "back"), ("mooncake", "through"), ("distserve", "back")]
)
def test_what_decode_finds_below_is_not_handed_over(kind: str, write: str) -> None:
    seed = random.Random(kind + write).randrange(100)
    below = {"tiers": ["gpu", "dram"], "limit": {"dram": "2 GB"}, "write": write}
    result = both(scenario(seed, below=below, handover={"kind": kind}))
    plain = hwsim.run(hwsim.load(scenario(seed, handover={"kind": kind})))
    spared = int(result.table("tiers")["spared_tokens"].sum())
    handed, before = (r.table("handovers") for r in (result, plain))
    prompts = int(np.sum(result.table("requests")["input_tokens"]))
    assert spared > 5000 and result.table("tiers")["hit_tokens"].sum() == 0
    assert handed["tokens"].sum() + spared <= prompts
    assert handed["tokens"].sum() < before["tokens"].sum()
    assert (handed["bytes"] == handed["tokens"] * TOKEN).all()
    copies = result.table("copies")
    ways = zip(copies["source"], copies["target"], copies["bytes"], strict=True)
    assert sum(size for source, target, size in ways if (source, target) == ("dram", "gpu")) == spared * TOKEN


def test_a_request_waits_for_both_ways() -> None:
    """Requests one at a time whose prompts lie in DRAM at decode: a slow bus there delays the second token."""
    times = []
    for rate in ("50 GB/s", "0.5 GB/s"):
        below = {"tiers": ["gpu", "dram"], "write": "through", "miss": "load"}
        case = scenario(
            below=below,
            arrivals={"kind": "closed", "concurrency": 1},
            input_tokens=1600,
            prefix={"share": 1, "portion": 0.9, "groups": 6, "block": 64},
            output_tokens=2,
            requests=40,
        )
        case["serve"]["handover"] |= {"bandwidth": "100 GB/s"}
        case["system"] = {"node": NODE | {"gpu": {"like": "H100-SXM", "pcie": {"bandwidth": rate}}}}
        result = both(case)
        assert result.table("tiers")["spared_tokens"].sum() > 10_000
        times.append(
            np.asarray(result.table("requests")["finish_s"]) - np.asarray(result.table("requests")["arrival_s"])
        )
    assert (times[0] <= times[1] + 1e-12).all() and times[1].sum() > 1.3 * times[0].sum()


def test_slow_tiers_at_decode_are_left_alone_where_a_hand_over_is_sooner() -> None:
    found = {}
    for miss in ("load", "cheapest"):
        below = {"tiers": ["gpu", "dram"], "write": "through", "miss": miss}
        case = scenario(below=below)
        case["serve"]["handover"] |= {"bandwidth": "100 GB/s"}
        case["system"] = {"node": NODE | {"gpu": {"like": "H100-SXM", "pcie": {"bandwidth": "0.5 GB/s"}}}}
        found[miss] = both(case).summary
    assert found["cheapest"]["kv_tiers"]["dram"]["spared_tokens"] == 0
    slow = found["load"]["kv_tiers"]["dram"]
    assert slow["slower_tokens"] == slow["spared_tokens"] > 5000
    assert any("slower than the GPU" in warning for warning in found["load"]["warnings"])


def test_tiers_at_both_sides_and_prompts_that_stay_local() -> None:
    below = {"tiers": ["gpu", "dram"], "limit": {"dram": "2 GB"}, "write": "through"}
    case = scenario(3, below=below)
    case["serve"]["pools"]["prefill"] |= {"place": {"kv": below}, "num_gpu_blocks_override": 150}
    case["serve"]["local_prefill"] = {"below": 400}
    result = both(case)
    tiers = result.table("tiers")
    assert tiers["hit_tokens"].sum() > 2000 and tiers["spared_tokens"].sum() > 2000
