"""One scheduling call walked through the running list, as vLLM does when pages or order matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.schedulers.vllm_v1 import VllmV1


def schedule_exactly(
    engine: Engine, scheduler: VllmV1
) -> tuple[int, int, tuple[int, ...], list[tuple[Request, int]], bool]:
    """Give tokens to the running requests in order, pre-empting where pages lack.

    Returns the decode rows of this step, the tokens they attend to (and those under windows), the prompt chunks, and
    whether anybody was pre-empted (then nobody is admitted).  First come first served takes from the last of the
    running list; priority from the largest (priority, arrival), and a victim that already had tokens in this call
    gives them back.  The walk is O(running); where only decode rows run, in order of arrival, O(victims) does the same.
    """
    rows, config = engine.rows, engine.config
    only_rows = not engine.partials and len(engine.running) == rows.count + len(engine.leaving)
    if only_rows and config.scheduling_policy == "fcfs" and rows.count <= config.max_num_batched_tokens:
        preempted = _evict_last(engine)
        return rows.count, rows.context(), rows.windowed(), [], preempted
    walk = _Walk(engine, scheduler)
    while walk.place < len(walk.order) and walk.budget > 0:
        if not walk.schedule(walk.order[walk.place]):
            break
    return walk.close()


def _evict_last(engine: Engine) -> bool:
    """Take a page for each row that needs one, from the last of the running list where none is free.

    Equal to the walk: a victim comes after everyone served so far, so its own need (if any) falls away with it, and
    pages are taken and given back in the same order.
    """
    rows, pool, size = engine.rows, engine.pool, engine.pool.block_size
    need, preempted = rows.pages(1), False
    while True:
        taken = min(need, pool.free)
        pool.take(taken)
        need -= taken
        if not need:
            return preempted
        victim = next(reversed(engine.running))
        need -= victim not in engine.leaving and not (victim.offset + rows.beat) % size
        engine.preempt(victim)
        preempted = True


class _Walk:
    """The state of one walk through the running list."""

    def __init__(self, engine: Engine, scheduler: VllmV1) -> None:
        self.engine = engine
        self.scheduler = scheduler
        self.order = list(engine.running)
        self.place = 0
        self.budget = scheduler.budget
        self.given: dict[Request, int] = {}
        self.preempted = False
        self.leaving = dict.fromkeys(engine.leaving)

    def is_row(self, request: Request) -> bool:
        """True for a decode row, False for an unfinished prompt."""
        return request.computed >= request.known

    def elsewhere(self, request: Request) -> bool:
        """True for a row of another pipeline group: its token is in flight."""
        return self.is_row(request) and request.rows is not self.engine.rows

    def schedule(self, request: Request) -> bool:
        """Serve the request at the current place; False ends the walk."""
        engine, pool = self.engine, self.engine.pool
        if request in self.leaving or self.elsewhere(request):
            self.place += 1
            return True
        tokens, pages = self._wants(request)
        if tokens <= 0:
            self.place += 1
            return True
        while pages > pool.free:
            victim = self._victim()
            self._preempt(victim)
            if victim is request:
                return engine.config.scheduling_policy == "priority"
        pool.take(pages)
        if not self.is_row(request):
            engine.compute(request, tokens, pages)
            if request.computed >= request.known:
                self.leaving[request] = None  # complete in this step: never a row of it
        self.given[request] = tokens
        self.budget -= tokens
        self.place += 1
        return True

    def _wants(self, request: Request) -> tuple[int, int]:
        engine = self.engine
        size = engine.pool.block_size
        if self.is_row(request):
            return 1, 0 if (request.offset + engine.rows.beat) % size else 1
        tokens = min(self.scheduler.limited(request.known - request.computed), self.budget)
        return tokens, -(-(request.computed + tokens) // size) - request.pages

    def _victim(self) -> Request:
        if self.engine.config.scheduling_policy == "priority":
            return max(self.order, key=lambda r: (r.priority, r.arrival, r.index))
        return self.order[-1]

    def _preempt(self, victim: Request) -> None:
        self.preempted = True
        place = self.order.index(victim)
        del self.order[place]
        if place < self.place:
            self.place -= 1
        given = self.given.pop(victim, 0)
        self.budget += given
        self.engine.preempt(victim, given)

    def close(self) -> tuple[int, int, tuple[int, ...], list[tuple[Request, int]], bool]:
        """Sum up; rows that got nothing do everything one beat later, if others get something."""
        engine, rows, beat = self.engine, self.engine.rows, self.engine.rows.beat
        chunks = [(r, n) for r, n in self.given.items() if r in self.leaving or not self.is_row(r)]
        decodes = context = 0
        windowed = [0] * len(engine.windows)
        idle: list[Request] = []
        for request in self.order:
            if request in self.leaving or not self.is_row(request) or self.elsewhere(request):
                continue
            if request in self.given:
                decodes += 1
                length = request.offset + beat + 1
                context += length
                for j, window in enumerate(engine.windows):
                    windowed[j] += min(length, window)
            else:
                idle.append(request)
        for request in idle if decodes else ():
            if engine.log is not None:
                engine.log.left(request, beat)
            rows.postpone(request)
            if engine.log is not None:
                engine.log.joined(request, beat + 1, rows.number)
        return decodes, context, tuple(windowed), chunks, self.preempted
