"""What a benchmark client measured, under hwsim's metric names; what it defines otherwise is converted or refused."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hwsim.errors import ScenarioError
from hwsim.part import Parts

READERS = Parts("hwsim.study.benches")
STATISTICS = {
    "mean": "mean",
    "avg": "mean",
    "median": "p50",
    "std": "std",
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "max": "max",
}


@dataclass
class Bench:
    """Measured figures in the units that summaries print (ms, tokens/s), each with the formula that answers it.

    ``figures``: name to (value, formula over metrics); ``refused``: the tool's name of a figure and why it cannot be
    put beside a simulated one.
    """

    tool: str
    figures: dict[str, tuple[float, str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, metric: str, value: Any, formula: str | None = None) -> None:
        """Keep a figure that is a finite number; a tool writes null or 0 for what it did not measure."""
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
            self.figures[metric] = (float(value), formula or metric)


class Reader(Protocol):
    """One tool's format: ``fits`` looks at the parsed file (or its text), ``read`` turns it into a :class:`Bench`."""

    def fits(self, data: Any) -> bool: ...
    def read(self, data: Any, where: str) -> Bench: ...


def read_bench(path: Path) -> Bench:
    """Read a result file of any known tool; ``ScenarioError`` for one that is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError.of(f"cannot be read: {error}", where=str(path)) from None
    data = _parsed(text)
    for name in READERS.names():
        reader: Reader = READERS.get(name)
        if reader.fits(data):
            found = reader.read(data, str(path))
            if not found.figures:
                raise ScenarioError.of(f"holds no figures of {found.tool}", where=str(path), expected="a finished run")
            return found
    raise ScenarioError.of(
        "is no result file of a known benchmark client",
        where=str(path),
        expected="JSON of vLLM or GuideLLM, JSONL of SGLang, JSON or JSONL of AIPerf, or CSV metric,value,unit",
    )


def _parsed(text: str) -> Any:
    """JSON as a value, JSON lines as a list of values, all else as text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    rows = [line for line in text.splitlines() if line.strip()]
    try:
        return [json.loads(line) for line in rows] if rows and rows[0].lstrip().startswith("{") else text
    except ValueError:
        return text


def last_record(data: Any) -> dict[str, Any]:
    """The one record, or the newest of a file to which every run is appended."""
    found = data[-1] if isinstance(data, list) and data else data
    return found if isinstance(found, dict) else {}
