"""Vidur and Splitwise traces: CSV with arrived_at (s), num_prefill_tokens, num_decode_tokens; or lengths only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hwsim.workload.csv_trace import csv_rows
from hwsim.workload.trace import BadRow, Remark, Row, cells_of, moment, whole

NAMES = {
    "time": ("arrived_at", "arrival_timestamp"),
    "prompt": ("num_prefill_tokens", "prompt_size"),
    "output": ("num_decode_tokens", "token_size"),
}


class Vidur:
    """Columns by name (Splitwise calls them arrival_timestamp, prompt_size, token_size); without times as lengths."""

    @staticmethod
    def matches(head: str) -> bool:
        """True for a header with both lengths under either project's names."""
        cells = set(cells_of(head))
        return {"num_prefill_tokens", "num_decode_tokens"} <= cells or {"prompt_size", "token_size"} <= cells

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | Remark | BadRow]]:
        """(line, row) for every line after the header."""
        return csv_rows(path, NAMES, _row, optional=("time",))


def _row(cells: Mapping[str, str]) -> Row:
    time = moment(cells["time"], "arrived_at") if "time" in cells else None
    return Row(time, whole(cells["prompt"], "num_prefill_tokens"), whole(cells["output"], "num_decode_tokens"))


PART = Vidur
