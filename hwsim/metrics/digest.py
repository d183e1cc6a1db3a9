"""The result digest: one hash over everything that the same scenario, seed and version must give again.

It covers the summary without wall time and the logical content of each table: names, kinds and values, whatever the
width of an integer column, the chunking or the layout of a file.  ``spans`` and ``schedule`` are other views of the
same steps, kept on demand, and stay out, so that the digest does not depend on what was recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

VOLATILE = ("digest", "wall_seconds", "intervals")  # intervals follow from the rest and from committed spreads
ON_DEMAND = ("spans", "schedule")


def digest(summary: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The SHA-256 of a result as ``sha256:<hex>``."""
    total = hashlib.sha256()
    kept = {key: value for key, value in summary.items() if key not in VOLATILE}
    total.update(json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    for name in sorted(tables):
        if name in ON_DEMAND:
            continue
        for column in sorted(tables[name]):
            kind, content = _content(tables[name][column])
            total.update(json.dumps(["", name, column, kind, len(content)]).encode())
            total.update(content)
    return f"sha256:{total.hexdigest()}"


def _content(values: Any) -> tuple[str, bytes]:
    """The kind of a column and its values as bytes, the same on every machine."""
    if isinstance(values, list) and values and isinstance(values[0], str):
        return _texts(values)
    column = np.asarray(values)
    if not len(column):
        return "none", b""  # nothing is left of the kind of an empty list
    if column.dtype.kind in "iu":
        return "int", column.astype("<i8").tobytes()
    if column.dtype.kind == "b":
        return "bool", column.astype("u1").tobytes()
    if column.dtype.kind == "f":
        plain = column.astype("<f8") + 0.0  # -0.0 becomes 0.0
        plain[np.isnan(plain)] = np.nan
        return "float", plain.tobytes()
    return _texts([str(value) for value in column.tolist()])


def _texts(values: list[str]) -> tuple[str, bytes]:
    """Texts in one piece that can be taken apart again in one way only."""
    joined = "\0".join(values)
    if joined.count("\0") == len(values) - 1:
        return "text", joined.encode("utf-8", "surrogatepass")
    return "json", json.dumps(values).encode()
