"""Disaggregated serving points: prefill and decode workers apart, for every row whose worker counts are given.

Rows without counts are skipped with that reason: their TTFT and TPOT move with the split.  Assumed: the connector of
the engine (SGLang's own, NIXL for others), first fit of workers on nodes, a rail network of 400 Gb/s between nodes, and
that a worker's batch limit holds for each of its attention ranks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, scenario_of, skipped
from hwsim.study.measured import Point, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.suite import Suite

NAME = "disaggregated"
_WORKERS = r"(?P<count>\d*) x \(tp(?P<tp>\d+) dp(?P<dp>\d+) ep(?P<ep>\d+) bs(?P<bs>\d*)\)"
_NOTE = re.compile(rf"prefill: {_WORKERS.replace('?P<', '?P<p_')}; decode: {_WORKERS.replace('?P<', '?P<d_')}")
LINK = "ib-ndr-400"


class Workers(NamedTuple):
    """Equal workers of one role; ``batch`` 0: not given."""

    number: int
    tp: int
    dp: int
    ep: int
    batch: int

    @property
    def gpus(self) -> int:
        """GPUs of all of them."""
        return self.number * self.tp * self.dp

    def pool(self, role: str) -> dict[str, Any]:
        """The pool that they are."""
        found: dict[str, Any] = {"role": role, "replicas": self.number, "tensor_parallel_size": self.tp}
        found["data_parallel_size"] = self.dp
        found["enable_expert_parallel"] = self.ep > 1
        if self.batch:
            found["max_num_seqs"] = self.batch
        return found


class Disaggregated(Suite):
    """Rows with worker counts, one per configuration and metric."""

    title = "disaggregated serving points"
    targets = "none set"
    every = 8
    long = True
    files = ("silicon_serving_points.csv",)

    def points(self, data: Path | None = None) -> Iterator[Point]:
        """Points of disaggregated runs."""
        for point in super().points(data):
            if point.mode.startswith("dis"):
                yield point

    def client(self, point: Point) -> Protocol:
        """Dated rows are InferenceX runs, the others laboratory runs."""
        return protocol("inferencex" if "measured 20" in point.note else "lab")

    def cases_of(self, point: Point, load: Protocol) -> Iterable[Case]:
        """One case, or none without worker counts."""
        return [case_of(point, load)]


def workers(note: str) -> tuple[Workers, Workers] | None:
    """Prefill and decode workers as a note gives them; None without their counts."""
    found = _NOTE.search(note)
    if found is None:
        return None
    sides = [
        Workers(*(int(found[f"{side}_{name}"] or 0) for name in ("count", "tp", "dp", "ep", "bs"))) for side in "pd"
    ]
    return (sides[0], sides[1]) if all(side.number for side in sides) else None


def case_of(point: Point, load: Protocol) -> Case:
    """One point as a scenario with two pools, or the reason why it is none."""
    asked = workers(point.note)
    shown = replace(point, tp=asked[1].tp, dp=asked[1].dp, ep=asked[1].ep) if asked is not None else point
    rows = rows_of(NAME, shown, [name for name in ("ttft", "tpot") if name in point.metrics])
    clients = whole(point.load)
    if not clients or not whole(point.isl) or not whole(point.osl):
        return skipped(rows, "load or lengths not given")
    if asked is None:
        return skipped(rows, "number of workers not given")
    prefill, decode = asked
    one = replace(point, tp=1, pp=1, dp=1, ep=1, gpus=1)
    try:
        scenario, assumed = scenario_of(one, load, isl=whole(point.isl), osl=whole(point.osl), clients=clients)
        node, nodes = _machine(naming.gpu(point.gpu), prefill, decode)
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    scenario["system"] = {"node": node, "nodes": nodes}
    if nodes > 1:
        scenario["system"]["network"] = {"kind": "rail_fat_tree", "link": LINK}
    serve = scenario["serve"]
    del serve["tensor_parallel_size"]
    connector = "sglang" if "sglang" in point.engine.casefold() else "nixl"
    serve |= {"handover": connector, "router": "least_loaded", "decode_router": "least_loaded"}
    serve["pools"] = {"prefill": prefill.pool("prefill"), "decode": decode.pool("decode")}
    for row in rows:
        row.note = "; ".join(text for text in (assumed, f"hand-over {connector}, network {LINK}") if text)
    return Case(rows, [f"{row.metric}.{load.statistic}" for row in rows], scenario)


def _machine(gpu: str, prefill: Workers, decode: Workers) -> tuple[Any, int]:
    """A node that holds the largest tensor-parallel group, and how many of it all workers need."""
    from hwsim.hardware import System

    node = naming.node(gpu, max(prefill.tp, decode.tp))
    held = System.of({"node": node}).gpus
    return node, -(-(prefill.gpus + decode.gpus) // held)


PART = Disaggregated()
