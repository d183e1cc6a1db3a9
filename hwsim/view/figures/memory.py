"""Memory of a GPU by owner over time: what is loaded once, and KV pages in use, cached and free."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.view._figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SAND,
    TEAL,
    Figure,
    Shown,
    axis,
    canvas,
    faint,
    rounded,
    seconds_axis,
)
from hwsim.view._numbers import gibibytes
from hwsim.view._series import binned, edges_of, middles

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = {"weights": BLUE, "activations": TEAL, "runtime": PURPLE, "cuda_graphs": SAND}
GIB = float(1 << 30)


def draw(shown: Shown) -> go.Figure | None:
    """Stacked areas from the bottom: fixed owners, then the KV pool; the mean over replicas."""
    steps, pools = shown.tables["steps"], shown.summary["memory"]
    edges = edges_of(steps, shown.summary, 200)
    kv = _kv_shares(shown)
    if not len(edges) or kv is None or not pools.get("kv"):
        return None
    x = rounded(middles(edges), 7)
    replicas = max(len(np.unique(np.asarray(steps["replica"]))), 1)
    room = float(pools["kv"]["capacity_bytes"]) / GIB
    used = binned({**steps, "kv": kv["kv_used"]}, "kv", edges)[0] / replicas * room
    cached = binned({**steps, "kv": kv["kv_cached"]}, "kv", edges, idle=None)[0] / replicas * room
    cached = np.clip(cached, 0, room - used)
    gpu = pools.get("gpu") or {}
    layers: list[tuple[str, Any, str]] = [
        (escape(name.replace("_", " ")), np.full(len(x), float(size) / GIB), COLOURS.get(name, GREY))
        for name, size in (gpu.get("owners_at_peak") or {}).items()
        if name != "kv_pool" and size
    ]
    layers += [
        ("KV in use", used, ORANGE),
        ("KV cached", cached, GREEN),
        ("KV free", room - used - cached, GREY),
    ]
    figure = canvas()
    figure.update_layout(legend={"traceorder": "normal"}, margin={"t": 58})
    for name, values, colour in layers:
        figure.add_scatter(
            x=x,
            y=rounded(values),
            name=name,
            mode="lines",
            stackgroup="memory",
            line={"width": 0.6, "color": colour},
            fillcolor=faint(colour, 0.15 if name == "KV free" else 0.6),
            hovertemplate="%{y:.2f} GiB",
        )
    _capacity(figure, gpu)
    figure.update_yaxes(axis("GiB per GPU" if gpu else "GiB", rangemode="tozero"))
    figure.update_xaxes(seconds_axis(shown))
    return figure


def _kv_shares(shown: Shown) -> dict[str, np.ndarray] | None:
    """Used and cached shares of the KV pool at each stretch, from the counters that were taken there."""
    counters = shown.tables.get("counters")
    if not counters:
        return None
    names, values = np.asarray(counters["name"]), np.asarray(counters["value"], dtype=np.float64)
    found = {name: values[names == name] for name in ("kv_used", "kv_cached")}
    if any(len(column) != len(shown.tables["steps"]["start"]) for column in found.values()):
        return None
    return found


def _capacity(figure: go.Figure, gpu: dict[str, Any]) -> None:
    if gpu.get("capacity_bytes"):
        figure.add_hline(
            y=gpu["capacity_bytes"] / GIB,
            line={"color": GREY, "width": 1.5, "dash": "dot"},
            annotation={"text": f"HBM {gibibytes(gpu['capacity_bytes'])}", "font": {"size": 11}},
            annotation_position="bottom right",
        )


PART = Figure(
    50,
    "Memory",
    "Who holds the memory of a GPU, the mean over replicas. Cached pages are kept for prefix hits and given up when "
    "pages run short.",
    draw,
)
