"""Run a graph scenario: site, plan, program; then the same kind of result as of any other run."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError
from hwsim.scenario.graph.issue import Issue
from hwsim.scenario.graph.plan import Plan
from hwsim.scenario.result import Result
from hwsim.taskgraph.account import account, spans
from hwsim.taskgraph.deadlock import check_finished
from hwsim.taskgraph.imported import Event, program
from hwsim.taskgraph.site import Site

if TYPE_CHECKING:
    from hwsim.hardware.system import System
    from hwsim.scenario.load import Scenario
    from hwsim.taskgraph.executor import Executor

MOST_SPANS = 1_000_000  # rows kept without --record full
STORAGE = ("ssd", "flash")


class GraphRun:
    """One run of a graph scenario; ``scale`` speeds resources up for what-ifs."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        record: bool = True,
        fold: bool = True,
        scale: Mapping[str, float] | None = None,
        capacities: Mapping[str, int | None] | None = None,
    ) -> None:
        graph = scenario.spec.graph
        assert graph is not None
        self.scenario = scenario
        self.system = _system(scenario)
        self.site = Site(self.system, dtype=graph.dtype, scale=scale, record=record, fold=fold and graph.fold)
        for name, capacity in (capacities or {}).items():
            self.site.executor.store(name, capacity, "bytes")
        self.tokens: float | None = None
        self.steps: float | None = None

    def run(self) -> Executor:
        """Let it go to its end; ``ScenarioError`` for a graph that is wrong."""
        if self.scenario.spec.graph is not None and self.scenario.spec.graph.trace is not None:
            segments = program(_events(self.scenario), self.site)
        else:
            plan = Plan(self.scenario, self.site)
            self.tokens, self.steps = plan.tokens, plan.steps
            segments = Issue(plan, self.site).program()
        try:
            self.site.executor.run(segments)
        except ValueError as error:
            raise ScenarioError.of(str(error), where=self.scenario.origin("graph.tasks") or "graph") from error
        return self.site.executor

    def counted(self) -> int:
        """Run it, and say how many tasks it had, those that were jumped over included."""
        executor = self.run()
        return executor.ended + executor.skipped

    def facts(self) -> dict[str, Any]:
        """What the run says about itself."""
        found = account(self.site.executor)
        folding = self.site.executor.folding
        found["folds"] = folding.folds if folding is not None else []
        found["tokens"], found["steps"] = self.tokens, self.steps
        found["storage"] = self._storage()
        return found

    def _storage(self) -> dict[str, Any]:
        places = [place for copy in account(self.site.executor)["copies"] for place in (copy["from"], copy["to"])]
        return storage(self.site, places)


def storage(site: Site, places: Iterable[str]) -> dict[str, Any]:
    """Bytes that the drives at these places may be written in their life (None: nobody says); others are left out."""
    found: dict[str, Any] = {}
    for place in sorted(set(places)):
        leaf = place.rpartition("/")[2]
        device = site.device(place)
        if device is not None and leaf.rstrip("0123456789") in STORAGE:
            endurance = device.get("endurance")
            whole = device.count if leaf == leaf.rstrip("0123456789") else 1
            found[place] = {"endurance_bytes": endurance and endurance * whole}
    return found


def _used(job: GraphRun) -> dict[str, int]:
    """GPUs by group whose tensor cores or memory something took."""
    groups = job.system.groups
    found = dict.fromkeys(groups, 0)
    for capacity, amount in job.site.executor.delivered().items():
        place, _, kind = capacity.name.rpartition(".")
        prefix = place.rpartition("/")[0].partition("/")[0]
        group = prefix if prefix in groups else next(iter(groups))
        found[group] += bool(amount) and kind == "hbm"
    return found


