"""A CSV trace with a header: columns by name in any order, other columns ignored, every bad line named."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hwsim.workload.trace import BadRow, Remark, Row, columns_at, lines_of

Read = Callable[[Mapping[str, str]], Row | Remark]


def csv_rows(
    path: Path, names: Mapping[str, tuple[str, ...]], read: Read, *, optional: tuple[str, ...] = ()
) -> Iterator[tuple[int, Row | Remark | BadRow]]:
    """(line, row) for every line after the header; ``names`` gives the spellings of each column that is read."""
    lines = lines_of(path)
    number, head = next(lines, (1, ""))
    header = [cell.strip() for cell in next(csv.reader([head]), [])]
    try:
        places = columns_at(header, names, optional=optional)
    except BadRow as problem:
        yield number, problem
        return
    most = max(places.values())
    for number, line in lines:
        text = line.strip()
        if not text:
            continue
        cells: list[Any] = text.split(",") if '"' not in text else next(csv.reader([text]), [])
        try:
            if len(cells) <= most:
                raise BadRow("too few columns", text, ",".join(header))
            row = read({key: cells[place] for key, place in places.items()})
        except BadRow as problem:
            yield number, problem
        else:
            yield number, row
