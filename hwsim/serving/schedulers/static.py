"""Static batching: a batch starts together and the next one waits until all of it has finished (the baseline)."""

from __future__ import annotations

from hwsim.serving.request import Request
from hwsim.serving.schedulers.trtllm import Trtllm


class Static(Trtllm):
    """At most ``max_num_seqs`` requests that wait when the engine is empty; memory for all their outputs is reserved.

    All prompts are computed before the first decode step; who comes before that still joins the batch.
    Simplification: a row whose output has ended computes nothing more, although its place stays empty.
    """

    ahead = 0
    opened = 0  # the beat at which the batch was opened: it is closed by the first decode step

    def decides(self) -> bool:
        """True while the batch is being put together and its prompts computed."""
        engine = self.engine
        if not engine.running:
            self.opened = engine.rows.beat
        if engine.partials:
            return True
        waiting = bool(engine.admission.waiting) and not engine.admission.blocked
        return waiting and engine.rows.beat == self.opened and len(engine.running) < engine.config.max_num_seqs

    def could_admit(self) -> bool:
        """Nobody joins a batch that decodes."""
        return False

    def decide(self, call: int) -> None:
        """Prompts until the batch is complete, then decode steps."""
        engine = self.engine
        chunks: list[tuple[Request, int]] = []
        if self.decides():
            budget = self.budget
            for request in list(engine.partials):
                tokens = min(request.known - request.computed, budget)
                pages = -(-(request.computed + tokens) // engine.pool.block_size) - request.pages
                engine.pool.take(pages)
                engine.compute(request, tokens, pages)
                chunks.append((request, tokens))
                budget -= tokens
            if engine.rows.beat == self.opened:
                self.admit(budget, chunks, call)
        if chunks:
            engine.run(call, 0, 0, chunks)
        else:
            self.decode(call)


PART = Static
