"""Replicas over time by what they are doing: open, starting, running dry, down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.view._figure import BLUE, GREY, RED, SAND, Figure, Shown, axis, canvas, rounded, seconds_axis

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATES = (("open", BLUE), ("starting", SAND), ("draining", GREY), ("down", RED))


def draw(shown: Shown) -> go.Figure | None:
    """Steps, stacked; nothing for a run whose replicas never changed."""
    table = shown.tables.get("fleet")
    if table is None or not len(table["time_s"]):
        return None
    times = np.concatenate([[0.0], np.asarray(table["time_s"]), [float(shown.summary["simulated_seconds"])]])
    counts = _counts(table, int((shown.summary.get("fleet") or {}).get("replicas", 0)))
    figure = canvas()
    for name, colour in STATES:
        values = counts[name]
        if not any(values):
            continue
        figure.add_scatter(
            x=rounded(times, 7),
            y=[*values, values[-1]],
            name=name,
            mode="lines",
            stackgroup="replicas",
            line={"color": colour, "width": 1, "shape": "hv"},
        )
    figure.update_yaxes(axis("replicas", rangemode="tozero"))
    figure.update_xaxes(seconds_axis(shown))
    return figure


def _counts(table: Mapping[str, Any], replicas: int) -> dict[str, list[int]]:
    """Replicas in each state from the start and after each change."""
    first: dict[int, str] = {}
    for replica, state in zip(table["replica"], table["state"], strict=True):
        first.setdefault(int(replica), "stopped" if state == "starting" else "open")
    states = {replica: first.get(replica, "open") for replica in range(max(replicas, max(first) + 1))}
    found = {name: [sum(state == name for state in states.values())] for name, _ in STATES}
    for replica, state in zip(table["replica"], table["state"], strict=True):
        states[int(replica)] = state
        for name, values in found.items():
            values.append(sum(held == name for held in states.values()))
    return found


PART = Figure(
    45,
    "Replicas",
    "Replicas that take requests, start (weights and start-up), run dry before they stop, or have failed.",
    draw,
)