def run_graph(
    scenario: Scenario, *, seed: int | None, record: str, progress: Callable[[float, str], None] | None = None
) -> Result:
    """Simulate a scenario with ``graph:``; without folding where everything is recorded."""
    from hwsim.hardware.owned import owned
    from hwsim.metrics.graph_summary import graph_summary
    from hwsim.metrics.summary import misses

    started, cpu = time.perf_counter(), time.process_time()
    job = GraphRun(scenario, record=record != "off", fold=record != "full")
    executor = job.run()
    check_finished(executor, lambda name, capacity: _again(scenario, name, capacity))
    facts = job.facts() | {
        "owned": owned(job.system, _used(job)),
        "name": scenario.name,
        "seed": scenario.spec.seed if seed is None else seed,
        "wall_seconds": time.perf_counter() - started,
        "warnings": _warnings(scenario, executor),
    }
    tables = {"spans": spans(executor)} if record != "off" else {}
    outcome = graph_summary(facts, tables)
    manifest = {
        "hwsim": _version(),
        "python": platform.python_version(),
        "host": platform.machine(),
        "packages": {name: sys.modules[name].__version__ for name in ("numpy", "simpy") if name in sys.modules},
        "seed": facts["seed"],
        "digest": outcome["digest"],
        "record": record,
        "wall_seconds": facts["wall_seconds"],
        "cpu_seconds": time.process_time() - cpu,
        "folds": facts["folds"],
        "sources": {"system": ", ".join(group.node.name for group in job.system.groups.values())},
    }
    missed = misses(outcome, [list(item) for item in scenario.spec.assert_ or ()])
    return Result(outcome, tables, scenario.to_yaml(), manifest, missed)


def _again(scenario: Scenario, name: str, capacity: int | None) -> Executor:
    return GraphRun(scenario, record=False, capacities={name: capacity}).run()


def _warnings(scenario: Scenario, executor: Executor) -> list[str]:
    graph = scenario.spec.graph
    found = []
    if graph is not None and graph.tokens is None:
        found.append("graph.tokens is not given: there is no output_throughput")
    if executor.domain.residual > 1e-9:
        found.append(f"shares of capacities are fair to {executor.domain.residual:.1e} only")
    return found


def _system(scenario: Scenario) -> System:
    from hwsim.hardware import System

    if scenario.spec.system is None:
        raise ScenarioError.of("system is missing", where=scenario.name, expected="system: {node: …}")
    return System.of(scenario.tree["system"])


def _version() -> str:
    import hwsim

    return hwsim.__version__


def _events(scenario: Scenario) -> list[Event]:
    """The events of the trace that a graph is read from; also looked for where request traces are."""
    from hwsim.part import Parts
    from hwsim.workload.trace import locate

    graph = scenario.spec.graph
    assert graph is not None and graph.trace is not None
    path = scenario.folder("graph.trace") / graph.trace
    found = path if path.is_file() else locate(graph.trace, scenario.folder("graph.trace"))
    return Parts("hwsim.taskgraph.imports").get(graph.format)(found)


def graph_facts(scenario: Scenario) -> dict[str, Any]:
    """What can be said of a graph without running it; ``ScenarioError`` with all that is wrong."""
    job = GraphRun(scenario, record=False)
    if scenario.spec.graph is not None and scenario.spec.graph.trace is not None:
        events = _events(scenario)
        return {"graph": {"events": len(events)}, "lines": [f"{len(events):,} events of a trace"]}
    plan = Plan(scenario, job.site)
    names, loops = _counted(plan.root)
    lines = [f"{names} tasks by name, {loops} loops", f"parameters: {', '.join(plan.parameters) or 'none'}"]
    return {
        "graph": {
            "tasks": names,
            "loops": loops,
            "parameters": plan.parameters,
            "tokens": plan.tokens,
            "steps": plan.steps,
        },
        "lines": lines,
    }


def _counted(item: Any) -> tuple[int, int]:
    """Tasks and loops that are written down."""
    tasks = loops = 0
    for child in item.items:
        if child.is_loop:
            inner = _counted(child)
            tasks, loops = tasks + inner[0], loops + inner[1] + 1
        else:
            tasks += 1
    return tasks, loops
