"""Measured results as tables: CSV, plain or gzipped, with the columns of a result collection, checked row by row."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError

MOST_PROBLEMS = 20
IDENTITY = [
    "source",
    "engine",
    "model",
    "family",
    "precision",
    "gpu",
    "n_gpus",
    "tp",
    "pp",
    "ep",
    "dp",
    "isl",
    "osl",
    "load_kind",
    "load",
    "mode",
    "place",
    "note",
]
# Seconds of the units in which times may be given; they are kept in milliseconds.
TIMES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
LATENCIES = ("ttft", "tpot", "itl", "e2e", "first_token_latency", "request_latency")
NEEDED = ("engine", "model", "gpu", "metric", "value", "unit")


@dataclass(slots=True)
class Point:
    """One configuration that was measured, with its metrics as ``{name: (value, unit)}``."""

    file: str
    line: int
    engine: str
    model: str
    precision: str
    gpu: str
    isl: str
    osl: str
    load_kind: str
    load: str
    mode: str
    place: str
    note: str
    source: str
    family: str
    tp: int = 0
    pp: int = 0
    ep: int = 0
    dp: int = 0
    gpus: int = 0
    metrics: dict[str, tuple[float, str]] = field(default_factory=dict)


def data_folder() -> Path:
    """The folder of measured data that HWSIM_DATA names (the one with ``measured/``)."""
    for entry in os.environ.get("HWSIM_DATA", "").split(os.pathsep):
        for folder in (Path(entry), Path(entry).parent):
            if entry and (folder / "measured").is_dir():
                return folder
    raise ScenarioError.of(
        "no measured data", where="hwsim validate", expected="HWSIM_DATA=FOLDER with measured/ in it, or --data PATH"
    )


def _reader(path: Path) -> csv.DictReader[str]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
        expected = "a CSV file, plain or gzipped"
        raise ScenarioError.of(f"cannot be read: {error}", where=str(path), expected=expected) from None
    return csv.DictReader(io.StringIO(text))


def columns(path: Path) -> list[str]:
    """The names of the columns of a CSV file."""
    return list(_reader(path).fieldnames or [])


def lines(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers; what is no such file raises ``ScenarioError``."""
    reader = _reader(path)
    present = reader.fieldnames or []
    missing = [name for name in needed if name not in present]
    if missing:
        raise ScenarioError.of(
            f"lacks the columns {', '.join(missing)}",
            where=str(path),
            got=", ".join(present[:12]) or "an empty file",
            expected=", ".join(needed),
        )
    for row in reader:
        yield reader.line_num, {key: (value or "").strip() for key, value in row.items() if key is not None}


def points(path: Path) -> list[Point]:
    """Every configuration of a result collection, its metrics gathered; bad rows are named, all at once.

    Times come in milliseconds whatever their unit in the file.
    """
    found: dict[tuple[str, ...], Point] = {}
    problems: list[Problem] = []
    for line, row in lines(path, NEEDED):
        where = f"{path}:{line}"
        try:
            value = float(row["value"])
            if not math.isfinite(value) or value < 0:
                raise ValueError
        except ValueError:
            problems.append(Problem("value is not a finite number", where, repr(row["value"][:40])))
            continue
        unit = row["unit"]
        if row["metric"].startswith(LATENCIES):
            if unit not in TIMES:
                problems.append(
                    Problem(f"{row['metric']} has no unit of time", where, unit or "none", ", ".join(TIMES))
                )
                continue
            value, unit = (value if unit == "ms" else value * TIMES[unit] / TIMES["ms"]), "ms"
        key = tuple(row.get(name, "") for name in IDENTITY)
        point = found.get(key)
        if point is None:
            point = found[key] = _point(path, line, row)
        name = row["metric"]
        if name in point.metrics and point.metrics[name] != (value, unit):
            key = (*key, str(line))
            point = found[key] = _point(path, line, row)
        point.metrics[name] = (value, unit)
    if problems:
        more = len(problems) - MOST_PROBLEMS
        rest = [Problem(f"and {more} more rows", str(path))] if more > 0 else []
        raise ScenarioError([*problems[:MOST_PROBLEMS], *rest])
    return list(found.values())


TEXTS = tuple(name for name in IDENTITY if name not in ("n_gpus", "tp", "pp", "ep", "dp"))


def _point(path: Path, line: int, row: dict[str, str]) -> Point:
    texts: dict[str, Any] = {name: row.get(name, "") for name in TEXTS}
    counts: dict[str, Any] = {name: whole(row.get(name, "")) for name in ("tp", "pp", "ep", "dp")}
    return Point(path.name, line, gpus=whole(row.get("n_gpus", "")), **texts, **counts)


def whole(text: str) -> int:
    """A count, 0 where there is none."""
    try:
        return int(float(text))
    except ValueError:
        return 0


def number(text: str) -> float | None:
    """A finite number, or nothing."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
