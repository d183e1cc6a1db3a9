"""Measured cases simulated: each has a scenario and, for every measured figure, the formula that answers it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hwsim.study import naming
from hwsim.study.measured import Point
from hwsim.study.points import Value, run_jobs
from hwsim.study.protocol import Protocol
from hwsim.study.rows import Row

Progress = Callable[[float, str], None]
SLACK = 64


@dataclass
class Case:
    """Rows that one scenario answers, with the formula for each; a case without a scenario is skipped."""

    rows: list[Row]
    formulas: list[str]
    scenario: dict[str, Any] | None = None


def skipped(rows: list[Row], reason: str) -> Case:
    """A case that cannot be run, with the reason on every row."""
    for row in rows:
        row.note = reason
    return Case(rows, [])


def answer(scenario: dict[str, Any], formulas: list[str]) -> dict[str, Value]:
    """The values of one case (runs in a worker)."""
    from hwsim.errors import HwsimError
    from hwsim.scenario.load import load
    from hwsim.study.points import values

    try:
        return values(load(scenario), formulas)
    except HwsimError as error:
        value = Value(None, str(error).replace("\n", "; "), error.exit_code)
        return dict.fromkeys(formulas, value)
    except Exception as error:  # one case must not end the others; the row says what happened
        value = Value(None, f"internal error: {type(error).__name__}: {error}", 4)
        return dict.fromkeys(formulas, value)


def run_cases(cases: Iterable[Case], progress: Progress | None = None) -> list[Row]:
    """All rows, those that could be simulated with their value; equal scenarios are simulated once."""
    cases = list(cases)
    jobs: dict[str, tuple[dict[str, Any], list[str]]] = {}
    keys: list[str] = []
    for case in cases:
        if case.scenario is None:
            keys.append("")
            continue
        key = json.dumps({**case.scenario, "name": ""}, sort_keys=True)
        keys.append(key)
        wanted = jobs.setdefault(key, (case.scenario, []))[1]
        wanted += [text for text in case.formulas if text not in wanted]
    found = dict(zip(jobs, run_jobs(answer, list(jobs.values()), progress, "cases"), strict=True))
    for case, key in zip(cases, keys, strict=True):
        for row, formula in zip(case.rows, case.formulas, strict=False):
            value = found[key][formula]
            row.simulated = value.number
            if value.number is None:
                row.note = value.reason
    return [row for case in cases for row in case.rows]


def rows_of(suite: str, point: Point, metrics: Iterable[str], group: str = "") -> list[Row]:
    """The measured figures of a point as rows to be filled."""
    load = f"{point.load_kind} {point.load}".strip()
    shape = (
        f"tp{point.tp or 1}" + (f" pp{point.pp}" if point.pp > 1 else "") + (f" ep{point.ep}" if point.ep > 1 else "")
    )
    shape += f" dp{point.dp}" if point.dp > 1 else ""
    case = f"{point.model} {point.precision} {point.isl}/{point.osl} {load} {shape}"
    common: dict[str, Any] = {
        "suite": suite,
        "case": " ".join(case.split()),
        "device": device(point.gpu),
        "model": point.model,
        "engine": point.engine,
        "group": group
        or f"{point.family or point.model}|{device(point.gpu)}|{point.engine.split()[0] if point.engine else ''}",
        "rank": f"{point.model}|{point.precision}|{point.isl}|{point.osl}",
    }
    return [Row(metric=metric, measured=point.metrics[metric][0], **common) for metric in metrics]


def device(name: str) -> str:
    """The catalogue name of a GPU where there is one."""
    try:
        return naming.gpu(name)
    except naming.Unknown:
        return name


def scenario_of(
    point: Point,
    protocol: Protocol,
    *,
    isl: int,
    osl: int,
    clients: int,
    engine: str = "",
    requests: int | None = None,
    serve: dict[str, Any] | None = None,
    nodes: int = 1,
) -> tuple[dict[str, Any], str]:
    """The scenario of a point under a client protocol, and what had to be assumed; raises ``naming.Unknown``."""
    hf_id = naming.model(point.model)
    dtype = naming.dtype(point.precision, hf_id)
    profile, assumed = naming.engine(engine or point.engine)
    gpu = naming.gpu(point.gpu)
    tp, pp, dp = max(point.tp, 1), max(point.pp, 1), max(point.dp, 1)
    model: dict[str, Any] = {"like": hf_id}
    if dtype is not None:
        model["dtype"] = dtype
        if protocol.kv_cache_dtype and dtype not in ("bf16", "fp16"):
            model["kv_cache_dtype"] = protocol.kv_cache_dtype
    pool: dict[str, Any] = {"engine": profile, "tensor_parallel_size": tp}
    if pp > 1:
        pool["pipeline_parallel_size"] = pp
    if dp > 1:
        pool["data_parallel_size"] = dp
    if point.ep > 1:
        pool["enable_expert_parallel"] = True
    pool["max_model_len"] = protocol.longest(isl) + protocol.longest(osl) + SLACK
    pool["enable_prefix_caching"] = False  # prompts are random text
    scenario = {
        "hwsim": 1,
        "name": "case",
        "model": model,
        "system": {"node": naming.node(gpu, tp * pp * dp // nodes), "nodes": nodes},
        "serve": {**pool, **(serve or {})},
        "workload": {
            "requests": requests if requests is not None else protocol.requests(clients),
            "arrivals": {"kind": "closed", "concurrency": clients},
            "input_tokens": protocol.lengths(isl),
            "output_tokens": protocol.lengths(osl),
        },
    }
    return scenario, assumed
