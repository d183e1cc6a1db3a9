"""Models larger than their GPU's memory: FlexGen and what it was compared with, experts or layers left to the CPU.

Each system is the task-graph pattern of what it does: block schedules (FlexGen), weights copied layer by layer with or
without overlap (DeepSpeed, Accelerate), computing where weights lie (KTransformers, llama.cpp).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, skipped
from hwsim.study.host import offloading
from hwsim.study.measured import Point, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.suite import Suite

NAME = "offload"
SAMPLED = 33  # tokens decoded for a mean gap between them
GPU_BATCH = 64  # sequences of a block's GPU batch at most: not given, assumed
GPU_WEIGHTS = 0.75  # of a GPU's memory for weights, the rest for cache and buffers: assumed
MATRIX = (0, 3)  # KTransformers versions whose kernels use AMX (its documentation)
TENTHS = 10  # policies are given in tenths
EVERYWHERE = {"weights": "gpu", "kv": "gpu", "activations": "gpu"}
METRICS = {
    "output_throughput": "throughput.output",
    "decode_speed": "1000 / tpot.{statistic}",
    "prefill_speed": "{prompt} * 1000 / ttft.{statistic}",
}


class NotModelled(Exception):
    """What the patterns lack for a row."""


@dataclass(frozen=True)
class Policy:
    """How a row was served: settings of the pattern, where data lies, and what of both is assumed."""

    execute: dict[str, Any]
    place: dict[str, Any]
    assumed: str = ""
    model: dict[str, Any] | None = None


class Offload(Suite):
    """Offline batches and single sequences with weights outside GPU memory."""

    title = "offloaded inference: weights, experts or layers outside GPU memory"
    targets = "70 % of rows with given inputs within 15 %, 90 % within 30 %"
    misses = (
        "products on a T4 borrow their efficiency and are a quarter too fast, since its clock under load is not "
        "modelled (the paper's file fixes it by one component); the traffic of expanding 4-bit weights is not given. "
        "Prefill of experts on a CPU is 45 % too fast: its vector units keep less of their clock than on the desktop "
        "that the law was fitted on. The card of the Mixtral rows' machine and its memory are not given"
    )

    files = ("offload.csv",)

    def client(self, point: Point) -> Protocol:
        """One batch, all at once."""
        return protocol("static-batch")

    def cases_of(self, point: Point, load: Protocol) -> list[Case]:
        """One case."""
        return [case_of(point, load)]


def case_of(point: Point, load: Protocol) -> Case:
    """A point as a static batch under a pattern, or the reason why it is none."""
    rows = rows_of(NAME, point, [name for name in METRICS if name in point.metrics])
    for row in rows:
        row.rank = f"{row.rank}|{point.engine}|{point.mode}"
    try:
        machine = offloading(point.gpu)
        hf_id = naming.model(point.model)
        policy = policy_of(point, hf_id, machine.memory)
        compressed = bool(policy.execute.get("compressed"))
        dtype = "fp16" if compressed else naming.dtype(point.precision, hf_id)
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    except NotModelled as lacking:
        return skipped(rows, str(lacking))
    prompt, answer, batch = whole(point.isl) or load.prompt, whole(point.osl), whole(point.load) or 1
    one = "output_throughput" not in point.metrics
    dtype = dtype or ("q4_k_m" if "in_place" in policy.execute.values() else None)
    model = {"like": hf_id} | ({"dtype": dtype} if dtype else {}) | (policy.model or {})
    for row in rows:
        row.note, row.device = policy.assumed, machine.device
    scenario = {
        "hwsim": 1,
        "name": "case",
        "model": model,
        "system": {"node": machine.node},
        "serve": {"batching": "static", "execute": policy.execute, "place": policy.place},
        "workload": {
            "requests": batch,
            "arrivals": {"kind": "closed", "concurrency": batch},
            "input_tokens": prompt,
            "output_tokens": min(answer or SAMPLED, SAMPLED) if one else answer,
        },
    }
    texts = {name: text.format(prompt=prompt, statistic=load.statistic) for name, text in METRICS.items()}
    return Case(rows, [texts[row.metric] for row in rows], scenario)


def policy_of(point: Point, hf_id: str, memory: float) -> Policy:
    """What a system does with a model, by its name and the row's mode; raises :class:`NotModelled`."""
    engine, mode = point.engine.casefold(), point.mode.casefold()
    if "ktransformers" in engine or "llama" in engine:
        return _in_place(hf_id, mode, matrix="ktransformers" in engine and not _old(engine))
    tier = mode.rpartition(":")[2].strip()
    if tier not in ("gpu", "cpu", "disk"):
        raise NotModelled(f"the tier of weights is not given: {point.mode!r}")
    batch = max(whole(point.load), 1)
    if "flexgen" in engine:
        known = _published(point, batch, compressed="compress" in engine or "4-bit" in point.precision)
        if known is not None:
            return known
        return _flexgen(hf_id, tier, batch, memory, compressed="compress" in engine or "4-bit" in point.precision)
    below = {"gpu": "gpu", "cpu": "dram", "disk": "ssd"}[tier]
    plain = {"kind": "zigzag", "gpu_batch": batch, "pinned": False}
    place = EVERYWHERE | {"weights": below}
    if "accelerate" in engine:
        return Policy(plain | {"overlap": False}, place, "pageable copies without overlap assumed")
    if "deepspeed" in engine:
        return Policy(plain | {"overlap": True}, place, "pageable copies assumed")
    raise NotModelled(f"what {point.engine} does is not a pattern of hwsim")


