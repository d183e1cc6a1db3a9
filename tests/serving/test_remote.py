"""KV that comes from elsewhere, and KV that others still read: order, pages and times, and macro = single."""

from __future__ import annotations

import random

import pytest

from hwsim.cost.price import StepPrice, StepShape
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.remote import LOADING
from hwsim.serving.request import Request

TICK = 1 << 10


class StepPricer:
    """Ten ticks a step and one per token."""

    def __init__(self, host: int = 0, per_token: int = TICK) -> None:
        self.host, self.per_token = host, per_token

    def price(self, shape: StepShape, context: int) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        return StepPrice(10 * TICK + self.per_token * tokens, 1, host=self.host)


def engine_of(*, single_step: bool = False, **fields) -> Engine:
    config = EngineConfig(**{"num_gpu_blocks": 41, "block_size": 4, "async_scheduling": False, **fields})
    engine = Engine(config, StepPricer(), single_step=single_step)
    engine.listened = True
    return engine


def drive(engine: Engine, delays: dict[int, int]) -> list[tuple[int, int, str]]:
    """Run to the end: KV comes, and is released, ``delays[index]`` subticks after its notice."""
    told = []
    while True:
        engine.advance()
        if not engine.notices:
            return told
        time, request = engine.notices.popleft()
        told.append((time, request.index, request.status))
        if request.status == LOADING:
            engine.kv_arrived(request, time + delays[request.index])
        elif request.status == "completed" and request.keeps_kv:
            engine.release_kv(request, time + delays[request.index])


def test_waiting_for_kv_does_not_hold_up_those_behind() -> None:
    engine = engine_of()
    far, near = Request(0, 0, 9, 3), Request(1, 0, 5, 2)
    far.remote_tokens = 9
    for request in (far, near):
        engine.submit(request, 0)
    assert drive(engine, {0: 100 * TICK})[0] == (0, 0, LOADING)
    assert near.scheduled == 0 and near.first_token == 15 * TICK
    # KV at tick 100 (no step is running): the last prompt token is computed again and gives the first output
    assert far.scheduled == 100 * TICK and far.first_token == 111 * TICK
    assert far.cached_tokens == 8 and far.load_tokens == 9
    assert engine.pool.held == 0


def test_pages_are_held_from_the_start_of_the_load() -> None:
    engine = engine_of(num_gpu_blocks=6)
    far, near = Request(0, 0, 12, 2), Request(1, 0, 12, 2)
    far.remote_tokens = 12
    for request in (far, near):
        engine.submit(request, 0)
    engine.advance()
    assert engine.notices.popleft() == (0, far) and engine.pool.held == 3
    engine.advance()
    assert near.status == "waiting" and not engine.notices  # three pages are left of six minus the null block's: two
    assert engine.next_call() is None
    engine.kv_arrived(far, 50 * TICK)
    drive(engine, {})
    assert far.first_token == 61 * TICK and near.status == "completed"
    assert near.scheduled is not None and near.scheduled >= far.finish


def test_loaded_requests_go_first_in_the_order_of_their_loads() -> None:
    engine = engine_of(max_num_seqs=1)
    requests = [Request(i, 0, 8, 4) for i in range(4)]
    for request in requests[:2]:
        request.remote_tokens = 8
    for request in requests:
        engine.submit(request, 0)
    drive(engine, {0: 20 * TICK, 1: 5 * TICK})
    order = sorted(requests, key=lambda r: r.scheduled)
    assert [r.index for r in order] == [2, 0, 1, 3]


def test_kept_pages_are_free_only_when_released() -> None:
    engine = engine_of(num_gpu_blocks=6)
    first, second = Request(0, 0, 12, 1), Request(1, 0, 12, 1)
    first.keeps_kv = True
    for request in (first, second):
        engine.submit(request, 0)
    engine.advance()
    assert engine.notices.popleft() == (22 * TICK, first) and first.first_token == first.finish == 22 * TICK
    engine.advance()
    assert engine.pool.held == 3 and second.status == "waiting"
    engine.release_kv(first, 70 * TICK)
    drive(engine, {})
    assert second.scheduled == 70 * TICK and engine.pool.held == 0


def test_prefilled_requests_decode_without_computing() -> None:
    engine = engine_of()
    request = Request(0, 0, 8, 3)
    request.remote_tokens, request.prefilled = 8, True
    engine.submit(request, 0)
    drive(engine, {0: 7 * TICK})
    assert request.scheduled == 7 * TICK and request.finish == 7 * TICK + 2 * 11 * TICK + 9 + 10
    assert engine.scheduled_tokens == 2 and request.cached_tokens == 8


def test_partly_loaded_prompts_compute_the_rest() -> None:
    engine = engine_of()
    request = Request(0, 0, 20, 2)
    request.remote_tokens = 12
    engine.submit(request, 0)
    drive(engine, {0: TICK})
    assert request.cached_tokens == 12 and engine.scheduled_tokens == 8 + 1


def workload(seed: int, *, single_step: bool) -> tuple:
    """A random mix of local, remote, prefilled and kept requests on a small engine."""
    rng = random.Random(seed)
    engine = engine_of(
        single_step=single_step,
        num_gpu_blocks=rng.choice([21, 41]),
        max_num_seqs=rng.choice([2, 4]),
        max_num_batched_tokens=rng.choice([8, 32]),
        async_scheduling=rng.random() < 0.5,
        reserve_full_prompt=rng.random() < 0.7,
    )
    requests, delays, time = [], {}, 0
    for index in range(rng.choice([4, 12])):
        time += rng.choice([0, 1, 5, rng.randrange(60)])
        request = Request(index, time, rng.randrange(1, 30), rng.randrange(1, 25), priority=0)
        request.ends_by_eos = rng.random() < 0.3
        if rng.random() < 0.5:
            request.prefix_ids, request.prefix_block = (rng.choice([1, 2]),), 8
        kind = rng.randrange(4)
        if kind:
            request.remote_tokens = request.prompt_tokens if kind < 3 else rng.randrange(request.prompt_tokens)
            request.prefilled = kind == 2
        request.keeps_kv = rng.random() < 0.3
        delays[index] = rng.randrange(200) * TICK
        requests.append(request)
        engine.submit(request, time * TICK)
    told = drive(engine, delays)
    assert engine.pool.held == 0 and not engine.remote.pending
    assert {r.status for r in requests} <= {"completed", "rejected"}
    stamps = [(r.status, r.scheduled, r.first_token, r.finish, r.cached_tokens, r.preemptions) for r in requests]
    return told, stamps, engine.step, engine.scheduled_tokens, engine.pool.evicted


@pytest.mark.parametrize("block", range(4))
def test_macro_steps_equal_single_steps(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        assert workload(seed, single_step=False) == workload(seed, single_step=True), seed
