"""Collectives: an engine's own all-reduce, NCCL, and DeepEP's dispatch and combine; protocols along message size.

Message sizes of the engine's all-reduce and of NCCL are in elements.  Every fifth size is left out of the fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hwsim.cost.collective import Stretch, along, factor
from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.study.calibrate.sample import Sample, families
from hwsim.study.calibrate.table import Table

OPS = ("allreduce", "nccl", "deepep_ll", "deepep_normal")
NEEDED = {
    "allreduce": ("num_gpus", "message_size", "backend", "latency_us"),
    "nccl": ("op_name", "nccl_dtype", "num_gpus", "message_size", "latency_us"),
    "deepep_ll": ("node_num", "hidden_size", "num_token", "num_topk", "dispatch_avg_t_us", "combine_avg_t_us"),
    "deepep_normal": (
        "node_num",
        "hidden_size",
        "num_token",
        "num_topk",
        "dispatch_sms",
        "dispatch_transmit_us",
        "dispatch_notify_us",
        "combine_transmit_us",
        "combine_notify_us",
    ),
}
ELEMENTS = {"half": 2, "bfloat16": 2, "int8": 1, "float": 4}
NCCL = {"alltoall": "all_to_all", "all_reduce": "nccl_all_reduce"}
GPUS_PER_NODE = 8
SOFT = 0.03  # relative error beyond which a row counts less
SMS = 20  # that DeepEP's normal kernels take by default
Curves = Mapping[int, tuple[Stretch, ...]]


def columns(op: str) -> tuple[str, ...]:
    """What a table of this operation must have."""
    return NEEDED[op]


def samples(table: Table, device: Accelerator) -> Iterator[Sample]:
    """One sample per operation."""
    if table.op == "allreduce":
        for backend in np.unique(table["backend"]):
            rows = table.pick(table["backend"] == backend)
            part = "eager_all_reduce" if str(backend).endswith("eager") else "all_reduce"
            yield _sample(rows, part, rows["num_gpus"], rows["message_size"] * 2, rows["latency_us"], str(backend))
    elif table.op == "nccl":
        for name in np.unique(table["op_name"]):
            rows = table.pick(table["op_name"] == name)
            size = rows["message_size"] * np.array([ELEMENTS.get(each, 2) for each in rows["nccl_dtype"].tolist()])
            part = NCCL.get(str(name), str(name))
            wide = rows["nccl_dtype"] != "int8"  # sums of 8-bit integers run at another pace; engines sum in 16 bit
            only = wide if wide.any() and part in ("nccl_all_reduce", "reduce_scatter") else None
            yield _sample(rows, part, rows["num_gpus"], size, rows["latency_us"], str(name), only)
    else:
        yield from _deepep(table)


def _deepep(table: Table) -> Iterator[Sample]:
    """Token copies in 8 bit on the way to experts, in 16 bit on the way back."""
    normal = table.op == "deepep_normal"
    rows = table.pick(table["dispatch_sms"] == SMS) if normal else table
    if not rows.rows:
        return
    ranks = rows["node_num"] * GPUS_PER_NODE
    # Low-latency kernels send a copy per chosen expert, normal ones a copy per rank that holds any.
    met = ranks * (1 - (1 - 1 / ranks) ** rows["num_topk"]) if normal else rows["num_topk"]
    copies = rows["num_token"] * met * rows["hidden_size"]
    for way, element in (("dispatch", 1), ("combine", 2)):
        time = rows[f"{way}_transmit_us"] + rows[f"{way}_notify_us"] if normal else rows[f"{way}_avg_t_us"]
        part = f"deepep_{way}" if normal else f"deepep_low_latency_{way}"
        yield _sample(rows, part, ranks, copies * element, time, way)


def _sample(
    table: Table,
    part: str,
    ranks: np.ndarray,
    size: np.ndarray,
    time_us: np.ndarray,
    dtype: str,
    fitted: np.ndarray | None = None,
) -> Sample:
    def predict(law: Curves, at: Mapping[str, np.ndarray]) -> np.ndarray:
        known = sorted(law)
        found = []
        for count, each in zip(at["ranks"].tolist(), at["size"].tolist(), strict=True):
            near = next((n for n in known if n >= count), known[-1])
            found.append(along(law[near], factor(part, int(count)), each))
        return np.array(found)

    return Sample(
        "collective",
        part,
        Stretch,
        {"ranks": ranks, "size": size},
        time_us * 1e-6,
        families(np.round(np.log2(size) * 2), ranks),
        predict,
        table.source,
        table.path.name,
        dtype,
        fitted,
    )


def fit_curves(sample: Sample, rows: np.ndarray, most: int = 4) -> dict[int, tuple[Stretch, ...]]:
    """Stretches by group size: the fewest protocols, at most ``most``, that leave little error to gain."""
    at = sample.take(rows)
    seconds = sample.seconds[rows]
    found: dict[int, tuple[Stretch, ...]] = {}
    for ranks in np.unique(at["ranks"]).astype(int).tolist():
        mine = at["ranks"] == ranks
        order = np.argsort(at["size"][mine], kind="stable")
        found[ranks] = _stretches(at["size"][mine][order], seconds[mine][order], factor(sample.part, ranks), most)
    return found


def _stretches(size: np.ndarray, seconds: np.ndarray, ring: float, most: int) -> tuple[Stretch, ...]:
    """Best cut of one curve into lines by dynamic programming over the distinct sizes."""
    sizes, index = np.unique(size, return_inverse=True)
    time = np.array([np.exp(np.mean(np.log(seconds[index == i]))) for i in range(len(sizes))])
    count = len(sizes)
    least = 2 if count > 3 else 1
    lines: dict[tuple[int, int], tuple[float, float, float]] = {}
    for start in range(count):
        for end in range(start + least, count + 1):
            lines[start, end] = _line(sizes[start:end], time[start:end])
    cost = {(0, 0): 0.0}
    came: dict[tuple[int, int], int] = {}
    for used in range(1, most + 1):
        for end in range(1, count + 1):
            options = [
                (cost[used - 1, start] + lines[start, end][2], start)
                for start in range(end)
                if (used - 1, start) in cost and (start, end) in lines
            ]
            if options:
                cost[used, end], came[used, end] = min(options)
    # One more protocol must halve the error that is left, or it is noise.
    best = min((cost[n, count] + 0.02 * n, n) for n in range(1, most + 1) if (n, count) in cost)[1]
    cuts, end = [], count
    for used in range(best, 0, -1):
        start = came[used, end]
        cuts.append((start, end))
        end = start
    result = []
    for start, end in reversed(cuts):
        alpha, slope, _ = lines[start, end]
        bandwidth = ring / slope if slope > 0 else 1e15
        limit = float("inf") if end == count else float(sizes[end - 1] * sizes[end]) ** 0.5
        result.append(Stretch(limit, alpha, bandwidth))
    return tuple(result)


def _line(size: np.ndarray, time: np.ndarray) -> tuple[float, float, float]:
    """Latency and seconds per byte with the least relative error (odd rows count less), neither below zero."""
    design = np.stack([1 / time, size / time], axis=1)
    trust = np.ones(len(size))
    line = np.zeros(2)
    for _ in range(4 if len(size) > 2 else 1):
        line = _least_squares(design, trust)
        trust = 1 / np.maximum(np.abs(design @ line - 1), SOFT)
    error = np.minimum((design @ line - 1) ** 2, SOFT)
    return float(line[0]), float(line[1]), float(np.sum(error))


def _least_squares(design: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Both coefficients against a column of ones, or the better single one if the other would be negative."""
    first, second = design[:, 0], design[:, 1]
    a, b, c = (float(np.sum(trust * x)) for x in (first * first, first * second, second * second))
    d, e = float(np.sum(trust * first)), float(np.sum(trust * second))
    determinant = a * c - b * b
    if len(design) > 1 and determinant > 1e-12 * a * c:
        alpha, slope = (d * c - b * e) / determinant, (a * e - b * d) / determinant
        if alpha >= 0 and slope >= 0:
            return np.array([alpha, slope])
        if alpha < 0:
            return np.array([0.0, e / c])
    return np.array([d / a, 0.0])
