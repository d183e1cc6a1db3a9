"""Tokens per second over time: output tokens that leave and prompt tokens that are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwsim.metrics.throughput import spread_until, tokens_until
from hwsim.view._figure import (
    BLUE,
    ORANGE,
    Figure,
    Shown,
    axis,
    canvas,
    faint,
    mark_steady,
    rounded,
    seconds_axis,
)
from hwsim.view._series import edges_of, middles

if TYPE_CHECKING:
    import plotly.graph_objects as go

BINS = 120  # wide enough that single prompts do not make a comb


def draw(shown: Shown) -> go.Figure | None:
    """Two lines, each the mean over equal bins of time."""
    steps, requests = shown.tables["steps"], shown.tables["requests"]
    edges = edges_of(steps, shown.summary, BINS)
    if not len(edges):
        return None
    width, x = float(edges[1] - edges[0]), rounded(middles(edges), 7)
    figure = canvas()
    for name, total, colour, fill in (
        ("prompt tokens computed", spread_until(steps, "prefill_tokens", edges), ORANGE, None),
        ("output tokens", tokens_until(steps, requests, edges), BLUE, "tozeroy"),
    ):
        figure.add_scatter(
            x=x,
            y=rounded(np.diff(total) / width),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2.0 if fill else 1.2},
            opacity=1.0 if fill else 0.75,
            fill=fill,
            fillcolor=faint(colour, 0.12),
            hovertemplate="%{y:,.0f} /s",
        )
    figure.update_yaxes(axis("tokens/s", rangemode="tozero"))
    figure.update_xaxes(seconds_axis(shown))
    mark_steady(figure, shown)
    return figure


PART = Figure(
    30,
    "Throughput",
    "Tokens per second over all replicas, as means over equal slices of time. Grey: warm-up and drain.",
    draw,
)
