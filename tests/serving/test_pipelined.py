"""Pipeline stages: batches follow each other in the line, a request is in one of them at a time."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hwsim.cost.price import StepPrice, StepShape
from hwsim.cost.staged import Staged
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.pipelined import PipelinedEngine, StagePipeline
from hwsim.serving.request import Request

TICK = 1 << 10


class StagePricer:
    """Ten ticks a stage, and more per token."""

    def __init__(self, host: int = 0, per_token: int = 0, stages: int = 1) -> None:
        self.host, self.per_token, self.stages = host, per_token, stages

    def price(self, shape: StepShape, context: int) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        stage = StepPrice((10 + self.per_token * tokens) * TICK, host=self.host * TICK)
        return Staged(stage, (stage,) * self.stages)


def run(requests: list[tuple[int, int, int]], stages: int, host: int = 0, **fields) -> list[Request]:
    config = EngineConfig(
        **{
            "num_gpu_blocks": 100,
            "block_size": 4,
            "max_num_batched_tokens": 4,
            "async_scheduling": False,
            "pipeline_parallel_size": stages,
            **fields,
        }
    )
    engine = PipelinedEngine(config, StagePricer(host, stages=stages))
    live = [Request(i, *lengths) for i, lengths in enumerate(requests)]
    for request in live:
        engine.submit(request, request.arrival * TICK)
    engine.advance()
    assert engine.pool.held == 0
    return live


def stamps(requests: list[Request]) -> list[tuple[int, int]]:
    return [((r.first_token or 0) // TICK, (r.finish or 0) // TICK) for r in requests]


def test_one_request_passes_all_stages_for_each_token() -> None:
    assert stamps(run([(0, 4, 3)], 2)) == [(20, 60)]
    assert stamps(run([(0, 4, 3)], 4)) == [(40, 120)]


def test_two_groups_fill_two_stages() -> None:
    # the budget parts them: batch 0 leaves at 20, batch 1 at 30, and each comes again when it is through
    assert stamps(run([(0, 4, 3), (0, 4, 3)], 2)) == [(20, 60), (30, 70)]


def test_requests_of_one_batch_leave_the_other_stage_idle() -> None:
    assert stamps(run([(0, 2, 3), (0, 2, 3)], 2)) == [(20, 60), (20, 60)]


def test_chunks_of_a_prompt_follow_each_other() -> None:
    assert stamps(run([(0, 8, 1)], 2)) == [(30, 30)]
    assert stamps(run([(0, 16, 1)], 4)) == [(70, 70)]


def test_asynchronous_scheduling_hides_the_host() -> None:
    requests = [(0, 4, 4), (0, 4, 4)]
    assert stamps(run(requests, 2, host=5, async_scheduling=True)) == [(25, 85), (35, 95)]
    assert stamps(run(requests, 2, host=5)) == [(25, 100), (35, 110)]


def test_a_line_of_equal_stages_takes_the_sum_and_the_longest() -> None:
    rng = random.Random(3)
    for _ in range(50):
        stages, times = rng.randrange(1, 6), [rng.randrange(1, 30) for _ in range(rng.randrange(1, 9))]
        line = StagePipeline(1, stages)
        for time in times:
            line.times = [time] * stages
            line.step(0, 0, time)
        assert line.end == sum(times) + (stages - 1) * max(times)


def workload(seed: int, kind: type[Engine], stages: int, *, pieces: bool = False) -> list[tuple]:
    rng = random.Random(seed)
    config = EngineConfig(
        num_gpu_blocks=rng.choice([12, 40]),
        block_size=4,
        max_num_batched_tokens=rng.choice([6, 32]),
        max_num_seqs=rng.choice([2, 6]),
        async_scheduling=rng.random() < 0.5,
        pipeline_parallel_size=stages,
        scheduling_policy=rng.choice(["fcfs", "priority"]),
        scheduler=rng.choice(["vllm_v1", "vllm_v1", "trtllm"]),
    )
    engine = kind(config, StagePricer(rng.choice([0, 3, 25]), rng.choice([0, 1]), stages))
    requests, time = [], 0
    for index in range(12):
        time += rng.choice([0, 0, 1, 10, rng.randrange(60)])
        output = rng.randrange(1, 20)
        requests.append(Request(index, time, rng.randrange(1, 20), output, output + 3, rng.random() < 0.3))
    for request in requests:
        if pieces:
            engine.advance(request.arrival * TICK)
        engine.submit(request, request.arrival * TICK)
    engine.advance()
    assert engine.pool.held == 0 and {r.status for r in requests} <= {"completed", "rejected"}
    if all(r.status == "completed" for r in requests):
        needed = sum(r.prompt_tokens + r.output_tokens - 1 - r.cached_tokens for r in requests)
        assert engine.scheduled_tokens == needed + engine.recomputed_tokens + engine.wasted_rows
    done = sorted(r.first_token for r in requests if r.first_token is not None)
    assert all(a <= b for a, b in pairwise(done))
    gaps = sum(gap * count for gap, count in engine.journal.gaps)
    if stages > 1 and engine.wasted_rows == 0 and engine.preemptions == 0:
        assert gaps == sum((r.finish or 0) - (r.first_token or 0) for r in requests if r.status == "completed")
    return [(r.status, r.scheduled, r.first_token, r.finish, r.preemptions) for r in requests]


def test_one_stage_is_the_plain_engine() -> None:
    for seed in range(150):
        assert workload(seed, PipelinedEngine, 1) == workload(seed, Engine, 1), seed


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_pieces_change_nothing_and_the_books_are_right(stages: int) -> None:
    for seed in range(100):
        assert workload(seed, PipelinedEngine, stages) == workload(seed, PipelinedEngine, stages, pieces=True), seed
