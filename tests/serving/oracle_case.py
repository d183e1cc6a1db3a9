"""What the reference scheduler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .oracle_pool import Token


@dataclass(frozen=True)
class OracleRequest:
    """One request. ``prompt`` is a list of token ids, or a length whose content ``prefix_ids`` determine.

    Token i of a prompt given by length is (prefix_ids[i // prefix_block], i % prefix_block), hence equal ids at
    equal places mean equal tokens; beyond the last id, tokens are the request's own. It ends by EOS when
    ``output_tokens < max_tokens``, otherwise by length, in both cases at ``max_model_len`` at the latest.
    """

    request_id: str
    arrival: int
    prompt: int | Sequence[int]
    output_tokens: int
    max_tokens: int
    priority: int = 0
    prefix_ids: tuple[int, ...] = ()
    prefix_block: int = 0
    output_ids: tuple[int, ...] | None = None  # token ids of the outputs; None: the request's own

    def __post_init__(self) -> None:
        assert 1 <= self.output_tokens <= self.max_tokens and self.num_prompt_tokens >= 1

    @property
    def num_prompt_tokens(self) -> int:
        return self.prompt if isinstance(self.prompt, int) else len(self.prompt)

    def prompt_tokens(self) -> list[Token]:
        if not isinstance(self.prompt, int):
            return [("id", token) for token in self.prompt]
        shared = len(self.prefix_ids) * self.prefix_block
        return [
            ("prefix", self.prefix_ids[i // self.prefix_block], i % self.prefix_block)
            if i < shared
            else ("own", self.request_id, i)
            for i in range(self.prompt)
        ]

    def output_token(self, j: int) -> Token:
        return ("out", self.request_id, j) if self.output_ids is None else ("id", self.output_ids[j])


@dataclass(frozen=True)
class OracleConfig:
    """Engine settings under vLLM's names; the last three are the differences between 0.33 (default) and 0.11."""

    num_gpu_blocks: int
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    enable_prefix_caching: bool = True
    async_scheduling: bool = False
    policy: str = "fcfs"
    watermark: float = 0.0
    long_prefill_token_threshold: int = 0
    enable_chunked_prefill: bool = True
    reserve_full_prompt: bool = True
    unhashed_to_head: bool = True
    threshold_ignored_when_alone: bool = True

    def __post_init__(self) -> None:
        assert self.policy in ("fcfs", "priority")
        assert self.enable_chunked_prefill or self.max_num_batched_tokens >= self.max_model_len


@dataclass
class OracleResult:
    """What happened. ``calls`` holds every schedule call, ``steps`` those that scheduled something.

    A call is a dict: call (number), step (number or None), call_time, start, end, scheduled {id: tokens}, cached
    {id: hit at this admission}, num_blocks {id: blocks held, for all running}, free_before, free_after_schedule,
    preempted, emits, finished, wasted (ids, in order). ``requests`` maps an id to first_token, finish, scheduled
    (times or None), cached (first admission), outputs, preemptions, status (completed or rejected), reason.
    """

    calls: list[dict[str, Any]] = field(default_factory=list)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    scheduled_tokens: int = 0
    recomputed_tokens: int = 0  # positions scheduled again after a pre-emption
    wasted_rows: int = 0  # rows computed for a request whose EOS was still in flight

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [call for call in self.calls if call["scheduled"]]
