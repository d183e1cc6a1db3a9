"""What a figure of the report is, and the look that all share: calm colours that work on light and dark paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

BLUE, ORANGE, GREEN, RED = "#4c7fd9", "#e0873a", "#3d9e7c", "#d4605f"
PURPLE, TEAL, SAND, GREY = "#8e78cc", "#3a9fb3", "#c2a24b", "#8b93a1"
OF_BOUND = {
    "hbm": BLUE,
    "tensor": ORANGE,
    "nvlink": PURPLE,
    "pcie": GREEN,
    "launch": TEAL,
    "host": SAND,
    "idle": "rgba(139,147,161,0.35)",
    "constant": BLUE,
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Shown:
    """A run as figures see it."""

    summary: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the report: ``draw`` returns ``None`` when the run has nothing for it.

    Figures stand in the order of ``order``; ``wide`` ones take the whole width.  ``caption`` says how to read it.
    """

    order: int
    title: str
    caption: str
    draw: Callable[[Shown], go.Figure | None]
    wide: bool = False
    height: int = 320


def canvas(**layout: Any) -> go.Figure:
    """An empty figure with the shared look; colours of text and grid come from the page."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 12},
        margin={"l": 66, "r": 16, "t": 34, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        hovermode="x unified",
        bargap=0.35,
        **layout,
    )
    return figure


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a unit in its title and a quiet grid."""
    settings = {"title": {"text": title, "standoff": 8}, "showgrid": True, "zeroline": False}
    return {**settings, "ticks": "outside", "ticklen": 4, **more}


def seconds_axis(shown: Shown, **more: Any) -> dict[str, Any]:
    """The axis of simulated time."""
    return axis("simulated time (s)", range=[0, float(shown.summary["simulated_seconds"])], tickformat=",.6~f", **more)


def mark_steady(figure: go.Figure, shown: Shown) -> None:
    """Shade warm-up and drain, which measure the length of the run as much as the system."""
    steady = shown.summary.get("steady") or {}
    if steady.get("from_s") is None:
        return
    end = float(shown.summary["simulated_seconds"])
    for start, stop in ((0.0, steady["from_s"]), (steady["to_s"], end)):
        if stop - start > 0.002 * end:
            figure.add_vrect(x0=start, x1=stop, fillcolor=GREY, opacity=0.13, line_width=0, layer="below")


def mark_limit(figure: go.Figure, limit_ms: float, text: str) -> None:
    """A dotted line at a limit on the vertical axis, named above the figure."""
    line = {"color": RED, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", xref="x domain", x0=0, x1=1, y0=limit_ms, y1=limit_ms, line=line)
    place = {
        "xref": "x domain",
        "yref": "y domain",
        "x": 1,
        "y": 1.02,
        "xanchor": "right",
        "yanchor": "bottom",
    }
    figure.add_annotation(text=f"┈ {text}", font={"color": RED, "size": 11}, showarrow=False, **place)


def rounded(values: Any, digits: int = 5) -> list[float]:
    """Numbers with few significant digits, so that the page stays small."""
    return [float(f"{value:.{digits}g}") for value in values]


def faint(colour: str, opacity: float) -> str:
    """A hex colour made transparent."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def time_ticks(low_ms: float, high_ms: float, most: int = 6) -> tuple[list[float], list[str]]:
    """Ticks for a logarithmic axis of times, none closer than ``1/most`` of the axis, each with its unit."""
    from hwsim.view._numbers import milliseconds

    best: list[float] = []
    for steps in ((1, 2, 5), (1, 3), (1, 5), (2,), (3,), (1,)):
        ticks = _log_ticks(low_ms, high_ms, steps)
        nearest = min((log10(b / a) for a, b in pairwise(ticks)), default=0.0)
        if len(ticks) >= 2 and nearest >= log10(high_ms / low_ms) / most:
            best = ticks
            break
        best = min(best, ticks, key=lambda found: (len(found) < 2, len(found)))
    return best, [milliseconds(tick) for tick in best]


def _log_ticks(low: float, high: float, steps: Sequence[int]) -> list[float]:
    values = [step * 10.0**power for power in range(-4, 9) for step in steps]
    return [value for value in values if low <= value <= high]
