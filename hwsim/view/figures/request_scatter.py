"""Every request by arrival: how long its first token took, larger dots for longer prompts."""

from __future__ import annotations

from html import escape
from math import log10
from typing import TYPE_CHECKING

import numpy as np

from hwsim.metrics.latency import completed
from hwsim.view._figure import (
    BLUE,
    Figure,
    Shown,
    axis,
    canvas,
    mark_limit,
    mark_steady,
    rounded,
    seconds_axis,
    time_ticks,
)
from hwsim.view._numbers import milliseconds
from hwsim.view._series import sample

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST = 3000
FAR = 20.0  # a limit further away than this is not drawn: it would flatten the picture


def draw(shown: Shown) -> go.Figure | None:
    """A dot per completed request, or the slowest and an even sample of very many."""
    requests = shown.tables["requests"]
    kept = np.nonzero(completed(requests))[0]
    if not len(kept):
        return None
    arrival = np.asarray(requests["arrival_s"])[kept]
    ttft = (np.asarray(requests["first_token_s"])[kept] - arrival) * 1e3
    points = sample(ttft, MOST)
    prompts = np.asarray(requests["input_tokens"])[kept][points]
    outputs = np.asarray(requests["output_tokens"])[kept][points]
    names = [escape(str(requests["request_id"][i])[:60]) for i in kept[points]]
    labels = zip(names, ttft[points], prompts, outputs, strict=True)
    figure = canvas(showlegend=False)
    figure.update_layout(hovermode="closest", margin={"l": 78})
    figure.add_scatter(
        x=rounded(arrival[points], 7),
        y=rounded(np.maximum(ttft[points], 1e-3)),
        mode="markers",
        marker={
            "size": rounded(3 + 7 * np.sqrt(prompts / max(int(prompts.max()), 1)), 3),
            "color": BLUE,
            "opacity": 0.45 if len(points) > 400 else 0.6,
            "line": {"width": 0},
        },
        text=[f"{n}<br>TTFT {milliseconds(t)}<br>{p:,} in, {o:,} out" for n, t, p, o in labels],
        hovertemplate="%{text}<extra></extra>",
    )
    low, high = float(max(ttft[points].min(), 1e-3)), float(ttft[points].max())
    limit = (shown.summary.get("slo") or {}).get("ttft_ms")
    if limit is not None and low / FAR < limit < high * FAR:
        low, high = min(low, limit), max(high, limit)
        mark_limit(figure, limit, f"SLO {milliseconds(limit)}")
    low, high = low / 1.3, high * 1.3
    ticks, texts = time_ticks(low, high)
    scale = {"type": "log", "range": [log10(low), log10(high)], "tickvals": ticks, "ticktext": texts}
    figure.update_yaxes(axis("TTFT", **scale))
    figure.update_xaxes(seconds_axis(shown))
    mark_steady(figure, shown)
    return figure


PART = Figure(
    20,
    "Requests",
    "Time to first token by arrival; larger dots have longer prompts. Grey: warm-up and drain. Of very many requests "
    "the slowest and an even sample are drawn.",
    draw,
)
