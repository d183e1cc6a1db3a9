"""Random combinations of every registered part on a tiny system keep the laws; a new part joins by being registered."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import FitError, ScenarioError
from hwsim.part import Parts
from hwsim.scenario.kv_transforms import NOT_SHARED
from hwsim.serving import engine_profile
from tests.laws.draw import Undrawable, drawn, kinds, preset_names

CASES = 100  # that run; others are refused with a reason, as a person's would be
MOST_TRIES = 600
MODELS = ["meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-7B", "Qwen/Qwen3-8B", "meta-llama/Llama-2-7b-hf"]
NODES = ["dgx-h100", "hgx-a100"]
QUESTIONS = {  # question -> (package of its parts, where its choice stands)
    "arrivals": ("hwsim.workload.arrivals", ("workload", "arrivals")),
    "lengths": ("hwsim.workload.lengths", ("workload", "input_tokens")),
    "router": ("hwsim.serving.policies.router", ("serve", "router")),
    "batching": ("hwsim.serving.policies.batching", ("serve", "batching")),
    "admission": ("hwsim.serving.policies.admission", ("serve", "admission")),
    "autoscale": ("hwsim.serving.policies.autoscale", ("serve", "autoscale")),
    "kv_transform": ("hwsim.model.transforms", ("serve", "kv_transform")),
}
# Kinds whose fields depend on each other: which of them go together is said here.
TOGETHER: dict[str, dict[str, Any]] = {
    "lognormal": {"median": 12, "sigma": 0.8, "max": 200},
    "empirical": {"values": [1, 7, 16, 33], "weights": [1, 2, 2, 1]},
}
TIMES = ("arrival_s", "scheduled_s", "first_token_s", "finish_s")


def one_of(question: str, rng: random.Random) -> dict[str, Any]:
    """A kind of a question with drawn parameters; kinds that need a file are left to tests of their own."""
    models = kinds(question, QUESTIONS[question][0])
    while True:
        name = rng.choice(sorted(models))
        if name == "preset":
            return {"kind": "preset", "name": rng.choice(preset_names())}
        if name in TOGETHER:
            return {"kind": name, **TOGETHER[name]}
        try:
            return drawn(models[name], rng)
        except Undrawable:
            continue


def combination(seed: int) -> dict[str, Any]:
    """One scenario of everything that is registered."""
    rng = random.Random(seed)
    requests = rng.choice([3, 12, 30])
    serve: dict[str, Any] = {
        "engine": rng.choice(engine_profile.names()),
        "replicas": rng.choice([1, 1, 2, 3]),
        "tensor_parallel_size": rng.choice([1, 1, 2]),
        "max_num_seqs": rng.choice([1, 4, 64]),
        "max_num_batched_tokens": rng.choice([64, 256, 2048]),
        "num_gpu_blocks_override": rng.choice([30, 200, 2000]),
        "max_model_len": "auto",
        "scheduling_policy": rng.choice(["fcfs", "fcfs", "priority", "shortest_prompt"]),
    }
    for flag in ("async_scheduling", "enable_prefix_caching", "enable_chunked_prefill"):
        if rng.random() < 0.4:
            serve[flag] = rng.random() < 0.5
    for question in ("router", "batching"):
        if rng.random() < 0.4:
            serve[question] = one_of(question, rng)
    controls = random.Random(f"{seed}/control")
    for question in ("admission", "autoscale"):
        if controls.random() < 0.3:
            serve[question] = one_of(question, controls)
    apart = controls.random() < 0.3
    if apart:
        serve |= roles(serve.pop("replicas"), controls)
        if controls.random() < 0.3:
            serve["autoscale"] = one_of("autoscale", controls)
    for key in ("max", "min"):  # no more replicas than there are
        if key in serve.get("autoscale", {}):
            serve["autoscale"][key] = 1 if key == "min" else min(replicas(serve))
    if controls.random() < 0.2:
        serve["faults"] = faults(sum(replicas(serve)), controls)
    adapters = random.Random(f"{seed}/adapters")
    lora = adapters.random() < 0.15
    if lora:
        serve["lora"] = {"rank": adapters.choice([8, 64]), "max_loras": adapters.choice([1, 4])}
    arrivals = one_of("arrivals", rng)
    if arrivals["kind"] == "trace":
        arrivals = {"kind": "poisson", "rate": "20 /s"}
    workload = {
        "requests": requests,
        "arrivals": arrivals,
        "input_tokens": one_of("lengths", rng),
        "output_tokens": one_of("lengths", rng),
    }
    if lora:
        workload["adapters"] = {"count": adapters.choice([2, 9]), "skew": adapters.choice([0, 1])}
    if arrivals["kind"] in ("poisson", "closed", "gamma") and controls.random() < 0.4:
        del workload["requests"]
        workload["sessions"] = sessions(controls)
    found: dict[str, Any] = {"name": f"combination-{seed}", "serve": serve, "workload": workload, "seed": seed}
    found["slo"] = {"ttft": "200 ms", "tpot": "30 ms"}
    if rng.random() < 0.25:
        found["cost"] = {"kind": "constant", "step": rng.choice(["1 ms", "10 ms"]), "host": rng.choice(["0 s", "2 ms"])}
        serve |= {"max_model_len": 400, "tensor_parallel_size": 1}
    else:
        found |= {"model": rng.choice(MODELS), "system": {"node": rng.choice(NODES), "nodes": 1}}
        forms = random.Random(f"{seed}/transform")
        if forms.random() < 0.3:
            serve["kv_transform"] = one_of("kv_transform", forms)
        elif forms.random() < 0.25:
            serve["kv_allocation"] = allocation(forms)
        if {"kv_transform", "kv_allocation"} & serve.keys() and forms.random() < 0.8:
            serve.pop("enable_prefix_caching", None)  # few of them share prefixes: let most cases run
        stages = random.Random(f"{seed}/stages")
        if stages.random() < 0.25:
            serve["pipeline_parallel_size"] = stages.choice([2, 2, 4])
        below = random.Random(f"{seed}/tiers")
        scales = "pools" in serve and {"autoscale", "faults"} & serve.keys()  # which tiers do not go with yet
        shared = "kv_allocation" not in serve and serve.get("kv_transform", {}).get("kind") not in NOT_SHARED
        if below.random() < 0.4 and (shared or forms.random() < 0.2) and not (scales and below.random() < 0.8):
            sides = below.choice([("prefill",), ("prefill", "decode"), ("decode",)])
            pools = [pool for pool in serve.get("pools", {}).values() if pool["role"] in sides] or [serve]
            for pool in pools:
                pool["place"] = {"kv": tiers(random.Random(f"{seed}/tier rule"))}
            serve["enable_prefix_caching"] = True
            if "sessions" not in workload and forms.random() < 0.4:
                workload["memories"] = memories(forms, serve)
            elif "sessions" not in workload:
                workload["prefix"] = {"share": 0.9, "portion": 0.8, "groups": 3, "block": below.choice([5, 16, 40])}
    if serve.get("handover", {}).get("kind") == "in_place" and random.Random(f"{seed}/alone").random() < 0.7:
        for place in (serve, *serve["pools"].values()):  # most of these are refused beside it: let some cases run
            for key in ("admission", "autoscale", "faults", "lora", "place", "kv_transform", "kv_allocation"):
                place.pop(key, None)
        for key in ("adapters", "memories"):
            workload.pop(key, None)
    return found


def memories(rng: random.Random, serve: dict[str, Any]) -> dict[str, Any]:
    """Texts whose KV was computed before, at any place that prompts may come from."""
    places = [pool["place"]["kv"]["tiers"] for pool in (serve, *serve.get("pools", {}).values()) if "place" in pool]
    found: dict[str, Any] = {
        "count": rng.choice([2, 9]),
        "tokens": one_of("lengths", rng),
        "block": rng.choice([5, 16]),
    }
    found |= {"share": rng.choice([0.5, 1]), "skew": rng.choice([0, 1.2])}
    if rng.random() < 0.7:
        found["at"] = rng.choice(places[0])
    return found


def allocation(rng: random.Random) -> dict[str, Any]:
    """Pages, perhaps with dearer kernels, or contiguous memory in page-groups that a driver knows."""
    if rng.random() < 0.2:
        return {"kind": "paged", "prefill_attention": 1.3, "decode_attention": round(rng.uniform(0.5, 3), 2)}
    found = {"kind": "contiguous", "page_group": rng.choice(["64 KiB", "128 KiB", "256 KiB", "2 MiB"])}
    found["mapping"] = rng.choice(["background", "background", "synchronous"])
    found["reclamation"] = rng.choice(["deferred", "eager"])
    if rng.random() < 0.3:
        found["ahead"] = rng.choice([1, 500])
    if rng.random() < 0.5:
        found["map_time"] = rng.choice(["0 s", "1 us", "200 us"])
    return found


def replicas(serve: dict[str, Any]) -> list[int]:
    """How many replicas each pool has."""
    return [pool.get("replicas", 1) for pool in serve.get("pools", {"serve": serve}).values()]


def tiers(rng: random.Random) -> dict[str, Any]:
    """KV memory below the GPU, with any policies."""
    names = rng.choice([["dram"], ["dram", "ssd"], ["ssd"]])
    return {
        "tiers": ["gpu", *names],
        "limit": {name: rng.choice(["0 GB", "20 MB", "300 MB"]) for name in names},
        "evict": rng.choice(Parts("hwsim.serving.policies.evict").names()),
        "miss": rng.choice(Parts("hwsim.serving.policies.miss").names()),
        "write": rng.choice(["through", "back"]),
        "fetch": rng.choice(["on_demand", "while_queued", "layerwise"]),
    }


def roles(replicas: int, rng: random.Random) -> dict[str, Any]:
    """Prefill and decode apart, with any kind of hand-over over a link of their own or the machine's."""
    ways = kinds("handover", "hwsim.serving.policies.handover")
    ways = [*[ways["in_place"]] * 6, *ways.values()]  # most other parts do not go with it: often, to be seen at all
    handover = drawn(rng.choice(ways), rng)
    if handover["kind"] == "in_place":
        split = drawn(rng.choice(list(kinds("split", "hwsim.serving.policies.split").values())), rng)
        pools = {"p": {"role": "prefill", "replicas": replicas}, "d": {"role": "decode"}}
        return {"handover": handover, "split": split, "pools": pools}
    if rng.random() < 0.5:
        handover["bandwidth"] = rng.choice(["1 GB/s", "20 GB/s"])
    found: dict[str, Any] = {
        "handover": handover,
        "pools": {
            "p": {"role": "prefill", "replicas": replicas},
            "d": {"role": "decode", "replicas": rng.choice([1, 2])},
        },
    }
    if rng.random() < 0.3:
        found["local_prefill"] = {"below": rng.choice([8, 30])}
    return found


