"""What engines wrote down in their alone time, in wall time: translated once, after the run.

Simplification: the steps of a stretch are spread evenly over its wall time, and single gaps keep their alone length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.coupled import Coupled

if TYPE_CHECKING:
    from hwsim.scenario.build import Simulation
    from hwsim.serving.timeline import Timeline

Columns = dict[str, np.ndarray]


def timelines(simulation: Simulation) -> dict[int, Timeline]:
    """The timelines of engines that were slowed, by the numbers of the engines."""
    found: dict[int, Timeline] = {}
    for part in simulation.parts:
        for engine in getattr(part, "engines", ()):
            if isinstance(engine, Coupled) and not engine.timeline.straight:
                found[engine.engine.replica] = engine.timeline
    return found


def requests_in_wall_time(table: Columns, lines: Mapping[int, Timeline]) -> Columns:
    """The journal's requests with the times that their engine stamped in wall time."""
    found = dict(table)
    for name in ("scheduled", "first_token", "finish"):
        found[name] = _walls(table[name], table["replica"], lines)
    return found


def stretches_in_wall_time(table: Columns, lines: Mapping[int, Timeline]) -> Columns:
    """The journal's stretches with start and step times in wall time."""
    found = dict(table)
    found["start"] = _walls(table["start"], table["replica"], lines)
    count = table["steps"]
    first, slope = table["first_duration"].copy(), table["slope"].copy()
    for replica, line in lines.items():
        for i in np.nonzero(table["replica"] == replica)[0].tolist():
            steps = int(count[i])
            alone = int(first[i]) * steps + int(slope[i]) * (steps * (steps - 1) // 2)
            start = int(table["start"][i]) << SUBTICK_BITS
            wall = line.wall(start + alone) - line.wall(start)
            if alone and wall != alone:
                first[i] = round(int(first[i]) * wall / alone)
                slope[i] = round(int(slope[i]) * wall / alone)
    return found | {"first_duration": first, "slope": slope}


def _walls(times: np.ndarray, replicas: np.ndarray, lines: Mapping[int, Timeline]) -> np.ndarray:
    found = times.copy()
    for replica, line in lines.items():
        for i in np.nonzero(replicas == replica)[0].tolist():
            found[i] = line.wall(int(times[i]) << SUBTICK_BITS) >> SUBTICK_BITS
    return found
