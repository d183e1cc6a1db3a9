"""Mooncake traces: JSON lines with timestamp (ms), input_length, output_length, hash_ids (one per 512 tokens)."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator
from pathlib import Path

from hwsim.workload.trace import BadRow, Remark, Row, first_line, lines_of, whole

BLOCK = 512
OTHER_BLOCK = 16
DENSE = 1 << 26  # ids below it are looked up in an array of eight bytes each
STRAY = Remark("requests have prefix ids that stood after another id before; what follows is taken as other text")


class Mooncake:
    """Equal leading ids mean equal leading prompt blocks.  Blocks are 512 tokens, or 16 in re-hashed traces.

    AIPerf's fixed schedules use the same keys; what they add (text_input, session_id, delay) is not read.
    """

    @staticmethod
    def matches(head: str) -> bool:
        """True for a JSON line with this format's keys."""
        line = first_line(head)
        return line.startswith("{") and '"timestamp"' in line and '"input_length"' in line

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | BadRow | Remark]]:
        """(line, row) for every line, and a remark where an id names one text here and another there."""
        block, order = 0, _Order()
        for number, line in lines_of(path):
            if not line.strip():
                continue
            try:
                row = _row(line, block)
                if row.prefix_ids and not block:
                    block = row.prefix_block
            except BadRow as problem:
                yield number, problem
            else:
                if order.broken_by(row.prefix_ids):
                    yield number, STRAY
                yield number, row


class _Order:
    """The id before each id: a block's id names all text up to its end, so it has one predecessor wherever it is."""

    def __init__(self) -> None:
        self.dense = array("q")
        self.others: dict[int, int] = {}

    def broken_by(self, ids: tuple[int, ...]) -> bool:
        """Whether any id of a prompt has stood behind another one before; the first place counts from then on."""
        if not ids:
            return False
        if min(ids) < 0 or max(ids) >= DENSE:
            pairs = zip(ids, (-1, *ids), strict=False)
            return sum([self.others.setdefault(name, before) != before for name, before in pairs]) > 0
        known = self.dense
        if max(ids) >= len(known):
            known.frombytes(bytes(8 * (max(ids) + 1 - len(known) + 65536)))
        broken, before = False, 1
        for name in ids:
            first = known[name]
            if not first:
                known[name] = before
            elif first != before:
                broken = True
            before = name + 2
        return broken


def _row(line: str, block: int) -> Row:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRow("not a JSON line", line.strip(), '{"timestamp": 0, "input_length": 1, …}') from None
    if not isinstance(data, dict):
        raise BadRow("not a JSON object", line.strip(), '{"timestamp": 0, "input_length": 1, …}')
    time = data.get("timestamp")
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not math.isfinite(time) or time < 0:
        raise BadRow("timestamp is no time", time, "milliseconds from the start, not negative")
    prompt = whole(data.get("input_length"), "input_length")
    output = whole(data.get("output_length", 1), "output_length")
    ids = data.get("hash_ids") or []
    if not isinstance(ids, list) or any(isinstance(i, bool) or not isinstance(i, int) for i in ids):
        raise BadRow("hash_ids is no list of whole numbers", ids, "[0, 1, 2]")
    return Row(round(time * 10**9), prompt, output, prefix_ids=tuple(ids), prefix_block=_block(prompt, ids, block))


def _block(prompt: int, ids: list[int], block: int) -> int:
    """Tokens per id: 512, or 16 where the ids are as many as 16-token blocks; anything else is a wrong row."""
    if not ids:
        return block or BLOCK
    for size in (block,) if block else (BLOCK, OTHER_BLOCK):
        if len(ids) in (-(-prompt // size), prompt // size):
            return size
    expected = f"{-(-prompt // (block or BLOCK))}, one per {block or BLOCK} tokens"
    raise BadRow("hash_ids do not cover the prompt", f"{len(ids)} ids for {prompt} tokens", expected)


PART = Mooncake
