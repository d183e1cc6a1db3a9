"""Sliding windows: sums under windows are exact, and macro-steps still equal single steps."""

from __future__ import annotations

import random

import pytest

from hwsim.cost.price import StepPrice, StepShape
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog
from hwsim.serving.scheduler import SCHEDULERS

TICK = 1 << 10


class WindowPricer:
    """Affine in the context and in the sums under two windows; keeps its prices so that their tallies can be read."""

    def __init__(self, rng: random.Random) -> None:
        first = rng.randrange(1, 12)
        self.windows = (first, first + rng.randrange(1, 20))
        self.slopes = (rng.choice([0, 1, 37]), rng.choice([0, 5, TICK]))
        self.slope = rng.choice([0, 3])
        self.host = rng.choice([0, 5 * TICK, 30 * TICK])
        self.prices: dict[StepShape, StepPrice] = {}

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = ()) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        assert len(windowed) == 2 and windowed[0] <= windowed[1] <= context
        return self.prices.setdefault(
            shape,
            StepPrice(9 * TICK + 7 * tokens, self.slope, host=self.host, window_slopes=self.slopes),
        )


def run(seed: int, *, single_step: bool) -> tuple:
    rng = random.Random(seed)
    config = EngineConfig(
        num_gpu_blocks=rng.choice([9, 20, 60]),
        block_size=4,
        max_num_batched_tokens=rng.choice([6, 32]),
        max_num_seqs=rng.choice([2, 6]),
        async_scheduling=rng.random() < 0.5,
        long_prefill_token_threshold=rng.choice([0, 3]),
        scheduler=rng.choice(SCHEDULERS.names()),
    )
    pricer = WindowPricer(rng)
    engine = Engine(config, pricer, single_step=single_step, log=ScheduleLog())
    requests, time = [], 0
    for index in range(10):
        time += rng.choice([0, 1, 5, rng.randrange(60)])
        output = rng.randrange(1, 40)
        requests.append(Request(index, time, rng.randrange(1, 25), output, output + 5, rng.random() < 0.3))
        engine.submit(requests[-1], time * TICK)
    engine.advance()
    assert engine.log is not None
    for j, window in enumerate(pricer.windows):
        counted = sum(price.windowed[j] for price in pricer.prices.values())
        lengths = (row.offset + beat + 1 for row in engine.log.rows for beat in range(row.first, row.end))
        assert counted == sum(min(length, window) for length in lengths)
    stamps = [(r.status, r.scheduled, r.first_token, r.finish, r.preemptions) for r in requests]
    return stamps, engine.step, engine.journal.stretches


@pytest.mark.parametrize("block", range(3))
def test_macro_steps_equal_single_steps_under_windows(block: int) -> None:
    saved = 0
    for seed in range(block * 100, block * 100 + 100):
        macro, steps, stretches = run(seed, single_step=False)
        single, same_steps, _ = run(seed, single_step=True)
        assert (macro, steps) == (single, same_steps), seed
        saved += steps - stretches
    assert saved > 1000
