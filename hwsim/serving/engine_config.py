"""What one engine was started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Start-up options of one engine; names and defaults are vLLM's (0.33), sizes in tokens, pages or rows.

    ``scheduling_policy`` is the order of the queue: ``fcfs``, ``priority``, or ``shortest_prompt``, where a second of
    waiting counts ``ageing`` tokens.  ``scheduler`` names a file of ``hwsim/serving/schedulers``; ``options`` are what
    only that scheduler knows (SGLang's new-token ratio, TensorRT-LLM's capacity policy), under the names of the engine.
    """

    num_gpu_blocks: int
    block_size: int = 16
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    max_model_len: int = 1 << 40
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    async_scheduling: bool = True
    scheduling_policy: str = "fcfs"
    ageing: float = 0.0
    watermark: float = 0.0
    long_prefill_token_threshold: int = 0
    reserve_full_prompt: bool = True
    unhashed_first: bool = True
    threshold_spares_single: bool = True
    pipeline_parallel_size: int = 1
    scheduler: str = "vllm_v1"
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any], num_gpu_blocks: int) -> Self:
        """The options among resolved settings (a scenario's over a profile's), with the pages that were found."""
        names = [each.name for each in fields(cls) if each.name in settings]
        return cls(**{**{name: settings[name] for name in names}, "num_gpu_blocks": num_gpu_blocks})
