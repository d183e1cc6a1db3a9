"""One measured run in a process of its own: prints requests, CPU seconds by share, and peak memory as JSON.

``worker.py REQUESTS OUTPUT_TOKENS RATE`` is one replica, ``worker.py CASE REQUESTS`` one of the cases below.
"""

from __future__ import annotations

import atexit
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import conversations


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


def replicas(requests: int) -> dict[str, Any]:
    """64 replicas behind a router that looks at their loads, 640 requests a second."""
    found = scenario(requests, 512, 640.0)
    found["system"] = {"node": "dgx-h100", "nodes": 8}
    found["serve"] |= {"replicas": 64, "router": "least_loaded"}
    return found


def disaggregated(requests: int) -> dict[str, Any]:
    """Two prefill and two decode replicas, KV over 25 GB/s, 20 requests a second."""
    found = scenario(requests, 512, 20.0)
    one = {"replicas": 2, "tensor_parallel_size": 1}
    found["serve"] = {
        "handover": {"kind": "nixl", "bandwidth": "25 GB/s"},
        "pools": {"prefill": {"role": "prefill", **one}, "decode": {"role": "decode", **one}},
    }
    return found


def shared_prefix(requests: int) -> dict[str, Any]:
    """16 replicas behind a router that knows prefixes; half of each prompt is shared, 160 requests a second."""
    found = scenario(requests, 512, 160.0)
    found["system"] = {"node": "dgx-h100", "nodes": 2}
    found["serve"] |= {"replicas": 16, "router": "prefix_aware"}
    found["workload"]["prefix"] = {"share": "100 %", "tokens": 256, "groups": 64}
    return found


def tiers(requests: int) -> dict[str, Any]:
    """Four replicas with DRAM and NVMe below their GPUs; half of each prompt is one of 8,000 texts, 40 requests/s."""
    found = scenario(requests, 512, 40.0)
    found["system"] = {"node": {"like": "dgx-h100", "ssd": {"like": "D7-P5510-3.84TB", "count": 4, "raid": 0}}}
    place = {"kv": {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "64 GB"}, "write": "back"}}
    found["serve"] |= {"replicas": 4, "router": "kv_aware", "enable_prefix_caching": True, "place": place}
    found["workload"]["prefix"] = {"share": "100 %", "tokens": 256, "groups": 8000}
    return found


def mooncake(requests: int) -> dict[str, Any]:
    """A Mooncake-like trace (12,000 prompt tokens, all named) on eight replicas with DRAM and NVMe below their GPUs."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    conversations.write(folder / "trace.jsonl", requests, 12.0)
    found = scenario(requests, 512, 12.0)
    found["system"] = {"node": {"like": "dgx-h100", "ssd": {"like": "D7-P5510-3.84TB", "count": 8, "raid": 0}}}
    place = {"kv": {"tiers": ["gpu", "dram", "ssd"], "limit": {"dram": "1 TB"}, "write": "back"}}
    found["serve"] |= {"replicas": 8, "router": "kv_aware", "enable_prefix_caching": True, "place": place}
    found["workload"] = {"requests": requests, "trace": str(folder / "trace"), "format": "mooncake"}
    return found


CASES = {
    "replicas": replicas,
    "disaggregated": disaggregated,
    "shared_prefix": shared_prefix,
    "tiers": tiers,
    "mooncake": mooncake,
}


def measure(spec: dict[str, Any], output: int, profile: bool) -> dict[str, Any]:
    """Simulate and measure: ``cpu_s`` covers building, drawing requests, the engine and its records."""
    import hwsim
    from hwsim.scenario.build import build

    requests = spec["workload"]["requests"]
    loaded = hwsim.load(spec)
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
    "hwsim/kernel/random": "workload",
    "hwsim/kernel/clock": "SimPy and clock",
    "simpy": "SimPy and clock",
    "hwsim/workload": "workload",
    "serving/cluster": "router and hand-over",
    "serving/policies": "router and hand-over",
    "serving/disaggregation": "router and hand-over",
    "serving/handover": "router and hand-over",
    "serving/agenda": "router and hand-over",
    "hwsim/kernel": "SimPy and clock",
    "serving/engine": "engine",
    "serving/admission": "engine",
    "serving/pipeline": "engine",
    "serving": "engine",
}

if __name__ == "__main__":
    if sys.argv[1] in CASES:
        print(json.dumps(measure(CASES[sys.argv[1]](int(sys.argv[2])), 512, "profile" in sys.argv[3:])))
    else:
        count, tokens, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
        print(json.dumps(measure(scenario(count, tokens, rate), tokens, "profile" in sys.argv[4:])))
