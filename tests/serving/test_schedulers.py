"""One worked schedule for each scheduler, step by step: who computes how many tokens."""

from __future__ import annotations

import random

import pytest

from hwsim.cost.price import StepPrice, StepShape
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog

TICK = 1 << 10


class TenTicks:
    """Every step takes ten ticks."""

    def price(self, shape: StepShape, context: int) -> StepPrice:
        return StepPrice(10 * TICK)


def run(requests: list[tuple[int, ...]], **fields) -> tuple[list[dict[int, int]], list[Request], Engine]:
    """Requests are (arrival, prompt, output, max_tokens); returns the tokens of each step by request."""
    log = ScheduleLog()
    config = EngineConfig(**{"async_scheduling": False, "block_size": 4, **fields})
    engine = Engine(config, TenTicks(), log=log)
    live = [Request(i, arrival, *lengths) for i, (arrival, *lengths) in enumerate(requests)]
    for request in live:
        engine.submit(request, request.arrival * TICK)
    engine.advance()
    assert engine.pool.held == 0
    steps: list[dict[int, int]] = [{} for _ in range(engine.step)]
    table = log.table(engine)
    for step, name, tokens in zip(table["step"], table["request_id"], table["num_scheduled_tokens"], strict=True):
        steps[step][int(name)] = tokens
    return steps, live, engine


def test_vllm_v0_computes_prompts_first_and_whole() -> None:
    steps, live, _ = run(
        [(0, 6, 3), (0, 5, 2), (0, 4, 2)],
        scheduler="vllm_v0",
        num_gpu_blocks=11,
        max_num_batched_tokens=8,
        enable_chunked_prefill=False,
    )
    assert steps == [{0: 6}, {1: 5}, {2: 4}, {0: 1, 1: 1, 2: 1}, {0: 1}]
    assert [r.finish for r in live] == [50 * TICK, 40 * TICK, 40 * TICK]


def test_vllm_v0_pre_empts_the_last_and_computes_it_again() -> None:
    steps, live, _ = run(
        [(0, 7, 4), (0, 7, 4)],
        scheduler="vllm_v0",
        num_gpu_blocks=5,
        max_num_batched_tokens=16,
        enable_chunked_prefill=False,
        enable_prefix_caching=False,
    )
    assert steps == [{0: 7, 1: 7}, {0: 1, 1: 1}, {0: 1}, {0: 1}, {1: 9}, {1: 1}]
    assert [r.preemptions for r in live] == [0, 1]


def test_vllm_v0_keeps_a_watermark_at_admission() -> None:
    fields = {"scheduler": "vllm_v0", "num_gpu_blocks": 11, "enable_chunked_prefill": False}
    requests = [(0, 16, 2), (0, 20, 2)]
    assert run(requests, watermark=0.0, **fields)[0][0] == {0: 16, 1: 20}
    assert run(requests, watermark=0.2, **fields)[0][:3] == [{0: 16}, {0: 1}, {1: 20}]


def test_sglang_runs_prefill_batches_alone_and_chunks_the_last() -> None:
    steps, live, engine = run(
        [(0, 6, 4), (0, 10, 3), (0, 3, 2)],
        scheduler="sglang",
        num_gpu_blocks=31,
        block_size=1,
        max_num_batched_tokens=8,
        options={"init_new_token_ratio": 0.5, "new_token_ratio_decay_steps": 10**9},
    )
    assert steps == [{0: 6, 1: 2}, {1: 8}, {2: 3}, {0: 1, 1: 1, 2: 1}, {0: 1, 1: 1}, {0: 1}]
    assert live[0].first_token == 10 * TICK
    # the pause of request 0 (its tokens come at 10 and 40), and of request 1 (20 and 40), stand among the gaps
    assert sorted(engine.journal.gaps) == [(10 * TICK, 1), (20 * TICK, 1), (30 * TICK, 1)]