def _published(point: Point, batch: int, *, compressed: bool) -> Policy | None:
    """The policy of FlexGen's own scripts for this model, prompt and batch, if it is known."""
    rows = published().get(point.model.casefold(), {}).get("compressed" if compressed else "plain", {})
    size, count, share = rows.get(whole(point.isl), (0, 0, 0.0))
    if size * count != batch:
        return None
    execute = {"kind": "zigzag", "gpu_batch": size, "gpu_batches": count} | ({"compressed": True} if compressed else {})
    if share == 1:
        return Policy(execute, EVERYWHERE)
    weights = {"split": {"gpu": f"{100 * share:g} %", "dram": f"{100 - 100 * share:g} %"}} if share else "dram"
    place = {"weights": weights, "kv": "dram", "activations": "dram"}
    return Policy(execute | {"cpu_attention": not compressed}, place)


@cache
def published() -> dict[str, Any]:
    """FlexGen's policies by model, compression and prompt."""
    import yaml

    path = Path(__file__).parents[1] / "flexgen.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["policies"]


def _flexgen(hf_id: str, tier: str, batch: int, memory: float, *, compressed: bool) -> Policy:
    """FlexGen's block schedule; the shares of its policy are not in the row."""
    from hwsim.model import find

    size = max(n for n in range(1, min(batch, GPU_BATCH) + 1) if batch % n == 0)
    execute: dict[str, Any] = {"kind": "zigzag", "gpu_batch": size, "gpu_batches": batch // size}
    if compressed:
        execute["compressed"] = True
    if tier == "gpu":
        return Policy(execute, EVERYWHERE)
    weights = find(hf_id, dtype="fp16").parameters * 2 * (0.28 if compressed else 1.0)
    share = min(int(TENTHS * GPU_WEIGHTS * memory / weights) / TENTHS, 1.0)
    below = {"cpu": "dram", "disk": "ssd"}[tier]
    split = {"split": {"gpu": f"{100 * share:g} %", below: f"{100 - 100 * share:g} %"}} if 0 < share < 1 else "gpu"
    place = {"weights": split if share else below, "kv": below, "activations": "dram"}
    return Policy(execute | {"cpu_attention": not compressed}, place, "shares and GPU batch of the policy assumed")


def _old(engine: str) -> bool:
    """KTransformers before 0.3, whose kernels on the CPU were llamafile's."""
    version = re.search(r"(\d+)\.(\d+)", engine)
    return version is not None and (int(version[1]), int(version[2])) < MATRIX


def _in_place(hf_id: str, mode: str, *, matrix: bool) -> Policy:
    """Experts or layers left to the processor."""
    from hwsim.model import find

    execute: dict[str, Any] = {"kind": "in_place", "cpu_units": "matrix" if matrix else "vector"}
    layers = re.search(r"(\d+) (?:of \d+ )?layers on gpu", mode)
    if "experts on cpu" in mode:
        used = re.search(r"(\d+) experts used", mode)
        model = {"num_experts_per_tok": int(used[1])} if used else None
        return Policy(execute, {"attention": "gpu", "experts": "dram"}, "", model)
    if "no layers on gpu" in mode or "all on cpu" in mode:
        return Policy(execute, {"weights": "dram"})
    if layers:
        share = min(int(layers[1]) / find(hf_id).num_hidden_layers, 1.0)
        return Policy(execute, {"weights": {"split": {"gpu": f"{share:.4%}", "dram": f"{1 - share:.4%}"}}})
    raise NotModelled(f"what lies where is not given: {mode!r}")


PART = Offload()
