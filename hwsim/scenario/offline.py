"""Serving with a pattern of ``execute:`` in static batches: task graphs price the passes, the rest is as ever."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwsim.cost.price import SUBTICKS_PER_SECOND
from hwsim.errors import Problem, ScenarioError
from hwsim.part import Parts
from hwsim.scenario.result import Result
from hwsim.serving.static_batch import StaticBatches
from hwsim.taskgraph.job import Job, Step
from hwsim.taskgraph.pricer import COPIED, GraphPricer
from hwsim.units import format_quantity

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

PATTERNS = Parts("hwsim.taskgraph.patterns")
OTHERS = ("pools", "handover", "speculate", "local_prefill", "router", "kv_transform", "kv_allocation")
CLASSES = ("weights", "embeddings", "attention", "ffn", "experts", "kv", "activations", "features")
DRAFT = "draft"
CHECKED_CONTEXT = 64  # tokens of the prompt that ``check`` prices


def is_offline(scenario: Scenario) -> bool:
    """True if a pattern other than plain layers executes the passes."""
    serve = scenario.spec.serve
    return serve is not None and serve.execute is not None and serve.execute.kind != "layers"


def job_of(scenario: Scenario) -> Job:
    """Model, system, placement and settings of a scenario; ``ScenarioError`` for what is missing."""
    from hwsim.hardware import System
    from hwsim.model import find

    spec = scenario.spec
    serve = spec.serve
    assert serve is not None and serve.execute is not None
    problems = [
        Problem(f"{name} is missing", where=scenario.name, expected=f"{name}: …")
        for name in ("model", "system")
        if getattr(spec, name) is None
    ]
    problems += [
        Problem(f"{name} does not go with execute: {serve.execute.kind}", where=scenario.origin(f"serve.{name}"))
        for name in OTHERS
        if getattr(serve, name, None) is not None
    ]
    if problems:
        raise ScenarioError(problems)
    assert spec.model is not None
    model = find(
        str(spec.model.like),
        dtype=spec.model.dtype,
        kv_cache_dtype=spec.model.kv_cache_dtype,
        **spec.model.overrides(),
    )
    settings = serve.execute.model_dump(by_alias=True)
    draft = settings.pop(DRAFT, None)
    facts: dict[str, Any] = {}
    if spec.workload is not None and spec.workload.sparsity is not None:
        facts |= spec.workload.sparsity.given()
    if spec.workload is not None and spec.workload.acceptance is not None:
        facts["acceptance"] = spec.workload.acceptance.given()
    return Job(
        model,
        System.of(scenario.tree["system"]),
        settings,
        _places(scenario),
        facts,
        find(draft, dtype=spec.model.dtype) if draft else None,
        _limits(scenario),
    )


def _places(scenario: Scenario) -> dict[str, dict[str, float]]:
    """Shares by place of each class of data; the tiers of one that moves in their order (first: fastest)."""
    place = scenario.spec.serve.place if scenario.spec.serve is not None else None
    found: dict[str, dict[str, float]] = {}
    for name in CLASSES:
        rule = getattr(place, name, None) if place is not None else None
        if rule is None:
            continue
        if rule.split is not None:
            found[name] = dict(rule.split)
        elif rule.tiers is not None:
            found[name] = {tier: float(i == len(rule.tiers) - 1) for i, tier in enumerate(rule.tiers)}
        else:
            found[name] = {rule.at: 1.0}
    return found


def _limits(scenario: Scenario) -> dict[str, dict[str, float]]:
    """Bytes that each class of data may take at a place."""
    place = scenario.spec.serve.place if scenario.spec.serve is not None else None
    rules = {name: getattr(place, name, None) for name in CLASSES} if place is not None else {}
    return {name: dict(rule.limit) for name, rule in rules.items() if rule is not None and rule.limit}


def run_offline(scenario: Scenario, *, seed: int | None, record: str) -> Result:
    """Simulate it and return a result of the same shape as any serving run."""
    from hwsim.metrics.graph_summary import storage_life
    from hwsim.metrics.summary import misses, summary
    from hwsim.scenario.ownership import ownership

    started, cpu = time.perf_counter(), time.process_time()
    seed = scenario.spec.seed if seed is None else seed
    job = job_of(scenario)
    assert scenario.spec.serve is not None and scenario.spec.serve.execute is not None
    pricer = GraphPricer(job, PATTERNS.get(scenario.spec.serve.execute.kind))
    batches, workload = _batches(scenario, pricer, seed)
    tables = {
        "requests": batches.request_table(),
        "steps": batches.step_table(),
        "gaps": {"gap_s": [], "count": []},
    }
    facts = _facts(scenario, job, pricer, batches) | {"seed": seed, "wall_seconds": time.perf_counter() - started}
    facts |= ownership(scenario, facts)
    warnings = facts["warnings"] = list(workload.warnings)
    drives = storage_life(facts, facts["simulated_seconds"], warnings)
    outcome = summary(facts, tables)
    outcome["parts"] = _parts(pricer, batches)
    outcome["storage"] = drives
    from hwsim.metrics.digest import digest

    outcome["digest"] = digest(outcome, tables)
    manifest = {
        "hwsim": _version(),
        "python": platform.python_version(),
        "host": platform.machine(),
        "packages": {name: sys.modules[name].__version__ for name in ("numpy", "simpy") if name in sys.modules},
        "seed": seed,
        "digest": outcome["digest"],
        "record": record,
        "wall_seconds": facts["wall_seconds"],
        "cpu_seconds": time.process_time() - cpu,
        "sources": {"cost": f"task graphs ({scenario.spec.serve.execute.kind})", "model": job.model.source},
        "graphs_run": pricer.runs,
    }
    missed = misses(outcome, [list(item) for item in scenario.spec.assert_ or ()], slo=scenario.spec.slo is not None)
    return Result(outcome, {} if record == "off" else tables, scenario.to_yaml(), manifest, missed)


def offline_facts(scenario: Scenario) -> dict[str, Any]:
    """What can be said of such a scenario from one prompt and one token alone; ``ScenarioError`` and ``FitError``."""
    job = job_of(scenario)
    assert scenario.spec.serve is not None and scenario.spec.serve.execute is not None
    kind = scenario.spec.serve.execute.kind
    pricer = GraphPricer(job, PATTERNS.get(kind))
    tokens = CHECKED_CONTEXT
    prompt = pricer.pass_time(Step(1, tokens, 0), steady=False).seconds
    token = pricer.pass_time(Step(1, 1, tokens), steady=True).seconds
    held = [f"{place} {format_quantity(pool['peak_bytes'], 'bytes')}" for place, pool in pricer.memory.items()]
    return {
        "graph": {"pattern": kind, "rows": pricer.pattern.rows, "prompt_s": prompt, "token_s": token},
        "lines": [
            f"{job.model.hf_id} by the pattern {kind}, up to {pricer.pattern.rows} rows at once",
            f"a prompt of {tokens:,} tokens alone: {format_quantity(prompt, 's')}",
            f"a token after it: {format_quantity(token, 's')}",
            f"memory held at most: {', '.join(held) or 'none'}",
        ],
    }


def _batches(scenario: Scenario, pricer: GraphPricer, seed: int) -> tuple[StaticBatches, Any]:
    from hwsim.scenario.intake import Intake
    from hwsim.workload.workload import Workload

    workload = Workload.from_spec(scenario.tree.get("workload") or {}, base_dir=scenario.folder("workload.trace"))
    serve = scenario.spec.serve
    rows = pricer.pattern.rows
    batching = serve.batching if serve is not None else None
    if batching is not None and batching.kind == "static" and batching.size is not None:
        rows = min(rows, batching.size)
    batches = StaticBatches(pricer, rows, workload.closed)
    batches.run(Intake(workload).requests(seed))
    return batches, workload


def _facts(scenario: Scenario, job: Job, pricer: GraphPricer, batches: StaticBatches) -> dict[str, Any]:
    from hwsim.scenario.graph.run import storage
    from hwsim.taskgraph.site import Site

    spec = scenario.spec
    busy: dict[str, float] = {}
    amounts: dict[str, float] = {}
    for price in batches.prices:
        for part in price.components:
            time_ = part.base * price.steps + part.slope * price.contexts
            busy[part.bound] = busy.get(part.bound, 0.0) + time_ / SUBTICKS_PER_SECOND
        for demand in price.demands:
            amounts[demand.capacity] = (
                amounts.get(demand.capacity, 0.0) + demand.base * price.steps + demand.slope * price.contexts
            )
    copies = [
        {"from": start, "to": end, "bytes": size}
        for name, size in amounts.items()
        if name.startswith(COPIED)
        for start, end in [name.removeprefix(COPIED).split("-")]
    ]
    slo = spec.slo.given() if spec.slo is not None else None
    gpus = job.system.gpus
    node = next(iter(job.system.groups.values())).node
    return {
        "name": scenario.name,
        "model": job.model.hf_id,
        "gpu": node.devices["gpu"].name if "gpu" in node.devices else node.name,
        "replicas": 1,
        "gpus_owned": gpus,
        "gpus_used": min(gpus, 1),
        "simulated_seconds": batches.now / SUBTICKS_PER_SECOND,
        "memory": pricer.memory,
        "busy_seconds_by_bound": busy,
        "amounts": {_short(name): amount for name, amount in amounts.items() if not name.startswith(COPIED)},
        "copies": copies,
        "storage": storage(Site(job.system), [place for copy in copies for place in (copy["from"], copy["to"])]),
        "capacities": _capacities(node),
        "energy": None,
        "prices": {"usd_per_gpu_hour": node.devices["gpu"].hourly_price()} if "gpu" in node.devices else None,
        "slo": {f"{key}_s" if key != "attainment" else key: value for key, value in slo.items()} if slo else None,
        "bound": None,
        "steps": batches.steps,
        "stretches": len(batches.stretches),
        "events": 0,
        "preemptions": 0,
    }


def _short(name: str) -> str:
    """GPU capacities under the names that utilisation is computed from."""
    return name.replace("gpu0.", "gpu.")


def _capacities(node: Any) -> dict[str, float]:
    gpu = node.devices.get("gpu")
    if gpu is None:
        return {}
    return {"gpu.tensor": gpu.peak("fp16"), "gpu.hbm": gpu.hbm_bandwidth}


def _parts(pricer: GraphPricer, batches: StaticBatches) -> dict[str, Any]:
    """Milliseconds of work per pass by name, of the last decode passes and of the first prefill."""
    found: dict[str, Any] = {"prefill": {}, "decode": {}}
    for stretch in batches.stretches:
        kind = "decode" if stretch.rows else "prefill"
        if kind == "prefill" and found["prefill"]:
            continue
        for (step, _), passed in pricer._passes.items():
            if (step.new == 1) == (kind == "decode"):
                found[kind] = {name.replace(" ", "_"): seconds * 1e3 for name, seconds in passed.parts.items()}
    return found


def pass_seconds(scenario: Scenario, rows: int, new: int, past: int, scale: Mapping[str, float] | None = None) -> float:
    """Seconds of one pass, for what-ifs and tests."""
    job = job_of(scenario)
    serve = scenario.spec.serve
    assert serve is not None and serve.execute is not None
    pricer = GraphPricer(job, PATTERNS.get(serve.execute.kind), scale=dict(scale or {}))
    return pricer.pass_time(Step(rows, new, past), steady=past > 0).seconds


def _version() -> str:
    import hwsim

    return hwsim.__version__
