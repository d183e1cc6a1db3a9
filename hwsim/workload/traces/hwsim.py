"""hwsim's own traces: CSV or Parquet with arrival_s, input_tokens, output_tokens and optional columns."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from hwsim.errors import nearest
from hwsim.workload.trace import BadRow, Row, cells_of, lines_of, whole

NEEDED = ("arrival_s", "input_tokens", "output_tokens")
OPTIONAL = ("request_id", "max_tokens", "priority", "stop", "prefix_ids", "prefix_block")
LATER = ("session", "turn", "depends_on", "think_s")  # read by nothing yet
# What a run found out about a request; a recorded or exported run is a trace again, and these are not read.
FOUND = (
    "replica",
    "queued_s",
    "scheduled_s",
    "first_token_s",
    "last_token_s",
    "finish_s",
    "cached_tokens",
    "preemptions",
    "status",
    "reason",
)
SPELLINGS = {"prompt_tokens": "input_tokens"}


class Hwsim:
    """One row per request.  ``stop`` is eos or length; ``prefix_ids`` are numbers with spaces between them."""

    @staticmethod
    def matches(head: str) -> bool:
        """True for a header that looks like ours, be it complete or not."""
        cells = {SPELLINGS.get(cell, cell) for cell in cells_of(head)}
        return "arrival_s" in cells or set(NEEDED[1:]) <= cells

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | BadRow]]:
        """(line, row) for every row."""
        records = _parquet(path) if path.suffix == ".parquet" else _csv(path)
        seen: set[str] = set()
        for number, record in records:
            if isinstance(record, BadRow):
                yield number, record
                continue
            try:
                row = _row(record)
                if row.request_id is not None:
                    if row.request_id in seen:
                        raise BadRow("request_id is not unique", row.request_id)
                    seen.add(row.request_id)
            except BadRow as problem:
                yield number, problem
            else:
                yield number, row


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BadRow]]:
    lines = lines_of(path)
    cells = [cell.strip() for cell in next(csv.reader([next(lines, (1, ""))[1]]), [])]
    header = [SPELLINGS.get(cell, cell) for cell in cells]
    problem = _header(header)
    if problem is not None:
        yield 1, problem
        return
    for number, line in lines:
        if not line.strip():
            continue
        cells = next(csv.reader([line]))
        if len(cells) != len(header):
            yield number, BadRow("wrong number of columns", f"{len(cells)} cells", f"{len(header)}: {','.join(header)}")
            continue
        yield number, dict(zip(header, cells, strict=True))


def _header(header: list[str]) -> BadRow | None:
    known = [*NEEDED, *OPTIONAL, *LATER, *FOUND]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        return BadRow(f"column {missing[0]} is missing", ",".join(header), ",".join(NEEDED))
    unknown = [name for name in header if name not in known]
    if unknown:
        near = nearest(unknown[0], known)
        return BadRow("unknown column", unknown[0], f"{near}?" if near else ", ".join(known))
    return None


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BadRow]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        problem = _header(list(file.schema_arrow.names))
        if problem is not None:
            yield 1, problem
            return
        number = 0
        for batch in file.iter_batches(4096):
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        yield 1, BadRow("not a Parquet file", str(error))


def _row(record: Mapping[str, Any]) -> Row:
    output = whole(record["output_tokens"], "output_tokens")
    stop = str(record.get("stop") or "").strip()
    if stop not in ("", "eos", "length"):
        raise BadRow("stop is unknown", stop, "eos or length")
    limit = record.get("max_tokens")
    most = whole(limit, "max_tokens") if limit not in (None, "") else None
    if stop == "eos" and most is None:
        most = output + 1
    ids = record.get("prefix_ids")
    block = record.get("prefix_block")
    priority = record.get("priority")
    name = record.get("request_id")
    prefix = _ids(ids)
    if prefix and block in (None, ""):
        raise BadRow("prefix_ids without prefix_block", ids, "the tokens that one id stands for")
    return Row(
        _ticks(record["arrival_s"]),
        whole(record["input_tokens"], "input_tokens"),
        output,
        most,
        stop == "eos" and (most is None or output < most),
        whole(priority, "priority", least=-(1 << 31)) if priority not in (None, "") else 0,
        prefix,
        whole(block, "prefix_block") if block not in (None, "") else 0,
        str(name) if name not in (None, "") else None,
    )


def _ids(value: Any) -> tuple[int, ...]:
    if value in (None, ""):
        return ()
    items = value.split() if isinstance(value, str) else value
    return tuple(whole(item, "prefix_ids", least=0) for item in items)


def _ticks(value: Any) -> int:
    """Seconds to ticks, exactly as written."""
    try:
        seconds = Decimal(str(value).strip())
    except InvalidOperation:
        raise BadRow("arrival_s is no number", value, "seconds") from None
    if not seconds.is_finite() or seconds < 0 or not math.isfinite(float(seconds)) or seconds > 9_000_000:
        raise BadRow("arrival_s is out of range", value, "seconds from 0 to 9,000,000 (104 days)")
    return int((seconds * 10**12).to_integral_value())


PART = Hwsim
