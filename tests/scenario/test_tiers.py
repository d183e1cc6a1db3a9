"""KV tiers in whole runs: macro-steps change nothing, bytes add up, links and limits bound, bad rules are refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import FitError, ScenarioError

NODE = {
    "like": "hgx-h100",
    "dram": {"capacity": "512 GB"},
    "cxl": {"like": "cxl2-x8-256GB", "count": 2},
    "ssd": {"like": "D7-P5510-3.84TB", "count": 2, "raid": 0},
}
PREFIXES = [
    {"share": 0.9, "tokens": 96, "groups": 6},
    {"share": 0.9, "tokens": 320, "groups": 3},
    {"share": 0.8, "portion": 0.6, "groups": 12, "block": 48},
    {"share": 0.8, "portion": 0.7, "groups": 5, "block": 16},
]


def scenario(kv: Any, *, node: Any = None, serve: Any = None, workload: Any = None, seed: int = 0) -> dict[str, Any]:
    """One small cluster; ``kv`` is the rule for its cache."""
    return {
        "name": "tiers",
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": NODE if node is None else node},
        "serve": {
            "num_gpu_blocks_override": 200,
            "max_model_len": "auto",
            "max_num_batched_tokens": 512,
            "place": {"kv": kv},
            **(serve or {}),
        },
        "workload": {
            "requests": 60,
            "arrivals": {"kind": "poisson", "rate": "40 /s"},
            "input_tokens": {"kind": "lognormal", "median": 300, "sigma": 0.8, "max": 1500},
            "output_tokens": 12,
            "prefix": PREFIXES[2],
            **(workload or {}),
        },
        "seed": seed,
    }


def combination(seed: int) -> dict[str, Any]:
    """Everything drawn: tiers, sizes, policies, engines, routers."""
    rng = random.Random(seed)
    tiers = rng.choice([["dram"], ["dram", "ssd"], ["cxl"], ["ssd"], ["dram", "cxl", "ssd"]])
    kv = {
        "tiers": ["gpu", *tiers],
        "limit": {tier: rng.choice(["64 MB", "300 MB", "2 GB"]) for tier in tiers},
        "evict": rng.choice(["lru", "fifo", "lfu", "gdsf", "s3fifo"]),
        "write": rng.choice(["back", "through"]),
        "fetch": rng.choice(["on_demand", "while_queued", "layerwise"]),
        "miss": rng.choice(["load", "load", "cheapest", "recompute"]),
    }
    serve = {
        "engine": rng.choice(["vllm-0.33", "vllm-0.11", "sglang-0.5", "trtllm-1.0"]),
        "replicas": rng.choice([1, 2, 3]),
        "router": rng.choice(["round_robin", "kv_aware", "least_loaded", "prefix_aware", "vllm_internal"]),
        "num_gpu_blocks_override": rng.choice([120, 200, 600]),
        "tensor_parallel_size": rng.choice([1, 2]),
        "max_num_batched_tokens": rng.choice([128, 1024]),
    }
    workload = {
        "arrivals": rng.choice([{"kind": "poisson", "rate": "40 /s"}, {"kind": "closed", "concurrency": 6}]),
        "prefix": rng.choice(PREFIXES),
        "output_tokens": {"kind": "lognormal", "median": 12, "sigma": 0.8, "max": 100},
    }
    return scenario(kv, serve=serve, workload=workload, seed=seed)


def test_macro_steps_equal_single_steps_and_the_books_add_up() -> None:
    loaded = 0
    for seed in range(10):
        found = hwsim.load(combination(seed))
        macro, single = hwsim.run(found), hwsim.run(found, single_step=True)
        for name in ("requests", "tiers", "copies", "links"):
            one, other = macro.table(name), single.table(name)
            for column in one:
                a, b = np.asarray(one[column]), np.asarray(other[column])
                assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (seed, name, column)
        books(macro)
        loaded += int(macro.table("tiers")["hit_tokens"].sum())
    assert loaded > 4_000


def test_prefill_pools_with_tiers_hand_over_what_they_loaded_and_computed() -> None:
    loaded = 0
    for seed in range(3):
        rng = random.Random(seed)
        kv = {
            "tiers": ["gpu", "dram", rng.choice(["cxl", "ssd"])],
            "limit": {"dram": "300 MB"},
            "write": rng.choice(["back", "through"]),
            "fetch": rng.choice(["on_demand", "while_queued", "layerwise"]),
        }
        case = scenario("gpu", workload={"prefix": PREFIXES[rng.randrange(4)]}, seed=seed)
        serve = case["serve"]
        del serve["place"]
        serve |= {
            "router": rng.choice(["kv_aware", "least_loaded"]),
            "handover": {"kind": rng.choice(["nixl", "mooncake"])},
        }
        serve["pools"] = {
            "prefill": {"role": "prefill", "replicas": 2, "place": {"kv": kv}},
            "decode": {"role": "decode", "replicas": 1, "num_gpu_blocks_override": 800},
        }
        found = hwsim.load(case)
        macro, single = hwsim.run(found), hwsim.run(found, single_step=True)
        for name in ("requests", "tiers", "copies", "handovers"):
            one, other = macro.table(name), single.table(name)
            for column in one:
                a, b = np.asarray(one[column]), np.asarray(other[column])
                equal = np.allclose(a, b, rtol=1e-9, equal_nan=True) if a.dtype.kind == "f" else np.array_equal(a, b)
                assert equal, (seed, name, column)
        counts = macro.summary["requests"]
        assert counts["arrived"] == counts["completed"] + counts["rejected"] and not counts["unfinished"]
        tiers = macro.table("tiers")
        assert tiers["written_bytes"] == pytest.approx(tiers["stored_bytes"])
        loaded += int(tiers["hit_tokens"].sum())
    assert loaded > 1000


def books(result: Any) -> None:
    """Nothing is lost, no tier is over its limit, what was copied is what the tiers say."""
    counts = result.summary["requests"]
    assert counts["arrived"] == counts["completed"] + counts["rejected"] and not counts["unfinished"]
    tiers, copies, links = result.table("tiers"), result.table("copies"), result.table("links")
    into = tiers["used_bytes"] + tiers["left_bytes"] + tiers["dropped_bytes"] + tiers["lost_bytes"]
    assert tiers["stored_bytes"] == pytest.approx(into)
    assert (tiers["peak_bytes"] <= tiers["limit_bytes"]).all()
    for row, device in enumerate(tiers["device"]):
        for column, end in (("written_bytes", "target"), ("read_bytes", "source")):
            moved = sum(size for size, place in zip(copies["bytes"], copies[end], strict=True) if place == device)
            assert tiers[column][row] == pytest.approx(moved), (device, column)
    out, back = moved_over(copies, "source"), moved_over(copies, "target")
    amount = dict(zip(links["name"], links["amount"], strict=True))
    gpus = [name for name in amount if name.endswith("pcie.h2d")]
    assert sum(amount[name] for name in gpus) == pytest.approx(back)
    assert sum(value for name, value in amount.items() if name.endswith("pcie.d2h")) == pytest.approx(out)
    shares = result.summary["kv_tiers"]
    assert 0 <= shares["hit_rate"] <= 1


def moved_over(copies: Any, end: str) -> float:
    return sum(size for size, place in zip(copies["bytes"], copies[end], strict=True) if place == "gpu")


def test_tiers_without_room_are_no_tiers() -> None:
    empty = {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "0 GB", "ssd": "0 GB"}}
    assert hwsim.run(hwsim.load(scenario(empty))).digest == hwsim.run(hwsim.load(scenario("gpu"))).digest


@pytest.mark.parametrize("fetch", ["on_demand", "while_queued", "layerwise"])
def test_a_slower_link_never_shortens_ttft_of_a_request_alone(fetch: str) -> None:
    """One client with one request at a time, pages for one prompt: whatever is hit comes from below."""
    times = []
    for rate in ("50 GB/s", "5 GB/s", "0.5 GB/s"):
        node = NODE | {"gpu": {"like": "H100-SXM", "pcie": {"bandwidth": rate}}}
        kv = {"tiers": ["gpu", "dram"], "fetch": fetch, "miss": "load", "write": "through"}
        workload = {
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 1600,
            "prefix": {"share": 1, "portion": 0.9, "groups": 6, "block": 64},
            "output_tokens": 2,
            "requests": 40,
        }
        result = hwsim.run(
            hwsim.load(scenario(kv, node=node, workload=workload, serve={"num_gpu_blocks_override": 110}))
        )
        table = result.table("requests")
        assert result.table("tiers")["hit_tokens"].sum() > 10_000
        times.append(table["first_token_s"] - table["arrival_s"])
    assert (times[0] <= times[1] + 1e-12).all() and (times[1] <= times[2] + 1e-12).all()
    assert times[2].sum() > times[0].sum() * 1.5


def test_loading_layer_by_layer_is_no_later_and_hides_the_load() -> None:
    means = {}
    for fetch in ("on_demand", "layerwise"):
        kv = {"tiers": ["gpu", "dram"], "fetch": fetch, "write": "through"}
        workload = {
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 1600,
            "prefix": {"share": 1, "portion": 0.5, "groups": 6, "block": 64},
            "output_tokens": 2,
        }
        result = hwsim.run(hwsim.load(scenario(kv, workload=workload, serve={"num_gpu_blocks_override": 110})))
        means[fetch] = result.summary["ttft_ms"]["mean"]
        assert result.table("tiers")["hit_tokens"].sum() > 10_000
    assert means["layerwise"] < means["on_demand"]


def test_what_is_prefetched_waits_less() -> None:
    """SSD behind DRAM, a queue: what is fetched while it is queued is there when its turn comes."""
    means = {}
    for fetch in ("on_demand", "while_queued"):
        kv = {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "1 GB"}, "fetch": fetch, "write": "through"}
        workload = {
            "arrivals": {"kind": "closed", "concurrency": 4},
            "input_tokens": 1500,
            "prefix": {"share": 1, "portion": 0.9, "groups": 20, "block": 64},
        }
        result = hwsim.run(hwsim.load(scenario(kv, workload=workload)))
        means[fetch] = result.summary["ttft_ms"]["mean"]
        assert dict(zip(result.table("copies")["source"], result.table("copies")["bytes"], strict=True))["ssd"] > 0
    assert means["while_queued"] < means["on_demand"]


def test_a_tier_slower_than_computing_is_used_and_reported() -> None:
    """A link of 50 MB/s: with `load` it is waited for and a warning says so, with `cheapest` it is left alone."""
    node = NODE | {"gpu": {"like": "H100-SXM", "pcie": {"bandwidth": "0.05 GB/s"}}}
    found = {}
    for miss in ("load", "cheapest"):
        case = scenario({"tiers": ["gpu", "dram"], "miss": miss}, node=node)
        found[miss] = hwsim.run(hwsim.load(case))
    tier = found["load"].summary["kv_tiers"]["dram"]
    assert tier["slower_tokens"] > 0.9 * tier["hit_tokens"] > 0 and tier["iops"] is None
    assert any("dram is slower than the GPU" in warning for warning in found["load"].summary["warnings"])
    assert found["cheapest"].summary["kv_tiers"]["dram"]["slower_tokens"] == 0
    assert not any("slower than the GPU" in warning for warning in found["cheapest"].summary["warnings"])


def test_accesses_of_drives_are_pages_of_ranks() -> None:
    kv = {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "64 MB"}}
    result = hwsim.run(hwsim.load(scenario(kv, serve={"tensor_parallel_size": 2})))
    tier, page = result.summary["kv_tiers"]["ssd"], 16 * 131072 / 2  # 16 tokens of an 8B model on one of two ranks
    moved = tier["read_bytes"] + tier["written_bytes"]
    assert tier["iops"] == pytest.approx(moved / page / result.summary["simulated_seconds"])


@pytest.mark.parametrize(
    ("kv", "words"),
    [
        ({"tiers": ["gpu", "dram"], "evict": "lur"}, ["unknown evict", "lru"]),
        ({"tiers": ["gpu", "dram"], "miss": "cheap"}, ["unknown miss", "cheapest"]),
        ({"tiers": ["gpu", "dram"], "write": "bak"}, ["unknown write", "back"]),
        ({"tiers": ["gpu", "dram"], "fetch": "queued"}, ["unknown fetch", "while_queued"]),
        ({"tiers": ["dram", "ssd"]}, ["first tier", "dram"]),
        ({"tiers": ["gpu", "flash"]}, ["has no flash"]),
        ({"tiers": ["gpu", "far/dram"]}, ["unknown group", "far/dram"]),
        ({"tiers": ["gpu", "dram"], "limit": {"dram": "600 GB"}}, ["limit of dram", "512 GB"]),
        ("dram", ["not built yet"]),
    ],
)
def test_bad_rules_are_refused_with_their_place(kv: Any, words: list[str]) -> None:
    with pytest.raises((ScenarioError, FitError)) as caught:
        hwsim.run(hwsim.load(scenario(kv)))
    for word in words:
        assert word in str(caught.value)


def test_the_report_draws_the_tiers_and_the_screen_lists_them() -> None:
    kv = {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "1 GB"}}
    result = hwsim.run(hwsim.load(scenario(kv)))
    page = result.report()
    assert "figure-kv_tiers" in page and "dram to gpu" in page
    assert hwsim.run(hwsim.load(scenario("gpu"))).report().count("figure-kv_tiers") == 0
    found = result.summary["kv_tiers"]
    assert list(found) == ["hit_rate", "gpu", "dram", "ssd"] and found["ssd"]["life_years"] > 0
    assert found["hit_rate"] == pytest.approx(sum(found[name]["hit_rate"] for name in ("gpu", "dram", "ssd")))


@pytest.mark.parametrize("write", ["through", "back"])
def test_the_turns_of_a_session_find_prompts_and_answers_in_tiers(write: str) -> None:
    """Pages for little more than one prompt: between two turns others have taken them, so hits come from below."""
    workload = {
        "arrivals": {"kind": "poisson", "rate": "4 /s"},
        "input_tokens": 200,
        "output_tokens": 160,
        "prefix": None,
        "requests": None,
        "sessions": {"count": 12, "turns": 4, "block": 16, "think": {"mean": "1 s", "cv": 0}},
    }
    case = scenario({"tiers": ["gpu", "dram"], "write": write}, workload=workload)
    case["workload"] = {key: value for key, value in case["workload"].items() if value is not None}
    case["serve"]["num_gpu_blocks_override"] = 130
    loaded = hwsim.load(case)
    macro, single = hwsim.run(loaded), hwsim.run(loaded, single_step=True)
    for name in ("requests", "tiers", "copies"):
        for column, values in macro.table(name).items():
            one, other = np.asarray(values), np.asarray(single.table(name)[column])
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), (name, column)
    books(macro)
    table = macro.table("requests")
    later = np.asarray(table["turn"]) > 0
    grown = np.asarray(table["input_tokens"])[later] - 200  # prompts and answers of the turns before
    share = np.asarray(table["cached_tokens"])[later].sum() / grown.sum()
    assert share > (0.9 if write == "through" else 0.75)
    assert macro.table("tiers")["hit_tokens"].sum() > 0.5 * grown.sum()
