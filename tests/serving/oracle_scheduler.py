"""One schedule call and one output of the reference scheduler, request by request in the order of the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .oracle_case import OracleConfig, OracleRequest, OracleResult
from .oracle_pool import Block, BlockPool, Token


@dataclass(eq=False)
class _Live:
    spec: OracleRequest
    order: int
    tokens: list[Token]
    outputs: int = 0
    computed: int = 0
    furthest: int = 0
    placeholders: int = 0
    blocks: list[Block] = field(default_factory=list)
    status: str = "waiting"

    @property
    def rank(self) -> tuple[int, int, int]:
        return (self.spec.priority, self.spec.arrival, self.order)


class Scheduler:
    """Queues, counts and blocks; ``check`` asserts all books after every call and every output."""

    def __init__(self, config: OracleConfig, result: OracleResult) -> None:
        self.config, self.result = config, result
        caching = config.enable_prefix_caching
        self.pool = BlockPool(config.num_gpu_blocks, config.block_size, caching, config.unhashed_to_head)
        self.requests: dict[str, _Live] = {}  # arrived and not finished
        self.waiting: list[_Live] = []
        self.running: list[_Live] = []
        self.alone = False  # one request in the engine at the start of this call

    # -- arrival and rejection

    def add(self, spec: OracleRequest, order: int) -> None:
        record = dict.fromkeys(("first_token", "finish", "scheduled", "cached"))
        record |= {"outputs": 0, "preemptions": 0, "status": "waiting", "reason": ""}
        assert spec.request_id not in self.result.requests
        self.result.requests[spec.request_id] = record
        live = _Live(spec, order, spec.prompt_tokens())
        if spec.num_prompt_tokens >= self.config.max_model_len:
            record |= {"status": "rejected", "reason": "prompt does not leave room within max_model_len"}
        elif self.never_fits(live):
            record |= {"status": "rejected", "reason": "prompt needs more blocks than the pool has"}
        else:
            self.requests[spec.request_id] = live
            self.waiting.append(live)

    def never_fits(self, r: _Live) -> bool:
        return self.blocks_for(len(r.tokens)) > self.config.num_gpu_blocks - 1

    def blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.config.block_size)

    # -- one call

    def schedule(self) -> dict[str, Any]:
        budget = self.config.max_num_batched_tokens
        self.alone = len(self.requests) == 1
        call: dict[str, Any] = {
            "scheduled": {},
            "cached": {},
            "num_blocks": {},
            "free_before": len(self.pool.free),
        }
        call |= {"preempted": [], "rejected": [], "emits": [], "finished": [], "wasted": []}
        budget = self.schedule_running(call, budget)
        if not call["preempted"]:
            budget = self.schedule_waiting(call, budget)
        call["rows"] = {i: (n, self.requests[i].computed) for i, n in call["scheduled"].items()}
        call["free_after_schedule"] = len(self.pool.free)
        call["num_blocks"] = {r.spec.request_id: len(r.blocks) for r in self.running}
        call["samples"] = []
        for request_id, n in call["scheduled"].items():
            self.advance(self.requests[request_id], n, call)
        assert budget == self.config.max_num_batched_tokens - sum(call["scheduled"].values()) >= 0
        self.check()
        return call

    def schedule_running(self, call: dict[str, Any], budget: int) -> int:
        position = 0
        while position < len(self.running) and budget > 0:
            r = self.running[position]
            n = self.wanted(r, budget)
            if n == 0:
                position += 1
                continue
            while not (granted := self.allocate(r, [], n, admission=False)):
                victim = self.running[-1] if self.config.policy == "fcfs" else max(self.running, key=lambda v: v.rank)
                if self.running.index(victim) < position:
                    position -= 1
                budget += call["scheduled"].pop(victim.spec.request_id, 0)
                self.preempt(victim)
                call["preempted"].append(victim.spec.request_id)
                if victim is r:
                    break
            if granted:
                call["scheduled"][r.spec.request_id] = n
                budget -= n
                position += 1
            elif self.config.policy == "fcfs":
                break
            # Priority: r has left the list, so the next request already stands at this position.
        return budget

    def wanted(self, r: _Live, budget: int) -> int:
        if r.placeholders > 0 and r.outputs + r.placeholders >= r.spec.max_tokens:
            return 0  # the token in flight is certain to be the last
        n = len(r.tokens) + r.placeholders - r.computed
        return max(0, min(self.limited(n), budget, self.config.max_model_len - r.computed - 1))

    def limited(self, n: int) -> int:
        threshold = self.config.long_prefill_token_threshold
        if threshold == 0 or (self.config.threshold_ignored_when_alone and self.alone):
            return n
        return min(n, threshold)

    def schedule_waiting(self, call: dict[str, Any], budget: int) -> int:
        while budget > 0 and len(self.running) < self.config.max_num_seqs and self.waiting:
            r = self.waiting[0] if self.config.policy == "fcfs" else min(self.waiting, key=lambda w: w.rank)
            assert r.computed == 0 and r.placeholders == 0 and not r.blocks
            if self.never_fits(r):
                self.reject(r, call)
                continue
            hits = self.pool.lookup(r.tokens)
            cached = len(hits) * self.config.block_size
            n = self.limited(len(r.tokens) - cached)
            if not self.config.enable_chunked_prefill and n > budget:
                break
            n = min(n, budget)
            if not self.allocate(r, hits, n, admission=True):
                break
            self.waiting.remove(r)
            self.running.append(r)
            r.status, r.computed = "running", cached
            call["scheduled"][r.spec.request_id] = n
            call["cached"][r.spec.request_id] = cached
            budget -= n
        return budget

    def allocate(self, r: _Live, hits: list[Block], n: int, admission: bool) -> bool:
        """Blocks for n more tokens (after the hits), or False and nothing changed."""
        start = r.computed + len(hits) * self.config.block_size
        from_queue = sum(block.ref_count == 0 for block in hits)

        def need(tokens: int) -> int:
            return max(0, self.blocks_for(tokens) - len(hits) - len(r.blocks)) + from_queue

        kept_free = 0
        if admission and self.running:
            kept_free = int(self.config.watermark * self.config.num_gpu_blocks)
        free = len(self.pool.free)
        if admission and self.config.reserve_full_prompt and need(len(r.tokens)) + kept_free > free:
            return False
        if need(start + n) + kept_free > free:
            return False
        self.pool.touch(hits)
        r.blocks += hits
        r.blocks += self.pool.take(self.blocks_for(start + n) - len(r.blocks))
        # Only known tokens can be hashed: one still in flight enters the table with a later call.
        self.pool.cache(r.tokens, r.blocks, min(start + n, len(r.tokens)))
        return True

    def preempt(self, victim: _Live) -> None:
        self.running.remove(victim)
        self.pool.release(victim.blocks)
        victim.blocks, victim.computed, victim.status = [], 0, "preempted"
        self.result.requests[victim.spec.request_id]["preemptions"] += 1
        self.waiting.insert(0, victim)

    def reject(self, r: _Live, call: dict[str, Any]) -> None:
        self.waiting.remove(r)
        del self.requests[r.spec.request_id]
        record = self.result.requests[r.spec.request_id]
        record |= {"status": "rejected", "reason": "prompt and outputs need more blocks than the pool has"}
        call["rejected"].append(r.spec.request_id)

    def advance(self, r: _Live, n: int, call: dict[str, Any]) -> None:
        """Computed counts move at once, before the device has run; who now has all tokens computed will sample."""
        self.result.scheduled_tokens += n
        self.result.recomputed_tokens += max(0, min(r.computed + n, r.furthest) - r.computed)
        r.computed += n
        r.furthest = max(r.furthest, r.computed)
        assert r.computed <= len(r.tokens) + r.placeholders
        if r.computed == len(r.tokens) + r.placeholders:
            r.placeholders += 1
            call["samples"].append(r.spec.request_id)

    # -- the output of one step

    def update(self, call: dict[str, Any]) -> None:
        for request_id in call["scheduled"]:
            if request_id not in call["samples"]:
                continue
            if request_id not in self.requests:
                call["wasted"].append(request_id)
                self.result.wasted_rows += 1
                continue
            self.deliver(self.requests[request_id], call)
        self.check()

    def deliver(self, r: _Live, call: dict[str, Any]) -> None:
        request_id, record = r.spec.request_id, self.result.requests[r.spec.request_id]
        r.tokens.append(r.spec.output_token(r.outputs))
        r.outputs += 1
        r.placeholders -= 1
        record["outputs"] = r.outputs
        call["emits"].append(request_id)
        if record["first_token"] is None:
            record["first_token"] = call["end"]
        if r.status == "running":
            self.pool.cache(r.tokens, r.blocks, r.computed - r.placeholders)
        if r.outputs == r.spec.output_tokens or len(r.tokens) >= self.config.max_model_len:
            (self.running if r.status == "running" else self.waiting).remove(r)
            self.pool.release(r.blocks)
            r.blocks = []
            del self.requests[request_id]
            record |= {"finish": call["end"], "status": "completed"}
            call["finished"].append(request_id)

    def check(self) -> None:
        self.pool.check(r.blocks for r in self.running)
        assert len(self.running) <= self.config.max_num_seqs
        assert {id(r) for r in self.requests.values()} == {id(r) for r in self.running + self.waiting}
        assert len(self.requests) == len(self.running) + len(self.waiting)
        for r in self.running:
            assert len(r.blocks) == self.blocks_for(r.computed)
            assert r.placeholders in (0, 1, 2)
        assert not any(r.blocks for r in self.waiting)
