"""Tiny random workloads that crowd the corners: full pools, shared prefixes, arrivals on step boundaries."""

from __future__ import annotations

import random

from ..oracle_case import OracleConfig, OracleRequest

STEP_TICKS = 10  # arrivals are mostly multiples of this; run the case with it as the step (or a divisor or multiple)


def random_case(rng: random.Random) -> tuple[list[OracleRequest], OracleConfig]:
    """A few requests and an engine just large enough for the longest of them, so that nothing is rejected."""
    block_size = rng.choice([1, 2, 3, 4, 4, 8])
    max_model_len = rng.randint(2 * block_size + 4, 6 * block_size + 12)
    chunked = rng.random() < 0.85
    budget = rng.randint(1, 2 * max_model_len) if rng.random() < 0.5 else rng.randint(4, 16)
    least = -(-max_model_len // block_size)
    config = OracleConfig(
        num_gpu_blocks=1 + least + rng.choice([0, 0, 1, 2, rng.randint(0, 2 * least), 6 * least]),
        block_size=block_size,
        max_num_seqs=rng.choice([1, 2, 3, 5, 16]),
        max_num_batched_tokens=budget if chunked else max(budget, max_model_len),
        max_model_len=max_model_len,
        enable_prefix_caching=rng.random() < 0.8,
        async_scheduling=rng.random() < 0.5,
        policy=rng.choice(["fcfs", "fcfs", "priority"]),
        watermark=rng.choice([0.0, 0.0, 0.0, 0.1, 0.3]),
        long_prefill_token_threshold=rng.choice([0, 0, 0, rng.randint(1, 8)]),
        enable_chunked_prefill=chunked,
        reserve_full_prompt=rng.random() < 0.7,
        unhashed_to_head=rng.random() < 0.7,
        threshold_ignored_when_alone=rng.random() < 0.7,
    )
    return _requests(rng, config), config


def _requests(rng: random.Random, config: OracleConfig) -> list[OracleRequest]:
    """Prefixes form a tree, as hashed prefixes do in traces: an id names its block and all before it."""
    now, requests = 0, []
    prefix_block = rng.choice([config.block_size, config.block_size, 2 * config.block_size, 3])
    spread = rng.choice([0.3, 0.7, 0.95])
    for i in range(rng.randint(1, 14)):
        if rng.random() < spread:
            now += STEP_TICKS * rng.randint(0, 3) + (rng.randint(1, STEP_TICKS - 1) if rng.random() < 0.2 else 0)
        prompt = rng.randint(1, config.max_model_len - 1)
        if rng.random() < 0.4:
            prompt = min(config.max_model_len - 1, config.block_size * rng.randint(1, 4) + rng.choice([0, 0, 1]))
        branch, depth = rng.randint(0, 1), rng.randint(0, 5)
        ids = tuple(100 * (branch if d > 1 else 0) + d for d in range(depth))
        max_tokens = rng.choice([1, 2, rng.randint(1, 12), rng.randint(1, 2 * config.max_model_len)])
        output_tokens = max_tokens if rng.random() < 0.5 else rng.randint(1, max_tokens)
        requests.append(
            OracleRequest(f"r{i}", now, prompt, output_tokens, max_tokens, rng.randint(0, 2), ids, prefix_block)
        )
    return requests
