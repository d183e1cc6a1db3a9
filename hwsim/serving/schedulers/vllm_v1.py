"""vLLM V1: no prefill or decode phase; running requests first, then the waiting, all from one token budget.

Source: vLLM 0.33.0 and 0.11.0 ``v1/core/sched/scheduler.py`` as rules (the switches between the two are options of
:class:`~hwsim.serving.engine_config.EngineConfig`).  The running list is decodes in order of admission plus at most
one unfinished prompt, the last; where that fails (pages run short, thresholds) ``exact.py`` walks the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.serving.exact import schedule_exactly
from hwsim.serving.request import Request
from hwsim.serving.scheduler import Scheduler

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

MOST_FRUITLESS_STEPS = 1000


class VllmV1(Scheduler):
    """Continuous batching with chunked prefill, full-prompt admission and pre-emption by recompute.

    A prompt enters if its whole known length fits in the free pages now (0.33; hits that lie in the free queue count
    too, since touching them takes them out), less a watermark while something runs; head-of-line blocking, no
    skipping on memory, no admission in a call that pre-empted somebody.
    """

    fruitless = 0

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        config = engine.config
        first_come = config.scheduling_policy == "fcfs"
        self.lets_in_whole = type(self) is VllmV1 and first_come and not config.long_prefill_token_threshold

    def decides(self) -> bool:
        """True with unfinished prompts, when the head of the queue may enter, or when the rows exceed the budget."""
        engine = self.engine
        admission = engine.admission
        return (
            bool(engine.partials)
            or (
                bool(admission.waiting)
                and not admission.blocked
                and len(engine.running) < engine.config.max_num_seqs
                and engine.rows.count < self.budget
            )
            or engine.rows.count > self.budget
        )

    def could_admit(self) -> bool:
        """True unless somebody is ahead in the queue or all places are taken."""
        engine = self.engine
        if engine.admission.waiting and engine.admission.fcfs:
            return False
        return len(engine.running) - len(engine.leaving) < engine.config.max_num_seqs

    def decide(self, call: int) -> None:
        """One step that computes prompts: the decode rows, unfinished prompts, then admissions."""
        engine = self.engine
        rows, pool = engine.rows, engine.pool
        decodes = rows.count
        budget = self.budget - decodes
        chunks: list[tuple[Request, int]] = []
        need = rows.pages(1)
        windowed = None
        plan = self._continue_partials(budget, pool.free - need) if engine.partials else ()
        if plan is None or budget < 0 or need > pool.free:
            decodes, context, windowed, chunks, preempted = schedule_exactly(engine, self)
            budget = self.budget - decodes - sum(tokens for _, tokens in chunks)
        else:
            preempted = False
            context = rows.context()
            if need:
                pool.take(need)
            for request, tokens, pages in plan:
                pool.take(pages)
                engine.compute(request, tokens, pages)
                chunks.append((request, tokens))
                budget -= tokens
        if not preempted:
            self.admit(budget, chunks, call)
        if decodes or chunks:
            engine.run(call, decodes, context, chunks, windowed)
        if preempted:
            self._watch_progress(decodes)

    def _watch_progress(self, decodes: int) -> None:
        """Unfinished prompts can evict each other for ever: after too many such steps the next in line is refused."""
        self.fruitless = 0 if decodes else self.fruitless + 1
        if self.fruitless > MOST_FRUITLESS_STEPS and self.engine.admission.waiting:
            self.fruitless = 0
            self.engine.admission.reject_head("livelock: unfinished prompts pre-empt each other without any output")

    def _continue_partials(self, budget: int, free: int) -> list[tuple[Request, int, int]] | None:
        """What the unfinished prompts compute in this step, or None when order or pages matter."""
        engine = self.engine
        if len(engine.partials) > 1:
            return None
        request = engine.partials[0]
        tokens = min(self.limited(request.known - request.computed), budget)
        if tokens <= 0:
            return []
        pages = -(-(request.computed + tokens) // engine.pool.block_size) - request.pages
        return [(request, tokens, pages)] if pages <= free else None

    def limited(self, tokens: int) -> int:
        """At most ``long_prefill_token_threshold`` tokens of a prompt in one step (0.33: not for a lone request)."""
        engine = self.engine
        threshold = engine.config.long_prefill_token_threshold
        if not 0 < threshold < tokens:
            return tokens
        alone = len(engine.running) + len(engine.admission.waiting) == 1
        return tokens if alone and engine.config.threshold_spares_single else threshold

    # -- letting in ----------------------------------------------------------------------------------------------

    def admit(self, budget: int, chunks: list[tuple[Request, int]], call: int) -> None:
        """Admit from the head of the queue while tokens, places and pages last; chunks are added in order."""
        engine = self.engine
        config, pool, admission = engine.config, engine.pool, engine.admission
        waiting, size = admission.waiting, pool.block_size
        admission.tried = True
        while budget > 0 and waiting and len(engine.running) < config.max_num_seqs:
            request = waiting.head()
            if -(-request.known // size) > pool.usable:
                admission.reject_head()
                continue
            held = request.pages  # of KV that came from elsewhere
            hits, idle, holds = 0, 0, []
            cached = request.computed
            if not held:
                if request.prefix_ids is not None or request.private is not None:
                    hits, idle, holds = self.find(request)
                cached = held = hits
                cached *= size
                if (request.remote_tokens or engine.remote.connector is not None) and self._load(
                    request, hits, idle, holds, call
                ):
                    if admission.blocked:
                        break
                    continue
            tokens = request.known - cached
            if config.long_prefill_token_threshold:
                tokens = self.limited(tokens)
            if tokens > budget:
                if not config.enable_chunked_prefill:
                    break
                tokens = self.cut(budget)
                if not tokens:
                    break
            first = -(-(cached + tokens) // size) - held
            if self.needs(request, held, first) + idle > pool.free - self.kept_free():
                admission.blocked = True
                break
            waiting.take()
            admission.blocked = False
            if hits:
                pool.touch(request, hits, holds)
            pool.take(first)
            engine.enter(request, cached, tokens, first, call)
            chunks.append((request, tokens))
            budget -= tokens

    def cut(self, budget: int) -> int:
        """Tokens of a prompt that does not fit in the budget whole."""
        return budget

    def needs(self, request: Request, held: int, first: int) -> int:
        """Pages that must be free for ``request`` to enter with ``first`` pages now and ``held`` before."""
        if self.engine.config.reserve_full_prompt:
            return -(-request.known // self.engine.pool.block_size) - held
        return first

    def kept_free(self) -> int:
        """Pages that an admission must leave alone."""
        return self.engine.admission.watermark if self.engine.running else 0

    def kept_for_loads(self) -> int:
        """Pages that the start of a load must leave alone: what other unfinished prompts need, too."""
        return self.kept_free() + self.promised()

    def _load(self, request: Request, hits: int, idle: int, holds: list[list], call: int) -> bool:
        """Start to load the KV that lies elsewhere; False if there is none (then the prompt is computed)."""
        engine = self.engine
        pool, size = engine.pool, engine.pool.block_size
        tokens = engine.remote.tokens(request, hits * size)
        if not tokens:
            request.remote_tokens = 0
            return False
        pages = -(-(hits * size + tokens) // size) - hits
        if self.needs(request, hits, pages) + idle > pool.free - self.kept_for_loads():
            engine.admission.blocked = True
            return True
        engine.admission.waiting.take()
        engine.admission.blocked = False
        if hits:
            pool.touch(request, hits, holds)
        pool.take(pages)
        request.pages += pages
        engine.remote.load(request, hits * size, tokens, call)
        return True


PART = VllmV1
