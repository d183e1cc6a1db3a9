"""The report: one HTML file with everything in it, for a browser without a network.

Whatever comes from outside (names, reasons, scenario text) is escaped before it is put on the page, and a content
security policy keeps the page from loading or sending anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from hwsim.part import Parts
from hwsim.view._figure import Figure, Shown
from hwsim.view._members import handed_over, members
from hwsim.view._numbers import milliseconds
from hwsim.view._tiles import Tile, tiles
from hwsim.view._words import headline, least, objective

PAGE = Path(__file__).parent / "page"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
TABLE_ORDER = 65
STATISTICS = ("mean", "std", "p50", "p90", "p95", "p99", "max")
ROWS = (
    ("ttft_ms", "TTFT", "time to first token"),
    ("tpot_ms", "TPOT", "time per output token, by request"),
    ("itl_ms", "ITL", "gaps between tokens, by token"),
    ("e2e_ms", "E2E", "end to end"),
    ("queue_wait_ms", "Queue wait", "until first scheduled"),
)


def report_html(
    summary: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]],
    resolved_yaml: str,
    manifest: Mapping[str, Any],
) -> str:
    """The page as text.  Figures are left out where the tables for them were not kept."""
    from plotly.offline import get_plotlyjs

    shown = Shown(summary, tables)
    drawn = list(_drawn(shown))
    cards = _in_order(drawn, [_latency_table(summary), *_members(summary)])
    body = [
        f'<p class="name">{escape(str(summary["name"]))} · seed {escape(str(summary["seed"]))}</p>',
        f"<h1>{_bound_units(headline(summary))}</h1>",
        _warnings(summary["warnings"]),
        '<section class="tiles">' + "".join(map(_tile, tiles(summary))) + "</section>",
        '<section class="grid">' + "".join(cards) + "</section>",
        _rejections(tables.get("requests")),
        _glossary(),
        _scenario(resolved_yaml),
        _manifest(summary, manifest),
        _footer(summary, manifest),
    ]
    scripts = [get_plotlyjs(), *(data for *_, data in drawn)]
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(str(summary['name']))} · hwsim</title>",
            f"<style>{(PAGE / 'report.css').read_text(encoding='utf-8')}</style></head>\n<body><main>\n",
            "\n".join(part for part in body if part),
            f"\n</main>\n<script>{scripts[0]}</script>\n",
            "\n".join(scripts[1:]),
            f"\n<script>{(PAGE / 'report.js').read_text(encoding='utf-8')}</script>\n</body></html>\n",
        )
    )


def _drawn(shown: Shown) -> Iterator[tuple[int, str, str]]:
    """Each figure's place on the page and its data."""
    if not {"requests", "steps"} <= set(shown.tables):
        return
    parts = Parts("hwsim.view.figures")
    figures: list[tuple[str, Figure]] = [(name, parts.get(name)) for name in parts.names()]
    for name, figure in sorted(figures, key=lambda item: (item[1].order, item[0])):
        plot = figure.draw(shown)
        if plot is None:
            continue
        place, wide = f"figure-{escape(name)}", " wide" if figure.wide else ""
        plot.update_layout(height=figure.height)
        markup = (
            f'<figure class="card{wide}"><h2>{escape(figure.title)}</h2>'
            f'<div class="plot" id="{place}" style="min-height:{figure.height}px"></div>'
            f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
        )
        data = plot.to_plotly_json()
        text = _for_script({"data": data["data"], "layout": data["layout"]})
        yield figure.order, markup, f'<script type="application/json" data-figure="{place}">{text}</script>'


def _in_order(drawn: list[tuple[int, str, str]], cards: list[str]) -> list[str]:
    """Figures, and the tables, the last of which fills the row where the number of all is odd."""
    narrow = '<section class="card">', '<figure class="card">'
    if sum(markup.startswith(narrow) for markup in [*(markup for _, markup, _ in drawn), *cards]) % 2:
        cards = [*cards[:-1], cards[-1].replace('class="card"', 'class="card wide"', 1)]
    places = [(order, markup) for order, markup, _ in drawn] + [(TABLE_ORDER, card) for card in cards]
    return [markup for _, markup in sorted(places, key=lambda place: place[0])]


