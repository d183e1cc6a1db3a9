"""Attention: causal prefill without an earlier prefix, and decode of one token per sequence on warm caches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.cost.decode import DecodeKernel
from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.cost.prefill import PrefillKernel
from hwsim.study.calibrate.sample import Sample, families
from hwsim.study.calibrate.table import Table, refuse_impossible

OPS = ("attn_context", "attn_decode")
SHAPE = ("num_heads", "num_key_value_heads", "head_dim", "kv_cache_dtype", "batch_size", "latency_us")
PREFILL_COLUMNS, DECODE_COLUMNS = (*SHAPE, "isl"), (*SHAPE, "kv_len")
ELEMENTS = {"bfloat16": ("bf16", 2.0), "float16": ("bf16", 2.0), "fp8": ("fp8", 1.0)}


def columns(op: str) -> tuple[str, ...]:
    """What a table of this operation must have."""
    return PREFILL_COLUMNS if op == "attn_context" else DECODE_COLUMNS


def samples(table: Table, device: Accelerator) -> Iterator[Sample]:
    """One sample per number format of the cache."""
    peak = device.peak("bf16")
    for dtype in np.unique(table["kv_cache_dtype"]):
        if str(dtype) not in ELEMENTS:
            continue
        part, element = ELEMENTS[str(dtype)]
        rows = table.pick(table["kv_cache_dtype"] == dtype)
        heads, kv_heads, head_dim = (rows[name] for name in ("num_heads", "num_key_value_heads", "head_dim"))
        at = {
            "rows": rows["batch_size"],
            "tokens": rows["isl" if table.op == "attn_context" else "kv_len"],
            "heads": heads,
            "kv_heads": np.maximum(kv_heads, 1),
            "head_dim": head_dim,
            "window": rows.get("window_size", 0.0),
        }
        seconds = rows["latency_us"] * 1e-6
        prefill = table.op == "attn_context"
        if prefill:
            reach = np.where(at["window"] > 0, np.minimum(at["window"], at["tokens"]), at["tokens"])
            flop = 2 * at["rows"] * heads * head_dim * at["tokens"] * reach
            refuse_impossible(rows, seconds, flop / (2 * peak), f"{2 * peak / 1e12:.4g} TFLOP/s, 8-bit products")
        yield Sample(
            "attention_prefill" if prefill else "attention_decode",
            part,
            PrefillKernel if prefill else DecodeKernel,
            at,
            seconds,
            families(heads, kv_heads, head_dim),
            _prefill(peak, element) if prefill else _decode(element),
            table.source,
            table.path.name,
            str(dtype),
        )


def _prefill(peak: float, element: float) -> Any:
    def predict(law: PrefillKernel, at: Mapping[str, np.ndarray]) -> Any:
        shape = (at["heads"], at["kv_heads"], at["head_dim"], peak, element)
        return law.seconds(at["rows"], at["tokens"], *shape, window=at["window"], xp=np)

    return predict


def _decode(element: float) -> Any:
    def predict(law: DecodeKernel, at: Mapping[str, np.ndarray]) -> Any:
        shape = (at["heads"], at["kv_heads"], at["head_dim"], element)
        return law.seconds(at["rows"], at["tokens"], *shape, np, window=at["window"], warm=True)

    return predict
