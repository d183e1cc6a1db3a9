"""One measured run in a process of its own: prints requests, CPU seconds by share, and peak memory as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any


def scenario(requests: int, output: int, rate: float) -> dict[str, Any]:
    """Llama-3.1-8B on one H100, Poisson arrivals, constant lengths."""
    return {
        "name": "bench",
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": "dgx-h100", "nodes": 1},
        "serve": {"tensor_parallel_size": 1, "replicas": 1},
        "workload": {
            "requests": requests,
            "arrivals": {"kind": "poisson", "rate": f"{rate} /s"},
            "input_tokens": 512,
            "output_tokens": output,
        },
    }


def measure(requests: int, output: int, rate: float, profile: bool) -> dict[str, Any]:
    """Simulate and measure: ``cpu_s`` covers building, drawing requests, the engine and its records."""
    import hwsim
    from hwsim.scenario.build import build

    loaded = hwsim.load(scenario(requests, output, rate))
    started = time.process_time()
    simulation = build(loaded)
    if profile:
        shares = profiled(simulation.run)
    else:
        simulation.run()
        shares = {}
    cpu = time.process_time() - started
    journal = simulation.journal
    return {
        "requests": requests,
        "output_tokens": output,
        "completed": journal.completed,
        "cpu_s": cpu,
        "requests_per_cpu_s": requests / cpu,
        "stretches": journal.stretches,
        "steps": sum(engine.step for engine in simulation.engines),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "shares": shares,
    }


def profiled(run: Any) -> dict[str, float]:
    """Shares of own time by package part, under the profiler (which inflates small functions)."""
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(run)
    parts: dict[str, float] = {}
    for (file, _, _), row in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        name = next((part for key, part in PARTS.items() if key in file), "other")
        parts[name] = parts.get(name, 0.0) + row[2]
    total = sum(parts.values())
    return {name: round(value / total, 3) for name, value in sorted(parts.items(), key=lambda item: -item[1])}


PARTS = {
    "serving/kv": "pages",
    "serving/batch": "pages",
    "hwsim/cost": "price",
    "serving/journal": "record",
    "hwsim/kernel/clock": "SimPy and clock",
    "simpy": "SimPy and clock",
    "hwsim/workload": "workload",
    "hwsim/kernel/random": "workload",
    "serving/engine": "engine",
    "serving/admission": "engine",
    "serving/pipeline": "engine",
    "serving": "engine",
}

if __name__ == "__main__":
    count, tokens, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(measure(count, tokens, rate, "profile" in sys.argv[4:])))
