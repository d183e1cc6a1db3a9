"""Result tables as Parquet: a name ending in .parquet gives one table (requests unless named otherwise), else all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim.export._format import TableFormat
from hwsim.export._tables import write_parquet


def write(table: Mapping[str, Any], path: Path) -> None:
    """Write a table."""
    write_parquet(path, table)


PART = TableFormat("parquet", write)
