"""SGLang: a prefill batch whenever one can be built, run alone; else all decode.

Source: SGLang 0.5.23 ``managers/scheduler.py``, ``schedule_policy.py`` (PrefillAdder), ``schedule_batch.py`` as rules.
Simplifications: first come first served only (no longest-prefix order), no mixed chunks; a prompt enters the prefix
tree when it is scheduled, so one that shares it hits in the same batch instead of being put off to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.serving.pipeline import FAR
from hwsim.serving.request import Request
from hwsim.serving.scheduler import Scheduler

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

DEFAULTS = {
    "schedule_conservativeness": 1.0,
    "init_new_token_ratio": 0.7,
    "min_new_token_ratio_factor": 0.14,
    "new_token_ratio_decay_steps": 600,
    "retract_decode_steps": 20,
    "clip_max_new_tokens": 4096,
    "max_prefill_tokens": 16384,
    "num_reserved_decode_tokens": 512,
    "scheduler_recv_interval": 1,
}


class Sglang(Scheduler):
    """Prefill first with chunks; admission bets on a share of the outputs (new-token ratio), losers are retracted.

    A request enters if its prompt and its whole ``max_tokens`` (at most 4096) fit in what is free or evictable, less
    ``new_token_ratio`` of what every running request may still produce.  The ratio falls with every decode step and
    is set anew when the bet is lost: then those with the fewest outputs go back to the end of the queue.
    """

    remembers_preempted = False

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.options = {**DEFAULTS, **engine.config.options}
        self.initial = min(self.options["init_new_token_ratio"] * self.options["schedule_conservativeness"], 1.0)
        self.least = min(self.initial * self.options["min_new_token_ratio_factor"], 1.0)
        self.decay = (self.initial - self.least) / self.options["new_token_ratio_decay_steps"]
        self.since = (self.initial, 0)  # the ratio at a beat
        self.interval = self.options["scheduler_recv_interval"]
        self.prefilled = 0  # beat of the last prefill batch: requests are received after it, then at every interval

    @property
    def new_token_ratio(self) -> float:
        """The share of their remaining ``max_tokens`` that running requests are expected to use."""
        ratio, beat = self.since
        return max(ratio - self.decay * (self.engine.rows.beat - beat), self.least)

    def receives(self, request: Request) -> str | None:
        """``max_tokens`` is cut to what the pool holds beside the prompt."""
        room = self.engine.pool.usable * self.engine.pool.block_size - request.prompt_tokens - 2
        room -= self.engine.pool.block_size - 1
        if room < 1:
            return self.engine.admission.too_large(request)
        request.max_tokens = min(request.max_tokens, room)
        if request.output_tokens >= request.max_tokens:
            request.output_tokens = request.max_tokens
            request.ends_by_eos = False
        return None

    def decides(self) -> bool:
        """True with an unfinished prompt, or when the head of the queue may enter."""
        engine = self.engine
        waiting = bool(engine.admission.waiting) and not engine.admission.blocked and self._received()
        return bool(engine.partials) or (waiting and len(engine.running) < engine.config.max_num_seqs)

    def _received(self) -> bool:
        """Whether this call looks for new requests: between decode steps only every ``scheduler_recv_interval``."""
        rows = self.engine.rows
        return self.interval == 1 or not rows.count or (rows.beat - self.prefilled) % self.interval == 0

    def next_look(self) -> int:
        """Decode steps until requests are received again."""
        if self.interval == 1 or self.engine.admission.blocked:
            return FAR
        return self.interval - (self.engine.rows.beat - self.prefilled) % self.interval

    def could_admit(self) -> bool:
        """True unless somebody is ahead in the queue or all places are taken."""
        engine = self.engine
        if engine.admission.waiting and engine.admission.fcfs:
            return False
        return len(engine.running) - len(engine.leaving) < engine.config.max_num_seqs

    def decide(self, call: int) -> None:
        """A prefill batch, or else one decode step."""
        chunks = self._prefill(call) if self.decides() else []
        if chunks:
            self.prefilled = self.engine.rows.beat
            self.engine.run(call, 0, 0, chunks)
        else:
            self.decode(call)

    # -- the prefill batch ---------------------------------------------------------------------------------------

    def _prefill(self, call: int) -> list[tuple[Request, int]]:
        """The unfinished prompt first, then the queue while chunk tokens, input tokens and KV tokens last."""
        engine, admission = self.engine, self.engine.admission
        chunks: list[tuple[Request, int]] = []
        whole = self.options["max_prefill_tokens"]
        budget = engine.config.max_num_batched_tokens if engine.config.enable_chunked_prefill else 1 << 60
        total = engine.pool.free * engine.pool.block_size - self._expected()
        for request in list(engine.partials):
            tokens = min(request.known - request.computed, budget)
            if not self._extend(request, tokens):
                return chunks
            chunks.append((request, tokens))
            budget, whole = budget - tokens, whole - tokens
            total -= tokens + (0 if request.computed < request.known else self._clipped(request))
        admission.tried = True
        waiting = admission.waiting
        while waiting and len(engine.running) < engine.config.max_num_seqs and budget > 0 and whole > 0:
            request = waiting.head()
            if not request.pages and (request.remote_tokens or engine.remote.connector is not None):
                free = engine.pool.free
                if not self._load(request, call):
                    break
                total -= (free - engine.pool.free) * engine.pool.block_size
                if request.pages:
                    continue
            step = self._add(request, budget, whole, total, call, first=not chunks)
            if not step:
                break
            chunks.append((request, step[0]))
            budget, whole, total = budget - step[0], whole - step[0], total - step[1]
            if request.computed < request.known:
                break
        return chunks

    def _expected(self) -> float:
        """Tokens that the decode rows are expected to add before they end."""
        engine, ratio, beat = self.engine, self.new_token_ratio, self.engine.rows.beat
        waiting = engine.admission.waiting
        if not engine.running and waiting and waiting.head().arrival_alone > engine.pipeline.end:
            self.since = (self.initial, beat)  # the engine was idle
        clip, left = self.options["clip_max_new_tokens"], 0
        for r in engine.running:
            if r.join_beat >= 0 and r.finish_beat > beat:
                left += min(max(r.max_tokens - r.emitted - (beat - r.join_beat), 0), clip)
        return left * ratio

    def _clipped(self, request: Request) -> int:
        return min(max(request.max_tokens - request.emitted, 0), self.options["clip_max_new_tokens"])

    def _add(
        self, request: Request, budget: int, whole: int, total: float, call: int, *, first: bool
    ) -> tuple[int, int] | None:
        """Let ``request`` in; returns its tokens now and the KV tokens that are spoken for, or None."""
        engine, pool = self.engine, self.engine.pool
        size = pool.block_size
        if -(-request.known // size) > pool.usable:
            engine.admission.reject_head()
            return None
        held, cached = request.pages, request.computed  # of KV that came from elsewhere
        hits, idle, holds = 0, 0, []
        if not held:
            hits, idle, holds = self.find(request)
            held, cached = hits, hits * size
        tokens = request.known - cached
        clipped = self._clipped(request)
        if tokens + clipped + size + idle * size >= total:
            engine.admission.blocked = True
            return None
        if tokens >= whole and not first:
            return None
        spoken = tokens + clipped
        if tokens > budget:
            tokens = budget // size * size
            spoken = tokens
            if tokens <= 0:
                return None
        pages = -(-(cached + tokens) // size) - held
        engine.admission.waiting.take()
        engine.admission.blocked = False
        if hits:
            pool.touch(request, hits, holds)
        pool.take(pages)
        engine.enter(request, cached, tokens, pages, call)
        return tokens, spoken + idle * size

    def _extend(self, request: Request, tokens: int) -> bool:
        """The unfinished prompt goes on; False if its pages are not there."""
        engine = self.engine
        pages = -(-(request.computed + tokens) // engine.pool.block_size) - request.pages
        while pages > engine.pool.free and engine.rows.count:
            self._retract()
        if pages > engine.pool.free:
            return False
        engine.pool.take(pages)
        engine.compute(request, tokens, pages)
        return True

    def _load(self, request: Request, call: int) -> bool:
        """Reserve the pages of KV that another place sends (as decode does before prefill starts); False: no room."""
        engine, pool = self.engine, self.engine.pool
        hits, idle, holds = self.find(request)
        cached = hits * pool.block_size
        tokens = engine.remote.tokens(request, cached)
        if not tokens:
            request.remote_tokens = 0
            return True
        pages = -(-(cached + tokens) // pool.block_size) - hits
        spare = self.options["num_reserved_decode_tokens"]
        others = len(engine.running) + len(engine.remote.loading)
        if tokens + spare + idle * pool.block_size > pool.free * pool.block_size - spare * others and others:
            engine.admission.blocked = True
            return False
        if pages + idle > pool.free:
            engine.admission.blocked = True
            return False
        engine.admission.waiting.take()
        engine.admission.blocked = False
        if hits:
            pool.touch(request, hits, holds)
        pool.take(pages)
        request.pages += pages
        engine.remote.load(request, cached, tokens, call)
        return True

    # -- a lost bet ----------------------------------------------------------------------------------------------

    def decode(self, call: int) -> None:
        """One step of all rows; where tokens lack, those with the fewest outputs are retracted (one always stays)."""
        rows, pool = self.engine.rows, self.engine.pool
        lost = False
        while rows.count > 1 and rows.pages(1) > pool.free:
            self._retract()
            lost = True
        if lost:
            self._set_ratio()
        super().decode(call)

    def _retract(self) -> None:
        beat = self.engine.rows.beat
        decoding = [r for r in self.engine.running if r.join_beat >= 0 and r.finish_beat > beat]
        self.engine.preempt(
            min(decoding, key=lambda r: (r.emitted + beat - r.join_beat, -r.prompt_tokens, -r.sequence))
        )

    def _set_ratio(self) -> None:
        """After a retraction: what has been decoded and some more, over all that may come."""
        beat, more = self.engine.rows.beat, self.options["retract_decode_steps"]
        left = [r for r in self.engine.running if r.join_beat >= 0 and r.finish_beat > beat]
        done = sum(r.emitted + beat - r.join_beat for r in left)
        most = sum(r.max_tokens for r in left)
        self.since = (min((done + more * len(left)) / (most + 1), 1.0), beat)

    def requeue(self, request: Request) -> None:
        """Retracted requests go to the end of the queue."""
        if self.engine.admission.waiting.push(request):
            self.engine.admission.blocked = False


PART = Sglang