def sessions(rng: random.Random) -> dict[str, Any]:
    """Conversations of a few turns, perhaps with branches and tools, and any kind of context."""
    found: dict[str, Any] = {"count": rng.choice([2, 5]), "turns": rng.randint(1, 3), "block": rng.choice([8, 16])}
    found["context"] = drawn(rng.choice(list(kinds("context", "hwsim.workload.context").values())), rng)
    if rng.random() < 0.5:
        found["branches"] = rng.randint(1, 3)
    if rng.random() < 0.5:
        found["tools"] = {"calls": rng.randint(0, 2) + 1, "tokens": 9, "output_tokens": 3, "time": "50 ms"}
    if rng.random() < 0.5:
        found |= {"think": {"mean": "200 ms", "cv": 1}, "system_tokens": rng.randint(1, 40)}
    return found


def faults(replicas: int, rng: random.Random) -> dict[str, Any]:
    """One replica that stops and comes back or not, and perhaps one that is slow for a while."""
    stop: dict[str, Any] = {"replica": rng.randrange(replicas), "at": f"{rng.uniform(0, 2):.4f} s"}
    if rng.random() < 0.7:
        stop["until"] = f"{rng.uniform(2, 5):.4f} s"
    found = {"stop": stop}
    if rng.random() < 0.5:
        found["slow"] = {
            "kind": "slow",
            "replica": rng.randrange(replicas),
            "at": "100 ms",
            "until": "3 s",
            "factor": 1.5,
        }
    return found


