"""A short window of one replica, step by step: how long each step takes, and which requests wait, prefill, decode."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from hwsim.metrics.load import step_ends
from hwsim.metrics.statistics import TICKS
from hwsim.view._figure import BLUE, GREY, ORANGE, Figure, Shown, axis, canvas, faint
from hwsim.view._numbers import milliseconds

if TYPE_CHECKING:
    import plotly.graph_objects as go

STEPS = 140  # about as many bars as can be told apart
LONGEST = 12  # the longest step takes at most a twelfth of the width
MOST_STEPS = 1200
MOST_REQUESTS = 28
PHASES = (("waiting", GREY), ("prefill", ORANGE), ("decode", BLUE))


def draw(shown: Shown) -> go.Figure | None:
    """Steps above, requests below, on one axis of time."""
    steps = shown.tables["steps"]
    if not len(steps["start"]):
        return None
    window = _window(shown)
    if window is None:
        return None
    replica, low, high = window
    figure = canvas()
    figure.update_layout(hovermode="closest", bargap=0, barmode="overlay", margin={"l": 66, "r": 16, "t": 34, "b": 50})
    _steps(figure, shown, replica, low, high)
    shown_requests = _requests(figure, shown, replica, low, high)
    figure.update_layout(
        xaxis=axis("", range=[low, high], domain=[0, 1], anchor="y", showticklabels=False, matches="x2"),
        xaxis2=axis("simulated time (s)", range=[low, high], anchor="y2", tickformat=",.4~f"),
        yaxis=axis("step (ms)", domain=[0.58, 1.0], rangemode="tozero"),
        yaxis2=axis("requests", domain=[0, 0.52], showticklabels=False, showgrid=False, ticks="", anchor="x2"),
    )
    figure.update_layout(yaxis2_range=[max(shown_requests, 1) - 0.4, -0.6])
    return figure


def _window(shown: Shown) -> tuple[int, float, float] | None:
    """The busiest replica and the time around its longest step with a prompt, in the steady part if there is one."""
    steps, steady = shown.tables["steps"], shown.summary.get("steady") or {}
    replica, start = np.asarray(steps["replica"]), np.asarray(steps["start"])
    names, counts = np.unique(replica, return_counts=True)
    busiest = int(names[np.argmax(counts)])
    length, each = _lengths(steps)
    low, high = steady.get("from_s"), steady.get("to_s")
    mine = replica == busiest
    inside = mine & (start >= low) & (start < high) if low is not None and high is not None else mine
    chosen = np.nonzero(inside if np.any(inside) else mine)[0]
    order = chosen[np.argsort(each[chosen], kind="stable")]
    usual = float(np.sum(length[mine]) / max(np.sum(np.asarray(steps["steps"])[mine]), 1))
    if usual <= 0:
        return None
    centre, width = float(start[order[-1]]), max(STEPS * usual, LONGEST * float(each[order[-1]]))
    first = max(centre - 0.4 * width, float(np.min(start[mine])))
    return busiest, first, first + width


def _lengths(steps) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of each stretch, and of a step of it on average."""
    length = (step_ends(steps) - np.asarray(steps["start_ticks"])) / TICKS
    return length, length / np.asarray(steps["steps"])


def _steps(figure: go.Figure, shown: Shown, replica: int, low: float, high: float) -> None:
    steps = shown.tables["steps"]
    start, end = np.asarray(steps["start"]), step_ends(steps) / TICKS
    inside = np.nonzero((np.asarray(steps["replica"]) == replica) & (end > low) & (start < high))[0]
    bars: dict[bool, list[tuple[float, float, str]]] = {False: [], True: []}
    for i in inside:
        first, slope = float(steps["first_duration"][i]), float(steps["slope"][i])
        prefill, rows = int(steps["prefill_tokens"][i]), int(steps["decode_rows"][i])
        at = float(start[i])
        for j in range(int(steps["steps"][i])):
            long = first + j * slope
            if at + long > low and at < high and len(bars[False]) + len(bars[True]) < MOST_STEPS:
                text = f"step {int(steps['first_step'][i]) + j}: {milliseconds(long * 1e3)}"
                text += f"<br>{rows} decode rows, {prefill} prompt tokens<br>bound: {escape(str(steps['bound'][i]))}"
                bars[prefill > 0].append((at, long, text))
            at += long
            if at >= high:
                break
    for with_prompt, name, colour in (
        (False, "decode step", BLUE),
        (True, "step with prompt tokens", ORANGE),
    ):
        rows_of = bars[with_prompt]
        figure.add_bar(
            x=[round(at + long / 2, 7) for at, long, _ in rows_of],
            y=[float(f"{long * 1e3:.5g}") for _, long, _ in rows_of],
            width=[float(f"{long * 0.9:.5g}") for _, long, _ in rows_of],
            name=name,
            marker={"color": faint(colour, 0.85), "line": {"width": 0}},
            hovertext=[text for *_, text in rows_of],
            hovertemplate="%{hovertext}<extra></extra>",
        )


def _requests(figure: go.Figure, shown: Shown, replica: int, low: float, high: float) -> int:
    """Bars of the last requests that arrived before the window's end and were alive in it; how many there are."""
    table = shown.tables["requests"]
    arrival, end = np.asarray(table["arrival_s"]), np.asarray(table["finish_s"])
    mine = (np.asarray(table["replica"]) == replica) & ~np.isnan(np.asarray(table["scheduled_s"]))
    alive = np.nonzero(mine & (arrival < high) & ~(end < low))[0]
    alive = alive[np.argsort(arrival[alive], kind="stable")][-MOST_REQUESTS:]
    edges = [np.asarray(table[name]) for name in ("arrival_s", "scheduled_s", "first_token_s", "finish_s")]
    for (name, colour), starts, stops in zip(PHASES, edges, edges[1:], strict=False):
        base, length, y, texts = [], [], [], []
        for row, i in enumerate(alive):
            a, b = starts[i], stops[i]
            a, b = max(high if np.isnan(a) else a, low), min(high if np.isnan(b) else b, high)
            if b > a:
                base.append(round(float(a), 7))
                length.append(round(float(b - a), 7))
                y.append(row)
                texts.append(f"{escape(str(table['request_id'][i])[:60])}: {name}")
        figure.add_bar(
            x=length,
            base=base,
            y=y,
            orientation="h",
            xaxis="x2",
            yaxis="y2",
            width=0.72,
            name=name,
            legendgroup=name,
            marker={"color": faint(colour, 0.8), "line": {"width": 0}},
            hovertext=texts,
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=name == "waiting" or name == "prefill",
        )
    return len(alive)


PART = Figure(
    70,
    "Timeline",
    "A window of one replica around its longest step. Above: each engine step by its duration. Below: the requests in "
    "it by arrival, waiting, in prefill, and decoding (blue).",
    draw,
    wide=True,
    height=430,
)
