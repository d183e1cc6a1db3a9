"""Fused expert layers on one rank: both projections, activation and permutation, no all-to-all.

``num_tokens`` are those of all ranks before the choice of experts; with expert parallelism the busiest rank is timed.
Rows of dealt-out (``balanced``) tokens over several ranks are not fitted: kernels that route by themselves do not
follow the deal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.cost.moe import MoeKernel
from hwsim.cost.routing import BLOCKS, load
from hwsim.errors import HwsimError
from hwsim.study.calibrate.sample import Sample, families
from hwsim.study.calibrate.table import Table, refuse_impossible

OPS = ("moe",)
COLUMNS = (
    "moe_dtype",
    "num_tokens",
    "hidden_size",
    "inter_size",
    "topk",
    "num_experts",
    "moe_tp_size",
    "moe_ep_size",
    "distribution",
    "latency_us",
)
# Format of the file: format of the law, number format of the peak, bytes of a weight.
FORMATS = {
    "bfloat16": ("bf16", "bf16", 2.0),
    "fp8": ("fp8", "fp8", 1.0),
    "fp8_block": ("fp8_block", "fp8", 1.0),
    "nvfp4": ("fp4", "fp4", 0.5625),
    "int4_wo": ("int4", "bf16", 0.53),
    "w4a16_mxfp4": ("mxfp4", "bf16", 0.53),
    "w4a8_mxfp4_mxfp8": ("mxfp4_mxfp8", "fp8", 0.53),
}
# Experts without a gate (Nemotron 3, squared ReLU) have two matrices; vLLM's rows of these shapes are theirs.
UNGATED = {(2688, 1856, 6, 128), (1024, 2688, 22, 512), (2048, 5120, 22, 512), (4096, 2688, 22, 512)}


def samples(table: Table, device: Accelerator) -> Iterator[Sample]:
    """One sample per number format that the device computes in."""
    for dtype in np.unique(table["moe_dtype"]):
        if str(dtype) not in FORMATS:
            continue
        part, peak_of, element = FORMATS[str(dtype)]
        try:
            peak = device.peak(peak_of)
        except HwsimError:
            continue
        rows = table.pick(table["moe_dtype"] == dtype)
        at = _arguments(rows)
        seconds = rows["latency_us"] * 1e-6
        least = 2 * at["assigned"] * at["matrices"] * at["hidden"] * at["width"] / peak
        one = at["ranks"] == 1
        refuse_impossible(rows.pick(one), seconds[one], least[one], f"{peak / 1e12:.4g} TFLOP/s of {peak_of}")
        skewed = np.char.startswith(rows["distribution"], "power_law")

        def predict(law: MoeKernel, at: Mapping[str, np.ndarray], element: float = element, peak: float = peak) -> Any:
            padded = [at[f"padded_{block}"] for block in BLOCKS]
            sizes = (at["assigned"], at["active"], padded, at["foreign"], at["hidden"], at["width"], at["matrices"])
            return law.seconds(at["tokens"], *sizes, element, peak, xp=np)

        yield Sample(
            "moe",
            part,
            MoeKernel,
            at,
            seconds,
            families(*(rows[name] for name in ("hidden_size", "inter_size", "num_experts", "topk"))),
            predict,
            table.source,
            table.path.name,
            str(dtype),
            fitted=one | skewed,
            cases={"one rank": one, "skewed ranks": ~one & skewed},
            first=one,
            then=("foreign_compute", "foreign_data"),
        )


def _arguments(rows: Table) -> dict[str, np.ndarray]:
    """Arguments of the law by row; loads are worked out once per distinct routing."""
    keys = [rows[name].astype(int) for name in ("num_tokens", "num_experts", "topk", "moe_ep_size")]
    routing = rows["distribution"]
    loads = [load(*shape, str(how)) for *shape, how in zip(*(key.tolist() for key in keys), routing, strict=True)]
    assigned = np.array([each.assigned for each in loads])
    tokens, top_k = rows["num_tokens"], rows["topk"]
    shapes = zip(*(rows[n].astype(int) for n in ("hidden_size", "inter_size", "topk", "num_experts")), strict=True)
    ungated = np.array([shape in UNGATED for shape in shapes]) & (rows.software != "sglang")
    padded = {f"padded_{block}": np.array([each.padded[i] for each in loads]) for i, block in enumerate(BLOCKS)}
    return {
        "tokens": tokens,
        "assigned": assigned,
        "active": np.array([each.active for each in loads]),
        "foreign": np.maximum(0.0, tokens * top_k - assigned),
        "hidden": rows["hidden_size"],
        "width": rows["inter_size"] / rows["moe_tp_size"],
        "matrices": np.where(ungated, 2.0, 3.0),
        "ranks": rows["moe_ep_size"],
        **padded,
    }
