"""Where the time goes: shares by the resource that bounds, and how much of the peaks is used."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from hwsim.view._figure import BLUE, GREEN, GREY, OF_BOUND, ORANGE, TEAL, Figure, Shown, axis, canvas
from hwsim.view._numbers import share
from hwsim.view._words import bound_name

if TYPE_CHECKING:
    import plotly.graph_objects as go

GAP = 0.11  # between the two groups of bars
TICKS = [0, 0.25, 0.5, 0.75, 1]
ROWS = {"type": "category", "autorange": "reversed", "showgrid": False, "zeroline": False}


def draw(shown: Shown) -> go.Figure | None:
    """Two groups of bars on one axis of per cent."""
    shares = {name: value for name, value in shown.summary["bottleneck"].items() if value > 0.0005}
    if not shares:
        return None
    bounds = [(escape(bound_name(name)), value, OF_BOUND.get(name, GREY)) for name, value in shares.items()]
    peaks = _peaks(shown)
    figure = canvas(showlegend=False)
    figure.update_layout(hovermode="closest", margin={"l": 110, "r": 24, "t": 28, "b": 50})
    room = 1 - GAP if peaks else 1.0
    split = 1 - room * len(bounds) / (len(bounds) + len(peaks))
    groups = [("time bound by", bounds, [split, 1.0], "y")]
    if peaks:
        groups.append(("reached", peaks, [0.0, split - GAP], "y2"))
    for title, rows, domain, at in groups:
        _bars(figure, rows, at)
        figure.update_layout({f"yaxis{at[1:]}": {**ROWS, "domain": domain}})
        place = {
            "xref": "paper",
            "yref": "paper",
            "x": 0,
            "y": domain[1],
            "xanchor": "right",
            "yanchor": "bottom",
        }
        figure.add_annotation(text=title, showarrow=False, font={"size": 11, "color": GREY}, **place)
    anchor = "y2" if peaks else "y"
    figure.update_xaxes(axis("share", range=[0, 1.13], tickvals=TICKS, tickformat=".0%", anchor=anchor))
    return figure


def _bars(figure: go.Figure, rows: list[tuple[str, float, str]], at: str) -> None:
    figure.add_bar(
        x=[round(value, 5) for _, value, _ in rows],
        y=[name for name, *_ in rows],
        yaxis=at,
        orientation="h",
        marker={"color": [colour for *_, colour in rows]},
        text=[share(value) for _, value, _ in rows],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )


def _peaks(shown: Shown) -> list[tuple[str, float, str]]:
    summary = shown.summary
    kv = summary["memory"].get("kv") or {}
    filled = kv["peak_bytes"] / kv["capacity_bytes"] if kv.get("capacity_bytes") else None
    rows = (
        ("MFU", summary["mfu"], ORANGE),
        ("MBU", summary["mbu"], BLUE),
        ("KV pool, peak", filled, TEAL),
        ("SLO kept", summary["slo_attainment"], GREEN),
    )
    return [(name, value, colour) for name, value, colour in rows if value is not None]


PART = Figure(
    60,
    "Bottleneck and utilisation",
    "Device time by the resource that bounds it; host is step time without device work. MFU and MBU are over the "
    "whole simulated time, idle parts included.",
    draw,
    height=330,
)
