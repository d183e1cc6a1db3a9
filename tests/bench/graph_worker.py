"""Speed of task graphs: ``python tests/bench/graph_worker.py WHAT`` prints JSON, without WHAT all as a table."""

from __future__ import annotations

import gc
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.taskgraph import Executor, Segment, Work


def measured(run: Callable[[], int]) -> dict[str, float]:
    """CPU seconds of a run that returns its number of activities, with the collector of cycles off."""
    gc.disable()
    start = time.process_time()
    count = run()
    took = time.process_time() - start
    gc.enable()
    return {
        "activities": count,
        "cpu_s": took,
        "activities_per_cpu_s": count / took,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def layers(count: int, *, fold: bool) -> Callable[[], int]:
    """Blocks of eight layers: load, compute, store; nobody contends."""

    def run() -> int:
        executor = Executor(Domain(Clock()), fold=fold)
        up, down, tensor = Capacity("up", 1e9), Capacity("down", 1e9), Capacity("tensor", 1e12)
        load = Work("load", "copy", phases=(Phase.transfer(1000, [up]),))
        compute = Work("compute", phases=(Phase(1_300_000, {tensor: 500_000}),))
        store = Work("store", "copy", phases=(Phase.transfer(700, [down]),))
        a, b, c = (executor.stream(name) for name in ("load", "compute", "store"))

        def body(executor: Executor, index: int) -> None:
            for _ in range(8):
                loaded = executor.task("load", a, load)
                done = executor.task("compute", b, compute, (loaded,))
                executor.task("store", c, store, (done,))

        executor.run([Segment(count // 24, body, repeats=True)])
        return executor.ended + executor.skipped

    return run


def flows(count: int, routes: int) -> Callable[[], int]:
    """64 concurrent copies of random sizes over random routes of three of sixteen links."""

    def run() -> int:
        draw = random.Random(1)
        executor = Executor(Domain(Clock()), fold=False)
        links = [Capacity(f"link{i}", 1e9 * (1 + 0.1 * i)) for i in range(16)]
        ways = [[links[i] for i in sorted(draw.sample(range(16), 3))] for _ in range(routes)]
        works = [
            Work("copy", "copy", phases=(Phase.transfer(draw.randrange(1000, 100_000), ways[i % routes]),))
            for i in range(640)
        ]
        streams = [executor.stream(f"s{i}") for i in range(64)]

        def body(executor: Executor, index: int) -> None:
            for number, stream in enumerate(streams):
                executor.task("copy", stream, works[number + 64 * (index % 10)])

        executor.run([Segment(count // 64, body, ahead=4)])
        return executor.ended

    return run


def paper(name: str) -> Callable[[], int]:
    """The scenario of a paper, read before the clock runs."""
    from hwsim.scenario.load import load
    from hwsim.scenario.run import run as simulate

    root = Path(__file__).parents[2] / "scenarios" / "papers"
    scenario = load(str(root / f"{name}.yaml"))
    simulate(scenario, record="off")  # imports and data files are read once

    def run() -> int:
        return int(simulate(scenario, record="off").summary["steps"])

    return run


WHAT: dict[str, Callable[[], Callable[[], int]]] = {
    "uncontended": lambda: layers(1_000_000, fold=False),
    "folded": lambda: layers(100_000_000, fold=True),
    "flows-8": lambda: flows(64_000, 8),
    "flows-64": lambda: flows(6_400, 64),
    "llm-in-a-flash": lambda: paper("llm-in-a-flash"),
    "flexgen": lambda: paper("flexgen"),
    "ten-million": lambda: layers(10_000_000, fold=False),
}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measured(WHAT[sys.argv[1]]())))
    else:
        for what, make in WHAT.items():
            found = measured(make())
            rate = found["activities_per_cpu_s"]
            print(f"{what:<16}{rate:>16,.0f} a CPU second, {found['cpu_s']:.2f} s, {found['peak_mib']:,.0f} MiB")
