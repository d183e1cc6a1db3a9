"""Several streams of requests as one in order of arrival; ties keep the order of the streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.workload.requests import CHUNK, Requests, joined

MOST_AHEAD = 4 * CHUNK


def merged(streams: list[Iterator[Requests]]) -> Iterator[Requests]:
    """Chunks in time order.  A chunk's requests have one ``prefix_block``: it is cut where the block changes."""
    yield from (part for chunk in _in_order([_Head(stream) for stream in streams]) for part in _one_block(chunk))


class _Head:
    """What has been read of one stream and not gone out yet."""

    def __init__(self, stream: Iterator[Requests]) -> None:
        self.stream = stream
        self.rows: list[Requests] = []
        self.open = True
        self.read()

    def read(self) -> None:
        """One more chunk, or the end of the stream."""
        chunk = next(self.stream, None)
        while chunk is not None and not len(chunk):
            chunk = next(self.stream, None)
        self.open = chunk is not None
        if chunk is not None:
            self.rows.append(chunk)

    @property
    def end(self) -> int:
        """The latest arrival read so far."""
        return int(self.rows[-1].arrival[-1]) if self.rows else -1

    def read_past(self, time: int) -> None:
        """Read on until something arrives after ``time``, but not without bounds."""
        while self.open and self.end <= time and sum(map(len, self.rows)) < MOST_AHEAD:
            self.read()

    def take(self, time: int) -> Requests | None:
        """What arrives before ``time`` (all of it where the stream has ended)."""
        if not self.rows:
            return None
        rows = joined(self.rows)
        cut = int(np.searchsorted(rows.arrival, time, side="left"))
        self.rows = [rows.part(cut, len(rows))] if cut < len(rows) else []
        return rows.part(0, cut) if cut else None


def _in_order(heads: list[_Head]) -> Iterator[Requests]:
    """What lies before the earliest end of what the streams have shown so far is certain, and goes out.

    Streams are read up to the end of one that lies near the front, so that a thousand slow ones cost little.
    """
    kept: list[Requests] = []
    while any(head.open for head in heads):
        ends = sorted(head.end for head in heads if head.open)
        target = ends[len(ends) // 8]
        for head in heads:
            head.read_past(target)
        horizon = min((head.end for head in heads if head.open), default=1 << 63)
        kept += _before(heads, horizon)
        for head in heads:
            # Where all that is left arrives at the horizon itself, only the next chunk can tell that it is over.
            if head.open and head.end <= horizon:
                head.read()
        if sum(map(len, kept)) >= CHUNK:
            yield from joined(kept).chunks()
            kept = []
    kept += _before(heads, 1 << 63)
    if kept:
        yield from joined(kept).chunks()


def _before(heads: list[_Head], time: int) -> list[Requests]:
    parts = [part for head in heads if (part := head.take(min(time, (1 << 63) - 1))) is not None]
    if not parts:
        return []
    whole = joined(parts)
    return [whole.taken(np.argsort(whole.arrival, kind="stable"))]


def _one_block(chunk: Requests) -> Iterator[Requests]:
    """The chunk cut where the tokens per prefix id change; requests without a prefix go with what is before them."""
    if chunk.prefix_ids is None or chunk.prefix_blocks is None:
        yield chunk
        return
    block, start = 0, 0
    for i, (ids, size) in enumerate(zip(chunk.prefix_ids, chunk.prefix_blocks.tolist(), strict=True)):
        if ids and block and size != block:
            yield chunk.part(start, i).of_block(block)
            start = i
        block = size if ids else block
    yield chunk.part(start, len(chunk)).of_block(block)
