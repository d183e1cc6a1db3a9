"""Vidur's profiles of dense products, ``compute/<gpu>/<organisation>/<model>/mlp.csv[.gz]``: one table for a GPU.

A row times one layer on one GPU of a tensor-parallel group, in milliseconds (the median is taken); its four products
become rows ``m, n, k``.  Kernels that are no products (norms, rotary embedding, activations) are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwsim.errors import ScenarioError

FOLDER = "compute"
FILES = ("mlp.csv", "mlp.csv.gz")
NEEDED = (
    "n_head",
    "n_kv_head",
    "n_embd",
    "n_expanded_embd",
    "use_gated_mlp",
    "num_tokens",
    "num_tensor_parallel_workers",
)
PRODUCTS = ("attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj")
Columns = dict[str, np.ndarray]


def folder_of(path: Path) -> Path | None:
    """The folder ``compute/<gpu>`` that a profile lies in, or that this is; None for anything else."""
    parts = path.parts
    if FOLDER not in parts[:-1]:
        return None
    depth = len(parts) - 1 - parts[::-1].index(FOLDER) + 2
    inside = len(parts) > depth
    return Path(*parts[:depth]) if (inside and path.name in FILES) or (not inside and path.is_dir()) else None


def read(folder: Path, parse: Callable[[Path], Columns]) -> Columns:
    """The products of all models that were profiled on a GPU, as columns of a table of ``gemm``."""
    files = sorted(path for path in folder.rglob("mlp.csv*") if path.name in FILES)
    tables = [_products(path, parse(path)) for path in files]
    if not tables:
        raise ScenarioError.of("no profile of products", where=str(folder), expected="ORG/MODEL/mlp.csv.gz")
    found = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return {**found, "gemm_dtype": np.full(len(found["m"]), "float16")}


def _products(path: Path, raw: Columns) -> Columns:
    """The rows of one model, product after product; what was not timed (0) is left out."""
    times = {name: f"time_stats.{name}.median" for name in PRODUCTS}
    missing = [name for name in (*NEEDED, *times.values()) if name not in raw]
    if missing:
        raise ScenarioError.of(
            f"lacks the columns {', '.join(missing)}", where=str(path), got=", ".join(list(raw)[:8]), expected="Vidur's"
        )
    ranks, hidden, wide = (raw[n].astype(float) for n in ("num_tensor_parallel_workers", "n_embd", "n_expanded_embd"))
    kv = np.maximum(raw["n_kv_head"].astype(float) / ranks, 1.0) * hidden / raw["n_head"].astype(float)
    gated = np.where(np.char.lower(raw["use_gated_mlp"].astype(str)) == "true", 2.0, 1.0)
    shapes = {
        "attn_pre_proj": (hidden / ranks + 2 * kv, hidden),
        "attn_post_proj": (hidden, hidden / ranks),
        "mlp_up_proj": (gated * wide / ranks, hidden),
        "mlp_down_proj": (hidden, wide / ranks),
    }
    m, n, k, microseconds = [], [], [], []
    for name, (rows, depth) in shapes.items():
        time = raw[times[name]].astype(float) * 1e3
        known = time > 0
        m.append(raw["num_tokens"].astype(float)[known])
        n.append(np.round(rows)[known])
        k.append(np.round(depth)[known])
        microseconds.append(time[known])
    return {
        name: np.concatenate(each)
        for name, each in zip(("m", "n", "k", "latency_us"), (m, n, k, microseconds), strict=True)
    }
