"""The decode rows of an engine as running sums: nothing here loops over the rows."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from hwsim.serving.request import Request
from hwsim.serving.windows import WindowSum

if TYPE_CHECKING:
    from hwsim.serving.journal import Journal


class DecodeRows:
    """Requests that decode in lockstep: one token each in every step, so only sums and remainders are kept.

    Time is counted in *beats*, the steps in which the rows are scheduled: steps that pause them (a prefill batch of
    SGLang, another pipeline group's turn) are no beats.  A row's computed tokens at ``beat`` are ``offset + beat``.
    ``phases[r]`` counts the rows that need a new page at the beats ``b % page == r``, which gives the pages that any
    span of beats takes (a span around the end is all but the slice that it leaves out); ``due`` orders the rows by the
    beat at which they are no longer scheduled.  ``end`` and ``end_before`` are when the outputs of the last two beats
    are there.
    """

    __slots__ = ("beat", "count", "due", "end", "end_before", "late", "number", "offsets", "page", "phases", "windows")

    def __init__(self, page: int, number: int = 0, windows: tuple[int, ...] = ()) -> None:
        self.page = page
        self.windows = [WindowSum(window) for window in windows]
        self.number = number  # which pipeline group
        self.beat = 0
        self.end = self.end_before = 0
        self.late: list[list[int]] = []  # while steps pause the rows: [time of the last token, rows]
        self.count = 0
        self.offsets = 0
        self.phases = [0] * page
        self.due: list[tuple[int, int, Request]] = []

    def join(self, request: Request, computed: int, steps: int) -> None:
        """Make ``request`` a row from this beat on, for ``steps`` beats, with ``computed`` tokens before the first."""
        self._enter(request, self.beat, computed - self.beat, self.beat + steps)

    def _enter(self, request: Request, beat: int, offset: int, finish: int) -> None:
        request.join_beat = beat
        request.rows = self
        request.offset = offset
        request.finish_beat = finish
        self.count += 1
        self.offsets += offset
        self.phases[-offset % self.page] += 1
        heappush(self.due, (finish, request.sequence, request))
        for window in self.windows:
            window.join(offset, self.beat)

    def leave(self, request: Request) -> None:
        """Take a row out (its entry in ``due`` is dropped when it comes up, unless the caller has popped it)."""
        offset = request.offset
        self.count -= 1
        self.offsets -= offset
        self.phases[-offset % self.page] -= 1
        request.finish_beat = -1
        for window in self.windows:
            window.leave(offset)

    def postpone(self, request: Request) -> None:
        """The row is not scheduled at this beat, unlike others: everything about it happens one beat later."""
        finish, offset, beat = request.finish_beat, request.offset, request.join_beat
        self.leave(request)
        self._enter(request, beat + 1, offset - 1, finish + 1)

    def windowed(self) -> tuple[int, ...]:
        """``sum(min(context, window))`` at this beat, for each window."""
        for window in self.windows:
            window.settle(self.beat)
        return tuple([window.value(self.beat, self.count) for window in self.windows])

    def catch_up(self, journal: Journal, end: int) -> int:
        """After a pause the first tokens come at ``end``: write down each row's own gap; returns how many rows."""
        rows = 0
        for last, count in self.late:
            if count:
                journal.gap(end - last, count)
                rows += count
        self.late.clear()
        return rows

    def forget(self, last: int) -> None:
        """A row whose last token came at ``last`` leaves during a pause."""
        for cohort in self.late:
            if cohort[0] == last:
                cohort[1] -= 1
                return

    def next_due(self) -> int:
        """The next beat at which some row is no longer scheduled (-1 without rows)."""
        due = self.due
        while due:
            beat, sequence, request = due[0]
            if request.finish_beat == beat and request.sequence == sequence:
                return beat
            heappop(due)
        return -1

    def pop_due(self) -> list[Request]:
        """The rows that end before this beat, in running order; the caller lets them leave."""
        due, beat = self.due, self.beat
        ended: list[Request] = []
        while due and due[0][0] <= beat:
            finish, sequence, request = heappop(due)
            if request.finish_beat == finish and request.sequence == sequence:
                ended.append(request)
        return ended

    def pages(self, steps: int) -> int:
        """Pages that the next ``steps`` beats take: one whenever a row's computed tokens fill its pages."""
        page, phases = self.page, self.phases
        first = self.beat % page
        last = first + steps % page
        pages = sum(phases[first:last]) if last <= page else self.count - sum(phases[last - page : first])
        return pages + steps // page * self.count

    def context(self) -> int:
        """Tokens that all rows attend to at this beat, the new ones included."""
        return self.offsets + self.count * (self.beat + 1)
