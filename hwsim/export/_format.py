"""What a format is: a file ending and a way to write one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.export._replacing import replacing
from hwsim.export.run_folder import Tables, read_run_folder


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was kept: summary, manifest and tables."""

    summary: Mapping[str, Any]
    manifest: Mapping[str, Any]
    tables: Tables

    def table(self, name: str) -> dict[str, Any]:
        """One table; ``ScenarioError`` when the run was not recorded so."""
        if name not in self.tables:
            there = ", ".join(sorted(self.tables)) or "none"
            raise ScenarioError.of(f"this run kept no table {name}", got=there, expected="a run with --record requests")
        return self.tables[name]


@dataclass(frozen=True, slots=True)
class Format:
    """One file in the format of another program; ``render(run, path)`` writes it."""

    suffix: str
    render: Callable[[Run, Path], None]

    def write(self, run_folder: str | Path, out: str | Path) -> Path:
        """Write the run of ``run_folder`` to the file ``out``, whole or not at all, and return its path."""
        run, target = Run(*read_run_folder(run_folder)), Path(out)
        with replacing(target) as fresh:
            self.render(run, fresh)
        return target


@dataclass(frozen=True, slots=True)
class TableFormat:
    """One file per table: ``out`` with the format's ending is the table it is named after, or the requests.

    ``out`` without it is a folder with all tables.
    """

    suffix: str
    render: Callable[[Mapping[str, Any], Path], None]

    def write(self, run_folder: str | Path, out: str | Path) -> Path:
        """Write one or all tables of ``run_folder`` and return the path."""
        run, target = Run(*read_run_folder(run_folder)), Path(out)
        if target.suffix == f".{self.suffix}":
            table = run.table(target.stem if target.stem in run.tables else "requests")
            with replacing(target) as fresh:
                self.render(table, fresh)
            return target
        with replacing(target, folder=True) as fresh:
            for name, table in run.tables.items():
                self.render(table, fresh / f"{name}.{self.suffix}")
        return target
