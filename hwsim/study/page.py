"""A report as Markdown and as one self-contained HTML file, from the same headings, paragraphs and tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem}h2{font-size:1.25rem;margin-top:2.2rem}table{border-collapse:collapse;margin:1rem 0;font-size:13px;
font-variant-numeric:tabular-nums;display:block;overflow-x:auto}th,td{border-bottom:1px solid #8884;padding:.3rem .6rem;
text-align:left;vertical-align:top}th{font-weight:600}td.n,th.n{text-align:right}code{font-size:.92em}
.note{color:#888}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Page:
    """Blocks in order; ``markdown()`` and ``html()`` say the same."""

    def __init__(self, title: str, command: str) -> None:
        self.title = title
        self.command = command
        self._blocks: list[tuple[str, object]] = []

    def heading(self, text: str) -> None:
        """A section."""
        self._blocks.append(("heading", text))

    def text(self, text: str) -> None:
        """A paragraph."""
        if text:
            self._blocks.append(("text", text))

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> None:
        """A table; ``numbers`` are the columns to be set to the right."""
        kept = [[str(cell) for cell in row] for row in rows]
        if kept:
            self._blocks.append(("table", (list(head), kept, frozenset(numbers))))

    def markdown(self) -> str:
        """The page for reading in an editor or a forge."""
        lines = [f"# {self.title}", "", f"Made by `{self.command}`.", ""]
        for kind, block in self._blocks:
            if kind == "table":
                head, rows, numbers = block  # type: ignore[misc]
                lines.append("| " + " | ".join(_cell(cell) for cell in head) + " |")
                lines.append("|" + "|".join("---:" if i in numbers else "---" for i in range(len(head))) + "|")
                lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
            else:
                lines.append(f"## {block}" if kind == "heading" else str(block))
            lines.append("")
        return "\n".join(lines)

    def html(self) -> str:
        """The page for a browser without a network."""
        body = [f"<h1>{escape(self.title)}</h1>", f"<p class=note>Made by <code>{escape(self.command)}</code>.</p>"]
        for kind, block in self._blocks:
            if kind == "table":
                head, rows, numbers = block  # type: ignore[misc]
                body.append("<table><thead>" + _row(head, numbers, "th") + "</thead><tbody>")
                body += [_row(row, numbers, "td") for row in rows]
                body.append("</tbody></table>")
            else:
                tag = "h2" if kind == "heading" else "p"
                body.append(f"<{tag}>{escape(str(block))}</{tag}>")
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head><body>'
            + "\n".join(body)
            + "</body></html>\n"
        )

    def write(self, folder: Path, stem: str) -> list[Path]:
        """``stem.md`` and ``stem.html`` in the folder, each written whole."""
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for ending, text in ((".md", self.markdown()), (".html", self.html())):
            target = folder / f"{stem}{ending}"
            fresh = folder / f".{stem}{ending}.{os.getpid()}"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(target)
            written.append(target)
        return written


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(cells: Sequence[str], numbers: frozenset[int], tag: str) -> str:
    marked = (f"<{tag}{' class=n' if i in numbers else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells))
    return "<tr>" + "".join(marked) + "</tr>"


def percent(value: float | None, sign: bool = True) -> str:
    """An error as text."""
    if value is None:
        return ""
    text = f"{value * 100:+.1f} %" if sign else f"{value * 100:.1f} %"
    return text if abs(value) < 10 else (f"{value:+.1f}x" if sign else f"{value:.1f}x")


def number(value: float | None, digits: int = 4) -> str:
    """A number as text; nothing for none."""
    if value is None:
        return ""
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e" in text and 1 <= abs(value) < 1e12 else text
