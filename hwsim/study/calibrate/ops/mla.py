"""Latent attention of DeepSeek models: latent 512 and rope 64, heads 192 wide for keys and 128 for values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.cost.mla import MlaDecodeKernel, MlaPrefillKernel
from hwsim.study.calibrate.ops.attention import ELEMENTS
from hwsim.study.calibrate.sample import Sample, families
from hwsim.study.calibrate.table import Table, refuse_impossible

OPS = ("mla_context", "mla_decode")
SHAPE = ("num_heads", "batch_size", "kv_cache_dtype", "latency_us")
LATENT, NOPE, ROPE, VALUE = 512, 128, 64, 128


def columns(op: str) -> tuple[str, ...]:
    """What a table of this operation must have."""
    return (*SHAPE, "isl" if op == "mla_context" else "kv_len")


def samples(table: Table, device: Accelerator) -> Iterator[Sample]:
    """One sample per number format of the cache."""
    peak, prefill = device.peak("bf16"), table.op == "mla_context"
    for dtype in np.unique(table["kv_cache_dtype"]):
        if str(dtype) not in ELEMENTS:
            continue
        part, element = ELEMENTS[str(dtype)]
        rows = table.pick(table["kv_cache_dtype"] == dtype)
        at = {"rows": rows["batch_size"], "heads": rows["num_heads"], "tokens": rows["isl" if prefill else "kv_len"]}
        seconds = rows["latency_us"] * 1e-6
        if prefill:
            flop = at["rows"] * at["heads"] * at["tokens"] ** 2 * (NOPE + ROPE + VALUE)
            refuse_impossible(rows, seconds, flop / (2 * peak), f"{2 * peak / 1e12:.4g} TFLOP/s, 8-bit products")
        yield Sample(
            "mla",
            ("prefill_" if prefill else "decode_") + part,
            MlaPrefillKernel if prefill else MlaDecodeKernel,
            at,
            seconds,
            families(at["heads"], at["rows"]),
            _prefill(peak) if prefill else _decode(peak, element),
            table.source,
            table.path.name,
            str(dtype),
        )


def _prefill(peak: float) -> Any:
    def predict(law: MlaPrefillKernel, at: Mapping[str, np.ndarray]) -> Any:
        pairs, data = law.parts(at["rows"], at["tokens"], 0, at["heads"], NOPE, ROPE, VALUE, peak, np)
        return law.fixed + pairs + data

    return predict


def _decode(peak: float, element: float) -> Any:
    def predict(law: MlaDecodeKernel, at: Mapping[str, np.ndarray]) -> Any:
        return law.seconds(at["rows"], at["tokens"], at["heads"], LATENT, ROPE, peak, element, np, warm=True)

    return predict
