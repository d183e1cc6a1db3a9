"""The engine's schedules equal those of an independent, literal scheduler, step for step and token for token."""

from __future__ import annotations

import dataclasses
import random

import pytest

from hwsim.cost.price import SUBTICK_BITS, StepPrice, StepShape
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog

from .oracle import OracleConfig, OracleRequest, OracleResult, run_oracle
from .schedules import Schedule, load_schedules
from .schedules.random_case import STEP_TICKS, random_case


class TokenPricer:
    """Integer ticks per step: a base and a part per scheduled token."""

    def __init__(self, base: int, per_token: int, host: int) -> None:
        self.base, self.per_token, self.host = base, per_token, host

    def price(self, shape: StepShape, context: int) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        return StepPrice(
            (self.base + self.per_token * tokens) << SUBTICK_BITS,
            host=self.host << SUBTICK_BITS,
        )


def engine_for(config: OracleConfig, pricer: TokenPricer, *, single_step: bool = False) -> Engine:
    return Engine(
        EngineConfig(
            num_gpu_blocks=config.num_gpu_blocks,
            block_size=config.block_size,
            max_num_seqs=config.max_num_seqs,
            max_num_batched_tokens=config.max_num_batched_tokens,
            max_model_len=config.max_model_len,
            enable_prefix_caching=config.enable_prefix_caching,
            enable_chunked_prefill=config.enable_chunked_prefill,
            async_scheduling=config.async_scheduling,
            scheduling_policy=config.policy,
            watermark=config.watermark,
            long_prefill_token_threshold=config.long_prefill_token_threshold,
            reserve_full_prompt=config.reserve_full_prompt,
            unhashed_first=config.unhashed_to_head,
            threshold_spares_single=config.threshold_ignored_when_alone,
        ),
        pricer,
        single_step=single_step,
        log=ScheduleLog(),
    )


def submit(engine: Engine, requests: list[OracleRequest]) -> list[Request]:
    live = [
        Request(
            i,
            r.arrival,
            r.num_prompt_tokens,
            r.output_tokens,
            r.max_tokens,
            ends_by_eos=r.output_tokens < r.max_tokens,
            priority=r.priority,
            prefix_ids=r.prefix_ids or None,
            prefix_block=r.prefix_block,
            request_id=r.request_id,
        )
        for i, r in enumerate(requests)
    ]
    for request in sorted(live, key=lambda r: r.arrival):
        engine.submit(request, request.arrival << SUBTICK_BITS)
    return live


def schedule_of(engine: Engine) -> dict[int, dict[str, tuple[int, int, int, int]]]:
    """step -> {id: (tokens, cached, blocks, free after)} from the expanded log."""
    assert engine.log is not None
    out: dict[int, dict[str, tuple[int, int, int, int]]] = {}
    table = engine.log.table(engine)
    for row in zip(*table.values(), strict=True):
        out.setdefault(row[0], {})[row[1]] = row[2:]
    return out


def schedule_of_oracle(result: OracleResult) -> dict[int, dict[str, tuple[int, int, int, int]]]:
    return {
        step["step"]: {
            name: (n, step["cached"].get(name, 0), step["num_blocks"][name], step["free_after_schedule"])
            for name, n in step["scheduled"].items()
        }
        for step in result.steps
    }


def assert_equal(
    config: OracleConfig, requests: list[OracleRequest], pricer: TokenPricer, *, single_step: bool = False
) -> Engine:
    def device(rows) -> int:
        return pricer.base + pricer.per_token * sum(n for n, _ in rows.values())

    oracle = run_oracle(requests, config, device, pricer.host)
    engine = engine_for(config, pricer, single_step=single_step)
    live = submit(engine, requests)
    engine.advance()
    assert schedule_of(engine) == schedule_of_oracle(oracle)
    for request in live:
        expected = oracle.requests[request.request_id]
        assert request.status == expected["status"], request
        assert request.preemptions == expected["preemptions"], request
        if request.status == "completed":
            stamps = [request.scheduled, request.first_token, request.finish]
            assert [t >> SUBTICK_BITS for t in stamps] == [expected[k] for k in ("scheduled", "first_token", "finish")]
            assert request.cached_tokens == expected["cached"]
    assert engine.scheduled_tokens == oracle.scheduled_tokens
    assert engine.wasted_rows == oracle.wasted_rows
    return engine


@pytest.mark.parametrize("schedule", load_schedules(), ids=lambda schedule: schedule.name)
def test_worked_schedules(schedule: Schedule) -> None:
    config = OracleConfig(**schedule.config)
    requests = [OracleRequest(**fields) for fields in schedule.requests]
    if any(not isinstance(r.prompt, int) or r.output_ids is not None for r in requests):
        requests = with_prefix_ids(requests, config.block_size)
    pricer = TokenPricer(schedule.step_ticks, 0, schedule.host_ticks)
    engine = assert_equal(config, requests, pricer)
    done = schedule_of(engine)
    for step, call in enumerate(schedule.steps):
        assert {name: row[0] for name, row in done[step].items()} == call["scheduled"]
        assert {row[3] for row in done[step].values()} == {call["free_after_schedule"]}
        assert {name: done[step][name][1] for name in call["cached"]} == call["cached"]
    assert len(done) == len(schedule.steps)


def with_prefix_ids(requests: list[OracleRequest], block: int) -> list[OracleRequest]:
    """Prompts given as token ids, as prefix ids of one block each."""
    out = []
    for request in requests:
        assert request.output_ids is None, "a follow-up turn that hits outputs needs sessions"
        if not isinstance(request.prompt, int):
            tokens = request.prompt
            blocks = [tuple(tokens[i : i + block]) for i in range(0, len(tokens) - block + 1, block)]
            ids = tuple(hash(tokens_of_block) & 0xFFFFFF for tokens_of_block in blocks)
            request = dataclasses.replace(request, prompt=len(tokens), prefix_ids=ids, prefix_block=block)
        out.append(request)
    return out


@pytest.mark.parametrize("block", range(8))
def test_random_schedules(block: int) -> None:
    for seed in range(block * 60, block * 60 + 60):
        rng = random.Random(seed)
        requests, config = random_case(rng)
        pricer = TokenPricer(
            rng.choice([STEP_TICKS, STEP_TICKS, STEP_TICKS // 2, 7]),
            rng.choice([0, 0, 1]),
            rng.choice([0, 0, 1, 5, 12]),
        )
        assert_equal(config, requests, pricer, single_step=seed % 2 == 0)
