"""Matrix products: ``out[m, n] = act[m, k] @ weight[n, k]^T``, cycling over six copies of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.cost.gemm import GemmKernel
from hwsim.errors import HwsimError
from hwsim.study.calibrate.sample import Sample, families
from hwsim.study.calibrate.table import Table, refuse_impossible

OPS = ("gemm",)
COLUMNS = ("gemm_dtype", "m", "n", "k", "latency_us")
COPIES = 6
# Format of the file: format of the law, number format of the peak, bytes of an element.
FORMATS = {
    "bfloat16": ("bf16", "bf16", 2.0),
    "float16": ("bf16", "fp16", 2.0),
    "fp8": ("fp8", "fp8", 1.0),
    "fp8_block": ("fp8_block", "fp8", 1.0),
    "nvfp4": ("fp4", "fp4", 0.5625),
}
ROUNDING = ("round_fixed", "round_depth", "round_row", "round_element", "single_row")
HOST = ("host", "host_few")


def samples(table: Table, device: Accelerator) -> Iterator[Sample]:
    """One sample per number format that the device computes in."""
    for dtype in np.unique(table["gemm_dtype"]):
        if str(dtype) not in FORMATS:
            continue
        part, peak_of, element = FORMATS[str(dtype)]
        try:
            peak = device.peak(peak_of)
        except HwsimError:
            continue
        rows = table.pick(table["gemm_dtype"] == dtype)
        m, n, k = (rows[name] for name in "mnk")
        seconds = rows["latency_us"] * 1e-6
        refuse_impossible(rows, seconds, 2 * m * n * k / peak, f"{peak / 1e12:.4g} TFLOP/s of {peak_of}")
        wide, hosted = part == "bf16", part == "fp8_block" and rows.software == "vllm"

        def predict(
            law: GemmKernel,
            at: Mapping[str, np.ndarray],
            peak: float = peak,
            element: float = element,
            wide: bool = wide,
            hosted: bool = hosted,
        ) -> Any:
            m, n, k = at["m"], at["n"], at["k"]
            weights = n * k * element
            return law.seconds(m, n, k, peak, weights, element, COPIES, np, rounds=not wide, hosted=hosted)

        yield Sample(
            "gemm",
            part,
            GemmKernel,
            {"m": m, "n": n, "k": k},
            seconds,
            families(n, k),
            predict,
            table.source,
            table.path.name,
            str(dtype),
            fixed=(() if hosted else HOST) + (ROUNDING if wide else ()),
        )
