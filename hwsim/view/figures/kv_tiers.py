"""Where the KV of prompts was found, by tier, and what was copied between tiers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from hwsim.view._figure import BLUE, GREEN, GREY, ORANGE, TEAL, Figure, Shown, axis, canvas
from hwsim.view._numbers import gibibytes, share

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = (GREEN, TEAL, BLUE, ORANGE)
ROWS = {"type": "category", "autorange": "reversed", "showgrid": False, "zeroline": False}


def draw(shown: Shown) -> go.Figure | None:
    """Bars of hit rates above, bars of bytes copied below."""
    tiers = shown.summary.get("kv_tiers")
    if not tiers or tiers["hit_rate"] is None:
        return None
    names = [name for name in tiers if name != "hit_rate"]
    rates = [(name, tiers[name]["hit_rate"], COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)]
    rates.append(("computed", max(1.0 - tiers["hit_rate"], 0.0), GREY))
    copies = [(name, link["bytes"]) for name, link in shown.summary["links"].items() if "busy_share" not in link]
    figure = canvas(showlegend=False)
    figure.update_layout(hovermode="closest", margin={"l": 110, "r": 24, "t": 16, "b": 50})
    split = len(copies) / (len(copies) + len(rates)) if copies else 0.0
    figure.add_bar(
        x=[round(rate, 5) for _, rate, _ in rates],
        y=[escape(name) for name, *_ in rates],
        orientation="h",
        marker={"color": [colour for *_, colour in rates]},
        text=[share(rate) for _, rate, _ in rates],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout({"yaxis": {**ROWS, "domain": [split + 0.12 if copies else 0.0, 1.0]}})
    figure.update_xaxes(axis("share of prompt tokens", range=[0, 1.13], tickformat=".0%", anchor="y"))
    if copies:
        most = max(size for _, size in copies) or 1.0
        figure.add_bar(
            x=[size / most for _, size in copies],
            y=[escape(name.replace("-", " to ")) for name, _ in copies],
            xaxis="x2",
            yaxis="y2",
            orientation="h",
            marker={"color": GREY},
            text=[gibibytes(size) for _, size in copies],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
        figure.update_layout(
            {
                "yaxis2": {**ROWS, "domain": [0.0, split - 0.04]},
                "xaxis2": {"visible": False, "range": [0, 1.25], "anchor": "y2"},
            }
        )
    return figure


PART = Figure(
    58,
    "KV by tier",
    "Above, where the KV of prompt tokens was found: cached on the GPU, loaded from a tier below it, or computed. "
    "Below, bytes of KV copied from place to place over the whole run.",
    draw,
    height=360,
)
