"""The decode rows of an engine as running sums: nothing here loops over the rows."""

from __future__ import annotations

from heapq import heappop, heappush

from hwsim.serving.request import Request


class DecodeRows:
    """Requests that decode in lockstep: one token each in every step, so only sums and remainders are kept.

    A row's computed tokens in step ``m`` are ``offset + m``.  ``phases[r]`` counts the rows that need a new page in
    the steps ``m % page == r``, which gives the pages that any span of steps takes (the list is kept twice in a row,
    so that a span is one slice); ``due`` orders the rows by the step in which they are no longer scheduled.
    """

    __slots__ = ("count", "due", "offsets", "page", "phases")

    def __init__(self, page: int) -> None:
        self.page = page
        self.count = 0
        self.offsets = 0
        self.phases = [0] * (2 * page)
        self.due: list[tuple[int, int, Request]] = []

    def join(self, request: Request, step: int, computed: int, steps: int) -> None:
        """Make ``request`` a row from ``step`` on, for ``steps`` steps, with ``computed`` tokens before the first."""
        request.join_step = step
        request.offset = offset = computed - step
        request.finish_step = finish = step + steps
        self.count += 1
        self.offsets += offset
        phase = -offset % self.page
        self.phases[phase] += 1
        self.phases[phase + self.page] += 1
        heappush(self.due, (finish, request.sequence, request))

    def leave(self, request: Request) -> None:
        """Take a row out (its entry in ``due`` is dropped when it comes up, unless the caller has popped it)."""
        offset = request.offset
        self.count -= 1
        self.offsets -= offset
        phase = -offset % self.page
        self.phases[phase] -= 1
        self.phases[phase + self.page] -= 1
        request.finish_step = -1

    def postpone(self, request: Request) -> None:
        """The row was not scheduled in this step: everything about it happens one step later."""
        finish, computed, join_step = request.finish_step, request.offset, request.join_step
        self.leave(request)
        self.join(request, join_step + 1, computed + join_step, finish - join_step)

    def next_due(self) -> int:
        """The next step in which some row is no longer scheduled (-1 without rows)."""
        due = self.due
        while due:
            step, sequence, request = due[0]
            if request.finish_step == step and request.sequence == sequence:
                return step
            heappop(due)
        return -1

    def pop_due(self, step: int) -> list[Request]:
        """The rows that end before ``step``, in running order; the caller lets them leave."""
        due, ended = self.due, []
        while due and due[0][0] <= step:
            finish, sequence, request = heappop(due)
            if request.finish_step == finish and request.sequence == sequence:
                ended.append(request)
        return ended

    def pages(self, step: int, steps: int) -> int:
        """Pages that ``steps`` steps from ``step`` on take: one whenever a row's computed tokens fill its pages."""
        page = self.page
        first = step % page
        if steps < page:
            return sum(self.phases[first : first + steps])
        return steps // page * self.count + sum(self.phases[first : first + steps % page])

    def context(self, step: int) -> int:
        """Tokens that all rows attend to in ``step``, the new ones included."""
        return self.offsets + self.count * (step + 1)