def test_sglang_holds_back_a_share_of_the_outputs() -> None:
    fields = {"scheduler": "sglang", "num_gpu_blocks": 41, "block_size": 1}
    requests = [(0, 10, 2, 20), (1, 5, 2, 10)]
    for ratio, second in ((0.5, {1: 5}), (0.9, {0: 1})):  # 30 free, less ratio x 19, against 5 + 10 + 1
        options = {"init_new_token_ratio": ratio, "new_token_ratio_decay_steps": 10**9}
        assert run(requests, options=options, **fields)[0][1] == second


def test_sglang_retracts_those_with_fewest_outputs_and_the_longest_prompt() -> None:
    steps, live, _ = run(
        [(0, 4, 6), (1, 1, 5)],
        scheduler="sglang",
        num_gpu_blocks=13,
        block_size=1,
        max_num_batched_tokens=8,
        options={"init_new_token_ratio": 0.0},
    )
    both = {0: 1, 1: 1}
    assert steps == [{0: 4}, {1: 1}, both, both, both, {1: 1}, {0: 8}, {0: 1}]
    assert [r.preemptions for r in live] == [1, 0]


def test_sglang_new_token_ratio_falls_with_decode_steps() -> None:
    _, _, engine = run([(0, 4, 101)], scheduler="sglang", num_gpu_blocks=1001, block_size=1)
    assert engine.scheduler.new_token_ratio == pytest.approx(0.7 - 100 * (0.7 - 0.098) / 600)  # type: ignore[attr-defined]


def test_trtllm_admits_only_what_may_run_to_its_end() -> None:
    steps, live, _ = run(
        [(0, 6, 2, 10), (0, 8, 2, 8), (0, 4, 2, 4), (0, 4, 2, 4)],
        scheduler="trtllm",
        num_gpu_blocks=11,
        max_num_batched_tokens=16,
        enable_chunked_prefill=False,
    )
    assert steps == [{0: 6, 1: 8}, {0: 1, 1: 1, 2: 4}, {2: 1, 3: 4}, {3: 1}]
    assert all(r.preemptions == 0 for r in live)


def test_trtllm_overlap_costs_one_more_row_and_chunks_are_whole_blocks() -> None:
    steps, live, engine = run(
        [(0, 6, 2), (0, 9, 1)],
        scheduler="trtllm",
        num_gpu_blocks=21,
        max_num_batched_tokens=12,
        async_scheduling=True,
    )
    assert steps == [{0: 6, 1: 4}, {0: 1, 1: 5}, {0: 1, 1: 1}]
    assert engine.wasted_rows == 2 and [r.finish for r in live] == [20 * TICK, 20 * TICK]


def test_trtllm_maximum_utilisation_pauses_the_last() -> None:
    steps, live, _ = run(
        [(0, 7, 4), (0, 7, 4)],
        scheduler="trtllm",
        num_gpu_blocks=5,
        options={"capacity_scheduler_policy": "MAX_UTILIZATION"},
        reserve_full_prompt=False,
        enable_prefix_caching=False,
    )
    assert steps == [{0: 7, 1: 7}, {0: 1, 1: 1}, {0: 1}, {0: 1}, {1: 9}, {1: 1}]
    assert [r.preemptions for r in live] == [0, 1]


def test_static_batches_wait_for_their_longest() -> None:
    steps, _, _ = run(
        [(0, 6, 2), (0, 5, 4), (0, 4, 2), (25, 4, 2)],
        scheduler="static",
        num_gpu_blocks=41,
        max_num_seqs=2,
        max_num_batched_tokens=8,
    )
    first, second = {0: 6, 1: 2}, {1: 3}
    assert steps[:5] == [first, second, {0: 1, 1: 1}, {1: 1}, {1: 1}]
    assert steps[5:] == [{2: 4, 3: 4}, {2: 1, 3: 1}]


