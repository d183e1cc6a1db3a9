"""Speed of task graphs, in activities per CPU second: ``python tests/bench/graph_worker.py``."""

from __future__ import annotations

import gc
import random
import resource
import time
from collections.abc import Callable

from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.taskgraph import Executor, Segment, Work


def _timed(what: str, run: Callable[[], int], unit: str = "activities") -> None:
    gc.disable()
    start = time.process_time()
    count = run()
    took = time.process_time() - start
    gc.enable()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<44}{count / took:>14,.0f} {unit} per CPU second, {peak:,.0f} MiB at most")


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


if __name__ == "__main__":
    _timed("uncontended, 1 million", layers(1_000_000, fold=False))
    _timed("folded, 100 million", layers(100_000_000, fold=True))
    _timed("64 flows on 8 routes", flows(64_000, 8))
    _timed("64 flows on 64 routes", flows(6_400, 64))
