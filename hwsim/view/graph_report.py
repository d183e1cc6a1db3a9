"""The report of a task graph's run: key figures, where the critical path goes, timeline, picture, streams, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.view import report
from hwsim.view._figure import GREY, axis, canvas
from hwsim.view._numbers import gibibytes, milliseconds, plain, quantity, share
from hwsim.view._tiles import Tile
from hwsim.view.graph_picture import COLOURS, picture
from hwsim.view.graph_screen import graph_headline

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_BARS = 1500


def graph_html(
    summary: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], resolved_yaml: str, manifest: Mapping[str, Any]
) -> str:
    """The page as text; pictures are left out where no spans were kept."""
    from plotly.offline import get_plotlyjs

    spans = tables.get("spans")
    figures = [timeline(spans)] if spans is not None and len(spans["span"]) else []
    cards, data = "", ""
    for number, figure in enumerate(figures):
        place = f"figure-graph-{number}"
        cards += (
            f'<figure class="card wide"><h2>Timeline</h2><div class="plot" id="{place}" style="min-height:360px"></div>'
            "<figcaption>The first tasks of each stream by what they are; hover for what they waited for. "
            "Steady states that were jumped over are not drawn.</figcaption></figure>"
        )
        plot = figure.to_plotly_json()
        text = report._for_script({"data": plot["data"], "layout": plot["layout"]})
        data += f'<script type="application/json" data-figure="{place}">{text}</script>'
    drawn = picture(spans) if spans is not None else ""
    if drawn:
        cards += (
            f'<figure class="card wide"><h2>The graph</h2><div class="scroll">{drawn}</div><figcaption>A box is all '
            "tasks of one name on one stream, an arrow says whose end let whom begin, the thicker the more often."
            "</figcaption></figure>"
        )
    body = [
        f'<p class="name">{escape(str(summary["name"]))} · seed {escape(str(summary["seed"]))}</p>',
        f"<h1>{escape(graph_headline(summary))}</h1>",
        report._warnings(summary["warnings"]),
        '<section class="tiles">' + "".join(map(report._tile, _tiles(summary))) + "</section>",
        '<section class="grid">' + cards + "".join(part(summary) for part in (_path, _streams, _links, _memory)),
        "</section>",
        report._scenario(resolved_yaml),
        report._footer(summary, manifest),
    ]
    style = (report.PAGE / "report.css").read_text(encoding="utf-8")
    script = (report.PAGE / "report.js").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{report.POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>'
        f"{escape(str(summary['name']))} · hwsim</title><style>{style}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n"
        f"<script>{get_plotlyjs()}</script>\n{data}\n<script>{script}</script>\n</body></html>\n"
    )


def timeline(spans: Mapping[str, Any]) -> go.Figure:
    """Bars of the first tasks, a row per stream, coloured by kind."""
    figure = canvas()
    figure.update_layout(barmode="overlay", hovermode="closest", margin={"l": 120, "r": 16, "t": 34, "b": 50})
    order = np.argsort(np.asarray(spans["start_ticks"]), kind="stable")[:MOST_BARS].tolist()
    tracks = list(dict.fromkeys(str(spans["track"][row]) for row in order))
    for kind in dict.fromkeys(str(spans["kind"][row]) for row in order):
        rows = [row for row in order if spans["kind"][row] == kind]
        figure.add_bar(
            x=[float(spans["end_s"][row] - spans["start_s"][row]) * 1e3 for row in rows],
            base=[float(spans["start_s"][row]) * 1e3 for row in rows],
            y=[str(spans["track"][row]) for row in rows],
            orientation="h",
            name=kind,
            marker={"color": COLOURS.get(kind, GREY), "line": {"width": 0}},
            hovertext=[_hover(spans, row) for row in rows],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.update_layout(
        height=max(200, 90 + 36 * len(tracks)),
        xaxis=axis("simulated time (ms)"),
        yaxis={"type": "category", "categoryarray": tracks, "autorange": "reversed", "showgrid": False},
    )
    return figure


def _hover(spans: Mapping[str, Any], row: int) -> str:
    took = milliseconds(float(spans["end_s"][row] - spans["start_s"][row]) * 1e3)
    alone = milliseconds(float(spans["alone_s"][row]) * 1e3)
    name, reason = escape(str(spans["name"][row])), escape(str(spans["reason"][row]))
    return f"{name}: {took} ({alone} alone)<br>bound by {escape(str(spans['resource'][row]))}<br>after {reason}"


def _tiles(summary: Mapping[str, Any]) -> Iterator[Tile]:
    if summary["step_time_ms"] is not None:
        yield _tile("Step", milliseconds(summary["step_time_ms"]), f"{plain(summary['steps'])} steps")
    if summary["output_throughput"] is not None:
        yield Tile("Tokens", plain(summary["output_throughput"]), "tokens/s", f"{plain(summary['tokens'])} tokens")
    yield _tile("Makespan", milliseconds(summary["simulated_seconds"] * 1e3), f"{summary['tasks']:,} tasks")
    yield Tile("Compute", plain(summary["tflops"]), "TFLOP/s", f"{quantity(summary['flop'], 'flop')} in all")
    for name, part in list(summary["bottleneck"].items())[:2]:
        yield _tile(name, share(part), "of the critical path")


def _tile(what: str, value: str, more: str) -> Tile:
    number, _, unit = value.partition(" ")
    return Tile(what, number, unit, more)


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], note: str = "") -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    foot = f'<p class="note">{escape(note)}</p>' if note else ""
    return (
        f'<section class="card"><h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{foot}</section>"
    )


def _path(summary: Mapping[str, Any]) -> str:
    rows = [(name, share(part)) for name, part in summary["bottleneck"].items()]
    note = (
        "Each moment belongs to the task that the rest waited for; hwsim explain says what a faster part would bring."
    )
    return _table("Critical path", ("resource", "share"), rows, note)


def _streams(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, stream in summary["streams"].items():
        stalls = sorted(stream["stalls"].items(), key=lambda item: -item[1])
        text = ", ".join(f"{reason} {share(part)}" for reason, part in stalls[:3])
        rows.append((name, share(stream["busy_share"]), text))
    return _table("Streams", ("stream", "busy", "waits for"), rows)


def _links(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, figures in summary["capacities"].items():
        unit = str(figures["unit"]).replace("FLOP", "flop")
        rows.append((name, quantity(figures["amount"], unit), share(figures["used_share"])))
    return _table("Capacities", ("capacity", "taken", "used"), rows)


def _memory(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, pool in summary["memory"].items():
        owners = sorted(pool["owners_at_peak"].items(), key=lambda item: -item[1])[:4]
        if "peak_bytes" in pool:
            parts = ", ".join(f"{owner} {gibibytes(size)}" for owner, size in owners)
            rows.append((name, gibibytes(pool["peak_bytes"]), gibibytes(pool["capacity_bytes"]), parts))
        else:
            parts = ", ".join(f"{owner} {size}" for owner, size in owners)
            rows.append((name, str(pool["peak_places"]), str(pool["capacity_places"]), parts))
    return _table("Memory at its peak", ("memory", "peak", "of", "held by"), rows)
