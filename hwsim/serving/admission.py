"""The waiting side of an engine: queue order, prefix lookup, and the test that lets a prompt in."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine


class FcfsQueue(deque[Request]):
    """First come, first served; pre-empted requests return to the front."""

    def head(self) -> Request:
        """The request that is next."""
        return self[0]

    def take(self) -> Request:
        """Take the head out."""
        return self.popleft()

    def push(self, request: Request) -> bool:
        """Queue an arrival; True if it is the new head."""
        self.append(request)
        return len(self) == 1

    def push_front(self, request: Request) -> None:
        """Return a pre-empted request."""
        self.appendleft(request)


class PriorityQueue(list[tuple[int, int, int, Request]]):
    """Smaller priority first, then earlier arrival, then trace order; pre-empted requests compete like all others."""

    def head(self) -> Request:
        """The request that is next."""
        return self[0][3]

    def take(self) -> Request:
        """Take the head out."""
        return heappop(self)[3]

    def push(self, request: Request) -> bool:
        """Queue a request; True if it is the new head."""
        heappush(self, (request.priority, request.arrival, request.index, request))
        return self[0][3] is request

    def push_front(self, request: Request) -> None:
        """Return a pre-empted request: its place follows from its priority."""
        self.push(request)


class Admission:
    """Lets waiting requests in, in queue order, with no skipping on memory (vLLM: head-of-line blocking).

    A prompt enters if its whole known length fits in the free pages now (full-prompt admission; hits that lie in the
    free queue count too, since touching them takes them out), less a watermark while something runs.  ``blocked``
    remembers that the head did not fit: in pure decode steps nothing can change that until pages are released.
    """

    __slots__ = (
        "blocked",
        "engine",
        "fcfs",
        "tried",
        "waiting",
        "watermark",
    )

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.fcfs = engine.config.scheduling_policy != "priority"
        self.waiting: FcfsQueue | PriorityQueue = FcfsQueue() if self.fcfs else PriorityQueue()
        self.blocked = False
        self.tried = False  # in this call
        self.watermark = int(engine.config.watermark * engine.config.num_gpu_blocks)

    # -- arrivals ------------------------------------------------------------------------------------------------

    def arrive(self, request: Request) -> None:
        """An arrival becomes visible: refused if no engine state could ever serve it, else queued."""
        engine = self.engine
        limit = engine.config.max_model_len
        if request.prompt_tokens >= limit:
            reason = f"prompt of {request.prompt_tokens} tokens leaves no room in max_model_len {limit}"
            self._reject(request, reason)
            return
        if -(-request.prompt_tokens // engine.pool.block_size) > engine.pool.usable:
            self._reject(request, self._too_large(request))
            return
        room = limit - request.prompt_tokens
        if request.output_tokens >= room:
            request.output_tokens = room
            request.ends_by_eos = False
        if self.waiting.push(request):
            self.blocked = False

    def return_to_front(self, request: Request) -> None:
        """Queue a pre-empted request again."""
        self.waiting.push_front(request)
        self.blocked = False

    def reject_head(self, reason: str | None = None) -> None:
        """Give up the head of the queue: no state of the engine could let it in."""
        request = self.waiting.take()
        self.blocked = False
        self._reject(request, reason or self._too_large(request))

    def _too_large(self, request: Request) -> str:
        pool, config = self.engine.pool, self.engine.config
        pages = -(-request.known // pool.block_size)
        if pages <= pool.usable and not config.enable_chunked_prefill:
            return f"{request.known} tokens exceed max_num_batched_tokens {config.max_num_batched_tokens}, no chunking"
        return f"{request.known} tokens need {pages} KV blocks, the pool has {pool.usable}"

    def _reject(self, request: Request, reason: str) -> None:
        request.status, request.reason = "rejected", reason
        self.engine.reject(request)

    def requests(self) -> list[Request]:
        """Who waits, for reports (a priority queue's own order)."""
        return [item if isinstance(item, Request) else item[3] for item in self.waiting]

    # -- tests ---------------------------------------------------------------------------------------------------

    def possible(self) -> bool:
        """True when the head of the queue may enter in this call."""
        engine = self.engine
        return (
            bool(self.waiting)
            and not self.blocked
            and len(engine.running) < engine.config.max_num_seqs
            and engine.rows.count < engine.config.max_num_batched_tokens
        )

    def could_admit(self) -> bool:
        """True when an arrival would be worth a new scheduling decision."""
        if self.waiting and self.fcfs:
            return False
        engine = self.engine
        return len(engine.running) - len(engine.leaving) < engine.config.max_num_seqs

    # -- letting in ----------------------------------------------------------------------------------------------

    def admit(self, budget: int, chunks: list[tuple[Request, int]], call: int) -> None:
        """Admit from the head of the queue while tokens, places and pages last; chunks are added in order."""
        engine, config, pool, waiting = self.engine, self.engine.config, self.engine.pool, self.waiting
        size = pool.block_size
        self.tried = True
        while budget > 0 and waiting and len(engine.running) < config.max_num_seqs:
            request = waiting.head()
            if -(-request.known // size) > pool.usable:
                self.reject_head()
                continue
            hits, idle, holds = 0, 0, []
            if request.prefix_ids is not None or request.private is not None:
                hits, idle, holds = pool.lookup(request, (request.known - 1) // size)
            tokens = request.known - hits * size
            if config.long_prefill_token_threshold:
                tokens = engine.limited(tokens)
            if tokens > budget:
                if not config.enable_chunked_prefill:
                    break
                tokens = budget
            first = -(-(hits * size + tokens) // size) - hits
            whole = -(-request.known // size) - hits if config.reserve_full_prompt else first
            if whole + idle > pool.free - (self.watermark if engine.running else 0):
                self.blocked = True
                break
            waiting.take()
            self.blocked = False
            if hits:
                pool.touch(request, hits, holds)
            pool.take(first)
            self._enter(request, hits * size, tokens, first, call)
            chunks.append((request, tokens))
            budget -= tokens

    def _enter(self, request: Request, cached: int, tokens: int, pages: int, call: int) -> None:
        engine = self.engine
        request.computed = cached
        if request.cached_tokens < 0:
            request.cached_tokens = cached
            request.scheduled = call
        else:
            engine.recomputed_tokens += request.was_computed - cached
        request.status = "running"
        engine.sequence += 1
        request.sequence = engine.sequence
        engine.running[request] = None
        engine.compute(request, tokens, pages)
        if engine.log is not None:
            engine.log.admitted(request, engine.step, cached)
        if request.computed < request.known:
            engine.partials.append(request)
