"""BurstGPT traces: CSV with Timestamp (s), Request tokens, Response tokens; no response tokens means it failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hwsim.workload.csv_trace import csv_rows
from hwsim.workload.trace import BadRow, Remark, Row, cells_of, moment, whole

NAMES = {"time": ("Timestamp",), "prompt": ("Request tokens",), "output": ("Response tokens",)}
FAILED = "requests failed when the trace was taken (0 response tokens) and are left out"


class BurstGpt:
    """Seconds from the first day, with or without Session ID and Elapsed time; models and log types are not read."""

    @staticmethod
    def matches(head: str) -> bool:
        """True for the header of this format."""
        cells = {cell.casefold() for cell in cells_of(head)}
        return {"timestamp", "request tokens", "response tokens"} <= cells

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | Remark | BadRow]]:
        """(line, row) for every line after the header."""
        return csv_rows(path, NAMES, _row)


def _row(cells: Mapping[str, str]) -> Row | Remark:
    time = moment(cells["time"], "Timestamp")
    prompt = whole(cells["prompt"], "Request tokens", least=0)
    output = whole(cells["output"], "Response tokens", least=0)
    if not output:
        return Remark(FAILED)
    if not prompt:
        raise BadRow("Request tokens is out of range", cells["prompt"], "a whole number of at least 1")
    return Row(time, prompt, output)


PART = BurstGpt
