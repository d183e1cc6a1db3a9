"""What a run keeps: tables by column, filled row by row for next to nothing, and spans, counters and causes on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hwsim.kernel.activity import Activity

ROWS = 4096  # rows gathered as tuples before they become columns
KINDS = ("int", "float", "bool", "category", "text")
_NARROW = tuple((np.dtype(name), np.iinfo(name)) for name in ("int8", "int16", "int32"))


class Table:
    """Rows appended as tuples, kept as numpy columns in chunks.

    Kinds of columns: ``int`` (each chunk in the narrowest type that holds it, read back as int64), ``float``
    (float64), ``bool``, ``category`` (a string out of few, kept as a code) and ``text`` (any string).

    ``append(row)`` is the plain way.  A hot loop takes ``push = table.buffer.append`` (it stays valid) and calls
    ``table.trim()`` every so often, at best every few thousand rows; nothing is lost if it is called late.
    """

    __slots__ = ("_chunks", "_codes", "buffer", "kinds", "stored")

    def __init__(self, columns: Mapping[str, str]) -> None:
        """``columns`` maps names to kinds; ``ValueError`` for an unknown kind."""
        for name, kind in columns.items():
            if kind not in KINDS:
                raise ValueError(f"column {name}: unknown kind {kind}, known: {', '.join(KINDS)}")
        self.kinds = dict(columns)
        self.buffer: list[tuple[Any, ...]] = []
        self.stored = 0  # rows that are columns already
        self._chunks: dict[str, list[Any]] = {name: [] for name in columns}
        self._codes: dict[str, dict[str, int]] = {name: {} for name, kind in columns.items() if kind == "category"}

    def __len__(self) -> int:
        return self.stored + len(self.buffer)

    def append(self, row: tuple[Any, ...]) -> None:
        """Add one row: its values in the order of the columns."""
        self.buffer.append(row)
        if len(self.buffer) >= ROWS:
            self.flush()

    def trim(self) -> None:
        """Turn gathered rows into columns if there are enough of them."""
        if len(self.buffer) >= ROWS:
            self.flush()

    def flush(self) -> None:
        """Turn gathered rows into columns; ``ValueError`` if a row has too few or too many values."""
        rows = self.buffer
        if not rows:
            return
        if {len(row) for row in rows} != {len(self.kinds)}:
            raise ValueError(f"a row must have {len(self.kinds)} values: {', '.join(self.kinds)}")
        for (name, kind), values in zip(self.kinds.items(), zip(*rows, strict=True), strict=True):
            self._chunks[name].append(self._column(name, kind, values))
        self.stored += len(rows)
        rows.clear()  # in place: bound appends stay valid

    def _column(self, name: str, kind: str, values: tuple[Any, ...]) -> Any:
        if kind == "int":
            return _narrowed(np.array(values, dtype=np.int64))
        if kind == "float":
            return np.array(values, dtype=np.float64)
        if kind == "bool":
            return np.array(values, dtype=np.bool_)
        if kind == "text":
            return values
        codes = self._codes[name]
        return _narrowed(np.array([codes.setdefault(v, len(codes)) for v in values], dtype=np.int64))

    def categories(self, name: str) -> tuple[np.ndarray, list[str]]:
        """The codes of a category column (int32) and what they stand for."""
        self.flush()
        return _joined(self._chunks[name], np.int32), list(self._codes[name])

    def columns(self) -> dict[str, np.ndarray]:
        """Every column as one array: int64, float64, bool, or object for strings."""
        self.flush()
        columns: dict[str, np.ndarray] = {}
        for name, kind in self.kinds.items():
            chunks = self._chunks[name]
            if kind == "category":
                codes, names = self.categories(name)
                columns[name] = np.array([*names, ""], dtype=object)[codes]
            elif kind == "text":
                columns[name] = np.array([value for chunk in chunks for value in chunk], dtype=object)
            else:
                columns[name] = _joined(chunks, {"int": np.int64, "float": np.float64, "bool": np.bool_}[kind])
        return columns


def _narrowed(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    for dtype, info in _NARROW:
        if info.min <= low and high <= info.max:
            return values.astype(dtype)
    return values


def _joined(chunks: list[np.ndarray], dtype: Any) -> np.ndarray:
    if not chunks:
        return np.empty(0, dtype=dtype)
    return np.concatenate([chunk.astype(dtype, copy=False) for chunk in chunks])


class Recorder:
    """Spans (who did what from when to when), counters (a value that holds from a time on) and causes.

    A cause says which span let another begin, and why ("slot", "data", ...): the edges of the critical path.  Times
    are ticks.  Spans get ascending ids from 0.
    """

    __slots__ = ("causes", "counters", "spans")

    def __init__(self) -> None:
        self.spans = Table(
            {"span": "int", "track": "category", "name": "category", "owner": "category"}
            | {"submitted": "int", "start": "int", "end": "int"}
        )
        self.counters = Table({"name": "category", "time": "int", "value": "float"})
        self.causes = Table({"span": "int", "cause": "int", "reason": "category"})

    def span(
        self, track: str, name: str, start: int, end: int, *, owner: str = "", submitted: int | None = None
    ) -> int:
        """Keep one span and return its id; ``submitted`` is when it began to wait (``start`` if left out)."""
        span = len(self.spans)
        self.spans.append((span, track, name, owner, start if submitted is None else submitted, start, end))
        return span

    def activity(self, activity: Activity) -> int:
        """Keep a finished activity as a span on the track of its first slot (or of its owner)."""
        track = activity.slots[0].name if activity.slots else activity.owner
        return self.span(
            track,
            activity.name,
            activity.started,
            activity.finished,
            owner=activity.owner,
            submitted=activity.submitted,
        )

    def count(self, name: str, time: int, value: float) -> None:
        """From ``time`` on the counter ``name`` stands at ``value``."""
        self.counters.append((name, time, value))

    def cause(self, span: int, cause: int, reason: str) -> None:
        """Span ``span`` could begin because span ``cause`` had ended."""
        self.causes.append((span, cause, reason))
