"""Speed of task graphs: activities per CPU second free, folded and contending, two papers' schedules, and memory.

``make bench`` runs this; nothing here asserts a time.  Each figure comes from a process of its own, so that peak memory
is that of the run.  What is aimed at stands beside each figure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parent / "graph_worker.py"
AIMS = {
    "uncontended": "at least 300,000 activities per CPU second, goal 500,000",
    "folded": "at least 10 million activities per CPU second",
    "flows-8": "64 flows on 8 routes: at least 30,000 activities per CPU second",
    "flows-64": "64 flows on 64 routes: at least 5,000 activities per CPU second",
    "llm-in-a-flash": "256 tokens in detail in less than 1 s",
    "flexgen": "OPT-175B block schedule in less than 2 s",
    "ten-million": "10 million activities without a record in less than 2 GiB",
}


@pytest.mark.parametrize("what", list(AIMS))
def test_graphs(benchmark: Any, what: str) -> None:
    results: list[dict[str, Any]] = []

    def measure() -> None:
        command = [sys.executable, str(WORKER), what]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout))

    rounds = 1 if what == "ten-million" else 3
    benchmark.pedantic(measure, rounds=rounds, iterations=1, warmup_rounds=0)
    best = min(results, key=lambda result: result["cpu_s"])
    benchmark.extra_info.update(best)
    print(
        f"\n{what:<16}{best['activities_per_cpu_s']:>16,.0f} activities per CPU second, {best['cpu_s']:.2f} CPU s, "
        f"{best['peak_mib']:,.0f} MiB  ({AIMS[what]})"
    )
    assert best["activities"] > 0
