"""A task graph's run as a timeline: a track per stream, more lanes where a stream runs several tasks at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwsim.export._timeline import PS_PER_NS, Slice


def tasks(spans: Mapping[str, Any]) -> Iterator[Slice]:
    """One slice per task in order of its start, with what it waited for and what bounds it."""
    starts = (np.asarray(spans["start_ticks"]) // PS_PER_NS).tolist()
    ends = (np.asarray(spans["end_ticks"]) // PS_PER_NS).tolist()
    lanes: dict[str, list[int]] = {}
    for row in np.argsort(np.asarray(spans["start_ticks"]), kind="stable").tolist():
        track = spans["track"][row]
        free = lanes.setdefault(track, [])
        lane = next((i for i, end in enumerate(free) if end <= starts[row]), len(free))
        if lane == len(free):
            free.append(0)
        free[lane] = ends[row]
        waited = float(spans["start_s"][row]) - float(spans["ready_s"][row])
        arguments = {
            "resource": str(spans["resource"][row]),
            "waited_for": str(spans["reason"][row]),
            "queued_ns": round(waited * 1e9),
            "alone_ns": round(float(spans["alone_s"][row]) * 1e9),
            "owner": str(spans["owner"][row]),
        }
        name = track if not lane else f"{track} {lane + 1}"
        yield Slice(0, name, str(spans["name"][row]), "task", starts[row], ends[row], arguments)
