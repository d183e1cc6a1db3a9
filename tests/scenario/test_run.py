"""Whole runs on small scenarios: what the summary promises, determinism, and requests that cannot be served."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import FitError, ScenarioError
from hwsim.scenario.check import check

GOLDEN = Path(__file__).parents[2] / "scenarios" / "golden"
PROMISED = """schema name seed digest requests ttft_ms tpot_ms itl_ms e2e_ms request_throughput output_throughput
total_token_throughput output_throughput_per_gpu output_throughput_per_user goodput slo_attainment simulated_seconds
wall_seconds steps stretches events memory bottleneck bound mfu mbu gpus_owned gpus_used energy_joules
joules_per_output_token cost_usd usd_per_million_output_tokens steady warnings"""


def scenario(**changes: Any) -> hwsim.Scenario:
    base: dict[str, Any] = {
        "name": "small",
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": "dgx-h100", "nodes": 1},
        "serve": {"tensor_parallel_size": 1, "replicas": 1},
        "workload": {
            "requests": 150,
            "arrivals": {"kind": "poisson", "rate": "10 /s"},
            "input_tokens": {"kind": "lognormal", "mean": 300, "p99": 2000},
            "output_tokens": {"kind": "uniform", "min": 1, "max": 200},
        },
    }
    for name, value in changes.items():
        base[name] = {**base[name], **value} if isinstance(value, dict) and name in base else value
    return hwsim.load(base)


def constant(trace: Path, **serve: Any) -> hwsim.Scenario:
    """Steps of one second and a pool of a few pages: nothing of a machine."""
    return hwsim.load(
        {
            "serve": {"num_gpu_blocks_override": 11, "block_size": 4, **serve},
            "cost": {"kind": "constant", "step": "1 s"},
            "workload": {"trace": str(trace)},
        }
    )


def trace(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens,request_id,prefix_ids,prefix_block\n" + "\n".join(rows))
    return path


def test_the_summary_says_all_it_promises() -> None:
    result = hwsim.run(scenario(slo={"ttft": "1 s", "tpot": "50 ms"}))
    summary = result.summary
    assert set(PROMISED.split()) <= set(summary)
    assert summary["requests"] == {"arrived": 150, "completed": 150, "rejected": 0, "unfinished": 0}
    for name in ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms"):
        assert set(summary[name]) >= {"mean", "std", "p50", "p90", "p95", "p99", "max"}
        assert summary[name]["p50"] <= summary[name]["p90"] <= summary[name]["p99"] <= summary[name]["max"]
    assert 0 < summary["mfu"] < 1 and 0 < summary["mbu"] < 1
    assert sum(summary["bottleneck"].values()) == pytest.approx(1, abs=1e-6)
    assert summary["tpot_ms"]["p50"] > summary["bound"]["tpot_ms"]
    assert summary["gpus_owned"] == 8 and summary["gpus_used"] == 1
    table = result.table("requests")
    assert (table["finish_s"] >= table["first_token_s"]).all() and (table["first_token_s"] > table["arrival_s"]).all()


def test_equal_seeds_give_equal_digests_and_others_do_not() -> None:
    digests = [hwsim.run(scenario(), seed=seed).digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_macro_steps_change_nothing_that_a_request_sees() -> None:
    macro, single = (hwsim.run(scenario(), single_step=flag) for flag in (False, True))
    for name, values in macro.table("requests").items():
        assert np.array_equal(np.asarray(values), np.asarray(single.table("requests")[name])), name
    assert macro.summary["itl_ms"]["p99"] == pytest.approx(single.summary["itl_ms"]["p99"], rel=1e-9)
    assert macro.summary["stretches"] < single.summary["stretches"] == single.summary["steps"]


@pytest.mark.slow
def test_cpu_features_do_not_change_the_digest() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__  # type: ignore[attr-defined]

    code = "import sys; sys.path.insert(0, sys.argv[1])\nfrom test_run import *\nprint(hwsim.run(scenario()).digest)"
    digests = set()
    for disabled in (None, " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))):
        environment = {k: v for k, v in os.environ.items() if k != "NPY_DISABLE_CPU_FEATURES"}
        if disabled:
            environment["NPY_DISABLE_CPU_FEATURES"] = disabled
        command = [sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_the_worked_example_through_the_front_door(tmp_path: Path) -> None:
    """The documented vLLM example as a scenario: a trace, a constant cost, eleven blocks of four tokens."""
    path = trace(tmp_path, "0,6,3,r1,1,4", "0,9,2,r2,,", "0.5,7,2,r3,1,4")
    serve = {"max_num_batched_tokens": 8, "max_num_seqs": 3, "async_scheduling": False}
    table = hwsim.run(constant(path, **serve), record="full", window=(0, 100)).table("schedule")
    got: dict[int, dict[str, tuple]] = {}
    for row in zip(*(table[name] for name in table if name != "replica"), strict=True):
        got.setdefault(row[0], {})[row[1]] = (row[2], row[3], row[5])
    assert got == {
        0: {"r1": (6, 0, 7), "r2": (2, 0, 7)},
        1: {"r1": (1, 0, 5), "r2": (7, 0, 5)},
        2: {"r1": (1, 0, 4), "r2": (1, 0, 4), "r3": (3, 4, 4)},
        3: {"r3": (1, 0, 8)},
    }


def test_what_never_fits_is_counted_with_its_reason(tmp_path: Path) -> None:
    path = trace(tmp_path, "0,6,3,r1,,", "0,60,2,huge,,", "1,30,20,grows,,", "2,5,2,last,,")
    result = hwsim.run(constant(path, max_num_seqs=2, max_num_batched_tokens=64))
    assert result.summary["requests"] == {"arrived": 4, "completed": 2, "rejected": 2, "unfinished": 0}
    table = result.table("requests")
    reasons = dict(zip(table["request_id"], table["reason"], strict=True))
    assert "15 KV blocks, the pool has 10" in reasons["huge"] and "the pool has 10" in reasons["grows"]
    assert any("rejected" in warning for warning in result.summary["warnings"])


def test_prompts_beyond_the_model_are_rejected() -> None:
    changed = scenario(serve={"max_model_len": 1000}, workload={"input_tokens": 1200, "output_tokens": 5})
    result = hwsim.run(changed)
    assert result.summary["requests"]["rejected"] == 150
    assert result.summary["ttft_ms"]["p50"] is None


def test_closed_loop_keeps_its_concurrency() -> None:
    closed = {"arrivals": {"kind": "closed", "concurrency": 7, "think": "10 ms"}}
    table = hwsim.run(scenario(workload=closed)).table("requests")
    events = sorted([(t, 1) for t in table["arrival_s"]] + [(t, -1) for t in table["finish_s"]], key=lambda e: e[0])
    level = np.cumsum([change for _, change in events])
    assert level.max() == 7 and set(table["status"]) == {"completed"}


def test_replicas_share_the_load() -> None:
    one, four = (
        hwsim.run(scenario(serve={"replicas": n}, workload={"arrivals": {"kind": "poisson", "rate": "60 /s"}}))
        for n in (1, 4)
    )
    assert four.summary["tpot_ms"]["p50"] < one.summary["tpot_ms"]["p50"]
    assert sorted(set(four.table("requests")["replica"].tolist())) == [0, 1, 2, 3]
    assert four.summary["gpus_used"] == 4


def test_one_request_alone_is_monotone_in_every_capacity() -> None:
    alone = {"requests": 1, "input_tokens": 2000, "output_tokens": 50}
    gpu = {"hbm": {"bandwidth": "3.35 TB/s"}, "peak": {"bf16": "989 TFLOP/s"}, "nvlink": {"bandwidth": "450 GB/s"}}

    def e2e(**changed: Any) -> float:
        system = {"node": {"like": "dgx-h100", "gpu": {**gpu, **changed}}}
        run = hwsim.run(scenario(system=system, serve={"tensor_parallel_size": 2}, workload=alone))
        return run.summary["e2e_ms"]["max"]

    base = e2e()
    assert e2e(hbm={"bandwidth": "5 TB/s"}) < base
    assert e2e(peak={"bf16": "1500 TFLOP/s"}) < base
    assert e2e(nvlink={"bandwidth": "900 GB/s"}) <= base


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"serve": {"tensor_parallel_size": 3}}, FitError, "do not divide"),
        ({"serve": {"tensor_parallel_size": 16}}, FitError, "16"),
        ({"model": "meta-llama/Llama-3.1-70B"}, FitError, "does not fit"),
        ({"model": "meta-llama/Llama-3.1-8"}, ScenarioError, "Llama-3.1-8B"),
        ({"system": {"node": "dgx-h10"}}, ScenarioError, "dgx-h100"),
        ({"serve": {"replicas": 9}}, FitError, "at most 8"),
        ({"serve": {"max_num_seqs": 100, "max_num_batched_tokens": 50}}, ScenarioError, "max_num_batched_tokens"),
        ({"serve": {"engine": "vllm-0.3"}}, ScenarioError, "vllm-0.33"),
        ({"workload": {"input_tokens": {"kind": "lognormal", "mean": 5}}}, ScenarioError, "median, p99 and sigma"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        hwsim.run(scenario(**changes))
    assert words in str(caught.value)


def test_check_says_what_fits() -> None:
    found = check(scenario())
    facts = found.facts
    assert facts["num_gpu_blocks"] == (facts["kv_tokens"] // 16) + 1
    assert facts["sequences_at_context"][1024] == min(facts["kv_tokens"] // 1024, facts["max_num_seqs"])
    assert sum(facts["memory"].values()) < 0.93 * 79.1 * 2**30
    assert any("least TPOT" in line for line in found.lines())


def test_saved_runs_read_back(tmp_path: Path) -> None:
    from hwsim.export.run_folder import read_run_folder

    result = hwsim.run(scenario())
    folder = result.save(tmp_path / "run", report=False)
    summary, manifest, tables = read_run_folder(folder)
    assert summary["digest"] == result.digest == manifest["digest"]
    assert list(tables["requests"]["request_id"]) == list(result.table("requests")["request_id"])
    again = hwsim.load(folder / "scenario.yaml")
    assert hwsim.run(again).digest == result.digest


def test_a_removed_group_stays_removed_when_the_engine_fills_in_its_defaults() -> None:
    """Its null would be a mistake in a file, but not where defaults are laid under a file that had it to remove."""
    workload = {"trace": None, "rate_scale": None, "requests": 4, "input_tokens": 512, "output_tokens": 4}
    changed = hwsim.load(GOLDEN / "6-pd-ratio.yaml").changed({"workload": workload})
    result = hwsim.run(changed.changed(["workload.arrivals={kind: constant, rate: 10 /s}"]))
    assert result.summary["requests"]["completed"] == 4
    assert "wide" not in result.resolved_yaml


def test_what_a_pattern_executes_is_checked_by_a_prompt_and_a_token() -> None:
    graph = check(hwsim.load(GOLDEN / "2-phone-ufs.yaml")).to_json()["graph"]
    assert graph["pattern"] == "neuron_clusters"
    assert graph["prompt_s"] > graph["token_s"] > 0
