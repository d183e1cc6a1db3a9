"""What the pools of a run did with their time, side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from hwsim.view._figure import GREY, OF_BOUND, Figure, Shown, axis, canvas
from hwsim.view._numbers import share
from hwsim.view._words import bound_name

if TYPE_CHECKING:
    import plotly.graph_objects as go


def draw(shown: Shown) -> go.Figure | None:
    """One bar for each pool, in pieces by the resource that bounds; what is missing to 100 % is idle."""
    pools = shown.summary.get("pools") or {}
    if not pools:
        return None
    figure = canvas(barmode="stack")
    names = [escape(name) for name in pools]
    resources = dict.fromkeys(resource for pool in pools.values() for resource in pool["busy"])
    for resource in sorted(resources, key=lambda name: -max(pool["busy"].get(name, 0.0) for pool in pools.values())):
        shares = [float(pool["busy"].get(resource, 0.0)) for pool in pools.values()]
        figure.add_bar(
            x=[round(value, 5) for value in shares],
            y=names,
            name=escape(bound_name(resource)),
            orientation="h",
            marker={"color": OF_BOUND.get(resource, GREY)},
            customdata=[share(value) for value in shares],
            hovertemplate="%{y}: %{customdata}",
        )
    figure.update_layout(hovermode="closest", margin={"l": 110, "r": 24, "t": 34, "b": 50})
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, zeroline=False)
    figure.update_xaxes(axis("share of the time of all replicas", range=[0, 1.02], tickformat=".0%"))
    return figure


PART = Figure(
    62,
    "What each pool does",
    "Time of a pool's replicas by the resource that bounds their steps; the rest of 100 % they are idle or wait.",
    draw,
    height=260,
)
