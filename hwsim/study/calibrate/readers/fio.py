"""``fio --output-format=json``: throughput of a drive by block size, queue depth, direction and pattern."""

from __future__ import annotations

import json
from typing import Any

from hwsim.study.calibrate.measured import Measured, number, rising

SMALL = 4096
_BLOCK = {"k": 1024, "m": 1024**2, "g": 1024**3}
_PATTERN = {"read": "sequential", "write": "sequential", "randread": "random", "randwrite": "random"}


def claims(text: str) -> bool:
    """Whether fio wrote this."""
    return text.lstrip().startswith("{") and '"fio version"' in text[:2000]


def read(text: str) -> Measured:
    """Curves of every pattern measured; latency, IOPS and bandwidth from their ends.  Mixed jobs are left out."""
    data = json.loads(text)
    common = data.get("global options") or {}
    found = Measured("ssd", "fio")
    for job in data["jobs"]:
        options = {**common, **(job.get("job options") or {})}
        rw = str(options.get("rw", "read"))
        if rw not in _PATTERN:
            continue
        way = "write" if rw.endswith("write") else "read"
        side = job[way]
        size = _bytes(str(options.get("bs", "4k")))
        depth = number(options.get("iodepth", 1), "iodepth") * number(options.get("numjobs", 1), "numjobs")
        rate = number(side.get("bw_bytes", side["bw"] * 1024 if "bw" in side else None), f"{way} bandwidth")
        found.points.setdefault(f"{_PATTERN[rw]}_{way}", []).append((size, depth, rate))
        if rw.startswith("rand") and size == SMALL:
            _small(found, side, way, depth)
    for name, points in found.points.items():
        found.points[name] = rising(points)
    for way in ("read", "write"):
        rates = [point[-1] for name, points in found.points.items() if name.endswith(way) for point in points]
        if rates:
            found.figures[f"{way}_bandwidth"] = max(rates)
    return found


def _small(found: Measured, side: dict[str, Any], way: str, depth: float) -> None:
    """Latency of a 4 KiB access alone, and the most of them per second."""
    iops = number(side["iops"], f"{way} iops")
    name = f"{way}_iops"
    found.figures[name] = max(iops, found.figures.get(name, 0.0))
    if depth == 1:
        mean = (side.get("clat_ns") or side.get("lat_ns") or {}).get("mean")
        latency = number(mean, "mean latency") * 1e-9 if mean else 1 / iops
        found.figures["latency" if way == "read" else "write_latency"] = latency


def _bytes(text: str) -> float:
    """A block size such as ``4k``; of ``4k,8k`` the first, which is that of reads."""
    first = text.split(",")[0].strip().lower().removesuffix("ib").removesuffix("b")
    factor = _BLOCK.get(first[-1:], 1)
    return number(first.rstrip("kmg"), "block size") * factor


PART = read