def both(seed: int) -> tuple[Any, Any] | str:
    """The run in macro-steps and in single steps, or the reason why the combination is refused."""
    try:
        loaded = hwsim.load(combination(seed))
        return hwsim.run(loaded), hwsim.run(loaded, single_step=True)
    except (ScenarioError, FitError) as error:
        return str(error)


@pytest.mark.slow
def test_every_combination_keeps_the_laws() -> None:
    seen: dict[str, int] = {}
    ran = 0
    for seed in range(MOST_TRIES):
        runs = both(seed)
        if isinstance(runs, str):
            continue
        try:
            check(*runs)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {combination(seed)}: {error}") from error
        ran += 1
        for name in used(combination(seed)):
            seen[name] = seen.get(name, 0) + 1
        if ran == CASES:
            break
    assert ran == CASES, f"only {ran} of {MOST_TRIES} combinations could run"
    assert {f"engine {name}" for name in engine_profile.names()} <= set(seen), seen
    assert {"arrivals poisson", "arrivals closed", "lengths lognormal", "lengths preset"} <= set(seen), seen
    controlled = {f"{part}{pools}" for part in ("autoscale", "faults") for pools in ("", " with a hand-over")}
    assert controlled <= set(seen), seen
    assert {"lora", "split with a hand-over", "sessions through an API server"} <= set(seen), seen


