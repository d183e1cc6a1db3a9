"""A synthetic run kept in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsim.export.run_folder import write_run_folder
from hwsim.metrics.summary import summary

from ..metrics.synthetic import RESOLVED, synthetic

MANIFEST = {"hwsim": "0.1.0", "python": "3.11.7", "seed": 7, "host": "x86_64", "wall_seconds": 0.42}


def save(folder: Path, count: int = 120, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a run to ``folder`` and return its summary and tables."""
    facts, tables, _ = synthetic(count, **options)
    outcome = summary(facts, tables)
    write_run_folder(
        folder, RESOLVED, {**MANIFEST, "digest": outcome["digest"]}, outcome, tables, "<html>report</html>"
    )
    return outcome, tables
