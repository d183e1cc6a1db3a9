"""Sums of contexts under sliding windows, kept as running sums like everything else about decode rows."""

from __future__ import annotations

from heapq import heappop, heappush


class WindowSum:
    """``sum(min(context, window))`` over the decode rows, and when the next of them outgrows the window.

    A row's context at beat ``b`` is ``offset + b + 1``; it leaves the window behind at the beat ``window - offset``,
    so rows that do so together have one offset and only their number is kept.
    """

    __slots__ = ("_beats", "_rows", "below", "offsets", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.below = 0  # rows whose context is not longer than the window: they grow
        self.offsets = 0  # the sum of their offsets
        self._rows: dict[int, int] = {}  # beat at which they outgrow it -> rows
        self._beats: list[int] = []

    def join(self, offset: int, beat: int) -> None:
        """A row comes."""
        crossing = self.window - offset
        if crossing > beat:
            self.below += 1
            self.offsets += offset
            rows = self._rows.get(crossing)
            if rows is None:
                heappush(self._beats, crossing)
            self._rows[crossing] = (rows or 0) + 1

    def leave(self, offset: int) -> None:
        """A row goes."""
        crossing = self.window - offset
        rows = self._rows.get(crossing)
        if rows:
            self.below -= 1
            self.offsets -= offset
            self._rows[crossing] = rows - 1

    def settle(self, beat: int) -> None:
        """Forget the rows that have outgrown the window by ``beat``."""
        beats = self._beats
        while beats and (beats[0] <= beat or not self._rows[beats[0]]):
            crossing = heappop(beats)
            rows = self._rows.pop(crossing)
            self.below -= rows
            self.offsets -= rows * (self.window - crossing)

    def value(self, beat: int, count: int) -> int:
        """The sum over ``count`` rows at ``beat`` (settled)."""
        return self.offsets + self.below * (beat + 1) + self.window * (count - self.below)

    def next_crossing(self) -> int | None:
        """The next beat at which a row outgrows the window (settled)."""
        return self._beats[0] if self._beats else None