def test_sglang_receives_requests_every_so_many_decode_steps() -> None:
    """Interval 4: a prompt that comes in the first decode step waits for four; an idle engine looks at once."""
    fields: dict = {"scheduler": "sglang", "num_gpu_blocks": 50, "max_num_batched_tokens": 64}
    requests = [(0, 6, 9), (15, 5, 3), (500, 4, 2)]
    eager, _, _ = run(requests, **fields)
    assert eager[:3] == [{0: 6}, {0: 1}, {1: 5}]
    slow, live, _ = run(requests, **fields, options={"scheduler_recv_interval": 4})
    assert slow[:6] == [{0: 6}, {0: 1}, {0: 1}, {0: 1}, {0: 1}, {1: 5}]
    assert live[2].scheduled == 500 * TICK


@pytest.mark.parametrize("seed", range(12))
def test_receiving_now_and_then_is_the_same_in_macro_steps(seed: int) -> None:
    rng = random.Random(seed)
    times = sorted(rng.randrange(4000) for _ in range(40))
    lengths = [(time, rng.randrange(1, 40), rng.randrange(1, 60)) for time in times]
    found = []
    for single in (False, True):
        config = EngineConfig(
            num_gpu_blocks=60,
            block_size=4,
            max_num_batched_tokens=32,
            max_num_seqs=6,
            scheduler="sglang",
            async_scheduling=seed % 2 == 0,
            options={"scheduler_recv_interval": rng.choice([2, 3, 7]) if not single else found[0][1]},
        )
        engine = Engine(config, TenTicks(), single_step=single)
        live = [Request(i, *each) for i, each in enumerate(lengths)]
        for request in live:
            engine.submit(request, request.arrival * TICK)
        engine.advance()
        times_ = [(r.scheduled, r.first_token, r.finish, r.preemptions) for r in live]
        found.append((times_, config.options["scheduler_recv_interval"]))
    assert found[0] == found[1]


def test_trtllm_prompts_wait_for_company() -> None:
    """A prompt beside decodes waits three steps, or until the prompts that wait fill half of a step."""
    fields: dict = {
        "scheduler": "trtllm",
        "num_gpu_blocks": 90,
        "max_num_batched_tokens": 64,
        "async_scheduling": False,
    }
    alone = [(0, 6, 9), (15, 5, 3), (500, 4, 2)]
    eager, _, _ = run(alone, **fields)
    assert eager[:3] == [{0: 6}, {0: 1}, {0: 1, 1: 5}]
    options = {"batch_wait_timeout_iters": 3, "batch_wait_max_tokens_ratio": 0.5}
    slow, live, _ = run(alone, **fields, options=options)
    assert slow[:6] == [{0: 6}, {0: 1}, {0: 1}, {0: 1}, {0: 1}, {0: 1, 1: 5}]
    assert live[2].scheduled == 500 * TICK  # nobody decodes: nobody waits
    many, _, _ = run([*alone[:2], (25, 30, 3)], **fields, options=options)
    assert many[:5] == [{0: 6}, {0: 1}, {0: 1}, {0: 1, 1: 5, 2: 30}, {0: 1, 1: 1, 2: 1}]


@pytest.mark.parametrize("seed", range(12))
def test_waiting_for_company_is_the_same_in_macro_steps(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [(t, rng.randrange(1, 30), rng.randrange(1, 60)) for t in sorted(rng.randrange(4000) for _ in range(40))]
    options = {"batch_wait_timeout_iters": rng.choice([2, 5, 9]), "batch_wait_max_tokens_ratio": rng.choice([0.3, 1.0])}
    found = []
    for single in (False, True):
        config = EngineConfig(
            num_gpu_blocks=60,
            block_size=4,
            max_num_batched_tokens=32,
            max_num_seqs=6,
            scheduler="trtllm",
            async_scheduling=seed % 2 == 0,
            options=options,
        )
        engine = Engine(config, TenTicks(), single_step=single)
        live = [Request(i, *each) for i, each in enumerate(lengths)]
        for request in live:
            engine.submit(request, request.arrival * TICK)
        engine.advance()
        found.append([(r.scheduled, r.first_token, r.finish, r.preemptions) for r in live])
    assert found[0] == found[1]
