"""Laws of the engine over random workloads: macro-steps equal single steps, and nothing is lost or made up."""

from __future__ import annotations

import random

import pytest

from hwsim.cost.price import StepPrice, StepShape
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request
from hwsim.serving.scheduler import SCHEDULERS

TICK = 1 << 10


class AffinePricer:
    """Random affine prices in whole and fractional ticks, in pieces of the context where ``piece`` is given."""

    def __init__(self, rng: random.Random) -> None:
        self.base = rng.choice([TICK, 10 * TICK, 7])
        self.slope = rng.choice([0, 0, 1, 3, TICK])
        self.host = rng.choice([0, 0, 1, 5 * TICK, 12 * TICK, 20 * TICK])
        self.per_token = rng.choice([0, 1, TICK])
        self.piece = rng.choice([0, 0, 8, 50])

    def price(self, shape: StepShape, context: int) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        base, slope, low, limit = self.base + self.per_token * tokens, self.slope, 0, 1 << 62
        if self.piece:  # a steeper slope in every second piece
            low = context // self.piece * self.piece
            limit = low + self.piece - 1
            if (context // self.piece) % 2:
                slope += 2
        return StepPrice(base, slope, host=self.host, low=low, limit=limit)


def run(seed: int, *, single_step: bool, scheduler: str = "vllm_v1", general: bool = False) -> tuple:
    """One random engine and workload; checks its books and returns everything that must not depend on stepping."""
    rng = random.Random(seed)
    options = {}
    if scheduler == "sglang":
        options = {"new_token_ratio_decay_steps": rng.choice([3, 30]), "init_new_token_ratio": rng.choice([0.0, 0.2])}
        options["max_prefill_tokens"] = rng.choice([8, 64])
    elif scheduler == "trtllm":
        options = {"capacity_scheduler_policy": rng.choice(["GUARANTEED_NO_EVICT", "MAX_UTILIZATION"])}
    config = EngineConfig(
        scheduler=scheduler,
        options=options,
        num_gpu_blocks=rng.choice([6, 11, 20, 60]),
        block_size=rng.choice([1, 2, 4, 16]),
        max_num_batched_tokens=rng.choice([4, 8, 32]),
        max_num_seqs=rng.choice([1, 2, 3, 4]),
        async_scheduling=rng.random() < 0.5,
        scheduling_policy=rng.choice(["fcfs", "fcfs", "priority"]),
        long_prefill_token_threshold=rng.choice([0, 0, 3]),
        watermark=rng.choice([0, 0, 0.1]),
        reserve_full_prompt=rng.random() < 0.7,
        enable_prefix_caching=rng.random() < 0.8,
        max_model_len=rng.choice([30, 1 << 30]),
        enable_chunked_prefill=scheduler == "vllm_v1" or rng.random() < 0.5,
    )
    engine = Engine(config, AffinePricer(rng), single_step=single_step)
    if general:
        engine.plain = False
    requests, time = [], 0
    for index in range(rng.choice([3, 8, 25])):
        time += rng.choice([0, 0, 1, 1, 2, 5, rng.randrange(30)])
        output, eos = rng.randrange(1, 25), rng.random() < 0.4
        ids = tuple(rng.choice([1, 2]) for _ in range(rng.randrange(1, 5))) if rng.random() < 0.6 else None
        requests.append(
            Request(
                index,
                time,
                rng.randrange(1, 30),
                output,
                max_tokens=output + 5 if eos else output,
                ends_by_eos=eos,
                priority=rng.choice([0, 0, 1]),
                prefix_ids=ids,
                prefix_block=4 if ids else 0,
            )
        )
        engine.submit(requests[-1], time * TICK)
    engine.advance()
    check_books(engine, requests)
    return (
        [(r.status, r.scheduled, r.first_token, r.finish, r.cached_tokens, r.preemptions) for r in requests],
        (engine.step, engine.scheduled_tokens, engine.recomputed_tokens, engine.wasted_rows, engine.pool.evicted),
        engine.journal.stretches,
    )


def check_books(engine: Engine, requests: list[Request]) -> None:
    pool = engine.pool
    assert pool.free + pool.held == pool.usable and pool.held == 0
    assert sum(run.hi - run.lo for run in pool.queue) == pool.free - pool.blank
    assert {r.status for r in requests} <= {"completed", "rejected"}
    assert all(r.reason for r in requests if r.status == "rejected")
    if all(r.status == "completed" for r in requests):
        needed = sum(r.prompt_tokens + r.output_tokens - 1 - r.cached_tokens for r in requests)
        assert engine.scheduled_tokens == needed + engine.recomputed_tokens + engine.wasted_rows
    table = engine.journal.stretch_table()
    assert (table["free_pages"] >= 0).all() and (table["free_pages"] <= pool.usable).all()
    assert table["steps"].sum() == engine.step
    tokens = table["decode_rows"] * table["steps"] + table["prefill_tokens"]
    assert tokens.sum() == engine.scheduled_tokens


@pytest.mark.parametrize("block", range(10))
def test_macro_steps_equal_single_steps(block: int) -> None:
    jumped = 0
    for seed in range(block * 100, block * 100 + 100):
        macro, macro_counts, stretches = run(seed, single_step=False)
        single, single_counts, steps = run(seed, single_step=True)
        assert macro == single, seed
        assert macro_counts == single_counts, seed
        jumped += steps - stretches
    assert jumped > 1000


def test_the_common_regime_in_one_loop_is_the_general_form_call_by_call() -> None:
    """Schedules, times, counts and even the number of stretches: ``cruise`` only saves the way there."""
    for seed in range(150):
        assert run(seed, single_step=False) == run(seed, single_step=False, general=True), seed


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS.names() if name != "vllm_v1"])
def test_every_scheduler_keeps_the_laws(scheduler: str) -> None:
    jumped = preempted = 0
    for seed in range(400):
        macro, macro_counts, stretches = run(seed, single_step=False, scheduler=scheduler)
        single, single_counts, steps = run(seed, single_step=True, scheduler=scheduler)
        assert macro == single, seed
        assert macro_counts == single_counts, seed
        jumped += steps - stretches
        preempted += sum(row[5] for row in macro)
    assert jumped > 1000
    assert (preempted > 5) == (scheduler != "static")


