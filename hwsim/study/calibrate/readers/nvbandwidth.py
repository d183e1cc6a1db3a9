"""``nvbandwidth --json``: copies between host and GPU and between GPUs, one way and both, and their latency."""

from __future__ import annotations

import json
from typing import Any

from hwsim.study.calibrate.measured import Measured, number

GB = 1e9
_FIGURES = {
    "host_to_device_memcpy_ce": "pcie.h2d_bandwidth",
    "device_to_host_memcpy_ce": "pcie.d2h_bandwidth",
    "device_to_device_memcpy_read_ce": "nvlink.copy_bandwidth",
    "device_to_device_memcpy_write_ce": "nvlink.copy_bandwidth",
}
_BOTH = ("host_to_device_bidirectional_memcpy_ce", "device_to_host_bidirectional_memcpy_ce")
_LATENCIES = {"host_device_latency_sm": "pcie.latency", "device_to_device_latency_sm": "nvlink.latency"}


def claims(text: str) -> bool:
    """Whether nvbandwidth wrote this."""
    return text.lstrip().startswith("{") and '"nvbandwidth"' in text[:500]


def read(text: str) -> Measured:
    """Mean over the cells of each matrix; of reads and writes between GPUs the faster."""
    found = Measured("gpu", "nvbandwidth")
    one_way: dict[str, float] = {}
    for case in json.loads(text)["nvbandwidth"]["testcases"]:
        name = str(case["name"])
        mean = _mean(case)
        if mean is None:
            continue
        one_way[name] = mean
        if name in _FIGURES:
            figure = _FIGURES[name]
            found.figures[figure] = max(mean * GB, found.figures.get(figure, 0.0))
        elif name in _LATENCIES:
            found.figures[_LATENCIES[name]] = mean * 1e-9
    both = [one_way[name] for name in _BOTH if name in one_way]
    if len(both) == len(_BOTH):  # each says what its own direction gets while the other runs
        found.figures["pcie.both_bandwidth"] = sum(both) * GB
    ways = [found.figures[name] for name in ("pcie.h2d_bandwidth", "pcie.d2h_bandwidth") if name in found.figures]
    if ways:
        found.figures["pcie.bandwidth"] = min(ways)
    return found


def _mean(case: dict[str, Any]) -> float | None:
    cells = [cell for row in case.get("bandwidth_matrix") or [] for cell in row if str(cell).strip() not in ("N/A", "")]
    if not cells:
        return None
    return sum(number(cell, str(case["name"])) for cell in cells) / len(cells)


PART = read
