"""Measured cases simulated: each has a scenario and, for every measured figure, the formula that answers it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.study import naming
from hwsim.study.floor import least_gap_ms
from hwsim.study.launch import Setup
from hwsim.study.layout import layout
from hwsim.study.measured import Point
from hwsim.study.points import Value, run_jobs
from hwsim.study.protocol import Protocol
from hwsim.study.rows import Row

Progress = Callable[[float, str], None]
SLACK = 64
GAPS = ("tpot", "itl")
MOST, FEW = 0.5, 3  # share and number of impossible times beyond which a file is in another unit


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


def refuse_impossible(cases: Iterable[Case]) -> list[Case]:
    """The cases without times per token that beat the peak of their device, which say so instead.

    Where most do, the file is in another unit: ``ScenarioError`` names the first of them.
    """
    kept: list[Case] = []
    count, beaten = 0, []
    for case in cases:
        least = least_gap_ms(case.scenario, case.rows[0].device) if case.scenario is not None and case.rows else 0.0
        asked = list(zip(case.rows, case.formulas, strict=False))
        gaps = [row for row, _ in asked if row.metric.startswith(GAPS)]
        bad = [row for row in gaps if row.measured < least]
        count += len(gaps)
        beaten += [f"{row.case}: {row.measured:.4g} ms, at least {least:.4g} ms" for row in bad]
        if not bad:
            kept.append(case)
            continue
        for row in bad:
            row.note = (
                f"beats the peak ({least:.3g} ms to read the weights of a token): several tokens a step, or a unit"
            )
        good = [(row, text) for row, text in asked if all(row is not one for one in bad)]
        rows = [*(row for row, _ in good), *bad, *case.rows[len(asked) :]]
        kept.append(Case(rows, [text for _, text in good], case.scenario))
    if len(beaten) > max(MOST * count, FEW):
        what = f"{len(beaten)} of {count} times per token beat the peak of their device"
        raise ScenarioError.of(what, got="; ".join(beaten[:5]), expected="milliseconds per token")
    return kept


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


def sample(cases: Iterable[Case], every: int) -> list[Case]:
    """A fixed part of the cases: of each model, device and engine every so many-th, ordered by a hash, at least one.

    Cases without a scenario stay, so that what is skipped is counted whole.
    """
    kept, groups = [], {}
    for place, case in enumerate(cases):
        if case.scenario is None or not case.rows:
            kept.append((place, case))
            continue
        first = case.rows[0]
        order = zlib.crc32(f"{first.case}|{first.measured:g}".encode())
        groups.setdefault((first.model, first.device, first.engine), []).append((order, place, case))
    for members in groups.values():
        members.sort(key=lambda member: member[:2])
        kept += [(place, case) for _, place, case in members[::every]]
    return [case for _, case in sorted(kept, key=lambda item: item[0])]


def run_cases(cases: Iterable[Case], progress: Progress | None = None, every: int = 1) -> list[Row]:
    """All rows, those that could be simulated with their value; equal scenarios are simulated once.

    With ``every`` above 1 a fixed sample is simulated and the rest left out.
    """
    cases = refuse_impossible(cases)
    cases = cases if every == 1 else sample(cases, every)
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


def _nodes(gpu: str, count: int) -> int:
    """How many of its usual node hold so many GPUs."""
    usual = naming.node(gpu, count)
    return -(-count // int(usual["gpu"]["count"])) if isinstance(usual, dict) else 1


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
    tp, pp, dp, concluded = layout(point)
    assumed = "; ".join(text for text in (assumed, concluded) if text)
    nodes = max(nodes, _nodes(gpu, tp * pp * dp))
    model: dict[str, Any] = {"like": hf_id}
    if dtype is not None:
        model["dtype"] = dtype
        cache = protocol.cache(engine or point.engine)
        if cache and dtype not in ("bf16", "fp16"):
            model["kv_cache_dtype"] = cache
    pool: dict[str, Any] = {"engine": profile, "tensor_parallel_size": tp}
    if pp > 1:
        pool["pipeline_parallel_size"] = pp
    if dp > 1:
        pool["data_parallel_size"] = dp
    if point.ep > 1:
        pool["enable_expert_parallel"] = True
    pool["max_model_len"] = protocol.longest(isl) + protocol.longest(osl) + SLACK
    pool["enable_prefix_caching"] = False  # prompts are random text
    pool |= protocol.launch(Setup(engine or point.engine, point.model, clients, isl, osl, tp))
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