def test_advancing_in_pieces_changes_nothing() -> None:
    """The horizon of ``advance`` cuts stretches but not results."""
    for seed in range(40):
        rng = random.Random(seed)
        config = EngineConfig(num_gpu_blocks=40, block_size=4, max_num_seqs=4, max_num_batched_tokens=16)
        arrivals = sorted(rng.randrange(200) for _ in range(12))
        lengths = [(rng.randrange(1, 30), rng.randrange(1, 25)) for _ in arrivals]
        finished = []
        for pieces in (False, True):
            engine = Engine(config, AffinePricer(random.Random(seed + 1000)))
            requests = [Request(i, t, *lengths[i]) for i, t in enumerate(arrivals)]
            for request in requests:
                if pieces:
                    engine.advance(request.arrival * TICK)
                engine.submit(request, request.arrival * TICK)
            engine.advance()
            finished.append([(r.scheduled, r.first_token, r.finish) for r in requests])
        assert finished[0] == finished[1]


def test_time_has_no_end() -> None:
    """A quarter of a year: nothing is lost where 64-bit subticks would overflow (64-bit picoseconds hold 106 days)."""
    engine = Engine(EngineConfig(num_gpu_blocks=40, block_size=4), AffinePricer(random.Random(1)))
    days = 10 * 86400 * 10**12
    requests = [Request(i, i * days, 5, 3) for i in range(10)]
    for request in requests:
        engine.submit(request, request.arrival * TICK)
    engine.advance()
    assert [r.status for r in requests] == ["completed"] * 10
    assert all(0 <= (r.first_token or 0) - r.arrival * TICK < 10**9 * TICK for r in requests)
