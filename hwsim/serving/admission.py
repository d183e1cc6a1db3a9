"""The waiting side of an engine: who is next, and what can never be served."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from hwsim.serving.request import Request
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

AGEING_GRAIN = 1 << 20  # parts of a token per second


class FcfsQueue(deque[Request]):
    """First come, first served; pre-empted requests return to the front, those that hold loaded KV before them."""

    loaded = 0  # how many at the front hold KV that came from elsewhere

    def head(self) -> Request:
        """The request that is next."""
        return self[0]

    def take(self) -> Request:
        """Take the head out."""
        if self.loaded:
            self.loaded -= 1
        return self.popleft()

    def push(self, request: Request) -> bool:
        """Queue an arrival; True if it is the new head."""
        self.append(request)
        return len(self) == 1

    def push_front(self, request: Request) -> None:
        """Return a pre-empted request."""
        if self.loaded:
            self.insert(self.loaded, request)
        else:
            self.appendleft(request)

    def push_loaded(self, request: Request) -> None:
        """Queue a request whose KV has come, in the order in which loads were started."""
        place = 0
        while place < self.loaded and self[place].load_order < request.load_order:
            place += 1
        self.insert(place, request)
        self.loaded += 1


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
        heappush(self, (self.rank(request), request.arrival, request.index, request))
        return self[0][3] is request

    def rank(self, request: Request) -> int:
        """Smaller is sooner."""
        return request.priority

    def push_front(self, request: Request) -> None:
        """Return a pre-empted request: its place follows from its priority."""
        self.push(request)

    def push_loaded(self, request: Request) -> None:
        """Queue a request whose KV has come."""
        self.push(request)


class ShortestQueue(PriorityQueue):
    """The shortest prompt first, with ageing (Nexus: score = tokens - ageing x wait).

    All waits grow alike, so scores never change their order: tokens + ageing x arrival says the same for good.
    """

    def __init__(self, ageing: float) -> None:
        super().__init__()
        self.ageing = round(ageing * AGEING_GRAIN)

    def rank(self, request: Request) -> int:
        """Tokens known so far, and what a later arrival is behind."""
        return request.known * AGEING_GRAIN * TICKS_PER_SECOND + self.ageing * request.arrival


class Admission:
    """Queue order and refusals; whether the head may enter is the scheduler's business.

    ``blocked`` remembers that the head did not fit: in pure decode steps nothing can change that until pages are
    released.  ``tried`` says that the present call has looked at the head.
    """

    __slots__ = ("blocked", "engine", "fcfs", "most", "pool_tokens", "tried", "waiting", "watermark")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.fcfs = engine.config.scheduling_policy == "fcfs"
        self.waiting = _queue(engine)
        self.blocked = False
        self.tried = False  # in this call
        self.most = engine.config.max_model_len
        self.pool_tokens = engine.pool.usable * engine.pool.block_size
        self.watermark = int(engine.config.watermark * engine.config.num_gpu_blocks)

    def refusal(self, request: Request) -> str | None:
        """Why no state of the engine could ever serve ``request``, or None; its limits are cut to what it accepts."""
        prompt = request.prompt_tokens
        room = self.most - prompt
        if room <= 0:
            return f"prompt of {prompt} tokens leaves no room in max_model_len {self.most}"
        if prompt > self.pool_tokens:
            return self.too_large(request)
        if request.output_tokens >= room:
            request.output_tokens = room
            request.ends_by_eos = False
        if request.max_tokens > room:
            request.max_tokens = room
        return self.engine.scheduler.receives(request)

    def arrive(self, request: Request) -> None:
        """An arrival becomes visible and is queued."""
        if self.waiting.push(request):
            self.blocked = False

    def return_to_front(self, request: Request) -> None:
        """Queue a pre-empted request again."""
        self.waiting.push_front(request)
        self.blocked = False

    def return_loaded(self, request: Request) -> None:
        """Queue a request whose KV has come: before all that hold none."""
        self.waiting.push_loaded(request)
        self.blocked = False

    def remove(self, request: Request) -> None:
        """Take a request that holds no KV out of the queue, wherever it stands."""
        waiting = self.waiting
        if isinstance(waiting, FcfsQueue):
            waiting.remove(request)
        else:
            waiting[:] = [item for item in waiting if item[3] is not request]
            heapify(waiting)
        self.blocked = False

    def reject_head(self, reason: str | None = None) -> None:
        """Give up the head of the queue: no state of the engine could let it in."""
        request = self.waiting.take()
        self.blocked = False
        self._reject(request, reason or self.too_large(request))

    def too_large(self, request: Request) -> str:
        """Why a request can never fit."""
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


def _queue(engine: Engine) -> FcfsQueue | PriorityQueue:
    config = engine.config
    if config.scheduling_policy == "fcfs":
        return FcfsQueue()
    return PriorityQueue() if config.scheduling_policy == "priority" else ShortestQueue(config.ageing)