def used(scenario: dict[str, Any]) -> list[str]:
    """The kinds in a combination, by name."""
    serve = scenario["serve"]
    names = [f"engine {serve['engine']}"]
    beside = " with a hand-over" if "handover" in serve else ""
    names += [f"{part}{beside}" for part in ("autoscale", "faults", "lora", "split") if part in serve]
    if "sessions" in scenario["workload"] and "cost" not in scenario:
        names.append("sessions through an API server")
    for question, (_, (section, key)) in QUESTIONS.items():
        if key in scenario[section]:
            names.append(f"{question} {scenario[section][key]['kind']}")
    return names


def check(macro: Any, single: Any) -> None:
    """What holds for every run: equal in both ways of stepping, nothing lost, nothing over capacity, time in order."""
    table, other = macro.table("requests"), single.table("requests")
    for name in table:
        assert np.array_equal(np.asarray(table[name]), np.asarray(other[name]), equal_nan=name in TIMES), name
    counts = macro.summary["requests"]
    assert counts["arrived"] == counts["completed"] + counts["rejected"] + counts["unfinished"] == len(table["status"])
    done = np.asarray(table["status"]) == "completed"
    assert int(done.sum()) == counts["completed"]
    moments = [np.asarray(table[name])[done] for name in TIMES]
    for before, after in itertools.pairwise(moments):
        assert (before <= after).all()
    for pool in macro.summary["memory"].values():
        assert pool["peak_bytes"] <= pool["capacity_bytes"]
    shares = macro.summary["bottleneck"]
    assert all(share >= -1e-12 for share in shares.values()) and sum(shares.values()) <= 1 + 1e-6


def test_equal_combinations_give_equal_digests() -> None:
    for seed in (2, 5, 9):
        loaded = hwsim.load(combination(seed))
        try:
            assert hwsim.run(loaded).digest == hwsim.run(loaded).digest
        except (ScenarioError, FitError):
            continue
