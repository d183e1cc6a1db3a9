"""Run a scenario: build it, let the clock run, and turn what the engines wrote down into a result."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwsim.errors import ScenarioError

if TYPE_CHECKING:
    from hwsim.scenario.build import Simulation
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.result import Result

RECORDS = ("off", "requests", "full")


def run(
    scenario: Scenario,
    *,
    seed: int | None = None,
    record: str = "requests",
    window: tuple[float, float] | None = None,
    single_step: bool = False,
    progress: Callable[[float, str], None] | None = None,
    adjust: Callable[[Simulation], None] | None = None,
) -> Result:
    """Simulate ``scenario`` and return its :class:`Result`.

    ``record``: ``off`` keeps the summary only, ``requests`` also every request and stretch, ``full`` also who was
    scheduled in each step of ``window`` (seconds).  ``single_step`` takes every engine step alone: slower, equal.
    ``progress(share, text)`` is called now and then; ``adjust`` may change what was built before the clock starts, as a
    study of uncertainty does with prices.  Raises ``ScenarioError`` or ``FitError``.
    """
    if record not in RECORDS:
        raise ScenarioError.of("unknown record", got=record, expected="one of " + ", ".join(RECORDS))
    if scenario.spec.graph is not None:
        from hwsim.scenario.graph.run import run_graph

        return run_graph(scenario, seed=seed, record=record, progress=progress)
    from hwsim.scenario.offline import is_offline, run_offline

    if is_offline(scenario):
        return run_offline(scenario, seed=seed, record=record)
    from hwsim.metrics.summary import misses, summary
    from hwsim.scenario.build import build
    from hwsim.scenario.facts import run_facts, run_tables
    from hwsim.scenario.ownership import ownership
    from hwsim.scenario.result import Result

    started, cpu = time.perf_counter(), time.process_time()
    simulation = build(scenario, seed=seed, full=record == "full", single_step=single_step, progress=progress)
    if adjust is not None:
        adjust(simulation)
    simulation.run()
    simulated = time.process_time() - cpu
    tables = run_tables(simulation, window if window is not None else (0.0, 60.0))
    facts = run_facts(simulation)
    facts |= ownership(scenario, facts)
    facts["wall_seconds"] = time.perf_counter() - started
    outcome = summary(facts, tables)
    if record == "off":
        tables = {}
    manifest = {
        "hwsim": _version(),
        "python": platform.python_version(),
        "host": platform.machine(),
        "packages": {name: sys.modules[name].__version__ for name in ("numpy", "simpy") if name in sys.modules},
        "seed": simulation.seed,
        "digest": outcome["digest"],
        "record": record,
        "single_step": single_step,
        "wall_seconds": facts["wall_seconds"],
        "cpu_seconds": simulated,
        "sources": simulation.sources,
    }
    conditions = [list(item) for item in scenario.spec.assert_ or ()]
    missed = misses(outcome, conditions, slo=scenario.spec.slo is not None)
    return Result(outcome, tables, simulation.resolved.to_yaml(), manifest, missed)


def _version() -> str:
    import hwsim

    return hwsim.__version__
