"""Requests running and waiting over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.view._figure import (
    BLUE,
    RED,
    Figure,
    Shown,
    axis,
    canvas,
    faint,
    mark_steady,
    rounded,
    seconds_axis,
)
from hwsim.view._series import binned, edges_of, middles

if TYPE_CHECKING:
    import plotly.graph_objects as go


def draw(shown: Shown) -> go.Figure | None:
    """Means as lines, peaks of each slice as a faint edge above them."""
    steps = shown.tables["steps"]
    edges = edges_of(steps, shown.summary)
    if not len(edges):
        return None
    x = rounded(middles(edges), 7)
    figure = canvas()
    for name, colour in (("running", BLUE), ("waiting", RED)):
        means, peaks = binned(steps, name, edges)
        figure.add_scatter(
            x=x,
            y=rounded(peaks),
            name=f"{name}, peak",
            showlegend=False,
            mode="lines",
            line={"color": faint(colour, 0.35), "width": 1},
            hovertemplate="%{y:,.0f}",
        )
        figure.add_scatter(
            x=x,
            y=rounded(means),
            name=name,
            mode="lines",
            line={"color": colour, "width": 1.8},
            fill="tozeroy",
            fillcolor=faint(colour, 0.12),
            hovertemplate="%{y:,.1f}",
        )
    figure.update_yaxes(axis("requests", rangemode="tozero"))
    figure.update_xaxes(seconds_axis(shown))
    mark_steady(figure, shown)
    return figure


PART = Figure(
    40,
    "Queue and batch",
    "Requests in the running batch and waiting for a place in it, over all replicas: means, and faintly the peaks. "
    "Grey: warm-up and drain.",
    draw,
)
