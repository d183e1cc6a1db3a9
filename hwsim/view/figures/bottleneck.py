"""Where the time goes: shares by the resource that bounds, and how much of the peaks is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.view._figure import BLUE, GREEN, GREY, OF_BOUND, ORANGE, TEAL, Figure, Shown, axis, canvas
from hwsim.view._numbers import share
from hwsim.view._words import bound_name

if TYPE_CHECKING:
    import plotly.graph_objects as go


def draw(shown: Shown) -> go.Figure | None:
    """Two groups of bars on one axis of per cent."""
    shares = {name: value for name, value in shown.summary["bottleneck"].items() if value > 0.0005}
    if not shares:
        return None
    peaks = _peaks(shown)
    names = [bound_name(name) for name in shares] + [name for name, *_ in peaks]
    values = [*shares.values(), *(value for _, value, _ in peaks)]
    colours = [OF_BOUND.get(name, GREY) for name in shares] + [colour for *_, colour in peaks]
    groups = ["time bound by"] * len(shares) + ["of the peak"] * len(peaks)
    figure = canvas(showlegend=False)
    figure.update_layout(hovermode="closest", margin={"l": 150, "r": 52, "t": 12, "b": 44})
    figure.add_bar(
        x=[round(value, 5) for value in values],
        y=[groups, names],
        orientation="h",
        marker={"color": colours},
        text=[share(value) for value in values],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_xaxes(axis("share of simulated time, or of the peak rate", range=[0, 1], tickformat=".0%"))
    figure.update_yaxes(
        type="multicategory", autorange="reversed", showgrid=False, ticks="", dividercolor=GREY
    )
    return figure


def _peaks(shown: Shown) -> list[tuple[str, float, str]]:
    summary = shown.summary
    kv = summary["memory"].get("kv") or {}
    filled = kv["peak_bytes"] / kv["capacity_bytes"] if kv.get("capacity_bytes") else None
    rows = (
        ("FLOP/s (MFU)", summary["mfu"], ORANGE),
        ("bytes/s (MBU)", summary["mbu"], BLUE),
        ("KV pool, at most", filled, TEAL),
        ("SLO kept", summary["slo_attainment"], GREEN),
    )
    return [(name, value, colour) for name, value, colour in rows if value is not None]


PART = Figure(
    60,
    "Bottleneck and utilisation",
    "Device time by the resource that bounds it; host is step time without device work. MFU and MBU are over the "
    "whole simulated time, idle parts included.",
    draw,
)