def _for_script(content: Any) -> str:
    """JSON that can stand inside a script element whatever texts it holds."""
    from plotly.utils import PlotlyJSONEncoder

    text = json.dumps(content, cls=PlotlyJSONEncoder, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _tile(tile: Tile) -> str:
    unit = f" <small>{escape(tile.unit)}</small>" if tile.unit else ""
    return (
        f'<div class="tile {tile.kind}"><div class="what">{escape(tile.what)}</div>'
        f'<div class="value">{escape(tile.value)}{unit}</div><div class="more">{_bound_units(tile.more)}</div></div>'
    )


def _bound_units(text: str) -> str:
    """Escaped text in which a number and its unit stay on one line."""
    return re.sub(r"(?<=\d) (?=[a-zµ%/A-Z]+\b|%|/)", "&nbsp;", escape(text))


def _warnings(warnings: list[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(str(warning))}</li>" for warning in warnings)
    return f'<section class="warnings"><h2>To keep in mind</h2><ul>{items}</ul></section>'


def _latency_table(summary: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{name}</th>" for name in STATISTICS)
    rows = "".join(
        f'<tr><th title="{text}">{name}</th>'
        + "".join(f"<td>{milliseconds(summary[key][statistic])}</td>" for statistic in STATISTICS)
        + "</tr>"
        for key, name, text in ROWS
    )
    notes = [f"{text}." for text in (least(summary), objective(summary)) if text]
    notes.append("TPOT: one mean per request. ITL: every gap between two tokens. Queue wait: until first scheduled.")
    note = f'<p class="note">{escape(" ".join(notes))}</p>'
    return (
        '<section class="card"><h2>Latency figures</h2><div class="scroll"><table><thead><tr><th></th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}</section>"
    )


def _members(summary: Mapping[str, Any]) -> Iterator[str]:
    """Pools, jobs and streams side by side, where there are several."""
    for found in members(summary):
        head = "".join(f"<th>{escape(name)}</th>" for name in found.columns)
        rows = "".join(
            f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(text)}</td>' for text in row[1:])}</tr>"
            for row in found.rows
        )
        over = handed_over(summary) if found.title == "Pools" else ""
        note = f'<p class="note">Handed over from prefill to decode: {escape(over)}.</p>' if over else ""
        yield (
            f'<section class="card"><h2>{escape(found.title)}</h2><div class="scroll">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}</section>"
        )


def _rejections(requests: Mapping[str, Any] | None) -> str:
    """How many requests were not served, by reason."""
    counts: dict[tuple[str, str], int] = {}
    if requests is not None:
        for status, reason in zip(requests["status"], requests["reason"], strict=True):
            if status != "completed":
                counts[status, reason or "the simulation ended"] = counts.get((status, reason), 0) + 1
    if not counts:
        return ""
    rows = "".join(
        f'<tr><th>{escape(status)}</th><td>{count:,}</td><td class="text">{escape(reason)}</td></tr>'
        for (status, reason), count in sorted(counts.items(), key=lambda item: -item[1])[:20]
    )
    return (
        '<section class="card" style="margin-top:16px"><h2>Requests that did not complete</h2><div class="scroll">'
        f"<table><tbody>{rows}</tbody></table></div></section>"
    )


_LINE = re.compile(r"(?P<indent>\s*(?:- )?)(?P<key>[^\s:#]+:)?(?P<value>.*?)(?P<origin>\s+# .*)?")


def _scenario(text: str) -> str:
    """The resolved scenario, keys coloured and origins dimmed."""
    lines = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            lines.append(escape(line))
            continue
        key = f'<span class="key">{escape(match["key"])}</span>' if match["key"] else ""
        origin = f'<span class="origin">{escape(match["origin"])}</span>' if match["origin"] else ""
        lines.append(f"{match['indent']}{key}{escape(match['value'])}{origin}")
    return (
        '<details class="card"><summary>Scenario as resolved, with the origin of each value</summary>'
        f"<pre>{chr(10).join(lines)}</pre></details>"
        if text
        else ""
    )


GLOSSARY = (
    ("TTFT", "time to first token: from the arrival of a request to its first output token, waiting included"),
    ("TPOT", "time per output token of one request after the first: its mean speed while it answers"),
    ("ITL", "inter-token latency: every single gap between two tokens of an answer; its tail shows stalls"),
    ("E2E", "end to end: from arrival to the last token"),
    ("p50, p99", "the value that 50 %, or 99 %, of the requests (or gaps) stay below"),
    ("SLO", "the limits that each request should keep; goodput counts only requests that keep all of them"),
    ("KV pool", "memory for keys and values of all tokens in flight; when it is full, requests wait or are pre-empted"),
    ("HBM-, compute-bound", "the resource that a step would have to be given more of to end sooner"),
    ("MFU, MBU", "share of the arithmetic peak, or of the memory bandwidth, that was used over the whole time"),
    ("warm-up and drain", "the start, while the batch fills, and the end, when nothing new arrives"),
)


def _glossary() -> str:
    """The words of this page, for who has not seen them."""
    rows = "".join(f'<tr><th>{escape(word)}</th><td class="text">{escape(text)}</td></tr>' for word, text in GLOSSARY)
    return f'<details class="card"><summary>Words on this page</summary><table>{rows}</table></details>'


def _manifest(summary: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    rows = [
        (
            "simulated",
            f"{summary['simulated_seconds']:,.3f} s in {summary['wall_seconds'] or 0:,.2f} s of wall time",
        ),
        ("steps", f"{summary['steps'] or 0:,} in {summary['stretches'] or 0:,} stretches"),
    ]
    for key, value in manifest.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        rows.append((key, text[:2000]))
    cells = "".join(f'<tr><th>{escape(str(k))}</th><td class="text">{escape(v)}</td></tr>' for k, v in rows)
    return f'<details class="card"><summary>How this was made</summary><table>{cells}</table></details>'


def _footer(summary: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    version = escape(str(manifest.get("hwsim") or ""))
    return f"<footer>hwsim {version} · result digest {escape(str(summary['digest']))}</footer>"
