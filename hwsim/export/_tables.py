"""Result tables as Parquet files: integers, floats and texts, with repeated texts kept once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, ScenarioError

GROUP = 1 << 16
TEXTS = frozenset({"request_id", "status", "reason", "bound", "name", "track", "cause"})


def write_parquet(path: Path, table: Mapping[str, Any]) -> None:
    """Write one table; lists are texts or numbers, arrays keep their kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: _column(name, values) for name, values in table.items()}
    # A dictionary that grows too large is given up by the writer itself, so request ids need no exception.
    pq.write_table(pa.table(columns), path, row_group_size=GROUP, compression="zstd")


def _column(name: str, values: Any) -> Any:
    import pyarrow as pa

    if name in TEXTS:
        return pa.array([str(value) for value in values], type=pa.string())
    return pa.array(np.asarray(values))


def read_parquet(path: Path) -> dict[str, Any]:
    """One table: numpy arrays for numbers, lists for texts.  A damaged file raises ``ScenarioError``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        text = " ".join(str(error).split())[:120]
        raise ScenarioError([Problem(f"is damaged: {text}", str(path), expected="a Parquet file")]) from error
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name]
        numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        found[name] = column.to_numpy() if numbers or pa.types.is_boolean(column.type) else column.to_pylist()
    return found
