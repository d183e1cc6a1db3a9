"""Output of nccl-tests (``all_reduce_perf``, ``sendrecv_perf``, …): bus bandwidth of a GPU's link by message size."""

from __future__ import annotations

import re

from hwsim.study.calibrate.measured import Measured, number, rising

GB = 1e9
_ROW = re.compile(r"^\s*(\d+)\s+\d+\s+\S+\s+(?:\S+\s+)?(?:-?\d+\s+)?([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+(?:\d+|N/A)\b")


def claims(text: str) -> bool:
    """Whether a program of nccl-tests wrote this."""
    return "busbw" in text and "algbw" in text


def read(text: str) -> Measured:
    """Out-of-place bus bandwidth (GB/s, 1e9) of every size that moved anything."""
    test = re.search(r"(\w+)_perf", text)
    found = Measured("gpu", f"nccl-tests {test.group(1) if test else ''}".strip())
    points: list[tuple[float, ...]] = []
    for line in text.splitlines():
        row = _ROW.match(line)
        if row and float(row.group(4)) > 0:
            points.append((number(row.group(1), "size"), number(row.group(4), "busbw") * GB))
    if points:
        found.points["nvlink.by_size"] = rising(points)
    return found


PART = read
