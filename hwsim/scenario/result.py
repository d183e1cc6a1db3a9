"""What a run left: a summary, its tables, and the ways to look at them or keep them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

Table = dict[str, Any]


class Result:
    """The outcome of one run, as plain data: nothing in it refers to the simulation any more.

    ``summary`` is the object that ``--json`` prints; ``table(name)`` one of ``requests``, ``steps``, ``counters``,
    ``gaps`` and, recorded in full, ``spans`` and ``schedule``.
    """

    def __init__(
        self,
        summary: dict[str, Any],
        tables: dict[str, Table],
        resolved_yaml: str,
        manifest: dict[str, Any],
        misses: list[str],
    ) -> None:
        self.summary = summary
        self.resolved_yaml = resolved_yaml
        self.manifest = manifest
        self.misses = misses
        self._tables = tables

    @property
    def digest(self) -> str:
        """The hash over everything that the same scenario, seed and version must give again."""
        return self.summary["digest"]

    def table(self, name: str) -> Table:
        """One result table as ``{column: values}``; ``KeyError`` names the tables there are."""
        if name not in self._tables:
            raise KeyError(f"no table {name!r}; there are {', '.join(self._tables)}")
        return self._tables[name]

    @property
    def tables(self) -> dict[str, Table]:
        """All tables by name."""
        return dict(self._tables)

    def screen(self) -> Any:
        """The one-screen table for a terminal."""
        from hwsim.metrics.graph_summary import is_graph

        if is_graph(self.summary):
            from hwsim.view.graph_screen import graph_screen

            return graph_screen(self.summary)
        from hwsim.view.screen import screen

        return screen(self.summary)

    def report(self) -> str:
        """The self-contained HTML report."""
        from hwsim.metrics.graph_summary import is_graph

        if is_graph(self.summary):
            from hwsim.view.graph_report import graph_html

            return graph_html(self.summary, self._tables, self.resolved_yaml, self.manifest)
        from hwsim.view.report import report_html

        return report_html(self.summary, self._tables, self.resolved_yaml, self.manifest)

    def folder_name(self) -> str:
        """``<name>-<hash>``: the same scenario, seed and version give the same folder."""
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in self.summary["name"]).strip(".-") or "run"
        text = f"{self.resolved_yaml}\n{self.summary['seed']}\n{self.manifest.get('hwsim', '')}"
        return f"{name[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def save(self, directory: str | Path | None = None, *, report: bool = True) -> Path:
        """Write the run folder (all at once, by renaming) and return it; the default is ``runs/<name>-<hash>``."""
        from hwsim.export.run_folder import write_run_folder

        target = Path(directory) if directory is not None else Path("runs") / self.folder_name()
        html = self.report() if report else None
        return write_run_folder(target, self.resolved_yaml, self.manifest, self.summary, self._tables, html)
