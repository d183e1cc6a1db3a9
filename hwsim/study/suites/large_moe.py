"""Large mixtures of experts over many GPUs: closed loops with expert parallelism, and steps of a given batch per GPU.

A row that gives tokens or sequences per GPU is one step of one rank while all others do the same.  Attention is data
parallel, experts lie over all GPUs, nodes are joined by their own NICs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, scenario_of, skipped
from hwsim.study.measured import Point, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.rows import Row
from hwsim.study.suite import Suite

NAME = "large_moe"
CLOSED = {
    "output_throughput_per_gpu": "throughput.output / system.gpus",
    "total_token_throughput_per_gpu": "throughput.total / system.gpus",
    "output_throughput": "throughput.output",
    "ttft": "ttft.mean",
    "ttft_mean": "ttft.mean",
    "ttft_p50": "ttft.p50",
    "tpot": "tpot.mean",
    "tpot_mean": "tpot.mean",
}
STEPS = ("prefill_throughput_per_gpu", "decode_throughput_per_gpu")
NODE = 8  # GPUs of a node
ENGINE = "sglang 0.5"  # lends memory and graphs to in-house engines, whose steps alone are priced
CROWD = 20_000  # tokens of a sequence at most: room for the caches of a production batch


class LargeMoe(Suite):
    """Expert-parallel serving of models that no node holds alone, and of one node."""

    title = "large mixtures of experts with expert parallelism"
    misses = (
        "throughput of one node is met within 20 %, TTFT within 15 %, but for an outlier that its source flags. Steps "
        "over 32 and 128 ranks take a third to two thirds longer than measured: communication is added where two "
        "micro-batches would hide it"
    )

    files = ("large_scale_moe.csv",)

    def client(self, point: Point) -> Protocol:
        """Closed loops like those of the serving points; steps have no client."""
        return protocol("inferencex")

    def cases_of(self, point: Point, load: Protocol) -> Iterator[Case]:
        """What of a point is a closed loop, what a step, and what neither, with the reason."""
        if point.load_kind in ("concurrency", "batch") and whole(point.load):
            names = [name for name in CLOSED if name in point.metrics]
            yield _closed(point, load, rows_of(NAME, point, names))
        else:
            names = [name for name in STEPS if name in point.metrics]
            if names:
                yield _step(point, rows_of(NAME, point, names))
        others = [name for name in point.metrics if name not in names]
        if others:
            yield skipped(rows_of(NAME, point, others), _reason(point))


def _reason(point: Point) -> str:
    """Why a figure is no case."""
    if "disaggregated" in point.mode.casefold():
        return "layout of prefill and decode workers not given"
    if point.load_kind.startswith("production"):
        return "production figure: lengths of the requests or batch per GPU not given"
    return "load not given"


def _closed(point: Point, load: Protocol, rows: list[Row]) -> Case:
    """Clients that send again when they are answered."""
    isl, osl, clients = whole(point.isl), whole(point.osl), whole(point.load)
    if not isl or not osl:
        return skipped(rows, "lengths not given")
    nodes = max(1, -(-point.gpus // NODE))
    try:
        scenario, assumed = scenario_of(point, load, isl=isl, osl=osl, clients=clients, nodes=nodes)
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    for row in rows:
        row.note = assumed
    return Case(rows, [CLOSED[row.metric] for row in rows], scenario)


def _step(point: Point, rows: list[Row]) -> Case:
    """One step of every rank at once: ``load`` is "16K tokens" of prompts, or sequences in decode."""
    batch = re.fullmatch(r"(\d+)(k?)( tokens)?", point.load.strip().casefold())
    length = whole(point.isl) or whole(point.osl)
    if batch is None or not length or point.ep < 1:
        return skipped(rows, "batch per GPU, length or expert parallelism not given")
    count = int(batch[1]) * (1024 if batch[2] else 1)
    point.tp, point.dp, point.gpus = 1, point.ep, point.ep
    point.precision = point.precision or "FP8"
    nodes = max(1, -(-point.ep // NODE))
    try:
        scenario, _ = scenario_of(
            point, protocol("static-batch"), isl=CROWD // 2, osl=CROWD // 2, clients=1, nodes=nodes, engine=ENGINE
        )
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    prompts = max(1, count // length) if batch[3] else count
    formulas = {
        "prefill_throughput_per_gpu": f"{prompts * length} * 1000 / prefill_batch({prompts}, {length})",
        "decode_throughput_per_gpu": f"{count} * 1000 / decode_step({count}, {length})",
    }
    texts = ["FP8 and balanced experts assumed"]
    texts += ["communication is added, not hidden behind a second micro-batch"] if "micro-batch" in point.mode else []
    for row in rows:
        row.note = "; ".join(texts)
    return Case(rows, [formulas[row.metric] for row in rows], scenario)


PART = LargeMoe()
