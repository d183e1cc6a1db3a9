"""Cumulative distributions of the four latencies, with medians, tails and the limits of the SLO."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.metrics.latency import Latencies
from hwsim.metrics.load import step_ends
from hwsim.view._figure import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    Figure,
    Shown,
    axis,
    canvas,
    faint,
    rounded,
    time_ticks,
)
from hwsim.view._numbers import milliseconds
from hwsim.view._series import distribution

if TYPE_CHECKING:
    import plotly.graph_objects as go

MS = 1e-9  # ms in a picosecond
PANELS = (("ttft", "TTFT", BLUE), ("tpot", "TPOT", GREEN), ("itl", "ITL", ORANGE), ("e2e", "E2E", PURPLE))
GAP = 0.045
FAR = 3.0  # a limit further out than this times the longest sample is not drawn


def draw(shown: Shown) -> go.Figure | None:
    """Four panels side by side; an axis is logarithmic where the tail is far from the median."""
    samples = _samples(shown)
    if not samples:
        return None
    figure = canvas(showlegend=False)
    figure.update_layout(hovermode="closest", margin={"l": 66, "r": 16, "t": 30, "b": 50})
    width = (1 - GAP * 3) / 4
    for number, (key, name, colour) in enumerate(PANELS, start=1):
        x, y = _axis("xaxis", number), _axis("yaxis", number)
        left = (number - 1) * (width + GAP)
        domain = {"domain": [left, left + width], "anchor": _axis("y", number)}
        labels = {
            "tickformat": ".0%",
            "showticklabels": number == 1,
            "anchor": _axis("x", number),
            "range": [0, 1.02],
        }
        figure.update_layout({y: axis("share of samples" if number == 1 else "", **labels)})
        if key not in samples:
            figure.update_layout({x: axis(f"{name}: no samples", **domain, showticklabels=False)})
            continue
        values, shares = distribution(*samples[key])
        limit = (shown.summary.get("slo") or {}).get(f"{key}_ms")
        figure.update_layout({x: axis(name, **domain, **_scale(values, shares, limit))})
        _panel(figure, number, colour, values, shares)
        _marks(figure, number, shown, key, colour)
    return figure


def _axis(name: str, number: int) -> str:
    """The first axis has no number."""
    return name if number == 1 else f"{name}{number}"


def _samples(shown: Shown) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    latencies = Latencies.of(shown.tables["requests"])
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for key in ("ttft", "tpot", "e2e"):
        values = getattr(latencies, key) * MS
        if len(values):
            found[key] = values, np.ones(len(values))
    steps = shown.tables["steps"]
    tokens = np.asarray(steps["steps"], dtype=np.float64) * np.asarray(steps["decode_rows"])
    if np.any(tokens > 0):
        # One value per stretch, its mean step: the tables give exact figures, a line cannot show the difference.
        length = (step_ends(steps) - np.asarray(steps["start_ticks"])) / np.asarray(steps["steps"]) * MS
        gaps = shown.tables.get("gaps") or {"gap_s": (), "count": ()}
        values = np.concatenate([length, np.asarray(gaps["gap_s"], dtype=np.float64) * 1e3])
        weights = np.concatenate([tokens, np.asarray(gaps["count"], dtype=np.float64)])
        found["itl"] = values[weights > 0], weights[weights > 0]
    return found


def _scale(values: np.ndarray, shares: np.ndarray, limit: float | None) -> dict[str, Any]:
    """Range and ticks of an axis that shows all but the last of ten thousand, and the limit if it is near."""
    low, middle, high = (float(values[np.searchsorted(shares, share)]) for share in (0.0, 0.5, 0.9999))
    if limit is not None and low < limit < FAR * high:
        high = max(high, limit * 1.05)
    if low > 0 and (high > 8 * middle or middle > 8 * low):
        ticks, texts = time_ticks(low, high, 4)
        if len(ticks) >= 2:
            ends = [math.log10(low * 0.95), math.log10(high * 1.15)]
            return {"type": "log", "range": ends, "tickvals": ticks, "ticktext": texts, "tickangle": 0}
    factor, unit = (1e-3, " s") if high >= 2000 else (1.0, " ms")
    ticks = _round_ticks(low * factor, high * factor)
    texts = [f"{tick:g}{unit}" for tick in ticks]
    room = max((high - low) * 0.04, high * 1e-3)
    ends = [low - room, high + room]
    return {"range": ends, "tickvals": [tick / factor for tick in ticks], "ticktext": texts, "tickangle": 0}


def _round_ticks(low: float, high: float) -> list[float]:
    """Three to five round numbers between two values."""
    span = max(high - low, high * 1e-3, 1e-6)
    step = 10.0 ** np.floor(np.log10(span))
    step = next(s for s in (step / 5, step / 2, step, step * 2, step * 5) if span / s <= 4.5)
    return [float(f"{tick:.6g}") for tick in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def _panel(figure: go.Figure, number: int, colour: str, values: np.ndarray, shares: np.ndarray) -> None:
    figure.add_scatter(
        x=rounded(values),
        y=rounded(shares),
        xaxis=_axis("x", number),
        yaxis=_axis("y", number),
        mode="lines",
        line={"color": colour, "width": 2.2, "shape": "hv"},
        fill="tozeroy",
        fillcolor=faint(colour, 0.10),
        customdata=[milliseconds(value) for value in values],
        hovertemplate="%{y:.2%} at or below %{customdata}<extra></extra>",
    )


def _marks(figure: go.Figure, number: int, shown: Shown, key: str, colour: str) -> None:
    """Dots at p50 and p99, their values above the panel, and the limit of the SLO."""
    figures, slo = shown.summary[f"{key}_ms"], shown.summary.get("slo") or {}
    figure.add_scatter(
        x=[figures["p50"], figures["p99"]],
        y=[0.5, 0.99],
        xaxis=_axis("x", number),
        yaxis=_axis("y", number),
        mode="markers",
        marker={"size": 8, "color": colour, "line": {"width": 1.5, "color": "white"}},
        hoverinfo="skip",
    )
    text = f"p50 {milliseconds(figures['p50'])}   p99 {milliseconds(figures['p99'])}"
    place = {
        "xref": _axis("x", number) + " domain",
        "yref": "paper",
        "x": 0,
        "y": 1.02,
        "yanchor": "bottom",
        "showarrow": False,
    }
    figure.add_annotation(text=text, xanchor="left", **place)
    limit = slo.get(f"{key}_ms")
    if limit is not None and limit < FAR * (figures["max"] or 0):
        log = figure.layout[_axis("xaxis", number)].type == "log"
        figure.add_scatter(
            x=[limit, limit],
            y=[0, 1],
            xaxis=_axis("x", number),
            yaxis=_axis("y", number),
            mode="lines",
            line={"color": RED, "width": 1.5, "dash": "dot"},
            hovertemplate=f"SLO {milliseconds(limit)}<extra></extra>",
        )
        figure.add_annotation(
            text=f"SLO {milliseconds(limit)}",
            font={"color": RED, "size": 11},
            xref=_axis("x", number),
            yref=_axis("y", number),
            x=np.log10(limit) if log else limit,
            y=0.04,
            textangle=-90,
            xanchor="right",
            yanchor="bottom",
            showarrow=False,
        )


PART = Figure(
    10,
    "Latency",
    "Share of requests (TTFT, TPOT, E2E) or of gaps between tokens (ITL) at or below a time. Dots: p50 and p99. "
    "TPOT averages a request's gaps; ITL shows the single stalls that hides.",
    draw,
    wide=True,
    height=300,
)
