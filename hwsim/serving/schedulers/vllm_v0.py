"""vLLM V0 (0.6.6): a step is either whole prompts or decodes, and prompts go first.

Source: vLLM 0.6.6 ``core/scheduler.py`` as rules: watermark of 1 % at admission, pre-emption of the last by
recompute.  Simplifications: sequences are single (so nothing is swapped), one step is scheduled at a time.
"""

from __future__ import annotations

from hwsim.serving.request import Request
from hwsim.serving.schedulers.vllm_v1 import VllmV1


class VllmV0(VllmV1):
    """Prefill first: decodes stand still while prompts run.  With chunked prefill it mixes them, as V1 does."""

    def receives(self, request: Request) -> str | None:
        """A prompt longer than a step can be is ignored, as is one that the pool less its watermark cannot hold."""
        config, admission = self.engine.config, self.engine.admission
        if not config.enable_chunked_prefill and request.prompt_tokens > self.budget:
            return f"prompt of {request.prompt_tokens} tokens exceeds max_num_batched_tokens {self.budget}, no chunking"
        return admission.too_large(request) if self._never(request) else None

    def _never(self, request: Request) -> bool:
        pool = self.engine.pool
        return -(-request.known // pool.block_size) > pool.usable - self.engine.admission.watermark

    def decides(self) -> bool:
        """True when the head of the queue may enter: the budget is that of a step of its own."""
        engine = self.engine
        if engine.config.enable_chunked_prefill:
            return super().decides()
        waiting = bool(engine.admission.waiting) and not engine.admission.blocked
        return waiting and len(engine.running) < engine.config.max_num_seqs

    def decide(self, call: int) -> None:
        """Whole prompts if any can enter, else one decode step."""
        engine = self.engine
        if engine.config.enable_chunked_prefill:
            super().decide(call)
            return
        chunks: list[tuple[Request, int]] = []
        if self.decides():
            waiting = engine.admission.waiting
            while waiting and self._never(waiting.head()):
                engine.admission.reject_head()
            self.admit(self.budget, chunks, call)
        if chunks:
            engine.run(call, 0, 0, chunks)
        else:
            self.decode(call)

    def limited(self, tokens: int) -> int:
        """Whole prompts, unless they are chunked."""
        return super().limited(tokens) if self.engine.config.enable_chunked_prefill else tokens

    def kept_free(self) -> int:
        """The watermark holds even when nothing runs."""
        return self.engine.admission.watermark


PART = VllmV0
