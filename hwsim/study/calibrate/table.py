"""A table of measured kernel times: named ``<gpu>_<op>_<software>-<version>.csv[.gz]``, one row a measurement.

Times are in columns that end in ``_us`` (microseconds).  Every value is checked before anything is fitted.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.study.calibrate import vidur

NAME = re.compile(r"^(?P<gpu>[a-z0-9+.-]+(?:_[a-z0-9+.-]+)*?)_(?P<op>OPS)_(?P<software>[a-z0-9]+)-(?P<version>[^_]+)$")
OTHER = re.compile(r"^[a-z0-9+.-]+_\w+_[a-z0-9]+-\d[^_]*\.csv(\.gz)?$")  # <gpu>_<any op>_<software>-<version>
SHOWN = 5  # rows named in an error
TEXT = (
    "kernel_source",
    "gemm_dtype",
    "moe_dtype",
    "mla_dtype",
    "attn_dtype",
    "kv_cache_dtype",
    "allreduce_dtype",
    "nccl_dtype",
    "op_name",
    "backend",
    "distribution",
)


@dataclass(frozen=True)
class Table:
    """Columns of one file as arrays of numbers or of text."""

    path: Path
    gpu: str
    op: str
    software: str
    version: str
    columns: dict[str, np.ndarray]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(next(iter(self.columns.values())))

    @property
    def source(self) -> str:
        """Software and version, for a file of coefficients."""
        return f"{self.software} {self.version}"

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def get(self, name: str, default: Any) -> np.ndarray:
        """A column, or one filled with ``default``."""
        found = self.columns.get(name)
        return np.full(self.rows, default) if found is None else found

    def pick(self, mask: np.ndarray) -> Table:
        """Only some rows."""
        picked = {name: column[mask] for name, column in self.columns.items()}
        return Table(self.path, self.gpu, self.op, self.software, self.version, picked)


def split_name(path: Path, ops: Iterable[str]) -> tuple[str, str, str, str] | None:
    """GPU, operation, software and version of a file, or None if it is not named like a table of these operations.

    A folder of Vidur's profiles (:mod:`hwsim.study.calibrate.vidur`) is one table of products.
    """
    profiled = vidur.folder_of(path)
    if profiled is not None:
        return (profiled.name.lower(), "gemm", "vidur", "profiles") if "gemm" in ops else None
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    if stem == path.name:
        return None
    pattern = NAME.pattern.replace("OPS", "|".join(sorted(ops, key=len, reverse=True)))
    found = re.match(pattern, stem.lower())
    return None if found is None else (found["gpu"], found["op"], found["software"], found["version"])


def find(data: Path, ops: Iterable[str]) -> list[Path]:
    """All tables in a folder, or the file itself; nothing to read raises ``ScenarioError``."""
    if not data.exists():
        raise ScenarioError.of("no such file or folder", where=str(data))
    paths = sorted(data.rglob("*.csv*")) if data.is_dir() else [data]
    found = [path for path in paths if split_name(path, ops) is not None]
    found = list(dict.fromkeys(vidur.folder_of(path) or path for path in found))  # profiles of a GPU are one table
    if not found:
        raise ScenarioError.of(
            "no table of measured kernels",
            where=str(data),
            got=", ".join(path.name for path in paths[:SHOWN]) or "nothing",
            expected="files named <gpu>_<op>_<software>-<version>.csv.gz with op one of " + ", ".join(sorted(ops)),
        )
    return found


def others(data: Path, found: Iterable[Path]) -> list[Path]:
    """Files of a folder that are named like tables, but of no operation that is known."""
    known = set(found)
    paths = sorted(data.rglob("*.csv*")) if data.is_dir() else []
    return [path for path in paths if path not in known and OTHER.match(path.name)]


def read(path: Path, needed: Iterable[str], ops: Iterable[str]) -> Table:
    """Read and check one table; problems name the first rows they are in (the header is row 1)."""
    name = split_name(path, ops)
    assert name is not None
    raw = vidur.read(path, _parse) if vidur.folder_of(path) is not None else _parse(path)
    missing = [column for column in needed if column not in raw]
    if missing:
        raise ScenarioError(
            [
                Problem(f"no column {column}", path.name, "columns " + ", ".join(raw), column, nearest(column, raw))
                for column in missing
            ]
        )
    rows = len(next(iter(raw.values())))
    if not rows:
        raise ScenarioError.of("the table has no rows", where=path.name)
    columns: dict[str, np.ndarray] = {}
    problems: list[Problem] = []
    for column, values in raw.items():
        if column in TEXT:
            columns[column] = values.astype(str)
        elif column in needed or column.endswith("_us") or column == "window_size":
            columns[column], found = _numbers(values, column, path.name)
            problems += found
    if problems:
        raise ScenarioError(problems)
    return Table(path, *name, columns)


def _parse(path: Path) -> dict[str, np.ndarray]:
    """All columns as read: numbers where all values are numbers, else text."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        # gzip that ends early and lines with too few fields both surface here
        text = csv.ConvertOptions(strings_can_be_null=False, null_values=[])
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found = csv.read_csv(pa.BufferReader(raw), convert_options=text)
    except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
        says = str(error).partition("\n")[0]
        what = "the file is empty" if "Empty CSV" in says else "the file cannot be read to its end as CSV"
        raise ScenarioError.of(
            what, where=path.name, got=says, expected="a complete CSV file, gzipped or not"
        ) from None
    return {name: found.column(name).to_numpy(zero_copy_only=False) for name in found.column_names}


def _numbers(values: np.ndarray, column: str, where: str) -> tuple[np.ndarray, list[Problem]]:
    """A column as floats; what is no number, not finite or not positive (windows may be 0) is named."""
    if values.dtype.kind in "if":
        numbers = values.astype(float)
    else:
        numbers = np.array([_number(text) for text in values.tolist()])
    low = 0 if column in ("window_size",) or column.endswith("notify_us") else np.nextafter(0, 1)
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= low)))
    if not len(bad):
        return numbers, []
    named = ", ".join(f"row {row + 2}: {values[row]}" for row in bad[:SHOWN])
    more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return numbers, [Problem(f"{column} is not a positive number", where, named + more, "finite numbers above 0")]


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return float("nan")


def refuse_impossible(table: Table, seconds: np.ndarray, least: np.ndarray, what: str) -> None:
    """Times below the least that the data sheet allows, or far beyond any kernel, are in another unit."""
    quick = np.flatnonzero(seconds < 0.8 * least)
    if len(quick) > 0.005 * len(seconds) + 2:
        named = ", ".join(
            f"row {row + 2}: {seconds[row] * 1e6:.4g} us against at least {least[row] * 1e6:.4g} us"
            for row in quick[:SHOWN]
        )
        raise ScenarioError.of(
            f"{len(quick)} times beat the peak of the device ({what})",
            where=table.path.name,
            got=named,
            expected="times in microseconds",
        )
    slow = np.median(seconds / (least + 3e-5))
    if slow > 100:
        raise ScenarioError.of(
            "times are hundreds of times what the device needs",
            where=table.path.name,
            got=f"a median of {np.median(seconds) * 1e6:.4g} us",
            expected="times in microseconds",
        )
