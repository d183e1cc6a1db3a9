"""Azure LLM inference traces (2023, 2024): TIMESTAMP, ContextTokens, GeneratedTokens."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hwsim.workload.trace import BadRow, Row, cells_of, lines_of, whole

NAMES = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class Azure:
    """Absolute UTC time stamps with seven digits of a second, read exactly; lengths in tokens."""

    @staticmethod
    def matches(head: str) -> bool:
        """True for the header of this format."""
        return [cell.upper() for cell in cells_of(head)[:3]] == [name.upper() for name in NAMES]

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | BadRow]]:
        """(line, row) for every line after the header."""
        lines = lines_of(path)
        head = next(lines, (1, ""))[1]
        if not Azure.matches(head):
            yield 1, BadRow("not the header of an Azure trace", head.strip(), ",".join(NAMES))
            return
        known: dict[str, int] = {}
        for number, line in lines:
            text = line.strip()
            if not text:
                continue
            cells = text.split(",") if '"' not in text else next(csv.reader([text]))
            try:
                if len(cells) < 3:
                    raise BadRow("too few columns", text, ",".join(NAMES))
                row = Row(_time(cells[0], known), whole(cells[1], NAMES[1]), whole(cells[2], NAMES[2]))
            except BadRow as problem:
                yield number, problem
            else:
                yield number, row


def _time(text: str, known: dict[str, int]) -> int:
    """Ticks since 2020; whole seconds are parsed once each, the fraction as text."""
    stamp, _, fraction = text.strip().partition(".")
    fraction = fraction.partition("+")[0]
    seconds = known.get(stamp)
    if seconds is None:
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            raise BadRow("TIMESTAMP is no time", text, "2023-11-16 18:15:46.6805900") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = known[stamp] = round((moment - EPOCH).total_seconds())
    digits = fraction.rstrip("Z")
    if digits and not digits.isdigit():
        raise BadRow("TIMESTAMP is no time", text, "2023-11-16 18:15:46.6805900")
    return seconds * 10**12 + (int(digits[:12].ljust(12, "0")) if digits else 0)


PART = Azure
