"""TensorRT-LLM: a capacity scheduler says who may hold memory, then tokens are handed out.

Source: TensorRT-LLM ``pyexecutor/scheduler.py`` and ``py_executor.py`` as rules (capacity policy, micro-batch, batch
wait).  GUARANTEED_NO_EVICT is the default; MAX_UTILIZATION pauses the last.  The overlap scheduler learns of every
end one step late, so each request costs one more decode row.  Simplification: a prompt that could reuse a block of
another one of the same round is not put off.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from hwsim.serving.pipeline import FAR
from hwsim.serving.request import Request
from hwsim.serving.schedulers.vllm_v1 import VllmV1

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine

NO_EVICT = "GUARANTEED_NO_EVICT"


class Trtllm(VllmV1):
    """Generation first, then prompts; with GUARANTEED_NO_EVICT a prompt enters only if all it may ever need is free."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        options = engine.config.options
        self.patience = options.get("batch_wait_timeout_iters", 0)  # steps that prompts wait for company
        self.enough = options.get("batch_wait_max_tokens_ratio", 0.0) * self.budget  # tokens that end the wait
        self.since: dict[int, int] = {}  # the beat of a group of rows at which its prompts began to wait

    ahead = 1  # when prompts are let in, the decode rows already hold the pages of this step

    @property
    def no_evict(self) -> bool:
        """True when nobody is ever paused."""
        return self.engine.config.options.get("capacity_scheduler_policy", NO_EVICT) == NO_EVICT

    # -- waiting for company -------------------------------------------------------------------------------------

    def _waits(self) -> bool:
        """Prompts wait beside decodes until a step would have tokens enough, or for so many steps."""
        engine = self.engine
        rows = engine.rows
        if not self.patience or not rows.count or engine.partials:
            return False
        if rows.beat - self.since.setdefault(rows.number, rows.beat) >= self.patience:
            return False
        tokens = rows.count
        for entry in islice(engine.admission.waiting, engine.config.max_num_seqs):
            tokens += (entry if isinstance(entry, Request) else entry[3]).known
            if tokens >= self.enough:
                return False
        return tokens < self.enough

    def decides(self) -> bool:
        """As without waiting, but not while prompts wait for company."""
        if not super().decides():
            return False
        return self.engine.rows.count > self.budget or not self._waits()

    def next_look(self) -> int:
        """Decode steps until the prompts that wait have waited long enough."""
        rows, admission = self.engine.rows, self.engine.admission
        if not self.patience or rows.number not in self.since or not admission.waiting or admission.blocked:
            return FAR
        return max(self.patience - (rows.beat - self.since[rows.number]), 1)

    def could_admit(self) -> bool:
        """An arrival may make the tokens enough for those that wait."""
        engine = self.engine
        if self.patience and engine.admission.waiting and not engine.admission.blocked:
            return True
        return super().could_admit()

    def admit(self, budget: int, chunks: list[tuple[Request, int]], call: int) -> None:
        """Let prompts in unless they wait."""
        if self.patience:
            if self.engine.admission.waiting and self._waits():
                return
            self.since.pop(self.engine.rows.number, None)
        super().admit(budget, chunks, call)

    # -- memory --------------------------------------------------------------------------------------------------

    def receives(self, request: Request) -> str | None:
        """Refused if a step cannot hold the prompt or the pool cannot hold prompt and ``max_tokens``."""
        config, pool = self.engine.config, self.engine.pool
        if not config.enable_chunked_prefill and request.prompt_tokens > self.budget:
            return f"prompt of {request.prompt_tokens} tokens exceeds max_num_tokens {self.budget}, no chunking"
        if self.no_evict and self._most(request) > pool.usable:
            return (
                f"prompt and max_tokens ({request.prompt_tokens} + {request.max_tokens}) need {self._most(request)} "
                f"KV blocks, the pool has {pool.usable}"
            )
        if config.async_scheduling:
            request.ends_by_eos = True  # even an end by length is seen one step late
        return None

    def _most(self, request: Request) -> int:
        """Pages of a request at its longest."""
        return -(-(request.prompt_tokens + request.max_tokens) // self.engine.pool.block_size)

    def needs(self, request: Request, held: int, first: int) -> int:
        """Everything the request may ever need, or only the next step's pages."""
        return self._most(request) - held if self.no_evict else first

    def kept_free(self) -> int:
        """What the running requests may still take."""
        return self.promised() if self.no_evict else 0

    def kept_for_loads(self) -> int:
        """The same as for any other request."""
        return self.kept_free()

    def promised(self) -> int:
        """Pages up to ``max_tokens`` of all running requests, less those they hold."""
        size = self.engine.pool.block_size
        left = 0
        for r in self.engine.running:
            pages = r.pages
            if r.join_beat >= 0 and r.rows is not None:
                ahead = self.ahead if r.rows is self.engine.rows else 0
                pages = -(-(r.offset + min(r.rows.beat + ahead, r.finish_beat)) // size)
            left += max(self._most(r) - pages, 0)
        return left

    def limited(self, tokens: int) -> int:
        """There is no threshold for long prompts."""
        return tokens

    def cut(self, budget: int) -> int:
        """Chunks are cut to whole blocks."""
        size = self.engine.pool.block_size
        return budget // size * size or budget


PART = Trtllm
