"""Speed of simulation: requests per CPU second, how cost grows with requests and with tokens, and memory.

``make bench`` runs this; nothing here asserts a time.  Each figure comes from a process of its own, so that peak
memory is that of the run; rounds are repeated and the least CPU time is shown, the machine being noisy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parent / "worker.py"


def run_worker(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def bench(benchmark: Any, requests: int, output: int, rate: float, rounds: int) -> None:
    results: list[dict[str, Any]] = []
    benchmark.pedantic(
        lambda: results.append(run_worker(requests, output, rate)), rounds=rounds, iterations=1, warmup_rounds=0
    )
    best = min(results, key=lambda result: result["cpu_s"])
    benchmark.extra_info.update(best)
    print(
        f"\n{requests:>9,} requests of 512/{output}: {best['requests_per_cpu_s']:>9,.0f} requests per CPU second, "
        f"{best['peak_mib']:.0f} MiB, {best['stretches'] / requests:.2f} stretches and "
        f"{best['steps'] / requests:.1f} steps a request"
    )
    assert best["completed"] == requests


@pytest.mark.parametrize("requests", [10_000, 100_000])
def test_requests(benchmark: Any, requests: int) -> None:
    bench(benchmark, requests, 512, 10.0, rounds=3)


def test_a_million_requests(benchmark: Any) -> None:
    bench(benchmark, 1_000_000, 512, 10.0, rounds=1)


@pytest.mark.parametrize(("output", "rate"), [(128, 33.0), (512, 10.0), (2048, 2.25), (8192, 0.36)])
def test_output_lengths_at_equal_utilisation(benchmark: Any, output: int, rate: float) -> None:
    """Rates at which about 45 requests run on average, none pre-empted: longer contexts make slower steps."""
    bench(benchmark, 20_000, output, rate, rounds=3)


@pytest.mark.parametrize(
    ("case", "requests"),
    [("replicas", 100_000), ("disaggregated", 10_000), ("shared_prefix", 20_000), ("tiers", 10_000)],
)
def test_many_engines(benchmark: Any, case: str, requests: int) -> None:
    results: list[dict[str, Any]] = []
    benchmark.pedantic(
        lambda: results.append(run_worker(case, requests)), rounds=3 if requests < 50_000 else 1, iterations=1
    )
    best = min(results, key=lambda result: result["cpu_s"])
    benchmark.extra_info.update(best)
    print(f"\n{case:>15}: {best['requests_per_cpu_s']:>9,.0f} requests per CPU second, {best['peak_mib']:.0f} MiB")
    assert best["completed"] == requests


def test_a_mooncake_like_workload_with_tiers(benchmark: Any) -> None:
    """Cost and memory of one more request once the drives are full, and what a million take at that pace."""
    results: list[dict[str, Any]] = []
    sizes = iter((30_000, 100_000))
    benchmark.pedantic(lambda: results.append(run_worker("mooncake", next(sizes))), rounds=2, iterations=1)
    few, many = results
    more = many["requests"] - few["requests"]
    cpu, memory = (many["cpu_s"] - few["cpu_s"]) / more, (many["peak_mib"] - few["peak_mib"]) / more
    benchmark.extra_info.update(many, seconds_per_request=cpu, mib_per_request=memory)
    rest = 1_000_000 - many["requests"]
    print(
        f"\n{'mooncake':>15}: {many['requests_per_cpu_s']:>9,.0f} requests per CPU second, {many['peak_mib']:.0f} MiB; "
        f"one more {cpu * 1e6:.0f} us and {memory * 1024:.2f} KiB; a million "
        f"{(many['cpu_s'] + rest * cpu) / 60:.1f} minutes and {many['peak_mib'] + rest * memory:,.0f} MiB"
    )
    assert [result["completed"] for result in results] == [result["requests"] for result in results]


def test_profile(benchmark: Any) -> None:
    results: list[dict[str, Any]] = []
    benchmark.pedantic(lambda: results.append(run_worker(10_000, 512, 10.0, "profile")), rounds=1, iterations=1)
    print("\nshares of own time:", results[0]["shares"])
